/* trainer/kernels/kernels.h - the table of kernels, filled once at start for the CPU's instruction set.
 *
 * Promise: every kernel exists as f_ref (plain loops, double accumulators: what the tests believe) and as f_body compiled for base, AVX2
 * and AVX-512 (NEON is the base of arm); a missing fast kernel is never a missing feature. BERT_ISA=ref|base|avx2|avx512 forces a set.
 * All kernels are serial over the rows that they are given: threads live in the callers, in fixed blocks. */
#ifndef TRAINER_KERNELS_KERNELS_H
#define TRAINER_KERNELS_KERNELS_H
#include <stddef.h>
#include <stdint.h>
#include "base/fail.h"   /* error */

/* Chooses the set; EXIT_USAGE when BERT_ISA names one that this CPU lacks. `lowest` < 0: this CPU's best, else at most that level. */
int kernels_start(int lowest, error *e);
int kernels_level(void);                 /* 0 ref, 1 base, 2 avx2, 3 avx512: ranks agree on the lowest */
const char *kernels_name(void);          /* "avx2" */
const char *gemm_name(void);             /* OpenBLAS' own words: version and core, part of the kernel set */
#endif
