// np: 1 2 3 4 5 6 8 12 16
/* The sum over all ranks equals a serial tree over all leaves, bit for bit; the gathers bring everything everywhere; bytes are at the bound. */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "comm/exchange.h"

static int failures;
static comm *c;

#define CHECK(good, ...) do { if (!(good) && failures++ < 5) { fprintf(stderr, "rank %d of %d: ", c->rank, c->size); fprintf(stderr, __VA_ARGS__); \
    fprintf(stderr, "\n"); } } while (0)

static float leaf_value(size_t leaf, size_t element) {          /* exponents vary by 2^31 */
    uint64_t h = (leaf * 1000003u + element + 1) * 0x9e3779b97f4a7c15u;
    h = (h ^ h >> 29) * 0xbf58476d1ce4e5b9u;
    h ^= h >> 32;
    return ((float)(h >> 40) - 8388608.0f) / (float)(1u << (h & 31));
}

static float T(size_t lo, size_t n, size_t element) {
    if (n == 1) return leaf_value(lo, element);
    size_t p = 1;
    while (2 * p < n) p *= 2;
    return T(lo, p, element) + T(lo + p, n - p, element);
}

static bool power_of_two(size_t n) { return n && !(n & (n - 1)); }

/* Against the serial tree where M / np is a power of two, else against doubles to rounding. */
static void check_slice(const plan *p, const float *g, int leaves, size_t message) {
    bool exact = leaves % c->size == 0 && (power_of_two((size_t)(leaves / c->size)) || c->size == 1);
    for (int b = 0; b < p->buckets; b++) {
        range s = plan_slice_of(p, c->rank, b);
        for (size_t e = s.begin; e < s.end; e++) {
            if (exact) {
                float expected = T(0, (size_t)leaves, e);
                CHECK(!memcmp(&g[e], &expected, sizeof expected), "M %d message %zu bucket %d element %zu: %a, the serial tree gives %a",
                      leaves, message, b, e, g[e], expected);
            } else {
                double expected = 0, size = 0, difference;
                for (size_t i = 0; i < (size_t)leaves; i++) {
                    double v = leaf_value(i, e);
                    expected += v;
                    size += v < 0 ? -v : v;
                }
                difference = g[e] - expected;
                CHECK(difference <= 1e-6 * size && -difference <= 1e-6 * size, "M %d element %zu: %a, in double %a", leaves, e, g[e], expected);
            }
        }
    }
}

static void check_sum(const plan *p, exchange *x, int leaves, size_t message) {
    range mine = plan_leaves(leaves, c->size, c->rank);
    tree *t = tree_new(p->elements, (int)(mine.end - mine.begin));
    for (size_t i = mine.begin; i < mine.end; i++) {
        float *g = tree_next(t);
        for (size_t e = 0; e < p->elements; e++) g[e] = leaf_value(i, e);
        tree_push(t);
    }
    float *g = tree_end(t);
    for (int b = 0; b < p->buckets; b++) exchange_sum(x, b, g);
    check_slice(p, g, leaves, message);
    tree_free(t);
}

/* Only the owners have the values, then everybody. Out of order of the buckets on purpose: any common order is allowed. */
static void check_gathers(const plan *p, exchange *x) {
    size_t blocks = p->elements / PLAN_BLOCK;
    float *weights = malloc(p->elements * sizeof *weights + 1);
    double *block = malloc(blocks * sizeof *block + 1);
    for (size_t e = 0; e < p->elements; e++) weights[e] = -1;
    for (size_t i = 0; i < blocks; i++) block[i] = -1;
    for (int b = 0; b < p->buckets; b++) {
        range s = plan_slice_of(p, c->rank, b);
        for (size_t e = s.begin; e < s.end; e++) weights[e] = leaf_value(7, e);
        for (size_t i = s.begin / PLAN_BLOCK; i < s.end / PLAN_BLOCK; i++) block[i] = 1.0 / (double)(i + 1);
    }
    for (int b = p->buckets - 1; b >= 0; b--) exchange_gather(x, b, weights);
    exchange_gather_blocks(x, block);
    for (size_t e = 0; e < p->elements; e++) CHECK(weights[e] == leaf_value(7, e), "gather, element %zu: %a, not %a", e, weights[e], leaf_value(7, e));
    for (size_t i = 0; i < blocks; i++) CHECK(block[i] == 1.0 / (double)(i + 1), "norm block %zu: %a", i, block[i]);
    free(weights);
    free(block);
}

/* Each element crosses np - 1 times on its way to the owner and np - 1 times back: that is the bound, met exactly in total. */
static void check_bytes(const plan *p, exchange *x) {
    int64_t total = (int64_t)exchange_bytes(x), most = total;
    comm_sum_i64(c, &total, 1);
    comm_max_i64(c, &most, 1);
    int64_t bound = 2 * (c->size - 1) * (int64_t)p->elements * 4;
    CHECK(total == bound, "%lld bytes sent in total, the bound is %lld", (long long)total, (long long)bound);
    int64_t slack = (int64_t)p->buckets * 2 * (p->k + p->q) * PLAN_BLOCK * 4;      /* a block per part of a bucket */
    CHECK(most * c->size <= bound + slack * c->size, "a rank sent %lld bytes of %lld", (long long)most, (long long)bound);
    CHECK(exchange_bytes(x) == 0, "the count was not reset");
    double waited = exchange_wait_seconds(x);
    CHECK(waited >= 0 && waited < 100 && exchange_wait_seconds(x) == 0, "waited %g s", waited);
}

static void run(const size_t *lengths, int buckets, size_t message, const int *per, int pers) {
    range bucket[8];
    size_t blocks = 0;
    for (int b = buckets - 1; b >= 0; b--) {
        bucket[b] = (range){blocks * PLAN_BLOCK, (blocks + lengths[b]) * PLAN_BLOCK};
        blocks += lengths[b];
    }
    plan *p = plan_new(c->size, blocks * PLAN_BLOCK, bucket, buckets);
    exchange *x = message ? exchange_new_cut(c, p, message) : exchange_new(c, p);
    for (int i = 0; i < pers; i++) {
        omp_set_num_threads(1 + i % 2);
        check_sum(p, x, per[i] > 0 ? per[i] * c->size : c->size + c->size / 2 + 1, message);
        exchange_bytes(x);
    }
    for (int b = 0; b < buckets && c->size > 1; b++) {
        float *g = calloc(p->elements, sizeof *g);
        exchange_sum(x, b, g);
        free(g);
    }
    check_gathers(p, x);
    check_bytes(p, x);
    exchange_free(x);
    plan_free(p);
}

int main(int argc, char **argv) {
    fail_init("test_exchange");
    c = comm_start(&argc, &argv);
    const int per[] = {1, 2, 4, 8, 3, 0};                       /* leaves a rank; 0: not the same number on all */
    const size_t primes[] = {7, 13, 0, 1}, one[] = {1}, many[] = {61, 2};
    run(NULL, 0, 0, per, 1);
    run(one, 1, 0, per, 6);
    run(primes, 4, 0, per, 6);
    run(primes, 4, 1000, per, 4);                               /* cut inside blocks */
    run(many, 2, 1 << 12, per + 1, 1);                          /* parts of several messages, larger than the cut */
    run(many, 2, 1, per, c->size == 3 ? 1 : 0);                 /* absurd, and still right */
    int64_t any = failures;
    comm_max_i64(c, &any, 1);
    return comm_finish(c, any > 0);
}
