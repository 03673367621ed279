/* trainer/kernels/gemm_kernels.h - one block of a product, by instruction set. For gemm.c only. */
#ifndef TRAINER_KERNELS_GEMM_KERNELS_H
#define TRAINER_KERNELS_GEMM_KERNELS_H
#include <stdbool.h>
#include <stddef.h>

enum { GEMM_SPILL = 16 };

typedef struct gemm_block {              /* c (m, n) = or += a (m, k) times panels */
    size_t m, n, k;
    const float *a;                      /* from pack_a */
    const float *panels;                 /* from pack_b: 64-byte aligned, columns filled up to whole panels */
    float *c;
    size_t ldc;
    bool add;
} gemm_block;

typedef struct gemm_kernels {
    size_t panel;                        /* columns of a panel: pack_b writes k times n, rounded up to whole panels */
    void (*block)(const gemm_block *g);
    /* a (m, k), or its transpose (k, m): m * k floats, and GEMM_SPILL behind them are spoilt */
    void (*pack_a)(size_t m, size_t k, const float *a, size_t lda, bool transpose, float *out);
    void (*pack_b)(size_t k, size_t n, const float *b, size_t ldb, bool transpose, float *out);
} gemm_kernels;

/* level: KERNELS_BASE or above. */
gemm_kernels gemm_kernels_of(int level);
#endif
