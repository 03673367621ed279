/* trainer/loader.h - which rows a micro-batch holds, and the rows themselves.
 *
 * Promise: a pure function of (seed, step, micro-batch): the same for every number of ranks; a rank reads only what it trains on.
 * Order: DESIGN section 5 (docs/data-order.md): blocks of K * micro-batch consecutive rows, permuted by epoch, dealt by length in a snake. */
#ifndef TRAINER_LOADER_H
#define TRAINER_LOADER_H
#include <stdio.h>
#include "datagen/shard.h"   /* shard_folder */
#include "trainer/batch.h"   /* batch */

typedef struct order {                   /* arithmetic only */
    uint64_t rows;                       /* N */
    int64_t global_batch, micro_batch;   /* sequences */
    int64_t leaves;                      /* M = global_batch / micro_batch */
    int64_t parts;                       /* K */
    uint64_t blocks;                     /* NB of an epoch */
    uint32_t seq_length;                 /* S */
    uint64_t seed;
    const uint16_t *lengths;             /* (N), borrowed */
} order;

int order_init(order *o, const shard_folder *f, int64_t global_batch, int64_t micro_batch, uint64_t seed, error *e);
int64_t order_steps(const order *o, double epochs);              /* ceil(epochs * NB * K / M) */
/* rows[micro_batch] and *epoch of micro-batch m of step s, in dealing order. Not thread-safe scratch-free: allocates nothing after warm-up. */
typedef struct loader loader;
loader *loader_new(shard_folder *f, const order *o);             /* both borrowed */
void loader_free(loader *l);
void loader_rows(loader *l, int64_t step, int64_t m, uint64_t *rows, uint64_t *epoch);
int loader_batch(loader *l, int64_t step, int64_t m, batch *b, error *e);
void loader_dump(loader *l, int64_t step, FILE *out);            /* one line: "step: row row ..." of all micro-batches in order */
#endif
