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

typedef struct order_card { uint64_t bucket, tie, row; } order_card;   /* sort key of a row within its block */

/* EXIT_USAGE: global_batch is no multiple of micro_batch, or the folder has fewer training rows than global_batch. */
int order_init(order *o, const shard_folder *f, int64_t global_batch, int64_t micro_batch, uint64_t seed, error *e);
/* The same from numbers; lengths (rows) is borrowed. */
int order_make(order *o, uint64_t rows, const uint16_t *lengths, uint32_t seq_length, int64_t global_batch, int64_t micro_batch,
               uint64_t seed, error *e);
int64_t order_steps(const order *o, double epochs);              /* ceil(epochs * NB * K / M) */

/* Block number j = m + M * (s div K) of the run is the (j mod NB)-th of epoch j div NB: permutation[NB] of that epoch. */
void order_permutation(const order *o, uint64_t epoch, uint64_t *permutation);
/* Deals block `block` (0..NB-1) of an epoch: rows[K * micro_batch], part 0 first. cards[K * micro_batch] is scratch. */
void order_deal(const order *o, uint64_t epoch, uint64_t block, uint64_t *rows, order_card *cards);

/* A loader keeps each of its leaves' current block for the K steps that it lasts: one read of consecutive rows every K steps. After a
 * leaf's first use it allocates nothing. */
typedef struct loader loader;
loader *loader_new(shard_folder *f, const order *o);             /* both borrowed */
void loader_free(loader *l);

/* rows[micro_batch] and *epoch of micro-batch m of step s (both from 0), in dealing order. Reads no file. */
void loader_rows(loader *l, int64_t step, int64_t m, uint64_t *rows, uint64_t *epoch);

/* Not collective. Fills b (room for micro_batch sequences of S tokens and P predictions). The shard reader's errors, and EXIT_USAGE when a
 * row's padding contradicts its recorded length. */
int loader_batch(loader *l, int64_t step, int64_t m, batch *b, error *e);

void loader_dump(loader *l, int64_t step, FILE *out);            /* one line: "step: row row ..." of all micro-batches in order */
#endif
