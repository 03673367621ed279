/* trainer/mover.h - who moves the gradient exchange while backward runs.
 *
 *     mover_begin(m);                                       a round: the exchange's, and the counter of leaves starts anew
 *     network_backward(..., mover_progress(m));             the last leaf: its buckets go out as they are ready
 *     mover_finish(m);                                      this rank's slices are sums over all ranks
 *
 * Poll: the computing thread calls the exchange between matrix tiles and layers. Thread: one more thread does nothing else while the last leaf's
 * gradients are computed; worth it where a core is spare for it. Either way one thread at a time talks to MPI. The gather of new weights goes on
 * between tiles of the next forward pass, which waits for each layer's weights only when it comes to that layer. */
#ifndef TRAINER_MOVER_H
#define TRAINER_MOVER_H
#include "comm/exchange.h"       /* exchange, tree, plan */
#include "trainer/network.h"     /* network_progress */

enum { MOVER_AUTO, MOVER_POLL, MOVER_THREAD };

typedef struct mover mover;

/* Not collective. All borrowed. threaded: MPI must have given at least SERIALIZED (comm->serialized). */
mover *mover_new(exchange *x, tree *t, const plan *p, bool threaded);
void mover_free(mover *m);                       /* NULL is allowed */

void mover_await(void *mover, int bucket);       /* for network_set_await(): waits for the gather of these weights */
void mover_begin(mover *m);                      /* Collective. After the first forward pass */
const network_progress *mover_progress(mover *m);
void mover_finish(mover *m);                     /* Collective */
#endif
