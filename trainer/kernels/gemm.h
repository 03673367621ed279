/* trainer/kernels/gemm.h - matrix products behind one door: own kernels on packed panels; OpenBLAS by BERT_GEMM=openblas.
 *
 * Promise: the bits depend on the shapes only, never on the number of threads. With the own kernels an element is one chain of
 * multiply-adds per block of k (at most GEMM_DEPTH long; blocks are a function of k), the blocks added in order: they do not even
 * depend on how the product is cut into tiles. OpenBLAS' bits do, so its tiles are functions of the shapes. No memory is allocated.
 *
 *     gemm_job j = {.m = rows, .n = out, .k = in, .a = x, .lda = in, .b = weight, .ldb = in, .transpose_b = true, .c = y, .ldc = out};
 *     gemm_run(&j, 1);
 */
#ifndef TRAINER_KERNELS_GEMM_H
#define TRAINER_KERNELS_GEMM_H
#include <stdbool.h>
#include <stddef.h>
#include "base/fail.h"   /* error */

enum { GEMM_DEPTH = 256, GEMM_PARTS = 3, GEMM_STEP = 42 };

enum gemm_finish {                       /* what a tile does while it is still in cache */
    GEMM_PLAIN,
    GEMM_BIAS,                           /* c += bias */
    GEMM_GELU,                           /* c += bias; g = gelu(c) */
    GEMM_GELU_BACKWARD                   /* c *= gelu'(u); g = gelu(u) */
};

typedef struct gemm_job {                /* c (m, n) = op(a) (m, k) op(b) (k, n), or is added to; then finish */
    size_t m, n, k;
    const float *a, *b;
    float *c;
    size_t lda, ldb, ldc;
    bool transpose_a, transpose_b;
    float beta;                          /* 0: c is only written; 1: c += the whole product, summed first */
    size_t parts;                        /* 0 or 1: b is whole. 2, 3: k is cut evenly, b lies in so many places */
    const float *part[GEMM_PARTS - 1];   /* b of the second and third part */
    float *sums;                         /* NULL, or (m): sums of op(a) over k, written or added by beta: a bias' gradient */
    enum gemm_finish finish;
    const float *bias;                   /* (n) */
    const float *u;                      /* (m, n) stride ldc */
    float *g;                            /* (m, n) stride ldc */
    const float *beside[2];              /* NULL, or (m, n) stride ldc: what rows_done reads or writes beside c, fetched in time; no bits depend on it */
    bool turned;                         /* set inside only: c lies transposed */
    /* gemm_run() only. Called by some thread when rows first .. of c are complete and finished: GEMM_STEP of them, at the end fewer. */
    void (*rows_done)(void *context, size_t first, size_t rows);
    void *context;
} gemm_job;

/* All tiles of all jobs (at most 8) over the threads. Jobs must not depend on each other. Call outside parallel regions. */
void gemm_run(const gemm_job *jobs, size_t count);

/* One product on the calling thread, whole: for use inside parallel regions. */
void gemm_serial(const gemm_job *job);

/* The master thread calls poll(context) between its tiles, in every product; NULL: no more. */
void gemm_set_poll(void (*poll)(void *context), void *context);

/* By kernels_start(): reads BERT_GEMM. EXIT_USAGE when it is neither own nor openblas. */
int gemm_start(error *e);
void gemm_set_level(int level);          /* and precision fp32 */

/* What operands are rounded to while they are packed; sums stay fp32, in an order of their own (gemm_bf16_kernels.h), bits as promised above.
 * bf16: by the CPU's best set, or BERT_BF16=amx|avx512bf16|emulated, and at most `lowest` if that is not negative: ranks agree on the lowest
 * gemm_bf16_set(). EXIT_USAGE where there is none, without AVX-512 kernels, or with OpenBLAS. */
enum { GEMM_FP32, GEMM_BF16 };
int gemm_set_precision(int precision, int lowest, error *e);
int gemm_bf16_set(void);
size_t gemm_bytes(size_t most, int threads);   /* that products with operands of at most `most` elements touch on so many threads */
const char *gemm_name(void);             /* "own", "bf16 amx", OpenBLAS' version and core: part of the kernel set */

/* gemm_blas.c, for gemm.c and gemm_serial.c only. One call, on this thread, of c = op(a) op(b) + beta c; k > 0. */
void gemm_blas_start(void);
const char *gemm_blas_name(void);
void gemm_blas(const gemm_job *j);
#endif
