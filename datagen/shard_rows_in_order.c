/* datagen/shard_rows_in_order.c - see shard_rows_in_order.h. Orders are uniform, so records are dealt to as many slots as there are records
 * and then lie so near their places that insertion sorts them in linear time. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "datagen/shard_rows_in_order.h"

typedef struct keyed { uint64_t order; const row_record *record; } keyed;
typedef struct ordered_row { const row_record *first, *second; } ordered_row;   /* second: a foreign B, or NULL */

struct row_run {
    stage *g;
    uint64_t *bucket_first[2];       /* by split and bucket: its first row; one more at the end */
    unsigned char *data;
    keyed *unsorted, *sorted;
    uint32_t *slot;
    ordered_row *row;
    size_t data_room, record_room, slot_room;
    uint64_t first;                  /* row number of row[0] */
    size_t rows;
    int32_t *a, *b;
};

row_run *row_run_new(stage *g) {
    row_run *t = must_zalloc(1, sizeof *t);
    t->g = g;
    for (int split = 0; split < 2; split++) {
        uint64_t *first = t->bucket_first[split] = must_zalloc(g->buckets + 1, sizeof *first);
        for (size_t i = 0; i < g->buckets; i++) first[i + 1] = first[i] + g->bucket_rows[(size_t)split * g->buckets + i];
    }
    t->a = must_alloc(g->s.example.seq_length, sizeof *t->a);
    t->b = must_alloc(g->s.example.seq_length, sizeof *t->b);
    return t;
}

void row_run_free(row_run *t) {
    if (!t) return;
    free(t->bucket_first[0]);
    free(t->bucket_first[1]);
    free(t->data);
    free(t->unsorted);
    free(t->sorted);
    free(t->slot);
    free(t->row);
    free(t->a);
    free(t->b);
    free(t);
}

static int compare(const keyed *x, const keyed *y) {
    const row_record *a = x->record, *b = y->record;
    if (x->order != y->order) return x->order < y->order ? -1 : 1;
    if (a->duplicate != b->duplicate) return a->duplicate < b->duplicate ? -1 : 1;
    if (a->document != b->document) return a->document < b->document ? -1 : 1;
    if (a->chunk != b->chunk) return a->chunk < b->chunk ? -1 : 1;
    return (a->part > b->part) - (a->part < b->part);
}

/* Orders are in [low, low + range). */
static void sort(row_run *t, size_t n, uint64_t low, unsigned __int128 range) {
    if (n + 1 > t->slot_room) t->slot = must_realloc(t->slot, t->slot_room = n + n / 4 + 1, sizeof *t->slot);
    memset(t->slot, 0, (n + 1) * sizeof *t->slot);
    double scale = (double)n / (double)range;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < n; i++) {
            size_t s = (size_t)((double)(t->unsorted[i].order - low) * scale);
            if (s >= n) s = n - 1;
            if (!pass) t->slot[s + 1]++;
            else t->sorted[t->slot[s]++] = t->unsorted[i];
        }
        if (!pass) for (size_t s = 0; s < n; s++) t->slot[s + 1] += t->slot[s];
    }
    for (size_t i = 1; i < n; i++) {
        keyed k = t->sorted[i];
        size_t j = i;
        for (; j > 0 && compare(&k, &t->sorted[j - 1]) < 0; j--) t->sorted[j] = t->sorted[j - 1];
        t->sorted[j] = k;
    }
}

static void make_room(row_run *t, size_t bytes) {
    if (bytes > t->data_room) {
        free(t->data);
        t->data = must_alloc(t->data_room = bytes + bytes / 4, 1);
    }
    size_t records = bytes / sizeof(row_record);
    if (records <= t->record_room) return;
    records += records / 4;
    t->unsorted = must_realloc(t->unsorted, records, sizeof *t->unsorted);
    t->sorted = must_realloc(t->sorted, records, sizeof *t->sorted);
    t->row = must_realloc(t->row, records, sizeof *t->row);
    t->record_room = records;
}

int row_run_load(row_run *t, enum shard_split split, uint64_t first, uint64_t end, error *e) {
    const uint64_t *bucket_first = t->bucket_first[split];
    size_t from = 0, to, bytes = 0, n = 0, base = (size_t)split * t->g->buckets;
    while (bucket_first[from + 1] <= first) from++;
    for (to = from; bucket_first[to] < end; to++) bytes += (size_t)spill_bytes(t->g->rows, base + to);
    make_room(t, bytes);
    bytes = 0;
    for (size_t i = from; i < to; i++) {
        if (spill_read(t->g->rows, base + i, t->data + bytes, e)) return e->code;
        bytes += (size_t)spill_bytes(t->g->rows, base + i);
    }
    for (size_t at = 0; at < bytes; n++) {
        const row_record *r = (const void *)(t->data + at);
        t->unsorted[n] = (keyed){ r->order, r };
        at += row_record_bytes(r, t->g->blocks.token_bytes);
    }
    unsigned __int128 whole = (unsigned __int128)1 << 64, low = (from * whole + t->g->buckets - 1) / t->g->buckets, high = to * whole / t->g->buckets + 1;
    sort(t, n, (uint64_t)low, high - low);
    t->first = bucket_first[from];
    t->rows = 0;
    for (size_t i = 0; i < n; i++) {
        const row_record *r = t->sorted[i].record;
        assert(!r->part && (!r->foreign || (i + 1 < n && t->sorted[i + 1].record->part)));
        t->row[t->rows++] = (ordered_row){ r, r->foreign ? t->sorted[++i].record : NULL };
    }
    assert(t->first + t->rows == bucket_first[to]);
    return 0;
}

static void unpack(int32_t *out, const void *in, size_t first, size_t count, size_t token_bytes) {
    const uint16_t *narrow = in;
    const int32_t *wide = in;
    if (token_bytes == 4) for (size_t i = 0; i < count; i++) out[i] = wide[first + i];
    else for (size_t i = 0; i < count; i++) out[i] = narrow[first + i];
}

void row_run_render(row_run *t, uint64_t row, shard_rows *rows, size_t i) {
    const stage *g = t->g;
    const ordered_row *o = &t->row[row - t->first];
    const row_record *r = o->first, *b = o->second ? o->second : r;
    size_t width = g->blocks.token_bytes;
    example x = { .order = r->order, .document = r->document, .duplicate = r->duplicate, .chunk = r->chunk, .a_count = r->a_count, .b_count = b->b_count,
                  .label = r->label, .foreign = r->foreign };
    example_words w = { vocab_cls(g->v), vocab_sep(g->v), vocab_mask(g->v), (int32_t)vocab_size(g->v), g->continues };
    unpack(t->a, r + 1, 0, r->a_count, width);
    unpack(t->b, b + 1, o->second ? 0 : r->a_count, b->b_count, width);
    example_render(&g->s.example, &w, &x, t->a, t->b, rows, i);
}
