/* datagen/word_cache.h - word -> ids, so that common words are split once. Inside of the tokenizer.
 *
 * Never changes a result: a full cache, or a crowded neighbourhood (hostile text), only means that a word is not kept. */
#ifndef DATAGEN_WORD_CACHE_H
#define DATAGEN_WORD_CACHE_H
#include <stddef.h>
#include <stdint.h>

typedef struct word_entry {
    uint64_t hash;
    uint32_t text;               /* offset of the word's bytes */
    uint16_t bytes, count;       /* of the word; of its ids; bytes 0 = empty */
    uint32_t ids;                /* count 1: the id; else offset of the ids */
} word_entry;

typedef struct word_cache {
    word_entry *entry;
    size_t slots, used;
    char *text;
    int32_t *ids;
    size_t text_used, text_room, ids_used, ids_room;
} word_cache;

void word_cache_init(word_cache *c);
void word_cache_free(word_cache *c);

uint64_t word_hash(const char *word, size_t bytes);

/* The word's entry, or NULL. */
const word_entry *word_cache_find(const word_cache *c, uint64_t hash, const char *word, size_t bytes);

/* Keeps ids for a word that is not there yet; word and id are copied. */
void word_cache_keep(word_cache *c, uint64_t hash, const char *word, size_t bytes, const int32_t *id, size_t count);
#endif
