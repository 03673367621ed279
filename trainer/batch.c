/* trainer/batch.c - memory of one packed micro-batch. */
#include "trainer/batch.h"
#include <stdlib.h>
#include "base/fail.h"

batch *batch_new(size_t sequences, uint32_t seq_length, uint32_t max_predictions) {
    batch *b = must_zalloc(1, sizeof *b);
    size_t tokens = sequences * seq_length, masked = sequences * max_predictions;
    b->seq_length = seq_length;
    b->token = must_zalloc(tokens, sizeof *b->token);
    b->segment = must_zalloc(tokens, sizeof *b->segment);
    b->position = must_zalloc(tokens, sizeof *b->position);
    b->first = must_zalloc(sequences + 1, sizeof *b->first);
    b->masked_row = must_zalloc(masked, sizeof *b->masked_row);
    b->label = must_zalloc(masked, sizeof *b->label);
    b->next_sentence = must_zalloc(sequences, sizeof *b->next_sentence);
    b->epoch = must_zalloc(sequences, sizeof *b->epoch);
    b->row = must_zalloc(sequences, sizeof *b->row);
    return b;
}

void batch_free(batch *b) {
    if (!b) return;
    free(b->token);
    free(b->segment);
    free(b->position);
    free(b->first);
    free(b->masked_row);
    free(b->label);
    free(b->next_sentence);
    free(b->epoch);
    free(b->row);
    free(b);
}
