/* tests/bench/bench_math.c - largest error of exp, erf and tanh (trainer/kernels/mathf.h) over all floats:   bench_math [STRIDE [exp|erf|tanh]]
 *
 * Every STRIDE-th float of the whole range (1: all 4,294,967,296), compiled for each instruction set of this CPU, against libm in double.
 * The unit is the distance of floats at the true value (ULP), at least that of the smallest normal number. exp() ends at 2^-126 by design. */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "trainer/kernels/mathf.h"

enum { RUN = 4096, PARTS = 256, LEVELS_MOST = 3 };
BODY void exps_body(const float *x, float *y) {
#pragma omp simd
    for (int i = 0; i < RUN; i++) y[i] = exp_body(x[i]);
}
BODY void erfs_body(const float *x, float *y) {
#pragma omp simd
    for (int i = 0; i < RUN; i++) y[i] = erf_body(x[i]);
}
BODY void tanhs_body(const float *x, float *y) {
#pragma omp simd
    for (int i = 0; i < RUN; i++) y[i] = tanh_body(x[i]);
}
LEVELS(void, exps, (const float *x, float *y), (x, y))
LEVELS(void, erfs, (const float *x, float *y), (x, y))
LEVELS(void, tanhs, (const float *x, float *y), (x, y))

typedef struct function { const char *name; double (*exact)(double); double low, high; void (*fast[LEVELS_MOST])(const float *, float *); } function;

static double ulps(float got, double exact) {
    double size = fabs(exact) < 0x1p-126 ? 0x1p-126 : fabs(exact);
    return fabs((double)got - exact) / ldexp(1, ilogb(size) - 23);
}

typedef struct worst { double ulps; float at; } worst;

/* worst[level]: the exact values, which take longest, are made once for all. */
static void of_range(const function *f, int levels, uint64_t begin, uint64_t end, uint64_t stride, worst *most) {
    float x[RUN], y[RUN];
    double exact[RUN];
    for (uint64_t at = begin; at < end;) {
        int n = 0;
        for (; n < RUN && at < end; at += stride) {
            float_bits b = {.u = (uint32_t)at};
            if ((double)b.f >= f->low && (double)b.f <= f->high) x[n++] = b.f;
        }
        for (int i = n; i < RUN; i++) x[i] = 0;
        for (int i = 0; i < n; i++) exact[i] = f->exact((double)x[i]);
        for (int level = 0; level < levels; level++) {
            f->fast[level](x, y);
            for (int i = 0; i < n; i++) {
                double error = ulps(y[i], exact[i]);
                if (!(error <= most[level].ulps)) most[level] = (worst){error, x[i]};
            }
        }
    }
}

int main(int argc, char **argv) {
    uint64_t stride = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
#if defined(__x86_64__)
    const function all[] = {{"exp", exp, -87.33, 88.37, {exps_base, exps_avx2, exps_avx512}},
                            {"erf", erf, -INFINITY, INFINITY, {erfs_base, erfs_avx2, erfs_avx512}},
                            {"tanh", tanh, -INFINITY, INFINITY, {tanhs_base, tanhs_avx2, tanhs_avx512}}};
    int levels = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") ? 3 : __builtin_cpu_supports("avx2") ? 2 : 1;
#else
    const function all[] = {{"exp", exp, -87.33, 88.37, {exps_base}}, {"erf", erf, -INFINITY, INFINITY, {erfs_base}},
                            {"tanh", tanh, -INFINITY, INFINITY, {tanhs_base}}};
    int levels = 1;
#endif
    static const char *const name[LEVELS_MOST] = {"base", "avx2", "avx512"};
    for (size_t f = 0; f < sizeof all / sizeof *all; f++) {
        if (argc > 2 && strcmp(argv[2], all[f].name)) continue;
        worst part[PARTS][LEVELS_MOST] = {{{0}}}, most[LEVELS_MOST] = {{0}};
#pragma omp parallel for schedule(dynamic, 1)
        for (int p = 0; p < PARTS; p++)
            of_range(&all[f], levels, ((uint64_t)p << 24) + stride - 1, ((uint64_t)p + 1) << 24, stride, part[p]);
        for (int level = 0; level < levels; level++) {
            for (int p = 0; p < PARTS; p++)
                if (part[p][level].ulps > most[level].ulps) most[level] = part[p][level];
            printf("%-5s %-7s largest error %.3f ULP, at %.9g (%a)\n", all[f].name, name[level], most[level].ulps, (double)most[level].at,
                   (double)most[level].at);
        }
        fflush(stdout);
    }
    return 0;
}
