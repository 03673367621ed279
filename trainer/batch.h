/* trainer/batch.h - one micro-batch (a leaf of the gradient tree), packed: tokens end to end, no padding anywhere. */
#ifndef TRAINER_BATCH_H
#define TRAINER_BATCH_H
#include <stddef.h>
#include <stdint.h>

typedef struct batch {
    size_t sequences;            /* B */
    size_t tokens;               /* N = sum of lengths */
    size_t masked;               /* K masked tokens of all sequences */
    uint32_t seq_length;         /* S of the shards: attention dropout is keyed by (head * S + query) * S + key */
    int32_t *token;              /* (N) input ids */
    int32_t *segment;            /* (N) 0 or 1 */
    int32_t *position;           /* (N) 0.. within the sequence */
    int32_t *first;              /* (B + 1) first packed row of each sequence: [CLS]; first[B] == N */
    int32_t *masked_row;         /* (K) packed rows, ascending */
    int32_t *label;              /* (K) original ids */
    int8_t *next_sentence;       /* (B) 0 or 1; -1: no NSP term for this sequence */
    uint64_t *epoch, *row;       /* (B) key of dropout */
} batch;

/* Room for the largest micro-batch: sequences * S tokens, sequences * P masked. fail()s when memory is short. */
batch *batch_new(size_t sequences, uint32_t seq_length, uint32_t max_predictions);
void batch_free(batch *b);
#endif
