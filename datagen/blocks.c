/* datagen/blocks.c - see blocks.h. A block in the store: segments of each piece (32 bits), tokens of each segment (16 bits), tokens (16 or 32). */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/files.h"
#include "datagen/blocks.h"
#include "datagen/store_file.h"

void blocks_init(blocks *b, store *s, spill *hashes, size_t vocab_size) {
    *b = (blocks){ .store = s, .hashes = hashes, .token_bytes = vocab_size <= 65536 ? 2 : 4 };
    pthread_mutex_init(&b->mutex, NULL);
}

void blocks_free(blocks *b) {
    for (size_t i = 0; i < b->count; i++) {
        store_drop(b->store, &b->info[i].place);
        free(b->info[i].dropped);
    }
    free(b->info);
    free(b->long_document);
    if (b->store) pthread_mutex_destroy(&b->mutex);
    *b = (blocks){0};
}

static size_t padded(size_t bytes) { return (bytes + 3) & ~(size_t)3; }

static void *serialise(const blocks *b, const corpus *c, size_t *bytes) {
    size_t heads = 4 * c->documents, lengths = padded(2 * c->segments);
    *bytes = heads + lengths + b->token_bytes * c->token.count;
    unsigned char *data = must_alloc(*bytes, 1);
    uint32_t *head = (void *)data;
    uint16_t *length = (void *)(data + heads), *narrow = (void *)(data + heads + lengths);
    for (size_t i = 0; i < c->documents; i++) head[i] = (uint32_t)(c->document[i + 1] - c->document[i]);
    for (size_t i = 0; i < c->segments; i++) length[i] = (uint16_t)(c->segment[i + 1] - c->segment[i]);
    if (c->segments % 2) length[c->segments] = 0;
    if (b->token_bytes == 4) memcpy(narrow, c->token.id, 4 * c->token.count);
    else for (size_t i = 0; i < c->token.count; i++) narrow[i] = (uint16_t)c->token.id[i];
    return data;
}

int blocks_keep_hash(blocks *b, const text_hash *hash, uint64_t index, uint64_t piece_number, error *e) {
    uint64_t record[4] = { (uint64_t)(hash->value >> 64), (uint64_t)hash->value, index, piece_number };
    return spill_add(b->hashes, record[0] >> 56, record, sizeof record, e);
}

static int keep_hashes(blocks *b, uint64_t index, const block_info *info, const text_hash *hash, error *e) {
    for (uint32_t i = 0; i < info->pieces; i++) {
        if ((i == 0 && info->continues) || (i + 1 == info->pieces && info->more)) continue;   /* known when all pieces are */
        if (blocks_keep_hash(b, &hash[i], index, i, e)) return e->code;
    }
    return 0;
}

int blocks_add(blocks *b, uint64_t index, const corpus *c, bool continues, bool more, const text_hash *hash, error *e) {
    size_t bytes, n = c->documents;
    assert(c->segments <= UINT32_MAX && c->token.count <= UINT32_MAX);
    block_info info = { .index = index, .pieces = (uint32_t)n, .segments = (uint32_t)c->segments, .tokens = (uint32_t)c->token.count,
                        .continues = continues, .more = more };
    if (n) {
        info.first_segments = (uint32_t)c->document[1];
        info.last_segments = (uint32_t)(c->document[n] - c->document[n - 1]);
        info.first_tokens = (uint32_t)c->segment[c->document[1]];
        info.last_tokens = (uint32_t)(c->token.count - c->segment[c->document[n - 1]]);
        if (hash) info.first_hash = hash[0], info.last_hash = hash[n - 1];
        if (hash && keep_hashes(b, index, &info, hash, e)) return e->code;
    }
    void *data = serialise(b, c, &bytes);
    sha256 digest;
    sha256_init(&digest);
    sha256_add(&digest, data, bytes);
    sha256_end(&digest, info.digest);
    if (store_put(b->store, data, bytes, &info.place, e)) return e->code;
    pthread_mutex_lock(&b->mutex);
    if (b->count == b->room) b->info = must_realloc(b->info, b->room = b->room ? 2 * b->room : 64, sizeof *b->info);
    b->info[b->count++] = info;
    pthread_mutex_unlock(&b->mutex);
    return 0;
}

int blocks_publish(blocks *b, error *e) {
    for (size_t i = 0; i < b->count; i++) if (store_flush(b->store, &b->info[i].place, e)) return e->code;
    char *path = store_path(b->store, b->store->rank, ".blocks");
    int code = files_write_synced(path, b->info ? (void *)b->info : "", b->count * sizeof *b->info, e);
    free(path);
    return code;
}

int blocks_take_in(blocks *b, int ranks, error *e) {
    for (uint32_t r = 0; r < (uint32_t)ranks; r++) {
        char *path = store_path(b->store, r, ".blocks"), *data;
        size_t bytes;
        if (r == b->store->rank) { free(path); continue; }
        int code = files_read(path, SIZE_MAX / 2, &data, &bytes, e);
        free(path);
        if (code) return code;
        size_t more = bytes / sizeof *b->info;
        b->info = must_realloc(b->info, b->room = b->count + more, sizeof *b->info);
        if (more) memcpy(b->info + b->count, data, bytes);
        b->count += more;
        free(data);
    }
    return 0;
}

void blocks_digest(const blocks *b, sha256 *hash) {
    for (size_t i = 0; i < b->count; i++) {
        const unsigned char flags[2] = { b->info[i].continues, b->info[i].more };
        sha256_add(hash, flags, sizeof flags);
        sha256_add(hash, b->info[i].digest, SHA256_BYTES);
    }
}

void block_free(block *k) {
    free(k->token);
    free(k->segment);
    free(k->piece);
    free(k->scratch.data);
    *k = (block){0};
}

static void *grown(void *old, size_t *room, size_t count, size_t size) {
    return count <= *room ? old : must_realloc(old, *room = count + count / 4 + 16, size);
}

/* Fills the kept pieces; continuing ones are of the last document that started before. */
static void number_pieces(const block_info *info, const uint32_t *head, block *k) {
    uint64_t number = info->first;
    size_t segment = 0;
    k->pieces = 0;
    for (uint32_t i = 0; i < info->pieces; segment += head[i++]) {
        bool continues = i == 0 && info->continues, more = i + 1 == info->pieces && info->more;
        if (continues ? info->drop_first : more ? info->drop_last : info->dropped && info->dropped[i]) continue;
        k->piece[k->pieces++] = (piece){ continues ? number - 1 : number++, segment, head[i], continues, more };
    }
}

int blocks_load(blocks *b, size_t i, block *k, error *e) {
    if (k->loaded && k->index == i) return 0;
    const block_info *info = &b->info[i];
    const unsigned char *data = store_get(b->store, &info->place, &k->scratch, e);
    if (!data) return e->code;
    size_t heads = 4 * (size_t)info->pieces, lengths = padded(2 * (size_t)info->segments);
    const uint32_t *head = (const void *)data;
    const uint16_t *length = (const void *)(data + heads), *narrow = (const void *)(data + heads + lengths);
    k->token = grown(k->token, &k->token_room, (size_t)info->tokens + 1, sizeof *k->token);
    k->segment = grown(k->segment, &k->segment_room, (size_t)info->segments + 1, sizeof *k->segment);
    k->piece = grown(k->piece, &k->piece_room, info->pieces, sizeof *k->piece);
    k->segment[0] = 0;
    for (size_t s = 0; s < info->segments; s++) k->segment[s + 1] = k->segment[s] + length[s];
    if (b->token_bytes == 4) memcpy(k->token, narrow, 4 * (size_t)info->tokens);
    else for (size_t t = 0; t < info->tokens; t++) k->token[t] = narrow[t];
    number_pieces(info, head, k);
    k->index = i;
    k->loaded = true;
    return 0;
}

size_t blocks_find(const blocks *b, uint64_t document) {
    size_t low = 0, high = b->count;                     /* the last block whose first number is not above it */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (b->info[middle].first <= document) low = middle;
        else high = middle;
    }
    return low;
}

const long_document *blocks_find_long(const blocks *b, uint64_t document) {
    size_t low = 0, high = b->long_documents;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (b->long_document[middle].number < document) low = middle + 1;
        else high = middle;
    }
    return low < b->long_documents && b->long_document[low].number == document ? &b->long_document[low] : NULL;
}

size_t blocks_find_segment(const blocks *b, const long_document *d, uint64_t *segment) {
    for (size_t i = d->first; ; i++) {
        uint32_t here = i == d->first ? b->info[i].last_segments : b->info[i].first_segments;
        if (*segment < here) return i;
        assert(i < d->last);
        *segment -= here;
    }
}
