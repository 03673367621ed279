/* datagen/word_counts.c - see word_counts.h. */
#include "datagen/word_counts.h"
#include <stdlib.h>
#include <string.h>
#include "base/fail.h"
#include "datagen/normalizer.h"
#include "datagen/word_cache.h"

void word_counts_init(word_counts *c) {
    *c = (word_counts){.room = 1 << 12, .slots = 1 << 13, .text_room = 1 << 16};
    c->word = must_alloc(c->room, sizeof *c->word);
    c->slot = must_zalloc(c->slots, sizeof *c->slot);
    c->text = must_alloc(c->text_room, 1);
}

void word_counts_free(word_counts *c) {
    free(c->word);
    free(c->slot);
    free(c->text);
    *c = (word_counts){0};
}

void word_counts_empty(word_counts *c) {
    memset(c->slot, 0, c->slots * sizeof *c->slot);
    c->count = c->text_used = 0;
    c->total = c->too_long = 0;
}

static uint32_t *empty_slot(uint32_t *slot, size_t slots, uint64_t hash) {
    size_t i = hash & (slots - 1);
    while (slot[i]) i = (i + 1) & (slots - 1);
    return &slot[i];
}

static void grow(word_counts *c) {
    if (c->count >= UINT32_MAX / 2) fail(EXIT_MACHINE, "the text has more than %zu different words; learn the vocabulary from a part of it", c->count);
    c->word = must_realloc(c->word, c->room *= 2, sizeof *c->word);
    free(c->slot);
    c->slot = must_zalloc(c->slots = 2 * c->room, sizeof *c->slot);
    for (size_t i = 0; i < c->count; i++) *empty_slot(c->slot, c->slots, c->word[i].hash) = (uint32_t)i + 1;
}

void word_counts_add_counted(word_counts *c, const char *word, size_t bytes, uint64_t hash, uint64_t n) {
    for (size_t i = hash & (c->slots - 1); c->slot[i]; i = (i + 1) & (c->slots - 1)) {
        counted_word *w = &c->word[c->slot[i] - 1];
        if (w->hash == hash && w->bytes == bytes && !memcmp(c->text + w->text, word, bytes)) { w->count += n; return; }
    }
    if (c->count == c->room) grow(c);
    while (c->text_used + bytes > c->text_room) c->text = must_realloc(c->text, c->text_room *= 2, 1);
    memcpy(c->text + c->text_used, word, bytes);
    c->word[c->count] = (counted_word){hash, n, c->text_used, (uint32_t)bytes};
    c->text_used += bytes;
    *empty_slot(c->slot, c->slots, hash) = (uint32_t)++c->count;
}

void word_counts_add(void *counts, const char *word, size_t bytes, size_t characters) {
    word_counts *c = counts;
    c->total++;
    if (characters > WORD_CHARACTERS) c->too_long++;
    else word_counts_add_counted(c, word, bytes, word_hash(word, bytes), 1);
}
