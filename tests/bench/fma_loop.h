/* tests/bench/fma_loop.h - the multiply-adds that a core can do at most: independent chains that touch no memory, of the widest vectors of
 * the kernel set that was started. */
#ifndef TESTS_BENCH_FMA_LOOP_H
#define TESTS_BENCH_FMA_LOOP_H
#include "trainer/kernels/kernels.h"
#include "trainer/kernels/levels.h"

enum { CHAINS = 12 };
typedef float lanes16 __attribute__((vector_size(64)));
typedef float lanes8 __attribute__((vector_size(32)));
typedef float lanes4 __attribute__((vector_size(16)));

/* CHAINS independent sums x = x f + f hide the latency of a multiply-add; returns something, so that nothing is left out. */
#define FMA_LOOP(name, target, vec)                                                       \
    target static float name(long rounds, float f) {                                      \
        vec x[CHAINS], factor = (vec){0} + f;                                             \
        for (int i = 0; i < CHAINS; i++) x[i] = (vec){0} + (float)i;                      \
        for (long r = 0; r < rounds; r++)                                                 \
            _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++) x[i] = x[i] * factor + factor; \
        float sum = 0;                                                                    \
        for (int i = 0; i < CHAINS; i++) sum += x[i][0];                                  \
        return sum;                                                                       \
    }
#if defined(__x86_64__)
FMA_LOOP(fma_avx512, AVX512, lanes16)
FMA_LOOP(fma_avx2, AVX2, lanes8)
#else
#define fma_avx512 fma_base
#define fma_avx2 fma_base
#endif
FMA_LOOP(fma_base, , lanes4)

static volatile float fma_sink;

/* On the calling thread; its FLOPs. */
static double fma_loop(long rounds) {
    float x = kernels_level() == KERNELS_AVX512 ? fma_avx512(rounds, 0.5f) : kernels_level() == KERNELS_AVX2 ? fma_avx2(rounds, 0.5f) : fma_base(rounds, 0.5f);
    if (x < 0) fma_sink = x;
    return 2.0 * (kernels_level() == KERNELS_AVX512 ? 16 : kernels_level() == KERNELS_AVX2 ? 8 : 4) * CHAINS * (double)rounds;
}
#endif
