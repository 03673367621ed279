/* datagen/examples.h - documents to MLM/NSP examples: pure functions of the tokens, the options and Philox keys.
 *
 * Promise: an example depends on (seed, duplicate, document, chunk) and the text only, never on order of work; every token of a
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
#include "datagen/document.h"
#include "datagen/shard.h"

typedef struct example_settings {
    uint32_t seq_length, max_predictions;   /* S, P */
    double mask_prob;
    uint64_t seed;
    bool next_sentence;                     /* false: [CLS] A [SEP], no B */
    bool sentence_order;                    /* label 1 = A and B swapped, instead of a B from elsewhere; with next_sentence only */
    bool whole_words;                       /* masks take words whole */
    double short_seq_prob;                  /* share of chunks with less room */
    uint64_t documents;                     /* of the whole text: partners are drawn from them */
    uint64_t held_out;                      /* documents whose draw is below are held out (example_held_out); 0: none */
} example_settings;

/* A row before masking, without its tokens. */
typedef struct example {
    uint64_t order;                         /* rows stand in ascending order of it, ties by duplicate, document, chunk */
    uint64_t document, partner;             /* partner: the document that B is from, when foreign */
    uint32_t duplicate, chunk;
    uint16_t a_count, b_count;              /* tokens; of a foreign B those asked for, until example_partner() has found them */
    uint8_t label;                          /* of the row */
    bool foreign;                           /* B is from another document */
} example;

/* Tokens of a segment, at most: two always fit in a chunk. */
size_t example_longest_segment(uint32_t seq_length, bool next_sentence);

/* Whether a document is held out: its rows, and their partners, are test rows. Pure. */
bool example_held_out(const example_settings *s, uint64_t document);
/* The value of held_out with which exactly `count` of s->documents are held out. */
uint64_t example_held_out_below(const example_settings *s, uint64_t count);

/* A walk through one document; the caller sets document and duplicate, at (= segment[0]), and zero in the others. When it moves the window it
 * corrects at and segment; tokens before at, and segments before segment, are not needed any more. */
typedef struct example_walk {
    uint64_t document;
    uint32_t duplicate, chunk;
    size_t segment, at;                     /* the next chunk's first token, and the segment of the window that holds it */
} example_walk;

/* The next example in chunk order; *a and *b (unless foreign) point into the window. False when the document is used up, or the window
 * holds too little for a chunk and the document goes on. With next_sentence, two documents of each kind (held out or not) must exist;
 * with sentence_order one is enough, and a document's last token is left out when it would be a chunk alone. */
bool example_next(const document_view *d, const example_settings *s, example_walk *w, example *x, const int32_t **a, const int32_t **b);
/* Tokens that a window needs behind at, at most, unless the document ends in it. */
size_t example_window(const example_settings *s);

/* A foreign B: first the segment of the partner (of `segments`) where it begins; then, from a window that begins there, its tokens. Sets
 * b_count. The window holds more than b_count tokens or the document ends in it. */
uint64_t example_partner_segment(const example_settings *s, const example *x, uint64_t segments);
const int32_t *example_partner(const document_view *d, example *x);

/* Order of rows; also tells equal ones apart. For qsort(). */
int example_compare(const void *a, const void *b);

typedef struct example_words {
    int32_t cls, sep, mask, vocab_size;
    const unsigned char *continues;         /* by id, as in document_view; borrowed */
} example_words;

/* Masked tokens of a row of `length` tokens: max(1, length·p rounded half to even), at most P and the tokens there are; with whole_words
 * fewer when no word of the row fits into what is left. */
uint32_t example_predictions(const example_settings *s, uint32_t length);
/* Writes row `row` of r (its buffers for S and P), masked; returns its tokens. */
uint16_t example_render(const example_settings *s, const example_words *w, const example *x, const int32_t *a, const int32_t *b, shard_rows *r, size_t row);
#endif
