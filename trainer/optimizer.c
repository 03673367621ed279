/* trainer/optimizer.c - AdamW on owned slices. See optimizer.h.
 *
 * All work goes by blocks of PLAN_BLOCK elements, which slices and tensors never cut: a block's bits do not depend on who owns it or on
 * which thread takes it. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include "trainer/kernels/adamw.h"   /* adamw_update, sum_of_squares */
#include "trainer/optimizer.h"

enum { RULE_GAP = 0, RULE_UPDATE = 1, RULE_DECAY = 2 };   /* RULE_GAP: no tensor there, or one that is left as it is */

enum { DECODER_BUCKET = 0 };

size_t optimizer_owned(const plan *p, int rank) {
    range decoder = plan_slice_of(p, rank, DECODER_BUCKET);
    return plan_owned(p, rank) - (decoder.end - decoder.begin);
}

size_t optimizer_bytes(const model *m, const plan *p, int rank) {
    return 2 * optimizer_owned(p, rank) * sizeof(float) + m->gradient_elements / PLAN_BLOCK * sizeof(double) + m->weight_elements / PLAN_BLOCK;
}

optimizer *optimizer_new(const model *m, const plan *p, int rank, const adamw_settings *settings) {
    optimizer *o = must_zalloc(1, sizeof *o);
    o->model = m;
    o->plan = p;
    o->rank = rank;
    o->settings = *settings;
    size_t owned = optimizer_owned(p, rank), at = 0;
    o->m = must_zalloc(owned ? owned : 1, sizeof *o->m);
    o->v = must_zalloc(owned ? owned : 1, sizeof *o->v);
    o->slice_start = must_zalloc((size_t)p->buckets, sizeof *o->slice_start);
    for (int b = DECODER_BUCKET + 1; b < p->buckets; b++) {
        range mine = plan_slice_of(p, rank, b);
        o->slice_start[b] = at;
        at += mine.end - mine.begin;
    }
    assert(at == owned);
    o->block = must_zalloc(m->gradient_elements / PLAN_BLOCK, sizeof *o->block);
    o->rule = must_zalloc(m->weight_elements / PLAN_BLOCK, sizeof *o->rule);
    for (size_t i = 0; i < m->tensors; i++) {
        const tensor *t = &m->tensor[i];
        if (t->only_nsp && !settings->nsp) continue;
        for (size_t b = t->offset / PLAN_BLOCK; b * PLAN_BLOCK < t->offset + t->count; b++)
            o->rule[b] = t->decay == DECAY_YES ? RULE_UPDATE | RULE_DECAY : RULE_UPDATE;
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
    free(o);
}

/* The tied matrix: G = T(decoder) + T(lookup), for every row. A rank owns the same rows of both parts. */
static void add_decoder_part(const optimizer *o, float *gradients) {
    int lookup = o->plan->buckets - 1;
    range from = plan_slice_of(o->plan, o->rank, DECODER_BUCKET), to = plan_slice_of(o->plan, o->rank, lookup);
    assert(from.end - from.begin == to.end - to.begin);
    assert(from.begin - o->plan->bucket[DECODER_BUCKET].begin == to.begin - o->plan->bucket[lookup].begin);
    #pragma omp parallel for schedule(static)
    for (size_t i = 0; i < to.end - to.begin; i++) gradients[to.begin + i] = gradients[from.begin + i] + gradients[to.begin + i];
}

/* Collective. Norm of the whole gradient, the tied matrix once: block sums in double, added in index order on every rank. */
static double global_norm(optimizer *o, exchange *x, const float *gradients) {
    size_t blocks = o->model->weight_elements / PLAN_BLOCK;
    for (size_t b = 0; b < o->model->gradient_elements / PLAN_BLOCK; b++) o->block[b] = 0;
    for (int bucket = DECODER_BUCKET + 1; bucket < o->plan->buckets; bucket++) {
        range mine = plan_slice_of(o->plan, o->rank, bucket);
        #pragma omp parallel for schedule(static)
        for (size_t b = mine.begin / PLAN_BLOCK; b < mine.end / PLAN_BLOCK; b++)
            if (o->rule[b] & RULE_UPDATE) o->block[b] = sum_of_squares(PLAN_BLOCK, gradients + b * PLAN_BLOCK);
    }
    exchange_gather_blocks(x, o->block);
    double sum = 0;
    for (size_t b = 0; b < blocks; b++) sum += o->block[b];
    return sqrt(sum);
}

/* What the next forward pass reads first is updated first: a bucket travels while the next one is updated. */
static void update_slices(optimizer *o, exchange *x, const adamw_step *s, const float *gradients, float *weights) {
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
            adamw_update(rule & RULE_DECAY ? s : &plain, PLAN_BLOCK, weights + at, m + own, v + own, gradients + at);
        }
        exchange_gather_start(x, bucket, weights);
        exchange_poll(x);
    }
}

double optimizer_step(optimizer *o, exchange *x, float *gradients, float *weights, double rate) {
    add_decoder_part(o, gradients);
    double norm = global_norm(o, x, gradients);
    if (!isfinite(norm)) return norm;
    const adamw_settings *a = &o->settings;
    double t = (double)++o->adam_step;
    adamw_step s = { .clip = 1, .beta1 = a->beta1, .beta2 = a->beta2, .epsilon = a->epsilon, .step = rate, .root = 1,
                     .shrink = rate * a->weight_decay };
    if (a->clip_norm > 0 && a->clip_norm / (norm + 1e-6) < 1) s.clip = a->clip_norm / (norm + 1e-6);
    if (a->bias_correction) {
        s.step = rate / (1 - pow(a->beta1, t));
        s.root = 1 / sqrt(1 - pow(a->beta2, t));
    }
    update_slices(o, x, &s, gradients, weights);
    return norm;
}
