/* datagen/spill.c - buckets of records; see store.h. A bucket is a list of pieces in the store and one that is being filled. */
#include <stdlib.h>
#include <string.h>
#include "base/files.h"
#include "datagen/store_file.h"

typedef struct bucket {
    pthread_mutex_t mutex;
    store_place *piece;
    size_t pieces, room;
    char *open;                  /* the piece under way */
    size_t used, capacity;
    uint64_t bytes;              /* of all */
} bucket;

struct spill {
    store *store;
    size_t buckets, piece;
    bucket *bucket;
};

spill *spill_new(store *s, size_t buckets, size_t piece) {
    spill *b = must_zalloc(1, sizeof *b);
    *b = (spill){ .store = s, .buckets = buckets, .piece = piece, .bucket = must_zalloc(buckets, sizeof *b->bucket) };
    for (size_t i = 0; i < buckets; i++) pthread_mutex_init(&b->bucket[i].mutex, NULL);
    return b;
}

void spill_drop(spill *b, size_t i) {
    bucket *k = &b->bucket[i];
    for (size_t p = 0; p < k->pieces; p++) store_drop(b->store, &k->piece[p]);
    free(k->piece);
    free(k->open);
    k->piece = NULL;
    k->open = NULL;
    k->pieces = k->room = k->used = k->capacity = 0;
    k->bytes = 0;
}

void spill_free(spill *b) {
    if (!b) return;
    for (size_t i = 0; i < b->buckets; i++) {
        spill_drop(b, i);
        pthread_mutex_destroy(&b->bucket[i].mutex);
    }
    free(b->bucket);
    free(b);
}

static store_place *next_piece(bucket *k) {
    if (k->pieces == k->room) k->piece = must_realloc(k->piece, k->room = k->room ? 2 * k->room : 8, sizeof *k->piece);
    return &k->piece[k->pieces++];
}

/* Puts the open piece away: kept as it is, or written and its memory used on. */
static int put_away(spill *b, bucket *k, error *e) {
    if (memory_budget_take(b->store->budget, k->used)) {
        *next_piece(k) = (store_place){ .data = must_realloc(k->open, k->used, 1), .bytes = k->used, .rank = b->store->rank };
        k->open = NULL;
        k->capacity = 0;
    } else if (store_write(b->store, k->open, k->used, next_piece(k), e)) return e->code;
    k->used = 0;
    return 0;
}

int spill_add(spill *b, size_t i, const void *record, size_t bytes, error *e) {
    bucket *k = &b->bucket[i];
    int code = 0;
    pthread_mutex_lock(&k->mutex);
    if (k->used && k->used + bytes > b->piece) code = put_away(b, k, e);
    if (!code) {
        if (k->used + bytes > k->capacity) {
            size_t wish = k->used + bytes > 4096 ? k->used + bytes > b->piece ? k->used + bytes : b->piece : 4096;   /* small buckets stay small */
            k->open = must_realloc(k->open, k->capacity = wish, 1);
        }
        memcpy(k->open + k->used, record, bytes);
        k->used += bytes;
        k->bytes += bytes;
    }
    pthread_mutex_unlock(&k->mutex);
    return code;
}

struct spill_batch {
    spill *to;
    size_t each, *used;          /* used: by bucket */
    char *data;
};

spill_batch *spill_batch_new(spill *to, size_t bytes) {
    spill_batch *t = must_zalloc(1, sizeof *t);
    *t = (spill_batch){ .to = to, .each = bytes / to->buckets, .used = must_zalloc(to->buckets, sizeof *t->used) };
    t->data = must_alloc(to->buckets * t->each + 1, 1);
    return t;
}

static int hand_on(spill_batch *t, size_t i, error *e) {
    size_t used = t->used[i];
    t->used[i] = 0;
    return used ? spill_add(t->to, i, t->data + i * t->each, used, e) : 0;
}

int spill_batch_add(spill_batch *t, size_t i, const void *record, size_t bytes, error *e) {
    if (t->used[i] + bytes > t->each && hand_on(t, i, e)) return e->code;
    if (bytes > t->each) return spill_add(t->to, i, record, bytes, e);
    memcpy(t->data + i * t->each + t->used[i], record, bytes);
    t->used[i] += bytes;
    return 0;
}

int spill_batch_end(spill_batch *t, error *e) {
    for (size_t i = 0; i < t->to->buckets && !e->code; i++) hand_on(t, i, e);
    free(t->used);
    free(t->data);
    free(t);
    return e->code;
}

uint64_t spill_bytes(const spill *b, size_t i) { return b->bucket[i].bytes; }

int spill_read(spill *b, size_t i, void *out, error *e) {
    bucket *k = &b->bucket[i];
    char *p = out;
    for (size_t n = 0; n < k->pieces; n++) {
        if (store_read(b->store, &k->piece[n], p, e)) return e->code;
        p += k->piece[n].bytes;
    }
    memcpy(p, k->open ? k->open : "", k->used);
    return 0;
}

/* The index: for each bucket the number of its pieces, then offset and bytes of each; 64-bit numbers. */
int spill_publish(spill *b, error *e) {
    size_t numbers = 0, at = 0;
    for (size_t i = 0; i < b->buckets; i++) {
        bucket *k = &b->bucket[i];
        if (k->used && store_write(b->store, k->open, k->used, next_piece(k), e)) return e->code;
        free(k->open);
        k->open = NULL;
        k->used = k->capacity = 0;
        for (size_t p = 0; p < k->pieces; p++) if (store_flush(b->store, &k->piece[p], e)) return e->code;
        numbers += 1 + 2 * k->pieces;
    }
    uint64_t *list = must_alloc(numbers, sizeof *list);
    for (size_t i = 0; i < b->buckets; i++) {
        list[at++] = b->bucket[i].pieces;
        for (size_t p = 0; p < b->bucket[i].pieces; p++) {
            list[at++] = b->bucket[i].piece[p].offset;
            list[at++] = b->bucket[i].piece[p].bytes;
        }
    }
    char *path = store_path(b->store, b->store->rank, ".index");
    int code = files_write_synced(path, list, numbers * sizeof *list, e);
    free(path);
    free(list);
    return code;
}

static int take_in(spill *b, uint32_t rank, error *e) {
    char *path = store_path(b->store, rank, ".index"), *data;
    size_t bytes, at = 0;
    int code = files_read(path, SIZE_MAX / 2, &data, &bytes, e);
    if (!code) {
        const uint64_t *list = (const void *)data;
        for (size_t i = 0; i < b->buckets; i++) {
            for (uint64_t left = list[at++]; left; left--, at += 2) {
                *next_piece(&b->bucket[i]) = (store_place){ .offset = list[at], .bytes = list[at + 1], .rank = rank };
                b->bucket[i].bytes += list[at + 1];
            }
        }
        free(data);
    }
    free(path);
    return code;
}

int spill_take_in(spill *b, int ranks, error *e) {
    for (uint32_t r = 0; r < (uint32_t)ranks; r++) if (r != b->store->rank && take_in(b, r, e)) return e->code;
    return 0;
}
