/* trainer/kernels/gemm_kernels.h - one block of a product, by instruction set. For gemm*.c only. */
#ifndef TRAINER_KERNELS_GEMM_KERNELS_H
#define TRAINER_KERNELS_GEMM_KERNELS_H
#include <stdbool.h>
#include <stddef.h>

enum { GEMM_SPILL = 16, GEMM_GROUP = 16, GEMM_LINE = 64, GEMM_BESIDE = 3 };     /* floats; steps of k; bytes of a cache's line */

typedef struct gemm_fetch {              /* rows of memory that are wanted soon: lines of them are fetched between multiply-adds, a few at a time */
    const char *at, *end;                /* next line; end of its row */
    size_t row, skip, rows;              /* bytes of a row, from its end to the next one's beginning; rows left, this one included */
    size_t each;                         /* lines for every GEMM_GROUP steps of k */
} gemm_fetch;

typedef struct gemm_block {              /* c (m, n) = or += a (m, k) times panels */
    size_t m, n, k;
    const float *a;                      /* from pack_a */
    const float *panels;                 /* from pack_b: 64-byte aligned, columns filled up to whole panels */
    float *c;
    size_t ldc;
    const float *beside[GEMM_BESIDE];    /* (m, n) each, needed soon after c: fetched like it; NULL: no more */
    size_t beside_stride;
    bool add;
    bool far;                            /* panels are not in this core's cache: each is fetched while the one before it is used */
    gemm_fetch *fetch;                   /* moved on; NULL: nothing */
} gemm_block;

typedef struct gemm_kernels {
    size_t panel, height;                /* columns of a panel: pack_b writes k times n, rounded up to whole panels; rows of a register tile */
    void (*block)(const gemm_block *g);
    /* a (m, k), or its transpose (k, m): m * k floats, and GEMM_SPILL behind them are spoilt */
    void (*pack_a)(size_t m, size_t k, const float *a, size_t lda, bool transpose, float *out);
    void (*pack_b)(size_t k, size_t n, const float *b, size_t ldb, bool transpose, float *out);
    /* out (columns, rows) = x (rows, columns) turned; GEMM_SPILL floats behind them are spoilt */
    void (*turn)(size_t rows, size_t columns, const float *x, size_t stride, float *out);
} gemm_kernels;

/* level: KERNELS_BASE or above. */
gemm_kernels gemm_kernels_of(int level);
#endif
