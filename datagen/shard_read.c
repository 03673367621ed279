/* datagen/shard_read.c - text to blocks of tokens. One thread at a time takes a batch of lines from the stream, then works on it by itself.
 *
 * A batch ends where a document does, once it is large enough; a very long document goes through several. Ranks read all of the text, and
 * each tokenises every size-th batch. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "datagen/sentences.h"
#include "datagen/shard_stage.h"
#include "datagen/workers.h"

enum { BATCH_BYTES = 1 << 18, BATCH_MOST = 1 << 22 };   /* a document longer than the second is divided */

typedef struct line { size_t offset, bytes, number; const char *file; bool last; } line;   /* last: of its document */

typedef struct batch {
    uint64_t index;
    char *text;
    line *line;
    size_t bytes, text_room, lines, line_room;
    bool continues;
} batch;

typedef struct reading {
    stage *g;
    text_stream *t;
    pthread_mutex_t mutex;           /* of all below, and of t */
    uint64_t next;
    bool end, inside;                /* inside: the last batch ended in the middle of a document */
    uint64_t failed_batch;
    error e;                         /* of the first batch, in input order, that has one */
    build_summary sum;
} reading;

static void add_line(batch *b, const char *text, size_t bytes, const text_stream *t, bool last) {
    size_t need = b->bytes + bytes;
    if (need > b->text_room) b->text = must_realloc(b->text, b->text_room = 2 * b->text_room > need ? 2 * b->text_room : need, 1);
    if (b->lines == b->line_room) b->line = must_realloc(b->line, b->line_room = b->line_room ? 2 * b->line_room : 1024, sizeof *b->line);
    memcpy(b->text + b->bytes, text, bytes);
    b->line[b->lines++] = (line){ b->bytes, bytes, text_stream_line_number(t), text_stream_file(t), last };
    b->bytes += bytes;
}

static void keep_error(reading *r, uint64_t batch_index, const error *e) {
    if (r->e.code && r->failed_batch <= batch_index) return;
    r->e = *e;
    r->failed_batch = batch_index;
}

/* The next batch for this rank; false at the end, and after an error. Called with the mutex held. */
static bool take_batch(reading *r, batch *b) {
    const char *text;
    size_t bytes;
    bool last = true, mine;
    do {
        if (r->end || r->e.code) return false;
        *b = (batch){ .index = r->next++, .text = b->text, .line = b->line, .text_room = b->text_room, .line_room = b->line_room, .continues = r->inside };
        mine = b->index % (uint64_t)r->g->size == (uint64_t)r->g->rank;
        error e = {0};
        int got = 1;
        size_t taken = 0;
        while ((taken < BATCH_BYTES || (!last && taken < BATCH_MOST)) && (got = text_stream_line(r->t, &text, &bytes, &last, &e)) > 0) {
            if (mine) add_line(b, text, bytes, r->t, last);
            taken += bytes;
        }
        if (got < 0) keep_error(r, b->index + 1, &e);            /* a fault of what was read before comes first */
        r->end = got <= 0;
        r->inside = taken ? !last : r->inside;
        if (!taken) return false;
    } while (!mine);
    return true;
}

typedef struct tokeniser {
    reading *r;
    tokenizer *k;
    corpus c;
    text_hash hash, *hashes;         /* of the document under way; of those that ended */
    size_t hash_room;
    build_summary sum;
    size_t longest;
} tokeniser;

static void take_segment(tokeniser *t, const char *text, size_t bytes) {
    size_t from = t->c.token.count;
    tokenizer_encode(t->k, text, bytes, &t->c.token);
    t->c.text_segments++;
    t->c.text_bytes += bytes;
    if (t->r->g->s.deduplicate) text_hash_add(&t->hash, text, bytes);
    corpus_add_segment(&t->c, from, t->longest);
}

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* valid: as UTF-8, all of it; else sentences that are not are left out. */
static void take_paragraph(tokeniser *t, const char *text, size_t bytes, bool valid) {
    const char *end = text + bytes;
    for (;;) {
        while (text < end && is_space(*text)) text++;
        if (text == end) return;
        size_t n = sentence_bytes(text, (size_t)(end - text)), bad;
        if (valid || utf8_valid(text, n, &bad)) take_segment(t, text, n);
        else t->c.skipped++;
        text += n;
    }
}

/* EXIT_USAGE on invalid UTF-8 that is refused. */
static int take_line(tokeniser *t, const batch *b, const line *l, error *e) {
    const build_settings *s = &t->r->g->s;
    const char *text = b->text + l->offset;
    size_t bad;
    bool valid = s->invalid == INVALID_REPLACE || utf8_valid(text, l->bytes, &bad);
    if (!valid && s->invalid == INVALID_FAIL) return text_invalid(l->file, l->number, text[bad], e);
    if (s->text.split_sentences) take_paragraph(t, text, l->bytes, valid);
    else if (valid) take_segment(t, text, l->bytes);
    else t->c.skipped++;
    return 0;
}

static void end_document(tokeniser *t, bool whole) {
    corpus *c = &t->c;
    size_t tokens = c->token.count - (size_t)c->segment[c->document[c->documents]];
    if (whole && tokens < t->r->g->s.min_tokens) {
        t->sum.short_documents += tokens > 0;
        t->sum.left_out += tokens;
        corpus_drop_last(c);
    } else {
        size_t before = c->documents;
        if (whole) corpus_end_document(c);
        else corpus_end_piece(c);
        if (t->r->g->s.deduplicate && c->documents > before) {
            if (before == t->hash_room) t->hashes = must_realloc(t->hashes, t->hash_room = 2 * before + 256, sizeof *t->hashes);
            t->hashes[before] = t->hash;
        }
    }
    t->hash = text_hash_none();
}

static int tokenise(tokeniser *t, const batch *b, error *e) {
    corpus *c = &t->c;
    bool continues = b->continues;
    corpus_clear(c);
    t->hash = text_hash_none();
    for (size_t i = 0; i < b->lines; i++) {
        if (take_line(t, b, &b->line[i], e)) return e->code;
        if (!b->line[i].last) continue;
        end_document(t, !continues);
        continues = false;
    }
    bool more = !b->line[b->lines - 1].last;
    if (more) end_document(t, false);
    size_t unknown = 0;
    int32_t unk = vocab_unk(t->r->g->v);
    for (size_t i = 0; i < c->token.count; i++) unknown += c->token.id[i] == unk;
    t->sum.unknown += unknown;
    t->sum.segments += c->text_segments;
    t->sum.bytes += c->text_bytes;
    t->sum.skipped += c->skipped;
    return blocks_add(&t->r->g->blocks, b->index, c, b->continues, more, t->r->g->s.deduplicate ? t->hashes : NULL, e);
}

static void add_summary(build_summary *to, const build_summary *from) {
    to->segments += from->segments;
    to->bytes += from->bytes;
    to->unknown += from->unknown;
    to->skipped += from->skipped;
    to->short_documents += from->short_documents;
    to->left_out += from->left_out;
}

static int read_worker(void *job, int number, error *e) {
    reading *r = job;
    stage *g = r->g;
    (void)number;
    (void)e;
    batch b = {0};
    tokeniser t = { .r = r, .k = tokenizer_new(g->v, g->s.words), .longest = example_longest_segment(g->s.example.seq_length, g->s.example.next_sentence) };
    corpus_init(&t.c, NULL);
    t.c.continues = g->continues;
    for (;;) {
        pthread_mutex_lock(&r->mutex);
        bool got = take_batch(r, &b);
        uint64_t bytes = text_stream_bytes_read(r->t);
        pthread_mutex_unlock(&r->mutex);
        if (!got) break;
        live_line_show(g->live, bytes);
        error mine = {0};
        if (!tokenise(&t, &b, &mine)) continue;
        pthread_mutex_lock(&r->mutex);
        keep_error(r, b.index, &mine);
        pthread_mutex_unlock(&r->mutex);
        break;
    }
    pthread_mutex_lock(&r->mutex);
    add_summary(&r->sum, &t.sum);
    pthread_mutex_unlock(&r->mutex);
    t.c.continues = NULL;                        /* shared */
    corpus_free(&t.c);
    tokenizer_free(t.k);
    free(t.hashes);
    free(b.text);
    free(b.line);
    return 0;
}

int stage_read(stage *g, char *const *paths, size_t count, error *e) {
    reading r = { .g = g };
    text_settings settings = g->s.text;
    settings.stop = g->stop;
    settings.split_sentences = false;            /* that is the threads' work */
    if (text_stream_open(&r.t, paths, count, &settings, e)) return e->code;
    if (stage_check_space(g, text_stream_bytes_total(r.t), e)) {
        text_stream_close(r.t);
        return e->code;
    }
    pthread_mutex_init(&r.mutex, NULL);
    live_line_stage(g->live, "reading", "MB", 1e6, text_stream_bytes_total(r.t));
    int code = workers_run(g->s.threads, read_worker, &r, e);
    if (!code && r.e.code) {
        *e = r.e;
        code = e->code;
    }
    add_summary(g->sum, &r.sum);
    if (!g->rank) g->sum->skipped += text_stream_left_out(r.t);      /* every rank reads all */
    text_stream_close(r.t);
    pthread_mutex_destroy(&r.mutex);
    return code;
}
