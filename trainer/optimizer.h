/* trainer/optimizer.h - AdamW and LAMB on the slices that this rank owns, clipping by the global norm, learning-rate schedules.
 *
 * Source: Loshchilov & Hutter 2019 (decoupled decay, on old weights) with Devlin et al.'s settings; You et al. 2020 (LAMB) as NVIDIA's
 * FusedLAMB does it: clipping before the moments, decay inside the direction, and the step of a tensor with decay scaled by the ratio of the
 * norms of weights and direction (1 when either is 0); biases and LayerNorm take the plain rate.
 * Moments exist once over all ranks: m and v hold this rank's slices, bucket after bucket. */
#ifndef TRAINER_OPTIMIZER_H
#define TRAINER_OPTIMIZER_H
#include <stdbool.h>
#include <stdint.h>
#include "comm/exchange.h"   /* exchange, plan */
#include "trainer/model.h"   /* model */

enum schedule_kind { SCHEDULE_LINEAR, SCHEDULE_POLYNOMIAL, SCHEDULE_COSINE, SCHEDULE_CONSTANT };
enum optimizer_kind { OPTIMIZER_ADAMW, OPTIMIZER_LAMB };
enum decay_from { DECAY_FROM_WARMUP, DECAY_FROM_ZERO };

typedef struct schedule {
    int kind, decay_from;
    double peak, power;
    int64_t warmup_steps, steps;         /* W, T */
    bool counts_from_one;                /* DECAY_FROM_ZERO at step k uses k (NVIDIA's LAMB), not k - 1 (Google's AdamW) */
} schedule;

double schedule_rate(const schedule *s, int64_t k);              /* at step k = 1..T */

/* clip_norm 0 does not clip. nsp false: pooler and seq_relationship are left as they are. */
typedef struct optimizer_settings { double beta1, beta2, epsilon, weight_decay, clip_norm; bool bias_correction, nsp; int kind; } optimizer_settings;

typedef struct optimizer {
    const model *model;                  /* borrowed */
    const plan *plan;                    /* borrowed */
    int rank;
    optimizer_settings settings;
    int64_t adam_step;                   /* updates so far */
    float *m, *v;                        /* this rank's slices in bucket order, the decoder bucket left out: optimizer_owned() elements each */
    size_t *slice_start;                 /* [buckets] where a bucket's slice begins in m and v; 0 for the decoder bucket */
    double *block;                       /* one per PLAN_BLOCK of the gradients: sums of squares */
    unsigned char *rule;                 /* one per PLAN_BLOCK of the weights: what the update does there */
    double *weight_block;                /* LAMB only, as block: squares of weights; block then holds those of the direction */
    int32_t *tensor_of;                  /* LAMB only, one per PLAN_BLOCK of the weights: index of its tensor */
    double *ratio;                       /* LAMB only [tensors]: |weights| / |direction| */
} optimizer;

optimizer *optimizer_new(const model *m, const plan *p, int rank, const optimizer_settings *settings);
void optimizer_free(optimizer *o);
size_t optimizer_owned(const plan *p, int rank);
size_t optimizer_bytes(const model *m, const plan *p, int rank, int kind);

/* Collective. gradients: this rank's slices are T(M). Adds decoder + lookup part, norm over all ranks, clip, update of my slices of weights,
 * and starts their gather, the lowest layers first; the caller ends it with exchange_finish(). Returns the gradient norm before clipping. A norm
 * that is not finite changes nothing and starts nothing. */
double optimizer_step(optimizer *o, exchange *x, float *gradients, float *weights, double rate);
#endif
