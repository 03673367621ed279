/* trainer/start.h - from the command line to a trainer that is ready, or one line that says why not.
 *
 * Promise: everything that can be known before the first step is checked before it, in the order cheap to dear: options, machine, data, model,
 * run folder. Nothing is written before all of it is good. */
#ifndef TRAINER_START_H
#define TRAINER_START_H
#include "trainer/train.h"   /* trainer */

/* Collective. 0: t is ready to train(), unless *done (help, dry run, finished run). Else the agreed exit code; the line was printed.
 * trainer_free() afterwards in every case. */
int start(trainer *t, comm *c, int argc, char **argv, bool *done);

/* Collective; parts of start() in files of their own. All return the agreed code. */
int start_data(trainer *t);                       /* start_data.c: shards opened, hashed by all ranks together, equal everywhere; vocabulary */
int start_model(trainer *t, const char *path);    /* start_data.c: config.json, fit to the data */
int start_run(trainer *t, bool *finished);        /* start_run.c: RUN's lock; what to resume from, and whether that is allowed */
int start_weights(trainer *t);                    /* start_run.c: initial, --init-from, or resumed */
void start_dry_run(const trainer *t);             /* start_data.c: rank 0 prints */
#endif
