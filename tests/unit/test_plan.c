/* Ownership and the leaf tree, without messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "comm/exchange.h"
#include "comm/floats.h"
#include "comm/plan.h"
#include <cmocka.h>   /* last: it makes fail a macro */

static void powers_of_np(void **state) {
    (void)state;
    static const int expected[][3] = {{1, 1, 0}, {2, 1, 1}, {3, 3, 0}, {6, 3, 1}, {12, 3, 2}, {16, 1, 4}, {40, 5, 3}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        plan *p = plan_new(expected[i][0], 0, NULL, 0);
        assert_int_equal(p->q, expected[i][1]);
        assert_int_equal(p->k, expected[i][2]);
        assert_int_equal(plan_owned(p, expected[i][0] - 1), 0);
        plan_free(p);
    }
}

/* Every block has one owner; a rank's ranges shrink inside each other; loads differ by less than a round or a bucket can round. */
static void every_block_has_one_owner(void **state) {
    (void)state;
    static const size_t lengths[] = {1, 0, 13, 97, 2, 256};
    range bucket[6];
    size_t blocks = 0;
    for (int b = 5; b >= 0; b--) {              /* bucket 0 lies at the end, as in the model */
        bucket[b] = (range){blocks * PLAN_BLOCK, (blocks + lengths[b]) * PLAN_BLOCK};
        blocks += lengths[b];
    }
    for (int ranks = 1; ranks <= 48; ranks++) {
        plan *p = plan_new(ranks, blocks * PLAN_BLOCK, bucket, 6);
        int *owners = calloc(blocks, sizeof *owners);
        size_t owned = 0;
        for (int r = 0; r < ranks; r++) {
            owned += plan_owned(p, r);
            for (int b = 0; b < 6; b++) {
                range s = plan_slice_of(p, r, b), outer = plan_half_of(p, r, b, 0);
                assert_int_equal(s.begin % PLAN_BLOCK, 0);
                assert_int_equal(s.end % PLAN_BLOCK, 0);
                assert_memory_equal(&outer, &bucket[b], sizeof outer);
                for (int round = 1; round <= p->k; round++) {
                    range inner = plan_half_of(p, r, b, round);
                    assert_true(inner.begin >= outer.begin && inner.end <= outer.end);
                    outer = inner;
                }
                assert_true(s.begin >= outer.begin && s.end <= outer.end);
                assert_true((s.end - s.begin) / PLAN_BLOCK <= lengths[b] / (size_t)ranks + 2);
                for (size_t i = s.begin / PLAN_BLOCK; i < s.end / PLAN_BLOCK; i++) owners[i]++;
            }
        }
        assert_int_equal(owned, blocks * PLAN_BLOCK);
        for (size_t i = 0; i < blocks; i++) assert_int_equal(owners[i], 1);
        free(owners);
        plan_free(p);
    }
}

/* The drawing in plan.c. */
static void six_ranks_as_drawn(void **state) {
    (void)state;
    static const int owner[12] = {0, 0, 2, 2, 4, 4, 1, 1, 3, 3, 5, 5};
    range bucket = {0, 12 * PLAN_BLOCK};
    plan *p = plan_new(6, 12 * PLAN_BLOCK, &bucket, 1);
    for (size_t i = 0; i < 12; i++) {
        range s = plan_slice_of(p, owner[i], 0);
        assert_in_range(i * PLAN_BLOCK, s.begin, s.end - 1);
    }
    plan_free(p);
}

static void equal_buckets_have_equal_owners(void **state) {
    (void)state;
    range bucket[2] = {{0, 37 * PLAN_BLOCK}, {37 * PLAN_BLOCK, 74 * PLAN_BLOCK}};
    for (int ranks = 1; ranks <= 16; ranks++) {
        plan *p = plan_new(ranks, 74 * PLAN_BLOCK, bucket, 2);
        for (int r = 0; r < ranks; r++) {
            range a = plan_slice_of(p, r, 0), b = plan_slice_of(p, r, 1);
            assert_int_equal(a.begin + 37 * PLAN_BLOCK, b.begin);
            assert_int_equal(a.end + 37 * PLAN_BLOCK, b.end);
        }
        plan_free(p);
    }
}

static void leaves_are_shared_out(void **state) {
    (void)state;
    for (int ranks = 1; ranks <= 9; ranks++) {
        for (int leaves = ranks; leaves <= 40; leaves++) {
            size_t next = 0;
            for (int r = 0; r < ranks; r++) {
                range l = plan_leaves(leaves, ranks, r);
                assert_int_equal(l.begin, next);
                assert_true(l.end > l.begin);
                next = l.end;
            }
            assert_int_equal(next, leaves);
        }
    }
    range last = plan_leaves(2147483647, 64, 63);     /* no overflow */
    assert_int_equal(last.end, 2147483647);
}

/* Values of widely varying exponents: any other order gives other bits. */
static float leaf_value(size_t leaf, size_t element) {
    uint64_t h = (leaf * 1000003u + element + 1) * 0x9e3779b97f4a7c15u;
    h = (h ^ h >> 29) * 0xbf58476d1ce4e5b9u;
    h ^= h >> 32;
    float scale = 1;
    for (uint64_t i = 0; i < (h & 31); i++) scale *= 0.5f;
    return ((float)(h >> 40) - 8388608.0f) * scale;
}

static float T(size_t lo, size_t n, size_t element) {
    if (n == 1) return leaf_value(lo, element);
    size_t p = 1;
    while (2 * p < n) p *= 2;
    return T(lo, p, element) + T(lo + p, n - p, element);
}

static double T64(size_t lo, size_t n) {
    if (n == 1) return (double)leaf_value(lo, 0) + 1.0 / (double)(lo + 3);
    size_t p = 1;
    while (2 * p < n) p *= 2;
    return T64(lo, p) + T64(lo + p, n - p);
}

static void counter_gives_the_tree(void **state) {
    (void)state;
    enum { N = 70001 };                               /* more than 16 blocks: threads share them */
    size_t linear_differs = 0;
    for (int leaves = 1; leaves <= 17; leaves++) {
        tree *t = tree_new(N, leaves, NULL);
        for (int twice = 0; twice < 2; twice++) {     /* the counter starts anew */
            for (int i = 0; i < leaves; i++) {
                bool add;
                float *g = tree_next(t, &add);
                assert_int_equal(add, i % 2);
                for (size_t e = 0; e < N; e += 7) g[e] = add ? g[e] + leaf_value((size_t)i, e) : leaf_value((size_t)i, e);
                tree_push(t);
            }
            const float *sum = tree_end(t);
            for (size_t e = 0; e < N; e += 7) {
                float expected = T(0, (size_t)leaves, e), linear = 0;
                if (memcmp(&sum[e], &expected, sizeof expected)) fail_msg("%d leaves, element %zu: %a, not %a", leaves, e, sum[e], expected);
                for (int i = 0; i < leaves; i++) linear += leaf_value((size_t)i, e);
                linear_differs += linear != expected;
            }
        }
        tree_free(t);
    }
    assert_true(linear_differs > 10000);              /* the values can tell orders apart */
}

static void buffers_are_few(void **state) {
    (void)state;
    static const size_t expected[][2] = {{1, 1}, {2, 1}, {3, 2}, {4, 2}, {8, 3}, {12, 3}, {16, 4}, {32, 5}, {64, 6}, {96, 6}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        assert_int_equal(tree_bytes(1000, (int)expected[i][0]), expected[i][1] * 4000);
    }
}

static void doubles_have_the_same_order(void **state) {
    (void)state;
    for (size_t n = 1; n <= 70; n++) {
        double values[70][2];
        for (size_t i = 0; i < n; i++) {
            values[i][0] = (double)leaf_value(i, 0) + 1.0 / (double)(i + 3);
            values[i][1] = -values[i][0];
        }
        tree_sum_f64(values[0], (int)n, 2);
        double expected = T64(0, n);
        if (memcmp(&values[0][0], &expected, sizeof expected)) fail_msg("%zu leaves: %a, not %a", n, values[0][0], expected);
        assert_true(values[0][1] == -expected);
    }
}

/* Wherever the sum ends, it is T(n). */
static void sum_ends_at_home(void **state) {
    (void)state;
    enum { N = 33 };
    for (int n = 1; n <= 21; n++) {
        for (int home = 0; home < n; home++) {
            add_pair pairs[21];
            float *part[21];
            for (int i = 0; i < n; i++) {
                part[i] = floats_new(N);
                for (size_t e = 0; e < N; e++) part[i][e] = leaf_value((size_t)i, e);
            }
            floats_tree_pairs(pairs, n, home);
            floats_add_pairs(part, pairs, n - 1, N);
            for (size_t e = 0; e < N; e++) {
                float expected = T(0, (size_t)n, e);
                if (part[home][e] != expected) fail_msg("n %d home %d element %zu: %a, not %a", n, home, e, part[home][e], expected);
            }
            for (int i = 0; i < n; i++) free(part[i]);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(powers_of_np), cmocka_unit_test(every_block_has_one_owner), cmocka_unit_test(six_ranks_as_drawn),
        cmocka_unit_test(equal_buckets_have_equal_owners), cmocka_unit_test(leaves_are_shared_out), cmocka_unit_test(counter_gives_the_tree),
        cmocka_unit_test(buffers_are_few), cmocka_unit_test(doubles_have_the_same_order), cmocka_unit_test(sum_ends_at_home),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
