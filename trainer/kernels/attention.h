/* trainer/kernels/attention.h - softmax(scale Q K^T) V of one sequence and head, and its gradient, tile by tile.
 *
 * Promise: scores exist for one tile of ATTENTION_QUERIES x ATTENTION_KEYS only, whatever the length; of a softmax row its maximum and
 * 1/sum are kept and backward computes the rest again. The bits depend on the operands only. Operands are packed once, into scratch that
 * grows with the length; while a head is computed, the rows of the next one are fetched (`soon`).
 *
 *     attention_head h = {.queries = n, .keys = n, .width = D, .q = q, ... , .scratch = scratch};
 *     kernel.attention_forward(&h);              writes context, max, inverse
 *     kernel.attention_backward(&h, &g);         reads them; writes dq, dk, dv
 *
 * Backward, with P the probabilities, M the dropout mask with its scale, o the product of elements:
 *     dP = (dO V^T) o M,  dS = scale P o (dP - delta),  delta = rowsum(P o dP) = rowsum(dO o O),  dQ = dS K,  dK = dS^T Q,  dV = (P o M)^T dO
 * Source: Vaswani et al. 2017; running maximum and recomputation as in Dao et al. 2022, "FlashAttention". */
#ifndef TRAINER_KERNELS_ATTENTION_H
#define TRAINER_KERNELS_ATTENTION_H
#include <stddef.h>
#include <stdint.h>
#include "base/rng.h"   /* rng_key */

enum { ATTENTION_QUERIES = 96, ATTENTION_KEYS = 128 };

typedef struct attention_rows {          /* (rows, D) somewhere in memory */
    const float *at;
    size_t stride, rows;
} attention_rows;

enum { ATTENTION_SOON = 5 };

typedef struct attention_head {
    size_t queries, keys, width;         /* rows of Q; rows of K and V; D */
    const float *q, *k, *v;              /* (queries, D) stride q_stride; (keys, D) stride kv_stride */
    size_t q_stride, kv_stride, context_stride;
    float *context;                      /* (queries, D) */
    float *max, *inverse;                /* (queries) of the softmax rows */
    float scale;
    const int32_t *position;             /* (queries) in the sequence, ascending; NULL: 0, 1, 2, ... */
    uint32_t threshold;                  /* of dropout; 0: none */
    rng_key key;                         /* element of (query, key) = first + position * row_elements + key */
    uint64_t first, row_elements;
    float *scratch;                      /* attention_scratch(D, rows) floats, rows >= queries and keys; 64-byte aligned, of this thread */
    const attention_rows *soon;          /* [ATTENTION_SOON] what this thread's next head reads first, fetched meanwhile; or NULL */
} attention_head;

typedef struct attention_gradients {
    const float *dcontext;               /* stride context_stride */
    float *dq, *dk, *dv;                 /* strides q_stride, kv_stride, kv_stride */
} attention_gradients;

size_t attention_scratch(size_t width, size_t rows);

/* What forward, or with a gradient of the context backward, of a head reads first: for the `soon` of the head before. */
void attention_soon(const attention_head *h, const float *dcontext, attention_rows soon[ATTENTION_SOON]);
#endif
