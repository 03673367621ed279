/* datagen/word_counts.h - how often each normalised word stands in a text.
 *
 *     word_counts c;
 *     word_counts_init(&c);
 *     normalizer_init(&n, true, true, word_counts_add, &c);     the sink of a normaliser */
#ifndef DATAGEN_WORD_COUNTS_H
#define DATAGEN_WORD_COUNTS_H
#include <stddef.h>
#include <stdint.h>

typedef struct counted_word { uint64_t hash, count; size_t text; uint32_t bytes; } counted_word;   /* text: offset into word_counts.text */

typedef struct word_counts {
    counted_word *word;         /* in order of first sight */
    size_t count, room;
    uint32_t *slot;             /* open addressing: index + 1 */
    size_t slots;
    char *text;
    size_t text_used, text_room;
    uint64_t total;             /* words seen */
    uint64_t too_long;          /* words above WORD_CHARACTERS: always [UNK], so nothing is learned from them */
} word_counts;

void word_counts_init(word_counts *c);
void word_counts_free(word_counts *c);
void word_counts_add(void *counts, const char *word, size_t bytes, size_t characters);   /* a word_sink */
void word_counts_add_counted(word_counts *c, const char *word, size_t bytes, uint64_t hash, uint64_t n);   /* hash: word_hash() of the word */
void word_counts_empty(word_counts *c);                                                   /* no words any more; the room stays */
#endif
