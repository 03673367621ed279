/* Rate of every product of a training step as a share of the FMA peak:   gemm [threads] [rows] [hidden] [intermediate] [bf16]
 *
 * One thread is timed by its own clock, several by the wall: then nothing else should run. The peak is a loop of independent FMAs that
 * touch no memory, on as many threads. BERT_GEMM=openblas measures OpenBLAS. The share is always that of fp32's
 * peak: more than all of it with bf16, where BERT_BF16 chooses the set. */
#define _GNU_SOURCE
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include "base/fail.h"
#include "tests/bench/fma_loop.h"
#include "trainer/kernels/gemm.h"
#include "trainer/kernels/kernels.h"

static int threads = 1;

static double now(void) {
    struct timespec t;
    clock_gettime(threads == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double peak(void) {
    double best = 0;
    for (int i = 0; i < 5; i++) {
        double began = now(), flops = 0;
#pragma omp parallel num_threads(threads) reduction(+ : flops)
        flops += fma_loop(5000000);
        double rate = flops / (now() - began);
        if (rate > best) best = rate;
    }
    return best;
}

static float *floats(size_t n) {
    size_t page = 2 << 20, bytes = (n * sizeof(float) + page - 1) / page * page;
    float *x = aligned_alloc(page, bytes);
    if (!x) fail(EXIT_MACHINE, "out of memory");
    madvise(x, bytes, MADV_HUGEPAGE);
    for (size_t i = 0; i < n; i++) x[i] = (float)(i % 13) - 6;
    return x;
}

static void measure(const char *name, size_t m, size_t n, size_t k, bool ta, bool tb, double top) {
    float *a = floats(m * k), *b = floats(k * n), *c = floats(m * n);
    gemm_job j = {.m = m, .n = n, .k = k, .a = a, .lda = ta ? m : k, .b = b, .ldb = tb ? k : n, .transpose_a = ta, .transpose_b = tb, .c = c, .ldc = n};
    double flops = 2.0 * (double)m * (double)n * (double)k, best = 1e9;
    int runs = 1 + (int)(2e9 / flops);
    for (int i = 0; i < 7; i++) {
        double began = now();
        for (int r = 0; r < runs; r++) gemm_run(&j, 1);
        double t = (now() - began) / runs;
        if (t < best) best = t;
    }
    printf("%-28s m %5zu n %5zu k %5zu: %6.1f GFLOP/s, %4.1f %% of peak\n", name, m, n, k, flops / best * 1e-9, 100 * flops / best / top);
    free(a), free(b), free(c);
}

static size_t argument(int argc, char **argv, int i, size_t otherwise) { return argc > i ? (size_t)atoi(argv[i]) : otherwise; }

int main(int argc, char **argv) {
    error e;
    threads = (int)argument(argc, argv, 1, 1);
    size_t N = argument(argc, argv, 2, 500), H = argument(argc, argv, 3, 256), I = argument(argc, argv, 4, 4 * H);
    omp_set_num_threads(threads);
    if (kernels_start(-1, &e) || (argc > 5 && gemm_set_precision(GEMM_BF16, -1, &e))) return error_print(&e);
    double top = peak();
    printf("%s, %s, %d threads: peak %.1f GFLOP/s\n", kernels_name(), gemm_name(), threads, top * 1e-9);
    measure("QKV: y = x W^T", N, 3 * H, H, false, true, top);
    measure("attention output: y = x W^T", N, H, H, false, true, top);
    measure("up: y = x W^T", N, I, H, false, true, top);
    measure("down: y = x W^T", N, H, I, false, true, top);
    measure("down: dx = dy W", N, I, H, false, false, top);
    measure("up: dx = dy W", N, H, I, false, false, top);
    measure("QKV: dx = dy W", N, H, 3 * H, false, false, top);
    measure("attention output: dx = dy W", N, H, H, false, false, top);
    measure("QKV: dW = dy^T x", 3 * H, H, N, true, false, top);
    measure("attention output: dW", H, H, N, true, false, top);
    measure("up: dW = dy^T x", I, H, N, true, false, top);
    measure("down: dW = dy^T x", H, I, N, true, false, top);
    return 0;
}
