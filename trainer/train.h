/* trainer/train.h - the training loop: what a rank holds, one step, all steps.
 *
 *     trainer t;                                  start.c parses, checks and fills it
 *     int code = train(&t);                       0 done, 75 stopped, 1, 3, 4; the same on every rank
 *
 * Promise: either every rank takes a step and its decisions (save, stop, diverged), or none. */
#ifndef TRAINER_TRAIN_H
#define TRAINER_TRAIN_H
#include <stdio.h>
#include "trainer/checkpoint.h"   /* checkpoint_job, run_folder, optimizer, exchange, model, vocab */
#include "trainer/loader.h"       /* loader, order, batch */
#include "trainer/metrics.h"
#include "trainer/mover.h"
#include "trainer/network.h"
#include "trainer/pace.h"
#include "trainer/settings.h"

typedef struct trainer {
    settings settings;
    options options;
    char *config_yaml;               /* effective configuration */
    comm *comm;
    model_config config;             /* before model_new() takes it */
    shard_folder *data;
    vocab *vocab;
    run_folder run;                  /* rank 0 holds it */
    order order;
    loader *loader;
    schedule schedule;
    model *model;
    plan *plan;
    exchange *exchange;
    optimizer *optimizer;
    network *network;
    tree *tree;
    mover *mover;
    pace pace;
    double *paces;                   /* [2 * ranks] seconds of waiting and of computing, of each rank; and scratch of as many */
    metrics *metrics;                /* rank 0, else NULL */
    FILE *order_file;                /* rank 0 with dump-order, else NULL */
    range leaves;                    /* this rank's micro-batches of a step */
    batch **batch;                   /* [leaves] of the step under way */
    leaf_result *result;             /* [leaves] */
    double *losses;                  /* (leaves, 2) */
    float *weights;                  /* (model->weight_elements), the exchange's */
    char kernel_set[256], checkpoint_name[64], resume_from[4096];
    int64_t step, total;             /* steps done; T */
    int64_t saved_step;              /* of the newest checkpoint; -1 = none */
    int64_t misses;                  /* saves that failed in a row */
    double started, saved_at;        /* timer_now() */
    int64_t first_step;              /* step that this job began after */
    int threads;
    bool spare_core;                 /* this rank may use more cores than it has threads */
} trainer;

/* Integers that every step adds over all ranks before its backward pass: loss denominators, and requests that all must follow alike. */
enum { COUNT_MASKED, COUNT_PAIRS, COUNT_TOKENS, COUNT_STOP, COUNT_TIME_UP, COUNT_SAVE, COUNTS };

typedef struct step_result {
    step_metrics metrics;
    int64_t count[COUNTS];
    exchange_count moved;            /* by this rank */
    bool diverged;
} step_result;

/* Collective. What the trainer needs per rank, in bytes, beside the libraries: for --dry-run. */
size_t trainer_bytes(const model *m, const plan *p, const shard_info *info, const settings *s, range leaves, int rank);

/* Collective. All memory of training; model, plan, data and order are there. */
void trainer_build(trainer *t);
void trainer_free(trainer *t);

/* Collective. One step of training: all ranks' micro-batches, one update. A diverged step has changed no weight. */
void train_step(trainer *t, int64_t step, step_result *r);

/* Collective. All steps that are left, checkpoints, the last one included, and status.json. */
int train(trainer *t);

/* Collective. 64-bit hash of the weights, compared over ranks: EXIT_MACHINE on the ranks that differ from most. Follow with comm_agree(). */
uint64_t weights_hash(const float *weights, size_t elements);
void weights_check(comm *c, const float *weights, size_t elements, int64_t step, error *e);

/* Collective. The job that saves and resumes this trainer. */
checkpoint_job trainer_checkpoint_job(trainer *t);
#endif
