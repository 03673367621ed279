/* datagen/word_cache.c - see word_cache.h. Open addressing, words and ids in two growing arenas. */
#include "datagen/word_cache.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "base/fail.h"

enum { FIRST_SLOTS = 1 << 12, MOST_SLOTS = 1 << 19, MOST_PROBES = 16, LONGEST = 64, SHORT = 8 };   /* at most 12 MiB of entries, 16 of words */

/* Written once as a whole: read first, each page of zeros would be given twice, and the threads be interrupted for it. */
static word_entry *empty(size_t slots) { return memset(must_alloc(slots, sizeof(word_entry)), 0, slots * sizeof(word_entry)); }

void word_cache_init(word_cache *c) {
    *c = (word_cache){.slots = FIRST_SLOTS, .text_room = 1 << 15, .ids_room = 1 << 12};
    c->entry = empty(c->slots);
    c->text = must_alloc(c->text_room, 1);
    c->ids = must_alloc(c->ids_room, sizeof *c->ids);
}

void word_cache_free(word_cache *c) {
    free(c->entry);
    free(c->text);
    free(c->ids);
    *c = (word_cache){0};
}

static inline uint64_t load(const char *p, size_t bytes) { uint64_t v = 0; memcpy(&v, p, bytes); return v; }

/* Up to 8 bytes as one number, the first lowest; loads that overlap agree. */
static inline uint64_t short_word(const char *word, size_t bytes) {
    if (bytes == 8) return load(word, 8);
    if (bytes >= 4) return load(word, 4) | load(word + bytes - 4, 4) << 8 * (bytes - 4);
    if (!bytes) return 0;
    return (uint64_t)(unsigned char)word[0] | (uint64_t)(unsigned char)word[bytes / 2] << 8 * (bytes / 2)
         | (uint64_t)(unsigned char)word[bytes - 1] << 8 * (bytes - 1);
}

uint64_t word_hash(const char *word, size_t bytes) {
    uint64_t h = bytes * WORD_HASH_COUNT;
    for (; bytes > SHORT; bytes -= 8, word += 8) h = word_hash_step(h, load(word, 8));
    return word_hash_step(h, short_word(word, bytes));
}

/* Of more than SHORT bytes; loads may overlap. */
static inline bool same(const char *a, const char *b, size_t bytes) {
    if (bytes > 2 * SHORT) return !memcmp(a, b, bytes);
    return load(a, 8) == load(b, 8) && load(a + bytes - 8, 8) == load(b + bytes - 8, 8);
}

const word_entry *word_cache_find(const word_cache *c, uint64_t hash, const char *word, size_t bytes) {
    for (size_t i = 0; i < MOST_PROBES; i++) {
        const word_entry *w = &c->entry[(hash + i) & (c->slots - 1)];
        if (w->hash == hash && w->bytes == bytes && (bytes <= SHORT || same(c->text + w->text, word, bytes))) return w;
        if (!w->bytes) return NULL;
    }
    return NULL;
}

static word_entry *free_slot(word_entry *entry, size_t slots, uint64_t hash) {
    for (size_t i = 0; i < MOST_PROBES; i++) {
        word_entry *w = &entry[(hash + i) & (slots - 1)];
        if (!w->bytes) return w;
    }
    return NULL;
}

static void grow(word_cache *c) {
    size_t slots = 2 * c->slots;
    word_entry *larger = empty(slots);
    for (size_t i = 0; i < c->slots; i++) {
        word_entry *w = c->entry[i].bytes ? free_slot(larger, slots, c->entry[i].hash) : NULL;
        if (w) *w = c->entry[i];
    }
    free(c->entry);
    c->entry = larger;
    c->slots = slots;
}

void word_cache_keep(word_cache *c, uint64_t hash, const char *word, size_t bytes, const int32_t *id, size_t count) {
    if (bytes > LONGEST) return;
    if (2 * c->used >= c->slots) {
        if (c->slots == MOST_SLOTS) return;
        grow(c);
    }
    word_entry *w = free_slot(c->entry, c->slots, hash);
    if (!w) return;
    while (c->text_used + bytes > c->text_room) c->text = must_realloc(c->text, c->text_room *= 2, 1);
    while (c->ids_used + count > c->ids_room) c->ids = must_realloc(c->ids, c->ids_room *= 2, sizeof *c->ids);
    *w = (word_entry){hash, (uint32_t)c->text_used, (uint16_t)bytes, (uint16_t)count, count == 1 ? (uint32_t)id[0] : (uint32_t)c->ids_used};
    memcpy(c->text + c->text_used, word, bytes);
    c->text_used += bytes;
    c->used++;
    if (count == 1) return;
    memcpy(c->ids + c->ids_used, id, count * sizeof *id);
    c->ids_used += count;
}
