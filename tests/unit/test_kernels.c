/* Every kernel at every level that this CPU has, against the double reference; backward against finite differences; linearity. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "trainer/kernels/kernels.h"
#include <cmocka.h>

enum { MOST = 1 << 15 };
static const size_t widths[] = {1, 2, 7, 16, 31, 32, 33, 64, 100, 128, 255, 768, 1030};
enum { WIDTHS = sizeof widths / sizeof *widths, ROWS = 5 };
static kernels ref, fast;
static int level, best;
static float x[MOST], y[MOST], z[MOST], a[MOST], b[MOST], c[MOST], d[MOST];

static void fill_table(kernels *t, int at) {
    kernels_fill_elements(t, at);
    kernels_fill_layernorm(t, at);
    kernels_fill_softmax(t, at);
    kernels_fill_logits(t, at);
    kernels_fill_dropout(t, at);
}

static void random_fill(float *v, size_t n, uint64_t seed, double scale) {
    rng_key key = rng_open(seed, RNG_INIT, 0, 0, 0);
    for (size_t i = 0; i < n; i++) v[i] = (float)(scale * rng_normal(key, i));
}

static void near(const char *what, const float *got, const float *want, size_t n, double bound) {
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - (double)want[i]) <= bound * (1 + fabs((double)want[i]))))
            fail_msg("%s, level %d, %zu of %zu: %.9g, reference %.9g", what, level, i, n, (double)got[i], (double)want[i]);
}

static void elements(void **state) {
    (void)state;
    for (size_t w = 0; w < WIDTHS; w++) {
        size_t n = widths[w], all = ROWS * (n + 3), used = (ROWS - 1) * (n + 3) + n;
        random_fill(x, all, n, 2), random_fill(y, n, n + 1, 1);
        memcpy(a, x, sizeof a), memcpy(b, x, sizeof b);
        memset(c, 0, sizeof c), memset(d, 0, sizeof d);
        fast.add_bias(a, y, ROWS, n, n + 3), ref.add_bias(b, y, ROWS, n, n + 3);
        near("add_bias", a, b, all, 0);
        memcpy(a, x, sizeof a), memcpy(b, x, sizeof b);
        fast.bias_gelu(a, y, c, ROWS, n, n + 3), ref.bias_gelu(b, y, d, ROWS, n, n + 3);
        near("bias_gelu's u", a, b, all, 0);
        near("gelu", c, d, all, 2e-7);
        random_fill(a, all, 5, 1), memcpy(b, a, sizeof b);
        fast.gelu_backward(x, a, c, ROWS, n, n + 3), ref.gelu_backward(x, b, d, ROWS, n, n + 3);
        near("gelu_backward", a, b, used, 6e-7);
        near("gelu again", c, d, used, 2e-7);
        memcpy(a, x, sizeof a), memcpy(b, x, sizeof b);
        fast.tanh(a, n), ref.tanh(b, n);
        near("tanh", a, b, n, 2e-7);
        fast.add(a, y, n), ref.add(b, y, n);
        near("add", a, b, n, 3e-7);
    }
}

/* Over the whole range, the ends included: what the polynomials promise. */
static void ranges(void **state) {
    (void)state;
    for (int i = 0; i < MOST; i++) x[i] = (float)(i - MOST / 2) * (12.0f / (MOST / 2));
    x[0] = -1e4f, x[1] = 1e4f, x[2] = -0.0f, x[3] = 1e-30f;
    memset(y, 0, sizeof y);
    memcpy(a, x, sizeof a), memcpy(b, x, sizeof b);
    fast.bias_gelu(a, y, c, 1, MOST, MOST), ref.bias_gelu(b, y, d, 1, MOST, MOST);
    for (int i = 0; i < MOST; i++)
        if (!(fabs((double)c[i] - (double)d[i]) <= 2.5e-7 * fmax(1e-3, fabs((double)x[i]))))
            fail_msg("gelu(%g), level %d: %.9g, reference %.9g", (double)x[i], level, (double)c[i], (double)d[i]);
    fast.tanh(a, MOST), ref.tanh(b, MOST);
    for (int i = 0; i < MOST; i++)
        if (!(fabs((double)a[i] - (double)b[i]) <= 2.4e-7 * fabs((double)b[i])))
            fail_msg("tanh(%g), level %d: %.9g, reference %.9g", (double)x[i], level, (double)a[i], (double)b[i]);
    for (int i = 0; i < 64; i++) a[i] = b[i] = i == 63 ? 0 : -1.4f * (float)i;
    float max, inverse;
    fast.softmax(a, 1, &max, &inverse, 1, 64, 64), ref.softmax(b, 1, &max, &inverse, 1, 64, 64);
    for (int i = 0; i < 62; i++)
        if (!(fabs((double)a[i] - (double)b[i]) <= 5e-7 * (double)b[i])) fail_msg("exp(%g): %.9g, reference %.9g", -1.4 * i, (double)a[i], (double)b[i]);
    float nan_row[3] = {1, NAN, 2};
    fast.softmax(nan_row, 1, &max, &inverse, 1, 3, 3);
    assert_true(isnan(nan_row[1]));      /* a run that diverges must be seen */
}

static void sums(void **state) {
    (void)state;
    for (size_t w = 0; w < WIDTHS; w++) {
        size_t columns = widths[w] < SUM_COLUMNS ? widths[w] : SUM_COLUMNS, rows = 400, stride = 70;
        random_fill(x, rows * stride, w, 1);
        fast.column_sums(x, a, rows, columns, stride), ref.column_sums(x, b, rows, columns, stride);
        near("column_sums", a, b, columns, 1e-5);
    }
}

static void layernorm(void **state) {
    (void)state;
    for (size_t w = 1; w < WIDTHS; w++) {
        size_t n = widths[w], all = ROWS * n;
        float mean[2][ROWS], rstd[2][ROWS], dg[2][1030], db[2][1030];
        random_fill(x, all, w, 1), random_fill(y, n, 2, 1), random_fill(z, n, 3, 1), random_fill(c, all, 4, 1);
        for (size_t i = 0; i < all; i++) x[i] += 3;
        fast.layernorm(x, y, z, 1e-5f, a, mean[0], rstd[0], ROWS, n), ref.layernorm(x, y, z, 1e-5f, b, mean[1], rstd[1], ROWS, n);
        near("layernorm", a, b, all, 3e-5);
        near("mean", mean[0], mean[1], ROWS, 1e-6);
        fast.layernorm_backward(x, y, mean[1], rstd[1], c, a, dg[0], db[0], ROWS, n);
        ref.layernorm_backward(x, y, mean[1], rstd[1], c, b, dg[1], db[1], ROWS, n);
        double size = (double)rstd[1][0];
        for (size_t r = 0; r < ROWS; r++) size = fmax(size, (double)rstd[1][r]);
        near("layernorm_backward dx", a, b, all, 2e-5 * size);
        near("layernorm_backward dgamma", dg[0], dg[1], n, 1e-5);
        near("layernorm_backward dbeta", db[0], db[1], n, 1e-5);
        fast.layernorm_backward(x, y, mean[1], rstd[1], c, c, dg[0], db[0], ROWS, n);
        near("layernorm_backward in place", c, a, all, 0);
    }
}

static void softmax(void **state) {
    (void)state;
    for (size_t w = 0; w < WIDTHS; w++) {
        size_t n = widths[w], all = ROWS * n;
        float max[2][ROWS], inverse[2][ROWS];
        random_fill(x, all, w, 8), memcpy(a, x, sizeof a), memcpy(b, x, sizeof b);
        fast.softmax(a, 0.125f, max[0], inverse[0], ROWS, n, n), ref.softmax(b, 0.125f, max[1], inverse[1], ROWS, n, n);
        near("softmax", a, b, all, 5e-7);
        memcpy(c, x, sizeof c);
        fast.softmax_again(c, 0.125f, max[0], inverse[0], ROWS, n, n);
        assert_memory_equal(c, a, all * sizeof *a);
        random_fill(c, all, 9, 1), memcpy(d, c, sizeof d);
        fast.softmax_backward(b, c, 0.125f, ROWS, n, n), ref.softmax_backward(b, d, 0.125f, ROWS, n, n);
        near("softmax_backward", c, d, all, 5e-7);
        for (size_t label = 0; label < n; label += 1 + n / 3) {
            int right[2];
            memcpy(a, x, sizeof a), memcpy(b, x, sizeof b);
            double l = fast.cross_entropy(a, n, label, 0.5f, &right[0]), l64 = ref.cross_entropy(b, n, label, 0.5f, &right[1]);
            if (!(fabs(l - l64) <= 1e-6 * (1 + l64))) fail_msg("cross_entropy of %zu: %.9g, reference %.9g", n, l, l64);
            assert_int_equal(right[0], right[1]);
            near("cross_entropy's gradient", a, b, n, 5e-7);
        }
    }
}

/* Three blocks of words by tokens, against softmax of the turned matrix in doubles. */
static void logits(void **state) {
    (void)state;
    enum { BLOCKS = 3, WORDS = 42, ALL = BLOCKS * WORDS - 5, STRIDE = 66 };
    static float max[BLOCKS * STRIDE], sum[BLOCKS * STRIDE], out[2][WORDS], top[STRIDE];
    double total[STRIDE];
    for (size_t columns = 1; columns <= SUM_COLUMNS; columns += 9) {
        random_fill(x, ALL * STRIDE, columns, 8), memcpy(a, x, sizeof a);
        for (size_t k = 0; k < BLOCKS; k++)
            fast.logit_block(a + k * WORDS * STRIDE, max + k * STRIDE, sum + k * STRIDE, k + 1 < BLOCKS ? WORDS : WORDS - 5, columns, STRIDE);
        fast.logit_factors(max, sum, BLOCKS, columns, STRIDE, 0.25f, top, total);
        for (size_t k = 0; k < BLOCKS; k++) fast.scale_columns(a + k * WORDS * STRIDE, max + k * STRIDE, k + 1 < BLOCKS ? WORDS : WORDS - 5, columns, STRIDE);
        for (size_t i = 0; i < columns; i++) {
            double most = -1e30, all = 0;
            for (size_t r = 0; r < ALL; r++) most = fmax(most, (double)x[r * STRIDE + i]);
            for (size_t r = 0; r < ALL; r++) all += exp((double)x[r * STRIDE + i] - most);
            if ((double)top[i] != most || !(fabs(total[i] - all) <= 1e-6 * all))
                fail_msg("level %d, column %zu: total %.9g, wanted %.9g", level, i, total[i], all);
            for (size_t r = 0; r < ALL; r++) {
                float want = (float)(0.25 * exp((double)x[r * STRIDE + i] - most) / all);
                near("logits' gradient", &a[r * STRIDE + i], &want, 1, 5e-7);
            }
        }
        for (size_t i = 0; columns < STRIDE && i < ALL; i++) assert_true(a[i * STRIDE + columns] == x[i * STRIDE + columns]);
        fast.row_sums(x, out[0], WORDS, columns, STRIDE), ref.row_sums(x, out[1], WORDS, columns, STRIDE);
        near("row_sums", out[0], out[1], WORDS, 1e-5);
    }
    float nan_column[3] = {1, NAN, 2};
    fast.logit_block(nan_column, max, sum, 3, 1, 1);
    assert_true(isnan(sum[0]));
}

static void dropouts(void **state) {
    (void)state;
    static uint16_t lane[2][4096];
    rng_key key = rng_open(7, RNG_DROPOUT, 1, 2, 3);
    for (size_t blocks = 1; blocks < 70; blocks += 6)
        for (uint64_t first = 0; first < 3; first++) {
            uint64_t at = first == 2 ? 0xffffffffu - 5 : first * 13;      /* across the counter's low word */
            fast.dropout_lanes(key, at, blocks, lane[0]), ref.dropout_lanes(key, at, blocks, lane[1]);
            assert_memory_equal(lane[0], lane[1], blocks * 8 * sizeof **lane);
        }
    for (size_t w = 0; w < WIDTHS; w++)
        for (int on = 0; on < 2; on++) {
            size_t n = widths[w];
            dropout drop = {on ? lane[0] + 3 : NULL, 6554, 1.1111f};
            random_fill(x, n, w, 1), random_fill(y, n, 2, 1), random_fill(z, n, 3, 1);
            ref.dropout_lanes(key, 0, 132, lane[0]);
            fast.dropout_apply(a, x, drop, n), ref.dropout_apply(b, x, drop, n);
            near("dropout_apply", a, b, n, 0);
            memcpy(a, x, sizeof a), memcpy(b, x, sizeof b);
            fast.dropout_residual(a, y, z, drop, n), ref.dropout_residual(b, y, z, drop, n);
            near("dropout_residual", a, b, n, 4e-7);
        }
}

/* Directional derivative of sum(dy * f(x)) along v by central differences, against <dx, v>. */
static void finite_differences(void **state) {
    (void)state;
    enum { N = 40, H = 1 };
    float v[N], gamma[N], beta[N], mean, rstd, dg[N], db[N], max, inverse;
    double h = 1e-2, sum[2][3] = {{0}}, dot[3] = {0};
    random_fill(x, N, 1, 1), random_fill(v, N, 2, 1), random_fill(y, N, 3, 1), random_fill(gamma, N, 4, 1), random_fill(beta, N, 5, 1);
    for (int side = 0; side < 2; side++) {
        for (int i = 0; i < N; i++) a[i] = x[i] + (float)(side ? -h : h) * v[i];
        memset(z, 0, sizeof z);
        ref.layernorm(a, gamma, beta, 1e-5f, b, &mean, &rstd, H, N);
        for (int i = 0; i < N; i++) sum[side][0] += (double)y[i] * (double)b[i];
        memcpy(b, a, sizeof b);
        ref.bias_gelu(b, z, c, H, N, N);
        for (int i = 0; i < N; i++) sum[side][1] += (double)y[i] * (double)c[i];
        ref.softmax(a, 0.5f, &max, &inverse, H, N, N);
        for (int i = 0; i < N; i++) sum[side][2] += (double)y[i] * (double)a[i];
    }
    ref.layernorm(x, gamma, beta, 1e-5f, b, &mean, &rstd, H, N);
    fast.layernorm_backward(x, gamma, &mean, &rstd, y, a, dg, db, H, N);
    for (int i = 0; i < N; i++) dot[0] += (double)a[i] * (double)v[i];
    memcpy(a, y, sizeof a);
    fast.gelu_backward(x, a, c, H, N, N);
    for (int i = 0; i < N; i++) dot[1] += (double)a[i] * (double)v[i];
    memcpy(a, y, sizeof a), memcpy(b, x, sizeof b);
    ref.softmax(b, 0.5f, &max, &inverse, H, N, N);
    fast.softmax_backward(b, a, 0.5f, H, N, N);
    for (int i = 0; i < N; i++) dot[2] += (double)a[i] * (double)v[i];
    for (int k = 0; k < 3; k++) {
        double slope = (sum[0][k] - sum[1][k]) / (2 * h);
        if (!(fabs(slope - dot[k]) <= 2e-3 * (fabs(slope) + 0.05))) fail_msg("kernel %d, level %d: %.7g, by differences %.7g", k, level, dot[k], slope);
    }
}

/* Powers of two scale exactly: backward of 2 dy is 2 dx, bit for bit. */
static void linear_in_dy(void **state) {
    (void)state;
    enum { N = 100 };
    float mean, rstd, dg[2][N], db[2][N], max, inverse;
    random_fill(x, N, 1, 1), random_fill(y, N, 2, 1), random_fill(z, N, 3, 1);
    ref.layernorm(x, z, z, 1e-5f, b, &mean, &rstd, 1, N);
    fast.layernorm_backward(x, z, &mean, &rstd, y, a, dg[0], db[0], 1, N);
    for (int i = 0; i < N; i++) c[i] = 2 * y[i];
    fast.layernorm_backward(x, z, &mean, &rstd, c, b, dg[1], db[1], 1, N);
    for (int i = 0; i < N; i++) assert_true(b[i] == 2 * a[i] && dg[1][i] == 2 * dg[0][i] && db[1][i] == 2 * db[0][i]);
    memcpy(a, y, sizeof a), memcpy(b, c, sizeof b);
    fast.gelu_backward(x, a, d, 1, N, N), fast.gelu_backward(x, b, d, 1, N, N);
    for (int i = 0; i < N; i++) assert_true(b[i] == 2 * a[i]);
    memcpy(a, y, sizeof a);
    fast.softmax(x, 1, &max, &inverse, 1, N, N);
    fast.softmax_backward(x, a, 1, 1, N, N), fast.softmax_backward(x, c, 1, 1, N, N);
    for (int i = 0; i < N; i++) assert_true(c[i] == 2 * a[i]);
}

static void refuses_sets(void **state) {
    (void)state;
    error e = {0};
    setenv("BERT_ISA", "mmx", 1);
    assert_int_equal(kernels_start(-1, &e), EXIT_USAGE);
    assert_non_null(strstr(e.text, "BERT_ISA=mmx"));
    setenv("BERT_ISA", "ref", 1);
    assert_int_equal(kernels_start(-1, &e), 0);
    assert_string_equal(kernels_name(), "ref");
    unsetenv("BERT_ISA");
    assert_int_equal(kernels_start(KERNELS_BASE, &e), 0);
    assert_int_equal(kernels_level(), KERNELS_BASE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements),  cmocka_unit_test(ranges), cmocka_unit_test(sums),     cmocka_unit_test(layernorm),
        cmocka_unit_test(softmax),   cmocka_unit_test(logits),
        cmocka_unit_test(dropouts), cmocka_unit_test(finite_differences), cmocka_unit_test(linear_in_dy)};
    const struct CMUnitTest start[] = {cmocka_unit_test(refuses_sets)};
    error e;
    int bad = cmocka_run_group_tests(start, NULL, NULL);
    unsetenv("BERT_ISA");
    if (kernels_start(-1, &e)) return error_print(&e);
    best = kernels_level();
    fill_table(&ref, KERNELS_REF);
    for (level = KERNELS_REF; level <= best; level++) {
        if (kernels_start(level, &e)) return error_print(&e);
        fast = kernel;
        bad += cmocka_run_group_tests(tests, NULL, NULL);
    }
    return bad != 0;
}
