/* comm/exchange.h - the gradient sum over all micro-batches, in one fixed order.
 *
 * Promise: after exchange_sum() each rank holds its slice of T(M), and the bits depend on the leaves and their indices only: never on
 * the rank count (every np for which M/np is a power of two, and 1), the thread count or the message size.
 *
 *     tree *t = tree_new(elements, leaves_of_this_rank);     the rank's own leaves: a binary counter
 *     for each leaf: backward(..., tree_next(t)); tree_push(t);
 *     float *g = tree_end(t);                                 T over this rank's leaves
 *     for each bucket in order: exchange_sum(x, bucket, g);   this rank's slices of g are now sums over all ranks
 *     ... update the weights of my slices ...
 *     for each bucket: exchange_gather(x, bucket, weights);   every rank has all weights again
 *
 * Order: T(n) = T(p) + T(n-p), p the largest power of two below n, over leaves and over ranks alike (drawn in exchange.c). */
#ifndef COMM_EXCHANGE_H
#define COMM_EXCHANGE_H
#include <stddef.h>
#include <stdint.h>
#include "comm/comm.h"   /* comm */
#include "comm/plan.h"   /* plan */

typedef struct exchange exchange;
typedef struct tree tree;

/* Not collective. Buffers for a binary counter over `leaves` leaves of `elements` floats, made here, none later. */
tree *tree_new(size_t elements, int leaves);
float *tree_next(tree *t);       /* buffer (elements) for the next leaf's gradient; to be written whole */
void tree_push(tree *t);         /* the leaf in it is complete: carries run */
float *tree_end(tree *t);        /* T over the leaves pushed; borrowed until the next tree_next(); resets the counter */
size_t tree_bytes(size_t elements, int leaves);
void tree_free(tree *t);

/* The same order for doubles per leaf (loss, metrics): adds in place, values (leaves, count), result in values[0..count). */
void tree_sum_f64(double *values, int leaves, int count);

enum { EXCHANGE_MESSAGE = 1 << 20 };   /* elements: longer parts travel in messages of at most 4 MiB */

/* Collective. Scratch for two rounds of messages is made here, none later. p is borrowed. */
exchange *exchange_new(comm *c, const plan *p);
exchange *exchange_new_cut(comm *c, const plan *p, size_t message_elements);   /* same value on every rank; no effect on the bits */
void exchange_free(exchange *x);       /* Collective. NULL is allowed */

/* Collective, same sequence of buckets on every rank. Other parts of g's bucket hold scratch afterwards. */
void exchange_sum(exchange *x, int bucket, float *g);

/* Collective. Every rank's slice of the bucket is copied to all. */
void exchange_gather(exchange *x, int bucket, float *weights);

/* Collective. block: one double per PLAN_BLOCK of the whole array; each rank filled those of its slices; all get all. */
void exchange_gather_blocks(exchange *x, double *block);

/* Both count from the last call. Bytes of sums and gathers sent by this rank: on average over ranks 2 (np-1)/np * 4 bytes an element;
 * and seconds spent waiting in messages, norm blocks included. */
uint64_t exchange_bytes(exchange *x);
double exchange_wait_seconds(exchange *x);
#endif
