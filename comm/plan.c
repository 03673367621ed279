/* comm/plan.c - see plan.h. Drawn for 6 ranks (q = 3, k = 1) and a bucket of 12 blocks:
 *
 *     block        0  1  2  3  4  5 | 6  7  8  9 10 11      halving by bit 0 of the rank
 *     rank         0  0  2  2  4  4 | 1  1  3  3  5  5      then part rank >> 1 of 3 */
#include "comm/plan.h"
#include <assert.h>
#include <stdlib.h>
#include "base/fail.h"

/* Part i of n of a range, cut at blocks: lengths differ by at most one block. */
static range part_of(range r, size_t i, size_t n) {
    size_t blocks = (r.end - r.begin) / PLAN_BLOCK;
    return (range){r.begin + blocks * i / n * PLAN_BLOCK, r.begin + blocks * (i + 1) / n * PLAN_BLOCK};
}

plan *plan_new(int ranks, size_t elements, const range *bucket, int buckets) {
    assert(ranks >= 1 && buckets >= 0 && elements % PLAN_BLOCK == 0);
    plan *p = must_zalloc(1, sizeof *p);
    p->ranks = p->q = ranks;
    for (; p->q % 2 == 0; p->q /= 2) p->k++;
    p->elements = elements;
    p->buckets = buckets;
    p->bucket = must_alloc((size_t)buckets + 1, sizeof *p->bucket);   /* + 1: an empty list is a list */
    size_t covered = 0;
    for (int b = 0; b < buckets; b++) {
        assert(bucket[b].begin % PLAN_BLOCK == 0 && bucket[b].end % PLAN_BLOCK == 0);
        assert(bucket[b].begin <= bucket[b].end && bucket[b].end <= elements);
        p->bucket[b] = bucket[b];
        covered += bucket[b].end - bucket[b].begin;
    }
    assert(buckets == 0 || covered == elements);
    (void)covered;
    return p;
}

void plan_free(plan *p) {
    if (!p) return;
    free(p->bucket);
    free(p);
}

range plan_half_of(const plan *p, int rank, int bucket, int round) {
    assert(rank >= 0 && rank < p->ranks && bucket >= 0 && bucket < p->buckets && round >= 0 && round <= p->k);
    range r = p->bucket[bucket];
    for (int s = 0; s < round; s++) r = part_of(r, (size_t)(rank >> s & 1), 2);
    return r;
}

range plan_slice_of(const plan *p, int rank, int bucket) {
    return part_of(plan_half_of(p, rank, bucket, p->k), (size_t)(rank >> p->k), (size_t)p->q);
}

size_t plan_owned(const plan *p, int rank) {
    size_t sum = 0;
    for (int b = 0; b < p->buckets; b++) {
        range r = plan_slice_of(p, rank, b);
        sum += r.end - r.begin;
    }
    return sum;
}

range plan_leaves(int leaves, int ranks, int rank) {
    assert(ranks >= 1 && rank >= 0 && rank < ranks && leaves >= 0);
    size_t m = (size_t)leaves, n = (size_t)ranks, r = (size_t)rank;
    return (range){r * m / n, (r + 1) * m / n};
}
