/* datagen/shard_pair.c - blocks to rows: walks every document, then finds the tokens of B's that are from other documents. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "datagen/shard_stage.h"
#include "datagen/workers.h"

enum { LOOK_AROUND = 64, BATCH_BYTES = 1 << 20 };   /* wishes between looks at the live line and at stop */

typedef struct wish { example x; uint32_t block, segment; } wish;   /* segment: of the document's piece there, or UNKNOWN: to be drawn */
#define UNKNOWN UINT32_MAX

typedef struct pairing {
    stage *g;
    _Atomic uint64_t next, done;
    pthread_mutex_t mutex;           /* of the sums */
} pairing;

typedef struct pairer {
    stage *g;
    block here, other;
    int32_t *token;                  /* a window over several blocks */
    uint64_t *segment;
    size_t token_room, segment_room;
    unsigned char *record;
    spill_batch *batch;              /* of rows */
    uint64_t *rows;                  /* by bucket */
    build_summary sum;
} pairer;

static bool stopped(const stage *g) { return *g->stop || atomic_load(&g->failed); }

static size_t bucket_of(const stage *g, uint64_t order, bool held_out) {
    return (size_t)(((unsigned __int128)order * g->buckets) >> 64) + (held_out ? g->buckets : 0);
}

static void pack(unsigned char *out, const int32_t *token, size_t count, size_t token_bytes) {
    uint16_t *narrow = (void *)out;
    if (token_bytes == 4) memcpy(out, token, 4 * count);
    else for (size_t i = 0; i < count; i++) narrow[i] = (uint16_t)token[i];
}

static int put_row(pairer *p, const example *x, bool second, size_t bucket, const int32_t *a, const int32_t *b, error *e) {
    size_t width = p->g->blocks.token_bytes, a_count = second ? 0 : x->a_count, b_count = !second && x->foreign ? 0 : x->b_count;
    row_record r = { x->order, x->document, x->duplicate, x->chunk, x->a_count, x->b_count, x->label, x->foreign, second, 0 };
    memcpy(p->record, &r, sizeof r);
    pack(p->record + sizeof r, a, a_count, width);
    pack(p->record + sizeof r + a_count * width, b, b_count, width);
    size_t used = sizeof r + (a_count + b_count) * width, bytes = row_record_bytes(&r, width);
    memset(p->record + used, 0, bytes - used);
    return spill_batch_add(p->batch, bucket, p->record, bytes, e);
}

static int put_wish(pairer *p, const example *x, error *e) {
    const blocks *b = &p->g->blocks;
    const long_document *d = blocks_find_long(b, x->partner);
    wish w = { .x = *x, .segment = UNKNOWN };
    if (d) {
        uint64_t segment = example_partner_segment(&p->g->s.example, x, d->segments);
        w.block = (uint32_t)blocks_find_segment(b, d, &segment);
        w.segment = (uint32_t)segment;
    } else w.block = (uint32_t)blocks_find(b, x->partner);
    return spill_add(p->g->wishes, (size_t)((uint64_t)w.block * p->g->wish_groups / b->count), &w, sizeof w, e);
}

static int put_example(pairer *p, const example *x, bool held_out, const int32_t *a, const int32_t *b, error *e) {
    size_t bucket = bucket_of(p->g, x->order, held_out);
    p->rows[bucket]++;
    if (!held_out) {
        p->sum.random_next += x->label;
        p->sum.used += x->a_count + (x->foreign ? 0u : x->b_count);
        p->sum.filled += (p->g->s.example.next_sentence ? 3u : 2u) + x->a_count + (x->foreign ? 0u : x->b_count);
    }
    if (put_row(p, x, false, bucket, a, b, e)) return e->code;
    return x->foreign ? put_wish(p, x, e) : 0;
}

static document_view view_of(const stage *g, const block *k, const piece *at, size_t from) {
    return (document_view){ k->token, k->segment + at->segment + from, at->segments - from, !at->more, g->continues };
}

/* A window of its own memory: the tokens of d from segment `from` on, then those of the document's piece at the start of block i. */
static int join(pairer *p, document_view *d, size_t from, size_t i, error *e) {
    if (blocks_load(&p->g->blocks, i, &p->other, e)) return e->code;
    const block *k = &p->other;
    assert(k->pieces && k->piece[0].continues);
    size_t old_segments = d->segments - from, segments = old_segments + k->piece[0].segments;
    size_t old_tokens = (size_t)(d->segment[d->segments] - d->segment[from]), more = (size_t)k->segment[k->piece[0].segments], tokens = old_tokens + more;
    int32_t *token = must_alloc(tokens + 1, sizeof *token);
    uint64_t *segment = must_alloc(segments + 1, sizeof *segment);
    memcpy(token, d->token + d->segment[from], old_tokens * sizeof *token);
    memcpy(token + old_tokens, k->token, more * sizeof *token);
    for (size_t s = 0; s <= old_segments; s++) segment[s] = d->segment[from + s] - d->segment[from];
    for (size_t s = 1; s <= k->piece[0].segments; s++) segment[old_segments + s] = old_tokens + k->segment[s];
    free(p->token);
    free(p->segment);
    p->token = token;
    p->segment = segment;
    *d = (document_view){ token, segment, segments, !k->piece[0].more, d->continues };
    return 0;
}

/* All rows of the document that starts at piece `at` of the block here. */
static int pair_document(pairer *p, const piece *at, uint32_t duplicate, bool held_out, error *e) {
    document_view d = view_of(p->g, &p->here, at, 0);
    example_walk walk = { .document = at->number, .duplicate = duplicate, .at = (size_t)d.segment[0] };
    example x;
    const int32_t *a, *b;
    for (size_t i = p->here.index; ; ) {
        while (example_next(&d, &p->g->s.example, &walk, &x, &a, &b)) if (put_example(p, &x, held_out, a, b, e)) return e->code;
        if (d.last) return 0;
        size_t into = walk.at - (size_t)d.segment[walk.segment];
        if (join(p, &d, walk.segment, ++i, e)) return e->code;
        walk.segment = 0;
        walk.at = into;
    }
}

static int pair_block(pairer *p, size_t i, error *e) {
    const stage *g = p->g;
    if (blocks_load(&p->g->blocks, i, &p->here, e)) return e->code;
    for (size_t n = 0; n < p->here.pieces; n++) {
        const piece *at = &p->here.piece[n];
        if (at->continues) continue;                           /* who has its beginning does it */
        bool held_out = example_held_out(&g->s.example, at->number);
        p->sum.test_documents += held_out;
        uint32_t duplicates = held_out ? 1 : g->s.duplicates;  /* evaluation has no use for the same text again */
        for (uint32_t d = 0; d < duplicates; d++) if (pair_document(p, at, d, held_out, e)) return e->code;
        if (stopped(g)) return 0;
    }
    return 0;
}

static pairer pairer_new(stage *g) {
    size_t longest = sizeof(row_record) + 4 * (size_t)g->s.example.seq_length + 8;
    return (pairer){ .g = g, .record = must_alloc(longest, 1), .rows = must_zalloc(2 * g->buckets, sizeof(uint64_t)),
                     .batch = spill_batch_new(g->rows, BATCH_BYTES) };
}

static int pairer_end(pairer *p, pairing *job, error *e) {
    if (spill_batch_end(p->batch, e)) atomic_store(&p->g->failed, true);
    pthread_mutex_lock(&job->mutex);
    for (size_t i = 0; i < 2 * p->g->buckets; i++) p->g->bucket_rows[i] += p->rows[i];
    p->g->sum->random_next += p->sum.random_next;
    p->g->sum->used += p->sum.used;
    p->g->sum->filled += p->sum.filled;
    p->g->sum->test_documents += p->sum.test_documents;
    pthread_mutex_unlock(&job->mutex);
    block_free(&p->here);
    block_free(&p->other);
    free(p->token);
    free(p->segment);
    free(p->record);
    free(p->rows);
    return e->code;
}

static int pair_worker(void *job_, int number, error *e) {
    pairing *job = job_;
    stage *g = job->g;
    pairer p = pairer_new(g);
    int code = 0;
    (void)number;
    while (!code && !stopped(g)) {
        uint64_t i = atomic_fetch_add(&job->next, 1);
        if (i >= g->blocks.count) break;
        if (i * (uint64_t)g->size / g->blocks.count != (uint64_t)g->rank) continue;
        code = pair_block(&p, (size_t)i, e);
        live_line_show(g->live, i + 1);
    }
    return pairer_end(&p, job, e);
}

static int run(stage *g, worker_function *f, error *e) {
    pairing job = { .g = g };
    pthread_mutex_init(&job.mutex, NULL);
    int code = workers_run(g->s.threads, f, &job, e);
    pthread_mutex_destroy(&job.mutex);
    return code;
}

int stage_pair(stage *g, error *e) {
    live_line_stage(g->live, "pairing", "blocks", 1, g->blocks.count);
    return run(g, pair_worker, e);
}

static int by_place(const void *a, const void *b) {
    const wish *x = a, *y = b;
    if (x->block != y->block) return x->block < y->block ? -1 : 1;
    return (x->x.partner > y->x.partner) - (x->x.partner < y->x.partner);
}

static const piece *find_piece(const block *k, uint64_t number) {
    size_t low = 0, high = k->pieces;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (k->piece[middle].number <= number) low = middle;
        else high = middle;
    }
    assert(k->piece[low].number == number);
    return &k->piece[low];
}

static int grant(pairer *p, wish *w, error *e) {
    const stage *g = p->g;
    if (blocks_load(&p->g->blocks, w->block, &p->here, e)) return e->code;
    const piece *at = find_piece(&p->here, w->x.partner);
    size_t start = w->segment == UNKNOWN ? (size_t)example_partner_segment(&g->s.example, &w->x, at->segments) : w->segment;
    document_view d = view_of(g, &p->here, at, start);
    for (size_t i = w->block; !d.last && d.segment[d.segments] - d.segment[0] <= w->x.b_count; )
        if (join(p, &d, 0, ++i, e)) return e->code;
    const int32_t *b = example_partner(&d, &w->x);
    bool held_out = example_held_out(&g->s.example, w->x.document);
    if (!held_out) p->sum.filled += w->x.b_count;
    return put_row(p, &w->x, true, bucket_of(g, w->x.order, held_out), NULL, b, e);
}

static int grant_group(pairer *p, size_t group, error *e) {
    stage *g = p->g;
    size_t bytes = (size_t)spill_bytes(g->wishes, group), count = bytes / sizeof(wish);
    wish *w = must_alloc(count, sizeof *w);
    int code = spill_read(g->wishes, group, w, e);
    spill_drop(g->wishes, group);
    if (!code && count) qsort(w, count, sizeof *w, by_place);
    for (size_t i = 0; i < count && !code; i++) {
        code = grant(p, &w[i], e);
        if (i % LOOK_AROUND == 0 && stopped(g)) break;
    }
    free(w);
    return code;
}

static int find_worker(void *job_, int number, error *e) {
    pairing *job = job_;
    stage *g = job->g;
    pairer p = pairer_new(g);
    int code = 0;
    (void)number;
    while (!code && !stopped(g)) {
        uint64_t group = atomic_fetch_add(&job->next, 1);
        if (group >= g->wish_groups) break;
        if (group * (uint64_t)g->size / g->wish_groups != (uint64_t)g->rank) continue;
        code = grant_group(&p, (size_t)group, e);
        live_line_show(g->live, group + 1);
    }
    return pairer_end(&p, job, e);
}

int stage_find(stage *g, error *e) {
    live_line_stage(g->live, "finding random partners", "parts", 1, g->wish_groups);
    return run(g, find_worker, e);
}
