/* comm/node.h - ranks of one node read each other's memory instead of sending.
 *
 *     rank 0's window     | counters | touched rows | gradients           | weights |
 *     rank 1's window     | counters | touched rows | gradients           | weights |
 *
 *     sum      rank r adds its part (plan_half_of) of all ranks' gradients in tree order, into its own: nobody else's memory is written
 *     gather   rank r copies every other rank's part of the weights into its own
 *
 * A rank says by a counter how often each bucket was ready; readers wait for it (acquire), the writer publishes it (release).
 * Promise: nothing blocks; the bits are those of halving by messages. Inner to comm/. */
#ifndef COMM_NODE_H
#define COMM_NODE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "comm/comm.h"   /* comm */
#include "comm/plan.h"   /* plan */
#include "comm/wire.h"   /* wire */

typedef struct node node;

typedef struct node_setup {
    const plan *plan;
    int ranks;                   /* of a node, 2^rounds, consecutive */
    size_t weights;              /* elements */
    int row_bucket;              /* -1: none */
    const wire *rows;            /* borrowed: rows that come in are marked there */
    size_t row_words;            /* 64-bit words of a rank's touched rows */
} node_setup;

/* Collective. How many ranks a node has when windows can be used: 2^j > 1, the same on all nodes, as large as node_ranks wants (0: the nodes
 * as they are); and /dev/shm has room for `bytes` a rank. Else 0, and why (a sentence's part; "" where it needs no saying). */
int node_usable(comm *c, int node_ranks, size_t bytes, char *why, size_t size);

size_t node_bytes(const node_setup *s);      /* of a rank's window */
node *node_new(comm *c, const node_setup *s);             /* Collective */
void node_free(node *n);                                  /* Collective. NULL is allowed */

float *node_gradients(node *n);              /* this rank's */
float *node_weights(node *n);
uint64_t *node_touched(node *n);

/* My part of the bucket may be read by the others: gradients whole, or new weights. */
void node_publish(node *n, int bucket, bool gather);

/* Not collective, never blocks. Goes on with my part of this bucket's sum, or with its copy; one bucket after the other. True: something was
 * done. *finished: all of it. */
bool node_work(node *n, int bucket, bool gather, bool *finished);

/* All ranks of the node have read all gradients that were summed so far: mine may be written again. */
bool node_released(node *n);

/* Bytes read from others' windows, from the last call. */
typedef struct node_count { uint64_t bytes, row_bytes; } node_count;
node_count node_counted(node *n);
#endif
