/* trainer/training_state.h - training.h5: what resuming needs beyond the weights. The trainer's only HDF5 file.
 *
 *     /            attributes: format_version, step, next_step, adam_step, seed, learning_rate, loss, the optimizer's settings,
 *                  config (effective configuration, which holds the schedule), complete (1, written last)
 *     /m/NAME      first moments of tensor NAME, float32, its shape, chunked, fletcher32
 *     /v/NAME      second moments
 *
 * Promise: equal state gives equal bytes; nothing depends on ranks. A disk that fails is an error value: libhdf5 1.10 crashes at exit
 * once a write of its own failed (measured: ENOSPC, then SIGSEGV), so its writes go through a file driver of ours that remembers the
 * first failure and lets libhdf5 finish in peace. */
#ifndef TRAINER_TRAINING_STATE_H
#define TRAINER_TRAINING_STATE_H
#include <stdint.h>
#include "base/fail.h"            /* error */
#include "trainer/model.h"        /* model */
#include "trainer/optimizer.h"    /* optimizer_settings */

enum { TRAINING_STATE_VERSION = 1 };

typedef struct training_state {
    int64_t step, next_step, adam_step;
    uint64_t seed;
    double learning_rate, loss;
    optimizer_settings settings;
    const char *config_yaml;             /* borrowed; not read back */
} training_state;

typedef struct training_file training_file;

/* Rank 0. A new file; then "m" and "v" are put whole, in this order; close makes it durable. flat: (weight_elements), the model's order.
 * EXIT_MACHINE on failure; after one, only training_file_close() may follow. At most one file is open at a time. */
int training_file_create(training_file **out, const char *path, const training_state *s, error *e);
int training_file_put(training_file *f, const model *m, const char *group, const float *flat, error *e);
int training_file_close(training_file *f, error *e);   /* NULL is allowed */

/* Rank 0. Opens a file whose hash was verified. EXIT_USAGE: a newer format version, not complete, another shape (naming the tensor);
 * EXIT_CORRUPT: a chunk's checksum. training_file_get() writes flat's tensors; gaps are left as they are. */
int training_file_open(training_file **out, const char *path, training_state *s, error *e);
int training_file_get(training_file *f, const model *m, const char *group, float *flat, error *e);
#endif
