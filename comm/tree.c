/* comm/tree.c - the tree over a rank's own leaves: a binary counter. See tree.h.
 *
 * An even leaf is written into the first buffer above the waiting partial sums; an odd one is added to the leaf before it, which waits on
 * top. Then, as in counting, equal neighbours merge downwards:
 *
 *     after leaf     0       1        2           3          4             5             6                  7
 *     buffer 0      [0]    [0-1]    [0-1]       [0-3]      [0-3]         [0-3]         [0-3]              [0-7]
 *     buffer 1                      [2]                    [4]           [4-5]         [4-5]
 *     buffer 2                                                                         [6]
 *     written to     0               1                      1                           2
 *     added to               0                    1                        1                               2
 *
 * An even leaf i needs one buffer more than i has bits set, an odd one none besides; so 2^j leaves need max(1, j). The sum is always in
 * buffer 0. */
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include "base/fail.h"
#include "comm/floats.h"
#include "comm/tree.h"

enum { DEEPEST = 32 };        /* bits of a leaf's index, and one */

struct tree {
    size_t elements;
    int leaves, buffers;
    int pushed;               /* leaves so far */
    int height;               /* partial sums that wait: bits set in pushed */
    float *buffer[DEEPEST];
    bool borrowed;            /* buffer 0 */
};

static int bits_set(int i) {
    int n = 0;
    for (; i; i &= i - 1) n++;
    return n;
}

static int buffers_for(int leaves) {
    int most = 1;
    for (int i = 2; i < leaves; i += 2) {
        int n = bits_set(i) + 1;
        if (n > most) most = n;
    }
    return most;
}

tree *tree_new(size_t elements, int leaves, float *bottom) {
    assert(leaves >= 1);
    tree *t = must_zalloc(1, sizeof *t);
    t->elements = elements;
    t->leaves = leaves;
    t->buffers = buffers_for(leaves);
    t->borrowed = bottom != NULL;
    t->buffer[0] = bottom ? bottom : floats_new(elements);
    for (int i = 1; i < t->buffers; i++) t->buffer[i] = floats_new(elements);
    return t;
}

size_t tree_bytes(size_t elements, int leaves) {
    return (size_t)buffers_for(leaves) * elements * sizeof(float);
}

/* An odd leaf joins the one before it, on top of what waits. */
static bool odd(const tree *t) { return t->pushed % 2 == 1; }

float *tree_next(tree *t, bool *add) {
    assert(t->pushed < t->leaves && t->height - odd(t) < t->buffers);
    *add = odd(t);
    return t->buffer[t->height - odd(t)];
}

/* In this range, the partial sums of `upper` and of those below it are added, top first: one pass over memory. */
static void merge(tree *t, int upper, int merges, range r) {
    add_pair pairs[DEEPEST];
    float *part[DEEPEST];
    for (int i = 0; i < merges; i++) pairs[i] = (add_pair){upper - 1 - i, upper - i};
    for (int i = 0; i <= upper; i++) part[i] = t->buffer[i] + r.begin;
    if (merges) floats_add_pairs(part, pairs, merges, r.end - r.begin);
}

void tree_push(tree *t) {
    int merges = 0;
    for (int n = t->pushed; n & 1; n >>= 1) merges++;
    if (odd(t)) {                    /* the first of them is done */
        merges--;
        t->height--;
    }
    merge(t, t->height, merges, (range){0, t->elements});
    t->pushed++;
    t->height += 1 - merges;
}

/* The leaf stands above all that wait, or in the topmost; whatever its carries would leave is added at the end anyway: all of it, in the
 * same order. */
void tree_finish(tree *t, range r) {
    assert(t->pushed == t->leaves - 1 && r.end <= t->elements);
    int top = t->height - odd(t);
    merge(t, top, top, r);
}

void tree_reset(tree *t) { t->pushed = t->height = 0; }

float *tree_end(tree *t) {
    assert(t->pushed >= 1);
    if (t->height > 1) merge(t, t->height - 1, t->height - 1, (range){0, t->elements});
    tree_reset(t);
    return t->buffer[0];
}

void tree_free(tree *t) {
    if (!t) return;
    for (int i = t->borrowed; i < t->buffers; i++) free(t->buffer[i]);
    free(t);
}

/* Equal runs of stride leaves merge first, a shorter one at the end joins later: the same T, without recursion. */
void tree_sum_f64(double *values, int leaves, int count) {
    size_t n = (size_t)leaves, width = (size_t)count;
    for (size_t stride = 1; stride < n; stride *= 2) {
        for (size_t i = 0; i + stride < n; i += 2 * stride) {
            for (size_t c = 0; c < width; c++) values[i * width + c] += values[(i + stride) * width + c];
        }
    }
}
