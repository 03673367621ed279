/* datagen/examples.h - documents to MLM/NSP examples: pure functions of the tokens, the options and Philox keys.
 *
 * Promise: an example depends on (seed, duplicate, document, chunk) and the corpus only, never on order of work; every token of a
 * document stands in exactly one A or true B per duplicate; half of the pairs are random.
 *
 * Algorithm, draw by draw: docs/data-format.md ("How text becomes rows"). Its bytes are final.
 * After Devlin et al. 2019, section 3.1, and google-research/bert create_pretraining_data.py, whose truncation loses tokens: here a chunk
 * never holds more than fits. */
#ifndef DATAGEN_EXAMPLES_H
#define DATAGEN_EXAMPLES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "datagen/corpus.h"
#include "datagen/shard.h"

typedef struct example_settings {
    uint32_t seq_length, max_predictions;   /* S, P */
    double mask_prob;
    uint64_t seed;
    bool next_sentence;                     /* false: [CLS] A [SEP], no B */
} example_settings;

/* A row before masking: A and B are runs of corpus tokens. */
typedef struct example {
    uint64_t order;                         /* rows stand in ascending order of it, ties by duplicate, document, chunk */
    uint64_t document, a, b;                /* a, b: first tokens */
    uint32_t duplicate, chunk;
    uint16_t a_count, b_count;
    uint16_t label;                         /* 1 = B is from another document */
} example;

typedef struct example_list { example *item; size_t count, capacity; } example_list;   /* owned by the caller: free(item) */

/* Tokens of a segment, at most: two always fit in a chunk. */
size_t example_longest_segment(uint32_t seq_length, bool next_sentence);

/* Appends the examples of one document in chunk order. With next_sentence the corpus must hold two documents. */
void examples_of_document(const corpus *c, const example_settings *s, uint32_t duplicate, uint64_t document, example_list *out);
void examples_sort(example_list *list);

typedef struct example_words { int32_t cls, sep, mask, vocab_size; } example_words;

/* Masked tokens of a row of `length` tokens: max(1, length·p rounded half to even), at most P and the tokens there are. */
uint32_t example_predictions(const example_settings *s, uint32_t length);
/* Writes row `row` of r (its buffers for S and P), masked; returns its tokens. */
uint16_t example_render(const corpus *c, const example_settings *s, const example_words *w, const example *x, shard_rows *r, size_t row);
#endif
