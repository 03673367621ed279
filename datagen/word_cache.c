/* datagen/word_cache.c - see word_cache.h. Open addressing; what is not in the entries themselves lies in a growing array. */
#include "datagen/word_cache.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "base/fail.h"

enum { FIRST_SLOTS = 1 << 12, MOST_SLOTS = 1 << 19, MOST_PROBES = 16, LONGEST = 64, SHORT = WORD_SHORT };   /* at most 8 MiB of entries */

/* Written once as a whole: read first, each page of zeros would be given twice, and the threads be interrupted for it. */
static word_entry *empty(size_t slots) { return memset(must_alloc(slots, sizeof(word_entry)), 0, slots * sizeof(word_entry)); }

void word_cache_init(word_cache *c) {
    *c = (word_cache){.slots = FIRST_SLOTS, .data_room = 1 << 13};
    c->entry = empty(c->slots);
    c->data = must_alloc(c->data_room, sizeof *c->data);
}

void word_cache_free(word_cache *c) {
    free(c->entry);
    free(c->data);
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
        if (w->hash == hash && w->bytes == bytes && (bytes <= SHORT || same((const char *)(c->data + w->at + w->count), word, bytes))) return w;
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
    bool small = count == 1 && bytes <= SHORT;
    *w = (word_entry){hash, small ? id[0] : (int32_t)c->data_used, (uint8_t)bytes, (uint8_t)count};
    c->used++;
    if (small) return;
    size_t more = count + (bytes > SHORT ? (bytes + sizeof *c->data - 1) / sizeof *c->data : 0);
    while (c->data_used + more > c->data_room) c->data = must_realloc(c->data, c->data_room *= 2, sizeof *c->data);
    memcpy(c->data + c->data_used, id, count * sizeof *id);
    if (bytes > SHORT) memcpy(c->data + c->data_used + count, word, bytes);
    c->data_used += more;
}
