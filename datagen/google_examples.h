/* datagen/google_examples.h - documents to examples exactly as google-research/bert's create_pretraining_data.py makes them.
 *
 * Promise: the same examples in the same order as that script under Python 3's random.Random(seed), for the same documents and options.
 *
 *     google_examples *x = google_examples_make(&corpus, &settings, &words);
 *     for (size_t i = 0; i < x->count; i++) google_example_render(x, i, rows, row);
 *
 * One generator draws for all, in order, and a last shuffle mixes all examples; so everything is in memory: 4 bytes a token of the text, and for
 * each row 32 bytes and 8 for each mask. Tokens are cut away to make pairs fit, and a random B is longer than what it replaces: as there.
 * Source: google-research/bert create_pretraining_data.py; docs/data-format.md, "As Google's script". */
#ifndef DATAGEN_GOOGLE_EXAMPLES_H
#define DATAGEN_GOOGLE_EXAMPLES_H
#include <signal.h>
#include "datagen/corpus.h"
#include "datagen/examples.h"
#include "datagen/shard.h"

typedef struct google_settings {
    uint32_t seq_length, max_predictions, duplicates;
    double mask_prob, short_seq_prob;
    bool whole_words;                       /* a ## piece is masked with the piece before it */
    uint64_t seed;
    uint64_t most_bytes;                    /* that examples may take */
} google_settings;

typedef struct google_mask { int32_t shown; uint16_t position; } google_mask;   /* what stands in the row at a masked position */

typedef struct google_example {
    uint64_t a, b, mask;                    /* first tokens; first mask */
    uint16_t a_count, b_count, masks;
    bool random_next;
} google_example;

typedef struct google_examples {
    const corpus *corpus;                   /* borrowed */
    google_settings settings;
    example_words words;
    google_example *item;                   /* in row order */
    size_t count, capacity;
    google_mask *mask;
    size_t mask_count, mask_capacity;
    bool too_many;                          /* they would take more than most_bytes: not all are here */
} google_examples;

/* c: documents of segments as read, not cut. words.continues tells ## pieces. *stop non-zero ends the work early, as does too_many. */
google_examples *google_examples_make(const corpus *c, const google_settings *settings, const example_words *words, const volatile sig_atomic_t *stop);
/* Writes example i into row `row` of r (its buffers for S and P); returns its tokens. */
uint16_t google_example_render(const google_examples *x, size_t i, shard_rows *r, size_t row);
void google_examples_free(google_examples *x);   /* NULL is allowed */
#endif
