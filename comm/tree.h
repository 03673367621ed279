/* comm/tree.h - T over a rank's own leaves: a binary counter (drawn in tree.c). Part of comm/exchange.h.
 *
 *     tree *t = tree_new(elements, leaves, bottom);
 *     for each leaf: backward(..., tree_next(t, &add), add); tree_push(t);
 *     float *g = tree_end(t);                     T over all leaves
 *
 * or, for the last leaf, range by range: backward(..., tree_next(t, &add), add); tree_finish(t, r) for ranges that cover all; tree_reset(t). */
#ifndef COMM_TREE_H
#define COMM_TREE_H
#include <stdbool.h>
#include <stddef.h>
#include "comm/plan.h"   /* range */

typedef struct tree tree;

/* Not collective. Buffers for a binary counter over `leaves` leaves of `elements` floats, made here, none later. bottom: the one that the sum
 * ends in (elements), borrowed; NULL: the tree's own. */
tree *tree_new(size_t elements, int leaves, float *bottom);
float *tree_next(tree *t, bool *add);            /* buffer (elements) for the next leaf's gradient: written whole, or added to when *add */
void tree_push(tree *t);                         /* the leaf in it is complete: carries run */
void tree_finish(tree *t, range r);              /* the last leaf, not pushed, is complete in this range: its sums run down into the bottom */
float *tree_end(tree *t);                        /* T over the leaves pushed, in the bottom; resets the counter */
void tree_reset(tree *t);                        /* the counter starts anew */
size_t tree_bytes(size_t elements, int leaves);  /* all buffers, the bottom included */
void tree_free(tree *t);

/* The same order for doubles per leaf (loss, metrics): adds in place, values (leaves, count), result in values[0..count). */
void tree_sum_f64(double *values, int leaves, int count);
#endif
