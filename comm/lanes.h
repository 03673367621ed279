/* comm/lanes.h - buckets on their way through groups of ranks, by messages: sums to their owners, finished values back.
 *
 * Promise: nothing here blocks; a lane goes on whenever it is polled. A few buckets are under way at one time, each in a lane of its own,
 * in the same sequence on every rank. Inner to comm/; the algorithm is drawn in exchange.c.
 *
 *     while (started < buckets && lanes_start(l, bucket[started], ...)) started++;
 *     if (lanes_poll(l, &finished)) ...           finished: a bucket that has reached its end, or -1 */
#ifndef COMM_LANES_H
#define COMM_LANES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "comm/comm.h"   /* comm */
#include "comm/plan.h"   /* plan */
#include "comm/wire.h"   /* wire */

typedef struct lanes lanes;

typedef struct lanes_setup {
    const plan *plan;
    size_t message;              /* elements */
    bool bf16;                   /* sums in messages are rounded */
    int row_bucket;              /* its sums are packed by `rows` (borrowed); -1: none */
    const wire *rows;
} lanes_setup;

size_t lanes_bytes(const lanes_setup *s, int rank);       /* Not collective. Of all slots */
lanes *lanes_new(comm *c, const lanes_setup *s);          /* Collective */
void lanes_free(lanes *l);                                /* Collective. NULL is allowed */

/* Not collective. skip: so many of the nearest halvings are done by other means. False: no lane is free. */
bool lanes_start(lanes *l, int bucket, bool gather, float *array, int skip);

/* Not collective, never blocks. True: something moved. */
bool lanes_poll(lanes *l, int *finished);

/* Not collective. Blocks until some message of the lanes is here or gone; at once when none is under way. */
void lanes_wait(lanes *l);

/* Collective. Rank r's rank_count[r] doubles at all[rank_start[r]], mine in place, go to all. */
void lanes_gather_doubles(lanes *l, double *all, const int *rank_count, const int *rank_start);

/* Not collective. A call into MPI with nothing to do: other libraries' messages, and a simulator's clock, move only in such calls. */
void lanes_nudge(lanes *l);

/* Of messages sent, from the last call. */
typedef struct lanes_count { uint64_t bytes, row_bytes; } lanes_count;
lanes_count lanes_counted(lanes *l);
#endif
