/* datagen/shard_rows_in_order.h - any run of rows, in row order, out of the buckets that pairing filled. Inside of shard_build.c.
 *
 *     row_run *t = row_run_new(g);                       one for each thread
 *     row_run_load(t, SHARD_TRAINING, first, end, &e);   holds rows [first, end) and the rest of the buckets they lie in
 *     row_run_render(t, row, rows, i);                   row `row` of the split into row i of rows
 *
 * Memory: the buckets that the run touches. */
#ifndef DATAGEN_SHARD_ROWS_IN_ORDER_H
#define DATAGEN_SHARD_ROWS_IN_ORDER_H
#include "datagen/shard_stage.h"

typedef struct row_run row_run;
row_run *row_run_new(stage *g);
void row_run_free(row_run *t);
int row_run_load(row_run *t, enum shard_split split, uint64_t first, uint64_t end, error *e);
void row_run_render(row_run *t, uint64_t row, shard_rows *rows, size_t i);
#endif
