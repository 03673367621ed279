/* trainer/optimizer.h - AdamW on the slices that this rank owns, clipping by the global norm, learning-rate schedules.
 *
 * Source: Loshchilov & Hutter 2019 (decoupled decay, on old weights); Devlin et al.'s settings; DESIGN section 5.
 * Moments exist once over all ranks: m and v hold this rank's slices, bucket after bucket. */
#ifndef TRAINER_OPTIMIZER_H
#define TRAINER_OPTIMIZER_H
#include <stdbool.h>
#include <stdint.h>
#include "comm/exchange.h"   /* exchange, plan */
#include "trainer/model.h"   /* model */

enum schedule_kind { SCHEDULE_LINEAR, SCHEDULE_POLYNOMIAL, SCHEDULE_COSINE, SCHEDULE_CONSTANT };
enum decay_from { DECAY_FROM_WARMUP, DECAY_FROM_ZERO };

typedef struct schedule {
    int kind, decay_from;
    double peak, power;
    int64_t warmup_steps, steps;         /* W, T */
} schedule;

double schedule_rate(const schedule *s, int64_t k);              /* at step k = 1..T */

/* clip_norm 0 does not clip. nsp false: pooler and seq_relationship are left as they are. */
typedef struct adamw_settings { double beta1, beta2, epsilon, weight_decay, clip_norm; bool bias_correction, nsp; } adamw_settings;

typedef struct optimizer {
    const model *model;                  /* borrowed */
    const plan *plan;                    /* borrowed */
    int rank;
    adamw_settings settings;
    int64_t adam_step;                   /* updates so far */
    float *m, *v;                        /* this rank's slices in bucket order, the decoder bucket left out: optimizer_owned() elements each */
    size_t *slice_start;                 /* [buckets] where a bucket's slice begins in m and v; 0 for the decoder bucket */
    double *block;                       /* one per PLAN_BLOCK of the gradients: sums of squares */
    unsigned char *rule;                 /* one per PLAN_BLOCK of the weights: what the update does there */
} optimizer;

optimizer *optimizer_new(const model *m, const plan *p, int rank, const adamw_settings *settings);
void optimizer_free(optimizer *o);
size_t optimizer_owned(const plan *p, int rank);
size_t optimizer_bytes(const model *m, const plan *p, int rank);

/* Collective. gradients: this rank's slices are T(M). Adds decoder + lookup part, norm over all ranks, clip, update of my slices of weights,
 * and starts their gather, the lowest layers first; the caller ends it with exchange_finish(). Returns the gradient norm before clipping. A norm
 * that is not finite changes nothing and starts nothing. */
double optimizer_step(optimizer *o, exchange *x, float *gradients, float *weights, double rate);
#endif
