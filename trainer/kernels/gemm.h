/* trainer/kernels/gemm.h - matrix products: the one door to OpenBLAS.
 *
 * Promise: the bits depend on the shapes only, never on the number of threads: each product is cut into fixed tiles (GEMM_ROWS rows, see
 * gemm.c for columns), each tile is one single-threaded call, and the inner axis is never cut.
 *
 *     gemm_job j = {.m = rows, .n = out, .k = in, .a = x, .lda = in, .b = weight, .ldb = in, .transpose_b = true, .c = y, .ldc = out};
 *     gemm_run(&j, 1);
 */
#ifndef TRAINER_KERNELS_GEMM_H
#define TRAINER_KERNELS_GEMM_H
#include <stdbool.h>
#include <stddef.h>

enum { GEMM_ROWS = 192 };

enum gemm_finish {                       /* what a tile does while it is still in cache */
    GEMM_PLAIN,
    GEMM_BIAS,                           /* c += bias */
    GEMM_GELU,                           /* c += bias; g = gelu(c) */
    GEMM_GELU_BACKWARD                   /* c *= gelu'(u); g = gelu(u) */
};

typedef struct gemm_job {                /* c (m, n) = op(a) (m, k) op(b) (k, n) + beta c, then finish */
    size_t m, n, k;
    const float *a, *b;
    float *c;
    size_t lda, ldb, ldc;
    bool transpose_a, transpose_b;
    float beta;                          /* 0: c is only written */
    enum gemm_finish finish;
    const float *bias;                   /* (n) */
    const float *u;                      /* (m, n) stride ldc */
    float *g;                            /* (m, n) stride ldc */
} gemm_job;

/* All tiles of all jobs (at most 8) over the threads. Jobs must not depend on each other. Call outside parallel regions. */
void gemm_run(const gemm_job *jobs, size_t count);

/* One product on the calling thread, whole: for use inside parallel regions. */
void gemm_serial(const gemm_job *job);
#endif
