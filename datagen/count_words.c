/* datagen/count_words.c - see count_words.h. */
#include "datagen/count_words.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "datagen/normalizer.h"

enum { BATCH_BYTES = 1 << 20, PARTITIONS = 64, MOST_LOCAL_WORDS = 1 << 16 };

typedef struct batch { char *data; size_t bytes, room; } batch;

typedef struct partition { pthread_mutex_t lock; word_counts counts; } partition;

typedef struct counter {
    const count_settings *settings;
    partition part[PARTITIONS];     /* a word's is told by the top bits of its hash */
    pthread_mutex_t lock;           /* of what follows */
    pthread_cond_t filled, emptied;
    batch *waiting;                 /* a ring of batches to be counted */
    size_t first, count, slots;
    bool end;                       /* no batch comes any more */
    uint64_t total, too_long;
} counter;

static partition *partition_of(counter *c, uint64_t hash) { return &c->part[hash >> 58]; }

/* Adds a thread's table to the common one. A pass over the table for each partition would be slow: words are sorted into lists first. */
static void flush(counter *c, word_counts *local) {
    uint32_t head[PARTITIONS] = {0}, *next = must_alloc(local->count + 1, sizeof *next);   /* index + 1; 0 ends a list */
    for (size_t i = 0; i < local->count; i++) {
        size_t p = (size_t)(partition_of(c, local->word[i].hash) - c->part);
        next[i + 1] = head[p];
        head[p] = (uint32_t)i + 1;
    }
    for (size_t p = 0; p < PARTITIONS; p++) {
        pthread_mutex_lock(&c->part[p].lock);
        for (uint32_t i = head[p]; i; i = next[i]) {
            const counted_word *w = &local->word[i - 1];
            word_counts_add_counted(&c->part[p].counts, local->text + w->text, w->bytes, w->hash, w->count);
        }
        pthread_mutex_unlock(&c->part[p].lock);
    }
    free(next);
    pthread_mutex_lock(&c->lock);
    c->total += local->total;
    c->too_long += local->too_long;
    pthread_mutex_unlock(&c->lock);
    word_counts_empty(local);
}

/* Takes the oldest batch; the caller frees its data. False at the end. */
static bool take(counter *c, batch *b) {
    pthread_mutex_lock(&c->lock);
    while (!c->count && !c->end) pthread_cond_wait(&c->filled, &c->lock);
    bool got = c->count > 0;
    if (got) {
        *b = c->waiting[c->first];
        c->first = (c->first + 1) % c->slots;
        c->count--;
        pthread_cond_signal(&c->emptied);
    }
    pthread_mutex_unlock(&c->lock);
    return got;
}

static void give(counter *c, batch *b) {
    pthread_mutex_lock(&c->lock);
    while (c->count == c->slots) pthread_cond_wait(&c->emptied, &c->lock);
    c->waiting[(c->first + c->count++) % c->slots] = *b;
    pthread_cond_signal(&c->filled);
    pthread_mutex_unlock(&c->lock);
    *b = (batch){0};
}

static void *work(void *context) {
    counter *c = context;
    word_counts local;
    normalizer n;
    batch b;
    word_counts_init(&local);
    normalizer_init(&n, c->settings->lowercase, c->settings->strip_accents, word_counts_add, &local);
    while (take(c, &b)) {
        normalizer_text(&n, b.data, b.bytes);
        free(b.data);
        if (local.count > MOST_LOCAL_WORDS) flush(c, &local);
    }
    flush(c, &local);
    normalizer_free(&n);
    word_counts_free(&local);
    return NULL;
}

/* Lines are joined by \n, which ends a word as the end of a line does. */
static void append(batch *b, const char *line, size_t bytes) {
    if (b->bytes + bytes + 1 > b->room) b->data = must_realloc(b->data, b->room = bytes + 1 > BATCH_BYTES ? b->bytes + bytes + 1 : 2 * BATCH_BYTES, 1);
    memcpy(b->data + b->bytes, line, bytes);
    b->bytes += bytes;
    b->data[b->bytes++] = '\n';
}

static int read_all(counter *c, text_stream *t, error *e) {
    batch b = {0};
    const char *line;
    size_t bytes;
    bool last;
    int got;
    while ((got = text_stream_line(t, &line, &bytes, &last, e)) > 0) {
        append(&b, line, bytes);
        if (b.bytes >= BATCH_BYTES) give(c, &b);
    }
    if (got == 0 && b.bytes) give(c, &b);
    free(b.data);
    return got < 0 ? e->code : 0;
}

static int count_alone(word_counts *out, text_stream *t, const count_settings *settings, error *e) {
    const char *line;
    size_t bytes;
    bool last;
    int got;
    normalizer n;
    normalizer_init(&n, settings->lowercase, settings->strip_accents, word_counts_add, out);
    while ((got = text_stream_line(t, &line, &bytes, &last, e)) > 0) normalizer_text(&n, line, bytes);
    normalizer_free(&n);
    return got < 0 ? e->code : 0;
}

static void counter_init(counter *c, const count_settings *settings) {
    *c = (counter){.settings = settings, .slots = (size_t)settings->threads};
    c->waiting = must_alloc(c->slots, sizeof *c->waiting);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->filled, NULL);
    pthread_cond_init(&c->emptied, NULL);
    for (size_t p = 0; p < PARTITIONS; p++) {
        pthread_mutex_init(&c->part[p].lock, NULL);
        word_counts_init(&c->part[p].counts);
    }
}

/* Partitions have no word in common; each is given back as soon as it is copied. */
static void collect(counter *c, word_counts *out) {
    for (size_t p = 0; p < PARTITIONS; p++) {
        word_counts *part = &c->part[p].counts;
        for (size_t i = 0; i < part->count; i++)
            word_counts_add_counted(out, part->text + part->word[i].text, part->word[i].bytes, part->word[i].hash, part->word[i].count);
        word_counts_free(part);
        pthread_mutex_destroy(&c->part[p].lock);
    }
    out->total += c->total;
    out->too_long += c->too_long;
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->filled);
    pthread_cond_destroy(&c->emptied);
    free(c->waiting);
}

int count_words(word_counts *out, text_stream *t, const count_settings *settings, error *e) {
    if (settings->threads == 1) return count_alone(out, t, settings, e);
    counter *c = must_alloc(1, sizeof *c);
    pthread_t *thread = must_alloc((size_t)settings->threads, sizeof *thread);
    int started = 0;
    counter_init(c, settings);
    while (started < settings->threads && !pthread_create(&thread[started], NULL, work, c)) started++;
    if (!started) fail(EXIT_MACHINE, "no thread can be started; give --threads 1");
    int code = read_all(c, t, e);
    pthread_mutex_lock(&c->lock);
    c->end = true;
    pthread_cond_broadcast(&c->filled);
    pthread_mutex_unlock(&c->lock);
    for (int i = 0; i < started; i++) pthread_join(thread[i], NULL);
    collect(c, out);
    free(thread);
    free(c);
    return code;
}
