// np: 1 2 3 4 5 6 8 12 16
/* The sum over all ranks equals a serial tree over all leaves, bit for bit, by messages and by shared windows, dense and by touched rows;
 * the gathers bring everything everywhere; bytes are at the bound. */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "comm/exchange.h"

enum { ROW = 700 };                                             /* elements: rows and norm blocks never agree */

static int failures;
static comm *c;
static const char *what;                                        /* the case at hand */
static range rows;                                              /* elements of the bucket that has rows; empty: none */
static size_t stride;                                           /* a leaf touches one row of so many */

#define CHECK(good, ...) do { if (!(good) && failures++ < 5) { fprintf(stderr, "rank %d of %d, %s: ", c->rank, c->size, what); \
    fprintf(stderr, __VA_ARGS__); fprintf(stderr, "\n"); } } while (0)

static uint64_t hash(uint64_t h) {
    h *= 0x9e3779b97f4a7c15u;
    h = (h ^ h >> 29) * 0xbf58476d1ce4e5b9u;
    return h ^ h >> 32;
}

static bool touches(size_t leaf, size_t row) { return hash(leaf * 1009 + row) % stride == 0; }

static float leaf_value(size_t leaf, size_t element) {          /* exponents vary by 2^31; rows that are not touched are +0.0 */
    if (element >= rows.begin && element < rows.end && !touches(leaf, (element - rows.begin) / ROW)) return 0;
    uint64_t h = hash(leaf * 1000003u + element + 1);
    return ((float)(h >> 40) - 8388608.0f) / (float)(1u << (h & 31));
}

static float T(size_t lo, size_t n, size_t element) {
    if (n == 1) return leaf_value(lo, element);
    size_t p = 1;
    while (2 * p < n) p *= 2;
    return T(lo, p, element) + T(lo + p, n - p, element);
}

static bool power_of_two(size_t n) { return n && !(n & (n - 1)); }

/* Sum in double and sum of sizes. */
static double in_double(int leaves, size_t e, double *size) {
    double sum = 0;
    *size = 0;
    for (size_t i = 0; i < (size_t)leaves; i++) {
        double v = leaf_value(i, e);
        sum += v;
        *size += fabs(v);
    }
    return sum;
}

/* Against the serial tree where M / np is a power of two, else (and when rounded on the way) against doubles. */
static void check_slices(const plan *p, const float *g, int leaves, bool rounded) {
    bool exact = !rounded && leaves % c->size == 0 && (power_of_two((size_t)(leaves / c->size)) || c->size == 1);
    for (int b = 0; b < p->buckets; b++) {
        range s = plan_slice_of(p, c->rank, b);
        for (size_t e = s.begin; e < s.end; e++) {
            if (exact) {
                float expected = T(0, (size_t)leaves, e);
                CHECK(!memcmp(&g[e], &expected, sizeof expected), "M %d bucket %d element %zu: %a, the serial tree gives %a", leaves, b, e, g[e],
                      expected);
            } else {
                double size, expected = in_double(leaves, e, &size), limit = (rounded ? p->k + 1 : 3e-4) / 256;
                CHECK(fabs(g[e] - expected) <= limit * size, "M %d element %zu: %a, in double %a", leaves, e, g[e], expected);
            }
        }
    }
}

/* The last leaf bucket by bucket, with polls between that find much or nothing. */
static void check_sum(const plan *p, exchange *x, int leaves, bool rounded) {
    range mine = plan_leaves(leaves, c->size, c->rank);
    tree *t = tree_new(p->elements, (int)(mine.end - mine.begin), exchange_gradients(x));
    exchange_begin(x);
    for (size_t i = mine.begin; i < mine.end; i++) {
        bool add;
        float *g = tree_next(t, &add);
        for (size_t e = 0; e < p->elements; e++) g[e] = add ? g[e] + leaf_value(i, e) : leaf_value(i, e);
        for (size_t row = 0; row * ROW < rows.end - rows.begin; row++)
            if (touches(i, row)) exchange_touched(x)[row / 64] |= 1ull << row % 64;
        if (i + 1 < mine.end) tree_push(t);
    }
    for (int b = 0; b < p->buckets; b++) {
        tree_finish(t, p->bucket[b]);
        exchange_ready(x, b);
        for (int i = (b + c->rank) % 3; i > 0; i--) exchange_poll(x);
    }
    tree_reset(t);
    exchange_finish(x);
    CHECK(exchange_idle(x), "not idle after finish");
    check_slices(p, exchange_gradients(x), leaves, rounded);
    tree_free(t);
}

/* Only the owners have the values, then everybody. Out of order of the buckets on purpose: any common order is allowed. */
static void check_gather(const plan *p, exchange *x, float *weights, size_t elements, size_t leaf) {
    for (size_t e = 0; e < elements; e++) weights[e] = -1;
    comm_barrier(c);
    for (int b = p->buckets - 1; b >= 0; b--) {
        range s = plan_slice_of(p, c->rank, b);
        for (size_t e = s.begin; e < s.end; e++) weights[e] = leaf_value(leaf, e);
        exchange_gather_start(x, b, weights);
        exchange_poll(x);
    }
    for (int b = 0; b < p->buckets; b++) {                      /* awaited in another order than they were started */
        exchange_await(x, b);
        for (size_t e = p->bucket[b].begin; e < p->bucket[b].end; e++) CHECK(weights[e] == leaf_value(leaf, e), "awaited, element %zu: %a", e, weights[e]);
    }
    exchange_finish(x);
    for (size_t e = 0; e < elements; e++) CHECK(weights[e] == leaf_value(leaf, e), "gather, element %zu: %a, not %a", e, weights[e], leaf_value(leaf, e));
    comm_barrier(c);
}

static void check_gathers(const plan *p, exchange *x) {
    size_t blocks = p->elements / PLAN_BLOCK;
    float *other = malloc(p->elements * sizeof *other + 1);
    double *block = malloc(blocks * sizeof *block + 1);
    for (size_t leaf = 7; leaf < 9; leaf++) check_gather(p, x, exchange_weights(x), p->elements, leaf);
    check_gather(p, x, other, p->elements, 9);
    for (size_t i = 0; i < blocks; i++) block[i] = -1;
    for (int b = 0; b < p->buckets; b++) {
        range s = plan_slice_of(p, c->rank, b);
        for (size_t i = s.begin / PLAN_BLOCK; i < s.end / PLAN_BLOCK; i++) block[i] = 1.0 / (double)(i + 1);
    }
    exchange_gather_blocks(x, block);
    for (size_t i = 0; i < blocks; i++) CHECK(block[i] == 1.0 / (double)(i + 1), "norm block %zu: %a", i, block[i]);
    free(other);
    free(block);
}

/* Each element crosses np - 1 times on its way to the owner and np - 1 times back: that is the bound, met exactly in total. Of rows that
 * are touched, in one direction: at most as much, and less when few are. */
static void check_bytes(const plan *p, exchange *x, int sums, int gathers, bool rounded) {
    exchange_count n = exchange_counted(x);
    size_t row_elements = rows.end - rows.begin;
    int64_t total[2] = {(int64_t)n.bytes, (int64_t)n.row_bytes}, most = total[0];
    comm_sum_i64(c, total, 2);
    comm_max_i64(c, &most, 1);
    int64_t once = (c->size - 1) * 4, sum = once * (int64_t)(p->elements - row_elements), bound = sums * sum + gathers * once * (int64_t)p->elements;
    int64_t slack = (sums + gathers) * (int64_t)p->buckets * c->size * PLAN_BLOCK * 4;      /* a block of each bucket, for or from each rank */
    if (!rounded) CHECK(total[0] == bound, "%lld bytes in total, the bound is %lld", (long long)total[0], (long long)bound);
    else CHECK(total[0] < bound || bound == 0, "%lld bytes in total rounded, %lld as they are", (long long)total[0], (long long)bound);
    CHECK(most * c->size <= bound + slack * c->size, "a rank sent %lld bytes of %lld", (long long)most, (long long)bound);
    int64_t dense = sums * once * (int64_t)row_elements;
    CHECK(total[1] <= dense + dense / 50, "%lld bytes of rows, dense %lld", (long long)total[1], (long long)dense);
    if (row_elements && stride > 40 && c->size > 1)
        CHECK(total[1] > 0 && total[1] < dense / 2, "%lld bytes of few rows, dense %lld", (long long)total[1], (long long)dense);
    n = exchange_counted(x);
    CHECK(n.bytes == 0 && n.row_bytes == 0 && n.wait_seconds == 0, "the count was not reset");
}

typedef struct trial {
    const size_t *lengths;               /* blocks of each bucket */
    int buckets;
    size_t stride;                       /* > 0: the last bucket has rows, a leaf touches one of so many */
    int per[8];                          /* leaves a rank, ends with 0; -1: not the same number on all */
    exchange_options options;
} trial;

static plan *plan_of(const trial *t) {
    range bucket[8];
    size_t blocks = 0;
    for (int b = t->buckets - 1; b >= 0; b--) {
        bucket[b] = (range){blocks * PLAN_BLOCK, (blocks + t->lengths[b]) * PLAN_BLOCK};
        blocks += t->lengths[b];
    }
    return plan_new(c->size, blocks * PLAN_BLOCK, bucket, t->buckets);
}

static void run(const char *name, const trial *t, int path, int node_ranks) {
    char text[96];
    snprintf(text, sizeof text, "%s, %s, %d a node", name, path == EXCHANGE_WINDOWS ? "windows" : "messages", node_ranks);
    what = text;
    plan *p = plan_of(t);
    exchange_options o = t->options;
    o.path = path;
    o.node_ranks = node_ranks;
    o.weights = p->elements;
    rows = (range){0, 0};
    stride = t->stride;
    if (stride) {
        o.row_bucket = t->buckets - 1;
        o.row_elements = ROW;
        rows = p->bucket[o.row_bucket];
    }
    bool rounded = o.wire == EXCHANGE_BF16;
    int sums = 0;
    exchange *x = exchange_new(c, p, &o);
    CHECK(!strcmp(exchange_path(x), path == EXCHANGE_WINDOWS ? "shared windows" : "messages"), "path is %s", exchange_path(x));
    for (; t->per[sums]; sums++) {
        omp_set_num_threads(1 + sums % 2);
        check_sum(p, x, t->per[sums] > 0 ? t->per[sums] * c->size : c->size + c->size / 2 + 1, rounded);
    }
    check_bytes(p, x, sums, 0, rounded);
    rows = (range){0, 0};                                       /* weights have none */
    check_gathers(p, x);
    check_bytes(p, x, 0, 3, false);
    exchange_free(x);
    plan_free(p);
}

/* By messages, and with every number of ranks that can be a node. */
static void run_all(const char *name, const trial *t) {
    run(name, t, EXCHANGE_MESSAGES, 0);
    for (int n = 2; n <= c->size; n *= 2)
        if (c->size % n == 0) run(name, t, EXCHANGE_WINDOWS, n);
}

/* Left out when muted, there again afterwards. */
static void check_mute(void) {
    what = "mute";
    const size_t length[] = {3};
    trial t = { .lengths = length, .buckets = 1 };
    plan *p = plan_of(&t);
    exchange *x = exchange_new(c, p, NULL);
    rows = (range){0, 0};
    exchange_mute(x, true);
    exchange_begin(x);
    for (size_t e = 0; e < p->elements; e++) exchange_gradients(x)[e] = (float)c->rank;
    exchange_ready(x, 0);
    exchange_finish(x);
    CHECK(exchange_counted(x).bytes == 0, "bytes while muted");
    exchange_mute(x, false);
    check_sum(p, x, c->size, false);
    exchange_free(x);
    plan_free(p);
}

int main(int argc, char **argv) {
    fail_init("test_exchange");
    c = comm_start(&argc, &argv);
    const size_t primes[] = {7, 13, 0, 1}, one[] = {1}, many[] = {61, 2}, with_rows[] = {5, 11, 31};
    run_all("no buckets", &(trial){ .per = {1} });
    run_all("one block", &(trial){ .lengths = one, .buckets = 1, .per = {1, 2, 4} });
    run_all("primes", &(trial){ .lengths = primes, .buckets = 4, .per = {1, 2, 4, 8, 3, -1} });
    run_all("cut inside blocks", &(trial){ .lengths = primes, .buckets = 4, .per = {1, 2}, .options.message = 1000 });
    run_all("many messages", &(trial){ .lengths = many, .buckets = 2, .per = {2}, .options.message = 1 << 12 });
    run_all("few rows", &(trial){ .lengths = with_rows, .buckets = 3, .stride = 41, .per = {1}, .options.message = 1 << 12 });
    run_all("some rows", &(trial){ .lengths = with_rows, .buckets = 3, .stride = 5, .per = {1, 2, -1}, .options.message = 1000 });
    run_all("half of the rows", &(trial){ .lengths = with_rows, .buckets = 3, .stride = 2, .per = {1} });
    run_all("all rows", &(trial){ .lengths = with_rows, .buckets = 3, .stride = 1, .per = {2} });
    run("bfloat16", &(trial){ .lengths = with_rows, .buckets = 3, .stride = 5, .per = {1, 2}, .options.wire = EXCHANGE_BF16 }, EXCHANGE_MESSAGES, 0);
    if (c->size == 3) run("one element a message", &(trial){ .lengths = one, .buckets = 1, .per = {2}, .options.message = 1 }, EXCHANGE_MESSAGES, 0);
    check_mute();
    int64_t any = failures;
    comm_max_i64(c, &any, 1);
    return comm_finish(c, any > 0);
}
