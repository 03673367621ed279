/* trainer/optimizer.c - AdamW and LAMB on owned slices. See optimizer.h.
 *
 * All work goes by blocks of PLAN_BLOCK elements, which slices and tensors never cut: a block's bits do not depend on who owns it or on
 * which thread takes it. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/fail.h"
#include "base/ledger.h"
#include "base/memory.h"
#include "trainer/kernels/adamw.h"   /* adamw_update, sum_of_squares */
#include "trainer/optimizer.h"

enum { RULE_GAP = 0, RULE_UPDATE = 1, RULE_DECAY = 2 };   /* RULE_GAP: no tensor there, or one that is left as it is */

enum { DECODER_BUCKET = 0 };

size_t optimizer_owned(const plan *p, int rank) {
    range decoder = plan_slice_of(p, rank, DECODER_BUCKET);
    return plan_owned(p, rank) - (decoder.end - decoder.begin);
}

size_t optimizer_bytes(const model *m, const plan *p, int rank, int kind) {
    size_t blocks = m->gradient_elements / PLAN_BLOCK, lamb = kind == OPTIMIZER_LAMB ? blocks * sizeof(double) + blocks * sizeof(int32_t) : 0;
    return 2 * optimizer_owned(p, rank) * sizeof(float) + blocks * sizeof(double) + m->weight_elements / PLAN_BLOCK + lamb;
}

static float *zeros(size_t count) {
    float *x = memory_new(count * sizeof *x);
    if (!x) fail(EXIT_MACHINE, "out of memory: %zu bytes for the optimizer's moments", count * sizeof *x);
    return memset(x, 0, count * sizeof *x);
}

optimizer *optimizer_new(const model *m, const plan *p, int rank, const optimizer_settings *settings) {
    optimizer *o = must_zalloc(1, sizeof *o);
    o->model = m;
    o->plan = p;
    o->rank = rank;
    o->settings = *settings;
    size_t owned = optimizer_owned(p, rank), at = 0;
    o->m = zeros(owned);
    o->v = zeros(owned);
    o->slice_start = must_zalloc((size_t)p->buckets, sizeof *o->slice_start);
    for (int b = DECODER_BUCKET + 1; b < p->buckets; b++) {
        range mine = plan_slice_of(p, rank, b);
        o->slice_start[b] = at;
        at += mine.end - mine.begin;
    }
    assert(at == owned);
    o->block = must_zalloc(m->gradient_elements / PLAN_BLOCK, sizeof *o->block);
    o->rule = must_zalloc(m->weight_elements / PLAN_BLOCK, sizeof *o->rule);
    if (settings->kind == OPTIMIZER_LAMB) {
        o->weight_block = must_zalloc(m->gradient_elements / PLAN_BLOCK, sizeof *o->weight_block);
        o->tensor_of = must_zalloc(m->weight_elements / PLAN_BLOCK, sizeof *o->tensor_of);
        o->ratio = must_zalloc(m->tensors, sizeof *o->ratio);
    }
    for (size_t i = 0; i < m->tensors; i++) {
        const tensor *t = &m->tensor[i];
        if (t->only_nsp && !settings->nsp) continue;
        for (size_t b = t->offset / PLAN_BLOCK; b * PLAN_BLOCK < t->offset + t->count; b++) {
            o->rule[b] = t->decay == DECAY_YES ? RULE_UPDATE | RULE_DECAY : RULE_UPDATE;
            if (o->tensor_of) o->tensor_of[b] = (int32_t)i;
        }
    }
    return o;
}

void optimizer_free(optimizer *o) {
    if (!o) return;
    free(o->m);
    free(o->v);
    free(o->slice_start);
    free(o->block);
    free(o->rule);
    free(o->weight_block);
    free(o->tensor_of);
    free(o->ratio);
    free(o);
}

/* Block `b` of this rank's slice. The tied matrix: G = T(decoder) + T(lookup), for every row; a rank owns the same rows of both parts. */
static double take_block(const optimizer *o, int bucket, size_t b, float *gradients) {
    float *g = gradients + b * PLAN_BLOCK;
    if (bucket != o->plan->buckets - 1) return o->rule[b] & RULE_UPDATE ? sum_of_squares(PLAN_BLOCK, g) : 0;
    const float *decoder = g + (o->plan->bucket[DECODER_BUCKET].begin - o->plan->bucket[bucket].begin);
    return add_and_square(PLAN_BLOCK, decoder, g, g);
}

/* Collective. Every rank's blocks to all ranks. */
static void share_blocks(exchange *x, double *block) {
    int before = ledger_enter(LEDGER_EXCHANGE);
    exchange_gather_blocks(x, block);
    ledger_leave(before);
}

/* Collective. Norm of the whole gradient, the tied matrix once: block sums in double, added in index order on every rank. */
static double global_norm(optimizer *o, exchange *x, float *gradients) {
    size_t blocks = o->model->weight_elements / PLAN_BLOCK;
    for (size_t b = 0; b < o->model->gradient_elements / PLAN_BLOCK; b++) o->block[b] = 0;
    for (int bucket = DECODER_BUCKET + 1; bucket < o->plan->buckets; bucket++) {
        range mine = plan_slice_of(o->plan, o->rank, bucket);
        #pragma omp parallel for schedule(static)
        for (size_t b = mine.begin / PLAN_BLOCK; b < mine.end / PLAN_BLOCK; b++) o->block[b] = take_block(o, bucket, b, gradients);
    }
    share_blocks(x, o->block);
    double sum = 0;
    for (size_t b = 0; b < blocks; b++) sum += o->block[b];
    return sqrt(sum);
}

/* LAMB's first pass: new moments; squares of weights and directions by blocks. */
static void find_directions(optimizer *o, const adamw_step *s, const float *gradients, const float *weights) {
    adamw_step plain = *s;
    plain.shrink = 0;
    for (int bucket = DECODER_BUCKET + 1; bucket < o->plan->buckets; bucket++) {
        range mine = plan_slice_of(o->plan, o->rank, bucket);
        float *m = o->m + o->slice_start[bucket], *v = o->v + o->slice_start[bucket];
        #pragma omp parallel for schedule(static)
        for (size_t at = mine.begin; at < mine.end; at += PLAN_BLOCK) {
            size_t own = at - mine.begin, b = at / PLAN_BLOCK;
            lamb_squares sum = {0};
            if (o->rule[b] & RULE_UPDATE)
                sum = lamb_direction(o->rule[b] & RULE_DECAY ? s : &plain, PLAN_BLOCK, weights + at, m + own, v + own, gradients + at);
            o->weight_block[b] = sum.weights;
            o->block[b] = sum.direction;
        }
    }
}

/* Collective. How much longer than its direction a tensor is: blocks added in index order on every rank. */
static void find_ratios(optimizer *o, exchange *x) {
    share_blocks(x, o->block);
    share_blocks(x, o->weight_block);
    for (size_t i = 0; i < o->model->tensors; i++) {
        const tensor *t = &o->model->tensor[i];
        double weights = 0, direction = 0;
        for (size_t b = t->offset / PLAN_BLOCK; b * PLAN_BLOCK < t->offset + t->count; b++) weights += o->weight_block[b], direction += o->block[b];
        bool scaled = t->decay == DECAY_YES && o->settings.weight_decay > 0 && weights > 0 && direction > 0;
        o->ratio[i] = scaled ? sqrt(weights) / sqrt(direction) : 1;
    }
}

/* One block of weights: all of AdamW, or LAMB's second pass. */
static void update_block(const optimizer *o, const adamw_step *s, double rate, const float *gradients, float *weights, size_t at, float *m, float *v) {
    if (o->settings.kind == OPTIMIZER_LAMB) lamb_move(s, rate * o->ratio[o->tensor_of[at / PLAN_BLOCK]], PLAN_BLOCK, weights + at, m, v);
    else adamw_update(s, PLAN_BLOCK, weights + at, m, v, gradients + at);
}

/* What the next forward pass reads first is updated first: a bucket travels while the next one is updated. */
static void update_slices(optimizer *o, exchange *x, const adamw_step *s, double rate, const float *gradients, float *weights) {
    adamw_step plain = *s;
    plain.shrink = 0;
    for (int bucket = o->plan->buckets - 1; bucket > DECODER_BUCKET; bucket--) {
        range mine = plan_slice_of(o->plan, o->rank, bucket);
        float *m = o->m + o->slice_start[bucket], *v = o->v + o->slice_start[bucket];
        #pragma omp parallel for schedule(static)
        for (size_t at = mine.begin; at < mine.end; at += PLAN_BLOCK) {
            unsigned char rule = o->rule[at / PLAN_BLOCK];
            if (!(rule & RULE_UPDATE)) continue;
            size_t own = at - mine.begin;
            update_block(o, rule & RULE_DECAY ? s : &plain, rate, gradients, weights, at, m + own, v + own);
        }
        int before = ledger_enter(LEDGER_EXCHANGE);
        exchange_gather_start(x, bucket, weights);
        exchange_poll(x);
        ledger_leave(before);
    }
}

/* The numbers of update t: AdamW's rate is in step and shrink, LAMB's comes last. */
static adamw_step step_of(const optimizer_settings *a, double t, double norm, double rate) {
    double peak = a->kind == OPTIMIZER_LAMB ? 1 : rate;
    adamw_step s = { .clip = 1, .beta1 = a->beta1, .beta2 = a->beta2, .epsilon = a->epsilon, .step = peak, .root = 1, .shrink = peak * a->weight_decay };
    if (a->clip_norm > 0 && a->clip_norm / (norm + 1e-6) < 1) s.clip = a->clip_norm / (norm + 1e-6);
    if (a->bias_correction) {
        s.step = peak / (1 - pow(a->beta1, t));
        s.root = 1 / sqrt(1 - pow(a->beta2, t));
    }
    return s;
}

double optimizer_step(optimizer *o, exchange *x, float *gradients, float *weights, double rate) {
    int before = ledger_enter(LEDGER_OPTIMIZER);
    double norm = global_norm(o, x, gradients);
    if (isfinite(norm)) {
        adamw_step s = step_of(&o->settings, (double)++o->adam_step, norm, rate);
        if (o->settings.kind == OPTIMIZER_LAMB) {
            find_directions(o, &s, gradients, weights);
            find_ratios(o, x);
        }
        update_slices(o, x, &s, rate, gradients, weights);
    }
    ledger_leave(before);
    return norm;
}
