/* trainer/kernels/gemm_bf16_kernels.h - one block of a product of bf16 operands with fp32 sums, by kernel set. For gemm_bf16.c and tests only.
 *
 * Operands lie in tiles of BF16_LINES lines (rows of a, columns of b) by BF16_DEPTH of k, 1 KB each, zeros beyond the edges; a group of
 * lines is a run of tiles along k:
 *
 *     of a:  [row][k]                 of b:  [k / 2][column][k % 2]
 *
 * Rounding: to nearest, ties to even; denormals become zeros of their sign; a NaN stays one.
 * Order of additions of an element, in fp32, each rounded to nearest even, denormal results and inputs as zeros (so do the instructions):
 *     amx, emulated   of each tile the even k in one chain of multiply-adds from zero, the odd k in another; their sum is added to the element
 *     avx512bf16      one chain: of each pair the odd k first, then the even one
 * so the bits of an element are a function of its k alone.
 * Source: Intel Architecture Instruction Set Extensions Programming Reference, TDPBF16PS and VDPBF16PS. */
#ifndef TRAINER_KERNELS_GEMM_BF16_KERNELS_H
#define TRAINER_KERNELS_GEMM_BF16_KERNELS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BF16_LINES = 16, BF16_DEPTH = 32, BF16_TILE = BF16_LINES * BF16_DEPTH, BF16_SUMS = BF16_LINES * BF16_LINES };
enum { BF16_NONE, BF16_EMULATED, BF16_AVX512, BF16_AMX };

typedef struct bf16_block {              /* sums + a b over `steps` tiles of k */
    size_t m, n, steps;
    const uint16_t *a, *b;               /* 64-byte aligned: groups of lines, each of `steps` tiles */
    const float *sums;                   /* of earlier blocks of k, or NULL: zeros. Tiles of LINES by LINES, a group of rows after the other */
    float *keep;                         /* NULL, or where the sums go for later blocks; may be sums */
    float *c;                            /* else they are written there, or added */
    size_t ldc;
    bool add;
} bf16_block;

typedef struct bf16_kernels {
    /* `lines` lines of k elements into groups of ceil(k / DEPTH) tiles; along_k: x[line * stride + k], else x[k * stride + line]. */
    void (*pack_a)(size_t lines, size_t k, const float *x, size_t stride, bool along_k, uint16_t *out);
    void (*pack_b)(size_t lines, size_t k, const float *x, size_t stride, bool along_k, uint16_t *out);
    void (*block)(const bf16_block *g);
} bf16_kernels;

/* BF16_EMULATED or above. */
bf16_kernels bf16_kernels_of(int set);

/* The best set of this CPU: BF16_NONE where it has no instructions for it. Asks the system for AMX' tiles, for the whole process. */
int bf16_best_set(void);

#if defined(__x86_64__)
bf16_kernels bf16_kernels_x86(int set);  /* gemm_bf16_x86.c */
int bf16_best_x86(void);
#endif
#endif
