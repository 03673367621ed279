/* trainer/kernels/kernels.h - the table of kernels, filled once at start for the CPU's instruction set.
 *
 * Promise: every kernel exists as f_ref (plain loops, double accumulators: what the tests believe) and as f_body compiled for base, AVX2
 * and AVX-512 (NEON is the base of arm); a missing fast kernel is never a missing feature. BERT_ISA=ref|base|avx2|avx512 forces a set.
 * All kernels are serial over the rows that they are given: threads live in the callers, in fixed blocks.
 *
 *     if (kernels_start(-1, &e)) return error_print(&e);
 *     kernel.layernorm(x, gamma, beta, 1e-12f, y, mean, rstd, rows, columns);
 *
 * Matrices are row-major; `stride` is the distance of rows in elements. Matrix products are in gemm.h. */
#ifndef TRAINER_KERNELS_KERNELS_H
#define TRAINER_KERNELS_KERNELS_H
#include <stddef.h>
#include <stdint.h>
#include "base/fail.h"   /* error */
#include "base/rng.h"    /* rng_key */
#include "trainer/kernels/attention.h"   /* attention_head, attention_gradients */

/* Chooses the set; EXIT_USAGE when BERT_ISA names one that this CPU lacks. `lowest` < 0: this CPU's best, else at most that level. Also
 * opens the door of gemm.h. May be called again with a lower level once ranks have agreed. */
int kernels_start(int lowest, error *e);
int kernels_level(void);                 /* 0 ref, 1 base, 2 avx2, 3 avx512: ranks agree on the lowest */
const char *kernels_name(void);          /* "avx2" */

enum { KERNELS_REF, KERNELS_BASE, KERNELS_AVX2, KERNELS_AVX512 };

/* Dropout of one row: element i is kept, times scale, when lane[i] >= threshold. lane NULL: no dropout. */
typedef struct dropout { const uint16_t *lane; uint32_t threshold; float scale; } dropout;

typedef struct kernels {
    /* y += bias on every row. */
    void (*add_bias)(float *y, const float *bias, size_t rows, size_t columns, size_t stride);
    /* u += bias on every row; g = gelu(u) = u/2 (1 + erf(u / sqrt 2)). */
    void (*bias_gelu)(float *u, const float *bias, float *g, size_t rows, size_t columns, size_t stride);
    /* d *= gelu'(u); g = gelu(u), recomputed. */
    void (*gelu_backward)(const float *u, float *d, float *g, size_t rows, size_t columns, size_t stride);
    void (*tanh)(float *y, size_t n);                                        /* in place */
    void (*add)(float *y, const float *x, size_t n);                         /* y += x */
    float (*dot)(const float *x, const float *y, size_t n);                  /* sum of x y */
    /* out (columns) = sum over rows, added in blocks of 192 rows, blocks in order. columns <= SUM_COLUMNS. */
    void (*column_sums)(const float *x, float *out, size_t rows, size_t columns, size_t stride);

    /* y = gamma (x - mean) rstd + beta by rows; mean, rstd (rows) are kept for backward. */
    void (*layernorm)(const float *x, const float *gamma, const float *beta, float epsilon, float *y, float *mean, float *rstd,
                      size_t rows, size_t columns);
    /* dx from dy; dgamma, dbeta (columns) are written: sums over these rows. dx may be dy. */
    void (*layernorm_backward)(const float *x, const float *gamma, const float *mean, const float *rstd, const float *dy, float *dx,
                               float *dgamma, float *dbeta, size_t rows, size_t columns);

    /* s = softmax(scale s) by rows; max of scale s and 1/sum (rows) are kept. */
    void (*softmax)(float *s, float scale, float *max, float *inverse, size_t rows, size_t columns, size_t stride);
    /* The same values again from scores, max and 1/sum: bit for bit. */
    void (*softmax_again)(float *s, float scale, const float *max, const float *inverse, size_t rows, size_t columns, size_t stride);
    /* dp becomes the gradient of the unscaled scores: scale p (dp - sum(p dp)). */
    void (*softmax_backward)(const float *p, float *dp, float scale, size_t rows, size_t columns, size_t stride);
    /* One row of logits: returns -log softmax[label]; *correct = no logit is larger. logits become scale (softmax - onehot). */
    double (*cross_entropy)(float *logits, size_t n, size_t label, float scale, int *correct);

    /* Turned logits (logits.c), words by tokens. A block of words: x becomes exp(x - max), max and sum (columns) are written. */
    void (*logit_block)(float *x, float *max, float *sum, size_t rows, size_t columns, size_t stride);
    /* max, sum (blocks, columns) of all blocks: top is the largest max, total the whole sum of exp(x - top); max becomes the factor that
     * turns a block's exp(x - max) into scale softmax. columns <= SUM_COLUMNS. */
    void (*logit_factors)(float *max, const float *sum, size_t blocks, size_t columns, size_t stride, float scale, float *top, double *total);
    void (*scale_columns)(float *x, const float *factor, size_t rows, size_t columns, size_t stride);    /* every row of x times factor */
    void (*row_sums)(const float *x, float *out, size_t rows, size_t columns, size_t stride);            /* out (rows) */

    /* 16-bit lanes of elements 0 .. 8 * blocks - 1 after block `first` of the key's stream (element i: lane i % 8 of block i / 8). */
    void (*dropout_lanes)(rng_key key, uint64_t first, size_t blocks, uint16_t *lane);
    /* The same for `rows` rows that begin at blocks first[r], `stride` lanes apart. */
    void (*dropout_rows)(rng_key key, const uint64_t *first, size_t rows, size_t blocks, uint16_t *lane, size_t stride);
    void (*dropout_apply)(float *y, const float *x, dropout d, size_t n);    /* y = drop(x); y may be x */
    void (*dropout_residual)(float *y, const float *bias, const float *residual, dropout d, size_t n);   /* y = drop(y + bias) + residual */

    void (*attention_forward)(const attention_head *h);                      /* attention.h */
    void (*attention_backward)(const attention_head *h, const attention_gradients *g);
} kernels;

extern kernels kernel;                   /* the chosen set; constant between kernels_start() calls */

enum { SUM_COLUMNS = 64, SUM_ROWS = 192 };

/* Each kernel file fills its rows of the table. Not for callers. */
void kernels_fill_elements(kernels *t, int level);
void kernels_fill_layernorm(kernels *t, int level);
void kernels_fill_softmax(kernels *t, int level);
void kernels_fill_logits(kernels *t, int level);
void kernels_fill_dropout(kernels *t, int level);
void kernels_fill_attention(kernels *t, int level);
#endif
