/* comm/plan.h - which rank owns which part of the flat gradient: arithmetic only, no messages.
 *
 * The flat array is a whole number of blocks of PLAN_BLOCK elements (every tensor starts at a block); it is cut into buckets,
 * bucket 0 the first that backward finishes. Slices are cut at blocks. np = q * 2^k, q odd.
 * slice_of(rank, bucket): k halvings by the rank's low bits, nearest first (bit 0 chooses the half), then part rank>>k of q. */
#ifndef COMM_PLAN_H
#define COMM_PLAN_H
#include <stddef.h>

enum { PLAN_BLOCK = 1024 };   /* elements of a norm block */

typedef struct range { size_t begin, end; } range;      /* elements, multiples of PLAN_BLOCK */

typedef struct plan {
    int ranks, q, k;          /* ranks = q * 2^k */
    size_t elements;          /* of the flat array */
    int buckets;
    range *bucket;            /* [buckets], disjoint, together the whole array; owned */
} plan;

/* Not collective. Copies the bucket ranges. */
plan *plan_new(int ranks, size_t elements, const range *bucket, int buckets);
void plan_free(plan *p);

/* The one function that says who owns what; may be empty for small buckets. */
range plan_slice_of(const plan *p, int rank, int bucket);

/* The range that `rank` still works on after `round` halvings of a bucket (round 0: the whole bucket; round k: before the q parts). */
range plan_half_of(const plan *p, int rank, int bucket, int round);

/* Elements owned by a rank over all buckets: what its moments need. */
size_t plan_owned(const plan *p, int rank);

/* The leaves of a rank: [r*M/np, (r+1)*M/np). */
range plan_leaves(int leaves, int ranks, int rank);
#endif
