/* trainer/kernels/levels.h - one body, compiled for every instruction set: static f_base(), f_avx2(), f_avx512() that inline f_body().
 *
 *     BODY void f_body(float *y, size_t n) { ... }
 *     LEVELS(void, f, (float *y, size_t n), (y, n))
 *     ...  t->f = LEVEL(f, level);                      one of f_ref, f_base, f_avx2, f_avx512
 *
 * FMA contraction makes the sets differ in the last bit; within a set every run gives the same bits. */
#ifndef TRAINER_KERNELS_LEVELS_H
#define TRAINER_KERNELS_LEVELS_H

#define BODY static inline __attribute__((always_inline))

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512")))
#define LEVELS(type, f, parameters, arguments)                              \
    static type f##_base parameters { return f##_body arguments; }          \
    AVX2 static type f##_avx2 parameters { return f##_body arguments; }     \
    AVX512 static type f##_avx512 parameters { return f##_body arguments; }
#define LEVEL(f, level) ((level) == 0 ? f##_ref : (level) == 1 ? f##_base : (level) == 2 ? f##_avx2 : f##_avx512)
#else
#define LEVELS(type, f, parameters, arguments) static type f##_base parameters { return f##_body arguments; }
#define LEVEL(f, level) ((level) == 0 ? f##_ref : f##_base)
#endif

/* Sums run in LANES independent lanes, so that the order of additions is in the source and not the compiler's choice. */
enum { LANES = 32 };

/* Lanes to one value by halving; destroys the lanes. */
BODY float lanes_sum(float lane[LANES]) {
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int j = 0; j < width; j++) lane[j] += lane[j + width];
    return lane[0];
}
#endif
