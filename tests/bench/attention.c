/* Rate of the attention kernels:   attention [threads] [heads] [width]
 *
 * One layer of sequences of one length, all heads side by side as in the network, so that a layer's arrays exceed the caches; then the
 * same head again and again. Useful FLOPs: two products forward, four backward, of which one more is made (scores again). Wall time: nothing
 * else should run. */
#include <math.h>
#include <omp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "base/fail.h"
#include "trainer/kernels/kernels.h"

enum { TOKENS = 2048 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static float *floats(size_t n) {
    float *x = aligned_alloc(2 << 20, (n * sizeof *x + (2 << 20) - 1) >> 21 << 21);
    if (!x) fail(EXIT_MACHINE, "out of memory");
    rng_key key = rng_open(1, RNG_INIT, 0, 0, 0);
    for (size_t i = 0; i < n; i++) x[i] = (float)rng_unit(key, i) - 0.5f;
    return x;
}

typedef struct layer { size_t length, heads, width; float *qkv, *dqkv, *context, *dcontext, *max, *inverse, *scratch[64]; } layer;

static attention_head head_at(const layer *l, size_t task) {
    size_t row = task / l->heads * l->length, column = task % l->heads * l->width, H = l->heads * l->width;
    float *q = l->qkv + row * 3 * H + column;
    return (attention_head){.queries = l->length, .keys = l->length, .width = l->width, .q = q, .k = q + H, .v = q + 2 * H, .q_stride = 3 * H,
                            .kv_stride = 3 * H, .context = l->context + row * H + column, .context_stride = H,
                            .max = l->max + task * l->length, .inverse = l->inverse + task * l->length, .scale = 1 / sqrtf((float)l->width),
                            .threshold = 6554, .key = rng_open(1, RNG_DROPOUT, 0, task, 0), .row_elements = l->length,
                            .scratch = l->scratch[omp_get_thread_num()]};
}

static attention_gradients gradients_at(const layer *l, size_t task) {
    size_t row = task / l->heads * l->length, column = task % l->heads * l->width, H = l->heads * l->width;
    float *dq = l->dqkv + row * 3 * H + column;
    return (attention_gradients){l->dcontext + row * H + column, dq, dq + H, dq + 2 * H};
}

static double run(const layer *l, size_t tasks, bool backward, bool hot) {
    double began = now();
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < tasks; i++) {
        size_t task = hot ? (size_t)omp_get_thread_num() : i, next = hot || i + 1 == tasks ? task : i + 1;
        attention_head h = head_at(l, task), after = head_at(l, next);
        attention_gradients g = gradients_at(l, task);
        attention_rows soon[ATTENTION_SOON];
        attention_soon(&after, backward ? gradients_at(l, next).dcontext : NULL, soon);
        h.soon = hot ? NULL : soon;
        if (backward) kernel.attention_backward(&h, &g);
        else kernel.attention_forward(&h);
    }
    return now() - began;
}

static void measure(size_t length, size_t heads, size_t width) {
    size_t H = heads * width, tasks = TOKENS / length * heads;
    layer l = {.length = length, .heads = heads, .width = width, .qkv = floats(TOKENS * 3 * H), .dqkv = floats(TOKENS * 3 * H),
               .context = floats(TOKENS * H), .dcontext = floats(TOKENS * H), .max = floats(TOKENS * heads), .inverse = floats(TOKENS * heads)};
    for (int i = 0; i < omp_get_max_threads(); i++) l.scratch[i] = floats(attention_scratch(width, length));
    for (int hot = 0; hot < 2; hot++) {
        double best[2] = {1e9, 1e9}, products = 2.0 * (double)(length * length * width * tasks);
        for (int i = 0; i < 20; i++)
            for (int backward = 0; backward < 2; backward++) {
                double t = run(&l, tasks, backward, hot);
                if (t < best[backward]) best[backward] = t;
            }
        printf("length %4zu, %s: forward %6.1f GFLOP/s, backward %6.1f, both %6.1f\n", length, hot ? "one head" : "a layer ", 2e-9 * products / best[0],
               4e-9 * products / best[1], 6e-9 * products / (best[0] + best[1]));
    }
    free(l.qkv), free(l.dqkv), free(l.context), free(l.dcontext), free(l.max), free(l.inverse);
    for (int i = 0; i < omp_get_max_threads(); i++) free(l.scratch[i]);
}

static size_t argument(int argc, char **argv, int i, size_t otherwise) { return argc > i ? (size_t)atoi(argv[i]) : otherwise; }

int main(int argc, char **argv) {
    error e;
    omp_set_num_threads((int)argument(argc, argv, 1, 1));
    if (kernels_start(-1, &e)) return error_print(&e);
    printf("%s, %d threads\n", kernels_name(), omp_get_max_threads());
    for (size_t length = 32; length <= 512; length *= 2) measure(length, argument(argc, argv, 2, 4), argument(argc, argv, 3, 64));
    return 0;
}
