/* comm/exchange.h - the gradient sum over all micro-batches, in one fixed order, while backward still runs.
 *
 * Promise: after exchange_finish() each rank holds its slice of T(M), and the bits depend on the leaves and their indices only: never on
 * the rank count (every np for which M/np is a power of two, and 1), the thread count, the message size, the path (shared windows or
 * messages) or when it was polled. (Wire EXCHANGE_BF16 gives this up.)
 *
 *     exchange *x = exchange_new(comm, plan, &options);
 *     tree *t = tree_new(elements, leaves_of_this_rank, exchange_gradients(x));   the rank's own leaves: a binary counter
 *     each step:
 *         exchange_begin(x);
 *         for each leaf but the last: backward(..., tree_next(t, &add), add); tree_push(t);
 *         backward(..., tree_next(t, &add), add), and as it finishes bucket after bucket of the last leaf:
 *             tree_finish(t, plan->bucket[b]); exchange_ready(x, b);              T over this rank's leaves is in place: send
 *             exchange_poll(x);                                                   often: messages move only inside calls
 *         tree_reset(t);
 *         exchange_finish(x);                                                     this rank's slices are sums over all ranks
 *         for each bucket: ... update the weights of my slice ...; exchange_gather_start(x, b, weights); exchange_poll(x);
 *         before the next forward pass uses bucket b: exchange_await(x, b);       all its weights are here; the others still travel
 *         exchange_finish(x);                                                     before the next exchange_begin(), or a look at all weights
 *
 * Order: T(n) = T(p) + T(n-p), p the largest power of two below n, over leaves and over ranks alike (drawn in exchange.c).
 * Source of the overlap: Li et al. 2020, "PyTorch Distributed", sec. 3.2; of the sharded update: Rajbhandari et al. 2020, "ZeRO", stage 1. */
#ifndef COMM_EXCHANGE_H
#define COMM_EXCHANGE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "comm/comm.h"   /* comm */
#include "comm/plan.h"   /* plan */
#include "comm/tree.h"   /* tree_new ..: the rank's own leaves */

typedef struct exchange exchange;

enum { EXCHANGE_MESSAGE = 1 << 20 };             /* elements: longer parts travel in messages of at most 4 MiB */
enum { EXCHANGE_FP32, EXCHANGE_BF16 };           /* wire: gradients in messages are rounded to bfloat16, weights never */
enum { EXCHANGE_AUTO, EXCHANGE_MESSAGES, EXCHANGE_WINDOWS };

typedef struct exchange_options {                /* all zero: the defaults. Same values on every rank */
    size_t message;                              /* elements; 0: EXCHANGE_MESSAGE. No effect on the bits */
    size_t weights;                              /* elements of exchange_weights() */
    int wire;
    int path;                                    /* AUTO: shared windows where every node has 2^j > 1 ranks and /dev/shm room, else messages */
    int node_ranks;                              /* so many consecutive ranks count as one node; 0: nodes as they are. For tests */
    int row_bucket;                              /* bucket of rows of which a step touches few (the word matrix' lookup part) .. */
    size_t row_elements;                         /* .. and their length: only touched rows are sent. 0: no such bucket */
} exchange_options;

/* Collective. All buffers are made here, none later. p is borrowed; o may be NULL. WINDOWS where they cannot be: fail(). */
exchange *exchange_new(comm *c, const plan *p, const exchange_options *o);
size_t exchange_bytes(const plan *p, const exchange_options *o, int rank);      /* Not collective. All but the gradients, which tree_bytes() counts */
void exchange_free(exchange *x);                 /* Collective. NULL is allowed */
const char *exchange_path(const exchange *x);    /* "messages", "shared windows": for the user's first line */

/* Owned by x, 64-byte aligned, in a window that the node's ranks read: (plan->elements) and (options.weights), both 0 at first. */
float *exchange_gradients(exchange *x);
float *exchange_weights(exchange *x);

/* A round of sums. begin: collective (ends gathers that are left, waits until neighbours have read the last round): call before the first leaf is
 * written. touched: one bit per row of row_bucket that a leaf of this rank touches, cleared by begin; set before that bucket is ready;
 * rows without a bit hold +0.0. */
void exchange_begin(exchange *x);
uint64_t *exchange_touched(exchange *x);

/* Not collective, never blocks. T over this rank's leaves is in gradients' `bucket`: its sum may start. Same sequence of buckets on every
 * rank, each once a round. Other parts of the bucket hold scratch afterwards. */
void exchange_ready(exchange *x, int bucket);

/* Not collective, never blocks. Every rank's slice of the bucket goes to all; same sequence on every rank. array: exchange_weights(), whose
 * slices may be changed again after the next collective that follows exchange_finish(); or any other (elements), which goes by messages. */
void exchange_gather_start(exchange *x, int bucket, float *array);

/* Not collective, never blocks. Moves what is under way. True: something moved. One thread at a time calls into x. */
bool exchange_poll(exchange *x);
bool exchange_idle(const exchange *x);           /* nothing is under way */

/* Not collective, waits. The gather of this bucket, if one was started, is done: all its weights are here. Others may still be under way. */
void exchange_await(exchange *x, int bucket);

/* Collective. Until all that was started is done. */
void exchange_finish(exchange *x);

void exchange_gather(exchange *x, int bucket, float *array);         /* Collective: start and finish */

/* Collective. block: one double per PLAN_BLOCK of the whole array; each rank filled those of its slices; all get all. */
void exchange_gather_blocks(exchange *x, double *block);

/* All count from the last call. bytes: of sums and gathers, sent and read from others' windows, by this rank: on average over ranks
 * 2 (np-1)/np * 4 bytes an element; those of row_bucket's sum apart. wait: seconds in which this rank had nothing but the exchange to do
 * and nothing moved, norm blocks included. */
typedef struct exchange_count { uint64_t bytes, row_bytes; double wait_seconds; } exchange_count;
exchange_count exchange_counted(exchange *x);

/* Benchmarks only: messages, reads and adds are left out until switched on again; the sums are wrong. Same on every rank, between rounds. */
void exchange_mute(exchange *x, bool mute);
#endif
