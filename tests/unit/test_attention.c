/* tests/unit/test_attention.c - the attention kernels at every level of this CPU against the double reference: odd widths, several tiles of
 * queries and keys, lists of queries, dropout; the reference against finite differences. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/fail.h"
#include "base/rng.h"
#include "trainer/kernels/kernels.h"
#include "tests/check.h"

typedef struct problem {
    attention_head h;
    attention_gradients g;
    size_t rows;
    float *qkv, *context, *statistics, *dcontext, *dqkv;
    int32_t *position;
} problem;

enum { SPARE = 3 };                      /* floats behind a row's 3 D and D: nobody may write there */

static float *random_floats(size_t n, uint64_t seed, double scale) {
    float *x = must_alloc(n, sizeof *x);
    rng_key key = rng_open(seed, RNG_INIT, 0, 0, 0);
    for (size_t i = 0; i < n; i++) x[i] = (float)(scale * rng_normal(key, i));
    return x;
}

/* `step`: every step-th position is a query. Rows of Q, K and V stand side by side, as in the network. */
static problem make(size_t keys, size_t width, size_t step, uint32_t threshold, double scale) {
    size_t queries = (keys + step - 1) / step, stride = 3 * width + SPARE, out = width + SPARE, scratch = attention_scratch(width, keys) * sizeof(float);
    problem p = {.rows = keys, .qkv = random_floats(keys * stride, 1, scale), .context = random_floats(keys * out, 2, 1),
                 .statistics = random_floats(2 * keys, 3, 1), .dcontext = random_floats(keys * out, 4, 1), .dqkv = random_floats(keys * stride, 5, 1),
                 .position = must_alloc(keys, sizeof *p.position)};
    for (size_t i = 0; i < queries; i++) p.position[i] = (int32_t)(i * step);
    p.h = (attention_head){.queries = queries, .keys = keys, .width = width, .q = p.qkv, .k = p.qkv + width, .v = p.qkv + 2 * width,
                           .q_stride = stride, .kv_stride = stride, .context = p.context, .context_stride = out, .max = p.statistics,
                           .inverse = p.statistics + keys, .scale = (float)(1 / sqrt((double)width)), .position = step == 1 ? NULL : p.position,
                           .threshold = threshold, .key = rng_open(7, RNG_DROPOUT, 1, 2, 8), .first = 5 * keys * keys, .row_elements = keys,
                           .scratch = aligned_alloc(64, (scratch + 63) / 64 * 64)};
    p.g = (attention_gradients){p.dcontext, p.dqkv, p.dqkv + width, p.dqkv + 2 * width};
    return p;
}

static void discard(problem *p) {
    free(p->qkv), free(p->context), free(p->statistics), free(p->dcontext), free(p->dqkv), free(p->position), free(p->h.scratch);
}

static kernels table_of(int level) {
    kernels t = {0};
    kernels_fill_elements(&t, level), kernels_fill_dropout(&t, level), kernels_fill_attention(&t, level);
    return t;
}

/* Rows of x within `bound` of the largest element of want; what lies between the rows is untouched, and so alike. */
static void near(const char *what, int level, const problem *p, const float *x, const float *want, size_t n, double bound) {
    double most = 0;
    for (size_t i = 0; i < n; i++) most = fmax(most, fabs((double)want[i]));
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)x[i] - (double)want[i]) <= bound * most))
            fail_msg("%s, level %d, %zu keys, width %zu: element %zu: %.9g, reference %.9g", what, level, p->rows, p->h.width, i, (double)x[i],
                     (double)want[i]);
}

static void compare(size_t keys, size_t width, size_t step, uint32_t threshold, double scale, double bound) {
    error e;
    problem want = make(keys, width, step, threshold, scale);
    kernels ref = table_of(KERNELS_REF);
    ref.attention_forward(&want.h);
    ref.attention_backward(&want.h, &want.g);
    assert_int_equal(kernels_start(-1, &e), 0);
    for (int level = kernels_level(); level >= KERNELS_BASE; level--) {
        problem p = make(keys, width, step, threshold, scale);
        size_t rows = keys * (width + SPARE), all = keys * (3 * width + SPARE);
        assert_int_equal(kernels_start(level, &e), 0);
        attention_rows soon[ATTENTION_SOON];               /* the last rows that may be fetched stand at the end of memory */
        attention_soon(&p.h, p.dcontext, soon);
        p.h.soon = keys % 2 ? soon : NULL;
        kernel.attention_forward(&p.h);
        near("context", level, &p, p.context, want.context, rows, bound);
        near("maximum", level, &p, p.h.max, want.h.max, p.h.queries, bound);
        near("1/sum", level, &p, p.h.inverse, want.h.inverse, p.h.queries, 20 * bound);
        kernel.attention_backward(&p.h, &p.g);
        near("dqkv", level, &p, p.dqkv, want.dqkv, all, 4 * bound);
        discard(&p);
    }
    discard(&want);
}

static void levels_equal_reference(void **state) {
    (void)state;
    static const size_t keys[] = {1, 2, 15, 16, 17, 63, 97, 128, 129, 200, 300}, width[] = {1, 3, 16, 20, 64, 65};
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
        for (size_t w = 0; w < sizeof width / sizeof *width; w++) compare(keys[k], width[w], 1, (k + w) % 2 ? 6554 : 0, 1, 2e-6);
}

static void lists_of_queries(void **state) {
    (void)state;
    for (size_t step = 2; step < 90; step = 3 * step + 1) compare(260, 24, step, 20000, 1, 2e-6);
}

/* Scores of some hundreds: one key takes all, later blocks hold larger maxima than earlier ones, exp() meets its end. */
static void steep_scores(void **state) {
    (void)state;
    compare(300, 16, 1, 0, 12, 5e-5);
}

/* Long, so that a tile of queries is far smaller than the row; few dimensions, since the reference is slow. */
static void long_sequence(void **state) {
    (void)state;
    compare(1500, 2, 50, 6554, 1, 4e-6);
}

static void no_queries(void **state) {
    (void)state;
    error e;
    assert_int_equal(kernels_start(-1, &e), 0);
    for (int level = kernels_level(); level >= KERNELS_REF; level--) {
        problem p = make(130, 8, 1, 6554, 1);
        assert_int_equal(kernels_start(level, &e), 0);
        p.h.queries = 0;
        kernel.attention_forward(&p.h);
        kernel.attention_backward(&p.h, &p.g);
        for (size_t r = 0; r < 130; r++)
            for (size_t c = 8; c < 24; c++) assert_true(p.dqkv[r * (3 * 8 + SPARE) + c] == 0);
        discard(&p);
    }
}

/* A number that is none must come out again: a run that diverges has to be seen. */
static void passes_nan_on(void **state) {
    (void)state;
    error e;
    assert_int_equal(kernels_start(-1, &e), 0);
    for (int level = kernels_level(); level >= KERNELS_REF; level--) {
        problem p = make(40, 8, 1, 0, 1);
        assert_int_equal(kernels_start(level, &e), 0);
        p.qkv[3 * (3 * 8 + SPARE) + 8 + 2] = NAN;          /* key 3 */
        kernel.attention_forward(&p.h);
        for (size_t r = 0; r < 40; r++) assert_true(isnan(p.context[r * (8 + SPARE)]));
        discard(&p);
    }
}

/* Along one random direction of Q, K and V, dropout on. */
static void reference_by_differences(void **state) {
    (void)state;
    error e;
    enum { KEYS = 20, WIDTH = 5, STRIDE = 3 * WIDTH + SPARE, OUT = WIDTH + SPARE };
    assert_int_equal(kernels_start(KERNELS_REF, &e), 0);
    problem p = make(KEYS, WIDTH, 2, 20000, 1);
    float *direction = random_floats(KEYS * STRIDE, 8, 1), *before = must_alloc(KEYS * STRIDE, sizeof *before);
    for (size_t i = 0; i < KEYS * STRIDE; i++)             /* rows that are no query have no gradient of Q */
        if (i % STRIDE >= 3 * WIDTH || (i % STRIDE < WIDTH && i / STRIDE >= p.h.queries)) direction[i] = 0;
    memcpy(before, p.qkv, KEYS * STRIDE * sizeof *before);
    double side[2] = {0}, dot = 0, h = 1e-3;
    for (int s = 0; s < 2; s++) {
        for (size_t i = 0; i < KEYS * STRIDE; i++) p.qkv[i] = before[i] + (float)(s ? -h : h) * direction[i];
        kernel.attention_forward(&p.h);
        for (size_t i = 0; i < p.h.queries * OUT; i++)
            if (i % OUT < WIDTH) side[s] += (double)p.dcontext[i] * (double)p.context[i];
    }
    memcpy(p.qkv, before, KEYS * STRIDE * sizeof *before);
    kernel.attention_forward(&p.h);
    kernel.attention_backward(&p.h, &p.g);
    for (size_t i = 0; i < KEYS * STRIDE; i++)
        if (direction[i] != 0) dot += (double)p.dqkv[i] * (double)direction[i];
    double slope = (side[0] - side[1]) / (2 * h);
    if (!(fabs(slope - dot) <= 2e-3 * (fabs(slope) + 0.1))) fail_msg("%.7g, by differences %.7g", dot, slope);
    free(direction), free(before), discard(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(levels_equal_reference), cmocka_unit_test(lists_of_queries), cmocka_unit_test(steep_scores),
                                       cmocka_unit_test(long_sequence), cmocka_unit_test(no_queries), cmocka_unit_test(passes_nan_on),
                                       cmocka_unit_test(reference_by_differences)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
