/* tests/unit/test_adamw.c - the kernels of AdamW and LAMB at every level against their double references. */
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include "base/rng.h"
#include "trainer/kernels/adamw.h"
#include "tests/check.h"

enum { N = 1024 };
typedef struct arrays { float w[N], m[N], v[N], g[N]; } arrays;

static bool supported(int level) {
#if defined(__x86_64__)
    if (level == 2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (level == 3)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl");
#endif
    return true;
}

static void fill(arrays *a) {
    rng_key k = rng_open(7, RNG_INIT, 0, 0, 0);
    for (uint64_t i = 0; i < N; i++) {
        double size = pow(10, 4 * rng_unit(k, 4 * i) - 6);         /* gradients from 1e-6 to 1e-2 */
        a->w[i] = (float)(0.02 * rng_normal(k, 4 * i + 1));
        a->g[i] = (float)(size * rng_normal(k, 4 * i + 2));
        a->m[i] = a->g[i] * 0.5f;
        a->v[i] = i % 7 == 0 ? 0 : a->g[i] * a->g[i];
    }
}

/* warn and pass limits as one: an update of size `step` differs by a few float roundings of w and of itself. */
static void test_levels_equal_reference(void **state) {
    (void)state;
    const adamw_step step = { .clip = 0.37, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-6, .step = 1e-3, .root = 1.7, .shrink = 1e-5 };
    static arrays wanted;
    fill(&wanted);
    adamw_update_at(0, &step, N, wanted.w, wanted.m, wanted.v, wanted.g);
    for (int level = 1; level <= 3; level++) {
        static arrays got;
        if (!supported(level)) continue;
        fill(&got);
        adamw_update_at(level, &step, N, got.w, got.m, got.v, got.g);
        for (int i = 0; i < N; i++) {
            double room = 1e-6 * fabs((double)wanted.w[i]) + 1e-6 * step.step * 10;
            if (fabs((double)got.w[i] - wanted.w[i]) > room) fail_msg("level %d, w[%d]: %.9g, wanted %.9g", level, i, got.w[i], wanted.w[i]);
            bool m_near = fabs((double)got.m[i] - wanted.m[i]) <= 3e-7 * fabs((double)wanted.m[i]);
            bool v_near = fabs((double)got.v[i] - wanted.v[i]) <= 3e-7 * fabs((double)wanted.v[i]);
            if (!m_near) fail_msg("level %d, m[%d]: %.9g, wanted %.9g", level, i, got.m[i], wanted.m[i]);
            if (!v_near) fail_msg("level %d, v[%d]: %.9g, wanted %.9g", level, i, got.v[i], wanted.v[i]);
        }
    }
}

/* One step by hand: g 2, no moments: m 0.2, v 0.004, corrected 2 and 4, so w moves by rate 2 / (2 + eps) and shrinks by rate decay w. */
static void test_first_step_by_hand(void **state) {
    (void)state;
    const adamw_step step = { .clip = 1, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 0.5, .step = 0.1 / (1 - 0.9),
                              .root = 1 / sqrt(1 - 0.999), .shrink = 0.1 * 0.01 };
    for (int level = 0; level <= 3; level++) {
        float w = 1, m = 0, v = 0, g = 2;
        if (!supported(level)) continue;
        adamw_update_at(level, &step, 1, &w, &m, &v, &g);
        double wanted = 1 - 0.1 * 2 / (2 + 0.5) - 0.1 * 0.01;
        if (fabs(w - wanted) > 2e-7) fail_msg("level %d: %.9g, wanted %.9g", level, w, wanted);
    }
}

/* A gap behind a tensor, and a row that never had a gradient, with eps as the only divisor. */
static void test_zeros_stay_zero(void **state) {
    (void)state;
    const adamw_step step = { .clip = 1, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-6, .step = 1, .root = 31.6, .shrink = 0.01 };
    for (int level = 0; level <= 3; level++) {
        float w[16] = {0}, m[16] = {0}, v[16] = {0}, g[16] = {0};
        if (!supported(level)) continue;
        adamw_update_at(level, &step, 16, w, m, v, g);
        for (int i = 0; i < 16; i++) assert_true(w[i] == 0 && m[i] == 0 && v[i] == 0);
    }
}

static void test_sum_of_squares(void **state) {
    (void)state;
    static arrays a;
    fill(&a);
    double wanted = sum_of_squares_at(0, N, a.g), base = sum_of_squares_at(1, N, a.g);
    if (fabs(base - wanted) > 1e-13 * wanted) fail_msg("%.17g, wanted %.17g", base, wanted);
    for (int level = 2; level <= 3; level++)
        if (supported(level) && sum_of_squares_at(level, N, a.g) != base) fail_msg("level %d: other bits than base", level);
}

static void near(const char *what, int level, int i, double got, double wanted, double room) {
    if (!(fabs(got - wanted) <= room)) fail_msg("level %d, %s[%d]: %.9g, wanted %.9g", level, what, i, got, wanted);
}

static void test_lamb_equals_reference(void **state) {
    (void)state;
    const adamw_step step = { .clip = 0.37, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-6, .step = 2.5, .root = 1.7, .shrink = 0.01 };
    static arrays wanted;
    fill(&wanted);
    lamb_squares sums = lamb_direction_at(0, &step, N - 5, wanted.w, wanted.m, wanted.v, wanted.g);     /* no multiple of any vector */
    lamb_move_at(0, &step, 1e-2, N - 5, wanted.w, wanted.m, wanted.v);
    for (int level = 1; level <= 3; level++) {
        static arrays got;
        if (!supported(level)) continue;
        fill(&got);
        lamb_squares found = lamb_direction_at(level, &step, N - 5, got.w, got.m, got.v, got.g);
        near("sum of weights", level, 0, found.weights, sums.weights, 1e-12 * sums.weights);
        near("sum of directions", level, 0, found.direction, sums.direction, 1e-6 * sums.direction);
        lamb_move_at(level, &step, 1e-2, N - 5, got.w, got.m, got.v);
        for (int i = 0; i < N; i++) {
            near("w", level, i, got.w[i], wanted.w[i], 1e-6 * fabs((double)wanted.w[i]) + 1e-7);
            near("m", level, i, got.m[i], wanted.m[i], 3e-7 * fabs((double)wanted.m[i]));
            near("v", level, i, got.v[i], wanted.v[i], 3e-7 * fabs((double)wanted.v[i]));
        }
    }
}

/* w 3, no moments, g 2: m 0.2, v 0.004, corrected 2 and 4: u = 2 / (2 + 0.5) + 0.1 * 3. */
static void test_lamb_by_hand(void **state) {
    (void)state;
    const adamw_step step = { .clip = 1, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 0.5, .step = 1 / (1 - 0.9), .root = 1 / sqrt(1 - 0.999), .shrink = 0.1 };
    for (int level = 0; level <= 3; level++) {
        float w = 3, m = 0, v = 0, g = 2;
        if (!supported(level)) continue;
        lamb_squares sums = lamb_direction_at(level, &step, 1, &w, &m, &v, &g);
        near("w^2", level, 0, sums.weights, 9, 1e-12);
        near("u^2", level, 0, sums.direction, 1.1 * 1.1, 1e-6);
        lamb_move_at(level, &step, 0.01, 1, &w, &m, &v);
        near("w", level, 0, w, 3 - 0.01 * 1.1, 4e-7);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_levels_equal_reference), cmocka_unit_test(test_first_step_by_hand),
                                        cmocka_unit_test(test_zeros_stay_zero), cmocka_unit_test(test_sum_of_squares),
                                        cmocka_unit_test(test_lamb_equals_reference), cmocka_unit_test(test_lamb_by_hand) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
