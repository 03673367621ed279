/* tests/bench/bench_step.c - what this machine can do, for bench_step.py:   bench_step THREADS [config.json V TOKENS MASKED]
 *
 * One JSON object: FMA peak of all threads (own loop of the best kernel set's vectors), memory bandwidth (triad), and the rate of every
 * matrix product of a step of that model, forward, backward to the input (dx) and to the weights (dw). Medians of several tries.
 * Without a model: the FMA rate held over a second, to be asked for before and after a run, since shared machines change their clock. */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "base/timer.h"
#include "tests/bench/fma_loop.h"
#include "trainer/kernels/gemm.h"
#include "trainer/kernels/kernels.h"
#include "trainer/model.h"

enum { TRIES = 9 };
static volatile float sink;

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *x, size_t n) {
    qsort(x, n, sizeof *x, ascending);
    return x[n / 2];
}

/* Multiply-adds of all threads for about `seconds`, in FLOPs a second. */
static double fma_rate(double seconds) {
    static long rounds = 100000;
    for (;;) {
        double began = timer_now(), flops = 0;
#pragma omp parallel reduction(+ : flops)
        flops += fma_loop(rounds);
        double took = timer_now() - began;
        if (took >= 0.5 * seconds) return flops / took;
        rounds = (long)((double)rounds * seconds / took) + 1;
    }
}

/* Each try lasts a fifth of a second, longer than a burst of the clock. The best of them: what the machine can do undisturbed. */
static double peak_flops(void) {
    double best = 0;
    for (int t = 0; t < TRIES; t++) {
        double rate = fma_rate(0.2);
        if (rate > best) best = rate;
    }
    return best;
}

/* a = b + s c over arrays far larger than caches; 12 bytes an element, 16 with the read for ownership: counted as 12, as STREAM does. */
static double bandwidth(void) {
    const size_t n = (size_t)1 << 26;
    float *a = must_alloc(n, sizeof *a), *b = must_alloc(n, sizeof *b), *c = must_alloc(n, sizeof *c);
    double best = 0;
    for (int t = 0; t < 4; t++) {
        double began = timer_now();
#pragma omp parallel for schedule(static)
        for (size_t i = 0; i < n; i++) {
            if (t == 0) a[i] = 0, b[i] = 1, c[i] = 2;
            else a[i] = b[i] + 0.5f * c[i];
        }
        double rate = 12 * (double)n / (timer_now() - began);
        if (t > 0 && rate > best) best = rate;
    }
    sink = a[n / 2];
    free(a), free(b), free(c);
    return best;
}

static float *floats(arena *memory, size_t n) {
    float *x = arena_take(memory, n, sizeof *x);
    for (size_t i = 0; x && i < n; i++) x[i] = (float)((double)(i % 1009) / 1009 - 0.5);
    return x;
}

/* Rates of y = x W^T and of its two gradients; shares of the multiply-adds just before and after, since clocks drift. */
static void print_jobs(const char *name, const gemm_job job[3]) {
    static const char *const way[] = {"forward", "dx", "dw"};
    for (int i = 0; i < 3; i++) {
        double seconds[TRIES], flops = 2.0 * (double)job[i].m * (double)job[i].n * (double)job[i].k;
        int repeat = flops < 2e8 ? 8 : flops < 1e9 ? 3 : 1;
        gemm_run(&job[i], 1);
        double held = fma_rate(0.1);
        for (int t = 0; t < TRIES; t++) {
            double began = timer_now();
            for (int r = 0; r < repeat; r++) gemm_run(&job[i], 1);
            seconds[t] = (timer_now() - began) / repeat;
        }
        double rate = flops / median(seconds, TRIES);
        held = 0.5 * (held + fma_rate(0.1));
        printf("%s\n  {\"product\": \"%s\", \"way\": \"%s\", \"m\": %zu, \"n\": %zu, \"k\": %zu, \"flops_per_second\": %.4g, \"share\": %.4f}",
               !strcmp(name, "qkv") && i == 0 ? "" : ",", name, way[i], job[i].m, job[i].n, job[i].k, rate, rate / held);
    }
}

/* y (rows, out) */
static void print_shape(const char *name, size_t rows, size_t out, size_t in) {
    arena memory;
    arena_init(&memory, (rows * in + rows * out + 2 * out * in + 4096) * sizeof(float));
    float *x = floats(&memory, rows * in), *y = floats(&memory, rows * out), *w = floats(&memory, out * in), *dw = floats(&memory, out * in);
    const gemm_job job[] = {
        {.m = rows, .n = out, .k = in, .a = x, .lda = in, .b = w, .ldb = in, .transpose_b = true, .c = y, .ldc = out},
        {.m = rows, .n = in, .k = out, .a = y, .lda = out, .b = w, .ldb = in, .c = x, .ldc = in},
        {.m = out, .n = in, .k = rows, .a = y, .lda = out, .transpose_a = true, .b = x, .ldb = in, .c = dw, .ldc = in}};
    print_jobs(name, job);
    arena_free(&memory);
}

/* As trainer/decoder.c makes them: y turned (words, rows); dx from some thousand words at a time, added to what others gave. */
static void print_decoder(size_t rows, size_t words, size_t in) {
    enum { PART = 98 * GEMM_STEP };
    arena memory;
    size_t stride = (rows + 15) / 16 * 16;
    arena_init(&memory, (2 * rows * in + words * stride + 2 * words * in + 4096) * sizeof(float));
    float *x = floats(&memory, rows * in), *dx = floats(&memory, rows * in), *y = floats(&memory, words * stride), *w = floats(&memory, words * in),
          *dw = floats(&memory, words * in);
    const gemm_job job[] = {
        {.m = words, .n = rows, .k = in, .a = w, .lda = in, .b = x, .ldb = in, .transpose_b = true, .c = y, .ldc = stride},
        {.m = rows, .n = in, .k = words < PART ? words : PART, .a = y, .lda = stride, .transpose_a = true, .b = w, .ldb = in, .beta = 1, .c = dx, .ldc = in},
        {.m = words, .n = in, .k = rows, .a = y, .lda = stride, .b = x, .ldb = in, .c = dw, .ldc = in}};
    print_jobs("decoder", job);
    arena_free(&memory);
}

int main(int argc, char **argv) {
    error e = {0};
    fail_init("bench_step");
    if (argc != 6 && argc != 2) return error_set(&e, EXIT_USAGE, "THREADS [config.json V TOKENS MASKED]"), error_print(&e);
    model_config c = {0};
    if (kernels_start(-1, &e)) return error_print(&e);
    omp_set_num_threads(atoi(argv[1]));
    if (argc == 2) return printf("{\"held_flops\": %.5g}\n", fma_rate(1)), 0;
    if (model_config_read(&c, argv[2], &e)) return error_print(&e);
    size_t V = strtoul(argv[3], NULL, 10), tokens = strtoul(argv[4], NULL, 10), masked = strtoul(argv[5], NULL, 10);
    size_t H = (size_t)c.hidden_size, I = (size_t)c.intermediate_size;
    printf("{\"threads\": %d, \"kernels\": \"%s\", \"gemm\": \"%s\", \"peak_flops\": %.5g, \"bandwidth\": %.5g, \"products\": [", omp_get_max_threads(),
           kernels_name(), gemm_name(), peak_flops(), bandwidth());
    print_shape("qkv", tokens, 3 * H, H);
    print_shape("attention output", tokens, H, H);
    print_shape("feed-forward up", tokens, I, H);
    print_shape("feed-forward down", tokens, H, I);
    print_decoder(masked, V, H);
    printf("]}\n");
    model_config_free(&c);
    return 0;
}
