/* datagen/blocks_settle.c - which documents are kept, and their numbers; see blocks.h. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "datagen/blocks.h"

static int by_index(const void *a, const void *b) {
    uint64_t x = ((const block_info *)a)->index, y = ((const block_info *)b)->index;
    return (x > y) - (x < y);
}

/* One piece that both continues and goes on is spoken of as the first. */
static bool all_one(const block_info *i) { return i->pieces == 1 && i->continues && i->more; }

static void remember_long(blocks *b, long_document d) {
    if (b->long_documents == b->long_room)
        b->long_document = must_realloc(b->long_document, b->long_room = b->long_room ? 2 * b->long_room : 16, sizeof *b->long_document);
    b->long_document[b->long_documents++] = d;
}

static void drop_long(blocks *b, const long_document *d) {
    b->info[d->first].drop_last = true;
    for (size_t i = d->first + 1; i <= d->last; i++) b->info[i].drop_first = true;
}

/* Finds the documents that span blocks; drops short ones, hands the others' hashes on. Their numbers come later. */
static int settle_long(blocks *b, uint64_t min_tokens, error *e) {
    for (size_t i = 0; i < b->count; i++) {
        block_info *start = &b->info[i];
        if (!start->more || all_one(start)) continue;
        long_document d = { .segments = start->last_segments, .first = i, .last = i };
        uint64_t tokens = start->last_tokens;
        text_hash hash = start->last_hash;
        do {
            assert(d.last + 1 < b->count);
            const block_info *next = &b->info[++d.last];
            assert(next->continues && next->pieces);
            d.segments += next->first_segments;
            tokens += next->first_tokens;
            text_hash_append(&hash, &next->first_hash);
        } while (all_one(&b->info[d.last]));
        if (!d.segments || tokens < min_tokens) {
            drop_long(b, &d);
            b->short_documents += d.segments > 0;
            b->left_out_tokens += tokens;
            continue;
        }
        if (b->hashes && blocks_keep_hash(b, &hash, start->index, start->pieces - 1, e)) return e->code;
        remember_long(b, d);
    }
    return 0;
}

static int by_record(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;
    for (int i = 0; i < 4; i++) if (x[i] != y[i]) return x[i] < y[i] ? -1 : 1;
    return 0;
}

static block_info *info_of(blocks *b, uint64_t index) {
    block_info key = { .index = index };
    return bsearch(&key, b->info, b->count, sizeof *b->info, by_index);
}

/* A later document that equals an earlier one: left out. */
static void drop_equal(blocks *b, uint64_t index, uint64_t piece_number) {
    block_info *i = info_of(b, index);
    b->equal_documents++;
    if (i->more && piece_number + 1 == i->pieces) {
        for (size_t d = 0; d < b->long_documents; d++) if (&b->info[b->long_document[d].first] == i) drop_long(b, &b->long_document[d]);
        return;
    }
    if (!i->dropped) i->dropped = must_zalloc(i->pieces, 1);
    i->dropped[piece_number] = 1;
}

static int settle_equal(blocks *b, error *e) {
    for (size_t bucket = 0; bucket < BLOCKS_HASHES; bucket++) {
        size_t bytes = (size_t)spill_bytes(b->hashes, bucket), count = bytes / 32;
        uint64_t (*record)[4] = must_alloc(count, sizeof *record);
        int code = spill_read(b->hashes, bucket, record, e);
        if (!code && count) qsort(record, count, sizeof *record, by_record);
        for (size_t i = 1; i < count && !code; i++)
            if (record[i][0] == record[i - 1][0] && record[i][1] == record[i - 1][1]) drop_equal(b, record[i][2], record[i][3]);
        free(record);
        spill_drop(b->hashes, bucket);
        if (code) return code;
    }
    return 0;
}

/* Tokens of the pieces that are left out as equal: only the block itself knows them. */
static int count_dropped(blocks *b, block_info *info, block *k, error *e) {
    const unsigned char *dropped = info->dropped;
    info->dropped = NULL;                                      /* all pieces, for once */
    int code = blocks_load(b, (size_t)(info - b->info), k, e);
    info->dropped = (unsigned char *)(uintptr_t)dropped;
    k->loaded = false;
    for (size_t p = 0, n = info->continues && info->drop_first; p < k->pieces && !code; p++, n++) {
        const piece *at = &k->piece[p];
        if (!dropped[n]) continue;
        b->left_out_tokens += k->segment[at->segment + at->segments] - k->segment[at->segment];
        info->starts--;
    }
    return code;
}

static int number_documents(blocks *b, error *e) {
    block k = {0};
    int code = 0;
    size_t next_long = 0;
    b->documents = b->tokens = 0;
    for (size_t i = 0; i < b->count && !code; i++) {
        block_info *info = &b->info[i];
        info->first = b->documents;
        info->starts = info->pieces - (info->pieces && info->continues);
        if (info->pieces && info->more && !all_one(info) && info->drop_last) info->starts--;
        if (info->dropped) code = count_dropped(b, info, &k, e);
        b->tokens += info->tokens;
        b->documents += info->starts;
        bool starts_long = info->more && !all_one(info) && !info->drop_last;
        if (starts_long) {
            while (b->long_document[next_long].first != i) next_long++;
            b->long_document[next_long].number = b->documents - 1;
        }
    }
    b->tokens -= b->left_out_tokens;
    block_free(&k);
    return code;
}

int blocks_settle(blocks *b, uint64_t min_tokens, error *e) {
    if (b->count) qsort(b->info, b->count, sizeof *b->info, by_index);
    if (settle_long(b, min_tokens, e) || (b->hashes && settle_equal(b, e))) return e->code;
    size_t kept = 0;
    for (size_t i = 0; i < b->long_documents; i++) {
        const long_document *d = &b->long_document[i];
        if (!b->info[d->first].drop_last) { b->long_document[kept++] = *d; continue; }
        b->left_out_tokens += b->info[d->first].last_tokens;
        for (size_t k = d->first + 1; k <= d->last; k++) b->left_out_tokens += b->info[k].first_tokens;
    }
    b->long_documents = kept;
    return number_documents(b, e);
}
