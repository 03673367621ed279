// np: 1 2 3
/* tests/mpi/test_optimizer.c - several updates of a small tensor table on np ranks against one double loop: decay groups, clipping, the tied
 * matrix counted once, tensors without NSP untouched. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/rng.h"
#include "comm/comm.h"
#include "trainer/kernels/kernels.h"
#include "trainer/optimizer.h"

enum { WORD = 0, DENSE = 3, BIAS = 5, POOLER = 6, DECODER = 7, BLOCKS = 10, N = DECODER * PLAN_BLOCK, ALL = BLOCKS * PLAN_BLOCK, STEPS = 5 };

/* word (3 blocks, the last with a gap), dense (2), bias (1), pooler (1) | decoder part of word (3) */
static tensor tensors[] = {
    { .name = "word", .offset = WORD * PLAN_BLOCK, .count = 3 * PLAN_BLOCK - 24, .decay = DECAY_YES, .bucket = 2 },
    { .name = "dense", .offset = DENSE * PLAN_BLOCK, .count = 2 * PLAN_BLOCK, .decay = DECAY_YES, .bucket = 1 },
    { .name = "bias", .offset = BIAS * PLAN_BLOCK, .count = 1000, .decay = DECAY_NO, .bucket = 1 },
    { .name = "pooler", .offset = POOLER * PLAN_BLOCK, .count = 1024, .decay = DECAY_YES, .only_nsp = true, .bucket = 1 },
};
static range buckets[] = { { N, ALL }, { 3 * PLAN_BLOCK, N }, { 0, 3 * PLAN_BLOCK } };
static int bad;

static bool in_tensor(size_t i, int *which) {
    for (int t = 0; t < 4; t++)
        if (i >= tensors[t].offset && i < tensors[t].offset + tensors[t].count) return *which = t, true;
    return false;
}

/* Gradient of step s; element i of the flat array with the decoder part. */
static float gradient(int s, size_t i) {
    int which;
    size_t place = i >= N ? i - N : i;
    return in_tensor(place, &which) ? (float)(0.1 * rng_normal(rng_open(5, RNG_INIT, (uint64_t)s, 0, 0), i)) : 0;
}

static float first_weight(size_t i) {
    int which;
    return in_tensor(i, &which) ? (float)(0.02 * rng_normal(rng_open(6, RNG_INIT, 0, 0, 0), i)) : 0;
}

typedef struct reference { double w[N], m[N], v[N]; } reference;

/* LAMB: rate times |w| / |u| in tensors with decay, rate in the others. */
static double factor_of(const reference *r, const double *u, int tensor_index, const optimizer_settings *a) {
    double weights = 0, direction = 0;
    const tensor *t = &tensors[tensor_index];
    if (a->kind == OPTIMIZER_ADAMW || t->decay == DECAY_NO || a->weight_decay == 0) return 1;
    for (size_t i = t->offset; i < t->offset + t->count; i++) weights += r->w[i] * r->w[i], direction += u[i] * u[i];
    return weights > 0 && direction > 0 ? sqrt(weights / direction) : 1;
}

static double reference_step(reference *r, int s, const optimizer_settings *a, double rate) {
    static double u[N];
    double norm = 0, t = s + 1, factor[4];
    int which;
    for (size_t i = 0; i < N; i++) {
        double g = gradient(s, i) + (i < 3 * PLAN_BLOCK ? gradient(s, N + i) : 0);
        if (in_tensor(i, &which) && (a->nsp || !tensors[which].only_nsp)) norm += g * g;
    }
    norm = sqrt(norm);
    double clip = a->clip_norm > 0 && a->clip_norm / (norm + 1e-6) < 1 ? a->clip_norm / (norm + 1e-6) : 1;
    for (size_t i = 0; i < N; i++) {
        if (!in_tensor(i, &which) || (tensors[which].only_nsp && !a->nsp)) continue;
        double g = clip * (gradient(s, i) + (i < 3 * PLAN_BLOCK ? gradient(s, N + i) : 0));
        r->m[i] = a->beta1 * r->m[i] + (1 - a->beta1) * g;
        r->v[i] = a->beta2 * r->v[i] + (1 - a->beta2) * g * g;
        double m = r->m[i], v = r->v[i];
        if (a->bias_correction) m /= 1 - pow(a->beta1, t), v /= 1 - pow(a->beta2, t);
        u[i] = m / (sqrt(v) + a->epsilon) + (tensors[which].decay == DECAY_YES ? a->weight_decay * r->w[i] : 0);
    }
    for (int i = 0; i < 4; i++) factor[i] = factor_of(r, u, i, a);
    for (size_t i = 0; i < N; i++)
        if (in_tensor(i, &which) && (a->nsp || !tensors[which].only_nsp)) r->w[i] -= rate * factor[which] * u[i];
    return norm;
}

static void expect(bool good, const char *what, double got, double wanted) {
    if (good) return;
    fprintf(stderr, "%s: %.9g, wanted %.9g\n", what, got, wanted);
    bad = 1;
}

static void sum(exchange *x) {
    for (int b = 0; b < 3; b++) exchange_ready(x, b);
    exchange_finish(x);
}

static void run(comm *c, const char *name, optimizer_settings a) {
    model m = { .tensor = tensors, .tensors = 4, .weight_elements = N, .gradient_elements = ALL, .decoder_offset = N, .bucket = buckets, .buckets = 3 };
    plan *p = plan_new(c->size, ALL, buckets, 3);
    exchange *x = exchange_new(c, p, NULL);
    optimizer *o = optimizer_new(&m, p, c->rank, &a);
    reference *r = calloc(1, sizeof *r);
    float *w = calloc(N, sizeof *w), *g = exchange_gradients(x);
    for (size_t i = 0; i < N; i++) r->w[i] = w[i] = first_weight(i);
    for (int s = 0; s < STEPS; s++) {
        exchange_begin(x);
        for (size_t i = 0; i < ALL; i++) g[i] = gradient(s, i) * (c->rank == 0 ? 1 : 0);
        sum(x);
        double norm = optimizer_step(o, x, g, w, 1e-3 * (s + 1)), wanted = reference_step(r, s, &a, 1e-3 * (s + 1));
        exchange_finish(x);
        expect(fabs(norm - wanted) <= 1e-6 * wanted, name, norm, wanted);
    }
    for (size_t i = 0; i < N && !bad; i++) expect(fabs(w[i] - r->w[i]) <= 1e-6 * fabs(r->w[i]) + 2e-7, name, w[i], r->w[i]);
    for (size_t i = 0; i < PLAN_BLOCK && !a.nsp; i++) expect(w[POOLER * PLAN_BLOCK + i] == first_weight(POOLER * PLAN_BLOCK + i), "pooler moved", 0, 0);
    expect(o->adam_step == STEPS, "adam_step", (double)o->adam_step, STEPS);

    exchange_begin(x);
    memset(g, 0, ALL * sizeof *g);                       /* a gradient that is not a number changes nothing */
    if (c->rank == 0) g[DENSE * PLAN_BLOCK + 3] = NAN;
    float *before = malloc(N * sizeof *before);
    memcpy(before, w, N * sizeof *before);
    sum(x);
    expect(!isfinite(optimizer_step(o, x, g, w, 1e-3)), "norm of NaN", 0, NAN);
    expect(!memcmp(before, w, N * sizeof *w) && o->adam_step == STEPS, "weights after NaN", 0, 0);
    free(before), free(w), free(r);
    optimizer_free(o);
    exchange_free(x);
    plan_free(p);
}

int main(int argc, char **argv) {
    fail_init("test_optimizer");
    comm *c = comm_start(&argc, &argv);
    error e = {0};
    if (kernels_start(-1, &e)) return error_print(&e);
    const optimizer_settings usual = { .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-6, .weight_decay = 0.01, .clip_norm = 1,
                                       .bias_correction = true, .nsp = true };
    optimizer_settings a = usual;
    run(c, "usual", a);
    a.clip_norm = 0;
    run(c, "no clipping", a);
    a.clip_norm = 1e5;
    run(c, "clipping that never bites", a);
    a = usual, a.bias_correction = false;
    run(c, "no bias correction", a);
    a = usual, a.nsp = false;
    run(c, "no NSP", a);
    a = usual, a.kind = OPTIMIZER_LAMB;
    run(c, "LAMB", a);
    a.bias_correction = false, a.clip_norm = 0;
    run(c, "LAMB without bias correction and clipping", a);
    a = usual, a.kind = OPTIMIZER_LAMB, a.weight_decay = 0;
    run(c, "LAMB without decay", a);
    a = usual, a.kind = OPTIMIZER_LAMB, a.nsp = false;
    run(c, "LAMB without NSP", a);
    int64_t any = bad;
    comm_max_i64(c, &any, 1);
    return comm_finish(c, (int)any);
}
