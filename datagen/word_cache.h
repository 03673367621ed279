/* datagen/word_cache.h - word -> ids, so that common words are split once. Inside of the tokenizer.
 *
 * Never changes a result: a full cache, or a crowded neighbourhood (hostile text), only means that a word is not kept. */
#ifndef DATAGEN_WORD_CACHE_H
#define DATAGEN_WORD_CACHE_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { WORD_SHORT = 8 };         /* bytes of a word that its hash tells in full */

typedef struct word_entry {      /* 16 bytes: four share a cache line */
    uint64_t hash;
    int32_t at;                  /* the id of a short word that has one only; else where in `data` its ids are, and behind them a long word's bytes */
    uint8_t bytes, count;        /* of the word; of its ids; bytes 0 = empty */
} word_entry;

typedef struct word_cache {
    word_entry *entry;
    size_t slots, used;
    int32_t *data;
    size_t data_used, data_room;
} word_cache;

void word_cache_init(word_cache *c);
void word_cache_free(word_cache *c);

#define WORD_HASH_COUNT UINT64_C(0x9e3779b97f4a7c15)
static inline uint64_t word_hash_step(uint64_t h, uint64_t part) {
    h = (h ^ part) * UINT64_C(0xff51afd7ed558ccd);
    return h ^ h >> 32;
}

/* Every step can be undone: words of up to WORD_SHORT bytes, of equal count, have equal hashes only if they are the same. */
uint64_t word_hash(const char *word, size_t bytes);
/* The same when 8 bytes can be read at word, however few are its own: no branch on the length of short words, which cannot be foreseen. */
static inline uint64_t word_hash_padded(const char *word, size_t bytes) {
    if (bytes > WORD_SHORT || !bytes) return word_hash(word, bytes);
    uint64_t v;
    memcpy(&v, word, 8);
    return word_hash_step(bytes * WORD_HASH_COUNT, v & UINT64_MAX >> (64 - 8 * bytes));
}

/* The word's entry, or NULL. */
const word_entry *word_cache_find(const word_cache *c, uint64_t hash, const char *word, size_t bytes);

static inline const int32_t *word_cache_ids(const word_cache *c, const word_entry *w) {
    return w->count == 1 && w->bytes <= WORD_SHORT ? &w->at : c->data + w->at;
}

/* Keeps ids for a word that is not there yet; word and id are copied. */
void word_cache_keep(word_cache *c, uint64_t hash, const char *word, size_t bytes, const int32_t *id, size_t count);
#endif
