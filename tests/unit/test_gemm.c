// limit: 300 s, for a slow machine with sanitizers
/* Products at every level that this CPU has, through OpenBLAS, and with operands rounded to bf16 by every set for that: all forms, edges and
 * finishes against double sums; bits whatever the tiles and threads. What the bits of bf16 are: test_gemm_bf16.c. */
#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/rng.h"
#include "trainer/kernels/gemm.h"
#include "trainer/kernels/gemm_bf16_kernels.h"  /* bf16_best_set */
#include "trainer/kernels/kernels.h"
#include <cmocka.h>

static int level;
static bool bf16;

/* What a product takes of an element: with bf16 the nearest of the two, the even one where both are near. */
static double operand(float x) {
    if (!bf16) return (double)x;
    double unit = ldexp(1, ilogb(x) - 7);
    return x == 0 ? 0 : nearbyint((double)x / unit) * unit;
}

static float *random_floats(size_t n, uint64_t seed) {
    float *v = must_alloc(n + 1, sizeof *v);
    rng_key key = rng_open(seed, RNG_INIT, 0, 0, 0);
    for (size_t i = 0; i < n; i++) v[i] = (float)rng_normal(key, i);
    return v;
}

/* Strides are wider than rows; what lies between must stay. c, g and u share theirs. */
enum { GAP = 3 };
typedef struct problem { gemm_job job; float *a, *b[GEMM_PARTS], *c, *g, *u, *bias, *sums; size_t c_count; } problem;

static problem new_problem(size_t m, size_t n, size_t k, size_t parts, bool ta, bool tb, float beta, enum gemm_finish finish) {
    problem p = {.c_count = m * (n + GAP)};
    size_t length = k / parts, b_rows = tb ? n : length, b_columns = tb ? length : n, a_rows = ta ? k : m, a_columns = ta ? m : k;
    p.a = random_floats(a_rows * (a_columns + GAP), 1);
    for (size_t i = 0; i < parts; i++) p.b[i] = random_floats(b_rows * (b_columns + GAP), 2 + i);
    p.c = random_floats(p.c_count, 5), p.g = random_floats(p.c_count, 6), p.u = random_floats(p.c_count, 7);
    p.bias = random_floats(n, 8), p.sums = random_floats(m, 9);
    p.job = (gemm_job){.m = m, .n = n, .k = k, .a = p.a, .lda = a_columns + GAP, .b = p.b[0], .ldb = b_columns + GAP, .transpose_a = ta,
                       .transpose_b = tb, .c = p.c, .ldc = n + GAP, .beta = beta, .parts = parts, .part = {p.b[1], p.b[2]}, .finish = finish,
                       .bias = p.bias, .u = p.u, .g = p.g, .sums = ta ? p.sums : NULL};
    return p;
}

static void free_problem(problem *p) {
    free(p->a), free(p->b[0]), free(p->b[1]), free(p->b[2]), free(p->c), free(p->g), free(p->u), free(p->bias), free(p->sums);
}

static double element(const gemm_job *j, size_t r, size_t i) {
    double sum = 0;
    size_t length = j->parts ? j->k / j->parts : j->k;
    for (size_t k = 0; k < j->k; k++) {
        const float *b = k < length ? j->b : j->part[k / length - 1];
        size_t at = k % length;
        sum += operand(j->transpose_a ? j->a[k * j->lda + r] : j->a[r * j->lda + k]) * operand(j->transpose_b ? b[i * j->ldb + at] : b[at * j->ldb + i]);
    }
    return sum;
}

static void near(const gemm_job *j, const char *what, size_t r, size_t i, float got, double want) {
    if (!(fabs((double)got - want) <= 2e-6 * (4 + sqrt((double)j->k)) * (1 + fabs(want))))
        fail_msg("level %d %s, m %zu n %zu k %zu, ta %d tb %d beta %g parts %zu finish %d: %s (%zu, %zu) is %.9g, wanted %.9g", level, gemm_name(),
                 j->m, j->n, j->k, j->transpose_a, j->transpose_b, (double)j->beta, j->parts, (int)j->finish, what, r, i, (double)got, want);
}

static void check_element(const problem *p, const float *c, const float *g, size_t r, size_t i) {
    const gemm_job *j = &p->job;
    size_t at = r * j->ldc + i;
    if (i >= j->n) {
        if (p->c[at] != c[at] || p->g[at] != g[at]) fail_msg("m %zu n %zu: written between rows, (%zu, %zu)", j->m, j->n, r, i);
        return;
    }
    double x = element(j, r, i) + (j->beta != 0 ? (double)c[at] : 0), u = (double)p->u[at];
    if (j->finish == GEMM_BIAS || j->finish == GEMM_GELU) x += (double)p->bias[i];
    if (j->finish == GEMM_GELU) near(j, "gelu", r, i, p->g[at], 0.5 * x * (1 + erf(x * sqrt(0.5))));
    if (j->finish == GEMM_GELU_BACKWARD) {
        double cdf = 0.5 * (1 + erf(u * sqrt(0.5)));
        near(j, "gelu again", r, i, p->g[at], u * cdf);
        x *= cdf + u * exp(-0.5 * u * u) / sqrt(2 * acos(-1));
    }
    near(j, "c", r, i, p->c[at], x);
}

/* step: looks at every step-th row only, so that large shapes take no minutes; the last one always. */
static void check(size_t m, size_t n, size_t k, size_t parts, int form, enum gemm_finish finish, bool serial, size_t step) {
    problem p = new_problem(m, n, k, parts, form & 1, form & 2, form & 4 ? 1.0f : 0.0f, finish);
    float *c = must_alloc(p.c_count + 1, sizeof *c), *g = must_alloc(p.c_count + 1, sizeof *g), *sums = must_alloc(m + 1, sizeof *sums);
    memcpy(c, p.c, p.c_count * sizeof *c), memcpy(g, p.g, p.c_count * sizeof *g), memcpy(sums, p.sums, m * sizeof *sums);
    if (p.job.beta == 0)                                 /* what c held must not matter */
        for (size_t r = 0; r < m; r++) memset(p.c + r * p.job.ldc, 0xff, n * sizeof *c);
    if (serial) gemm_serial(&p.job);
    else gemm_run(&p.job, 1);
    for (size_t r = 0; r < m; r += r + step < m || r + 1 == m ? step : m - 1 - r)
        for (size_t i = 0; i < n + GAP; i++) check_element(&p, c, g, r, i);
    for (size_t r = 0; p.job.sums && r < m; r++) {
        double sum = p.job.beta != 0 ? (double)sums[r] : 0;
        for (size_t i = 0; i < k; i++) sum += (double)p.a[i * p.job.lda + r];
        near(&p.job, "sums", r, 0, p.sums[r], sum);
    }
    free(c), free(g), free(sums), free_problem(&p);
}

/* Around every width and height of register tiles, panels and strips. */
static void edges(void **state) {
    (void)state;
    static const size_t m[] = {1, 2, 5, 6, 7, 13, 14, 15, 29}, n[] = {1, 3, 8, 15, 16, 17, 31, 32, 33, 64, 65}, k[] = {1, 2, 15, 16, 17, 40};
    for (size_t x = 0; x < sizeof m / sizeof *m; x++)
        for (size_t y = 0; y < sizeof n / sizeof *n; y++)
            for (size_t z = 0; z < sizeof k / sizeof *k; z++) check(m[x], n[y], k[z], 1, (int)((x + y + z) % 8), (enum gemm_finish)((x + y) % 4), z % 2, 1);
}

static void forms(void **state) {
    (void)state;
    for (int form = 0; form < 8; form++)
        for (int f = GEMM_PLAIN; f <= GEMM_GELU_BACKWARD; f++) {
            check(43, 70, 33, 1, form, (enum gemm_finish)f, false, 1);
            check(20, 35, 0, 1, form, (enum gemm_finish)f, false, 1);          /* nothing to add up: 0, finished */
            check(17, 40, 3 * 24, 3, form, (enum gemm_finish)f, f % 2, 1);
            check(17, 40, 2 * 24, 2, form, (enum gemm_finish)f, f % 2, 1);
        }
}

/* Several blocks of k, several tiles of rows, several strips. */
static void large(void **state) {
    (void)state;
    for (int form = 0; form < 8; form++) {
        check(700, 130, 300, 1, form, GEMM_PLAIN, form % 2, 53);
        check(150, 90, 1000, 1, form, GEMM_GELU, form % 2, 31);
        check(60, 90, 3 * 500, 3, form, GEMM_BIAS, form % 2, 11);
        check(1200, 40, 64, 1, form, GEMM_GELU_BACKWARD, form % 2, 97);
        check(90, 700, 600, 1, form, GEMM_PLAIN, form % 2, 31);
        check(310, 640, 30, 1, form, GEMM_PLAIN, false, 101);
    }
    check(33, 66, 66000, 1, 5, GEMM_PLAIN, false, 16);       /* turned, and packed in two pieces */
}

/* k in one more block than fits: c + (first + second), and not (c + first) + second. */
static void adds_the_whole_sum(void **state) {
    (void)state;
    for (int form = 0; form < 4; form++) {
        problem p = new_problem(50, 70, 900, 1, form & 1, form & 2, 0, GEMM_PLAIN), q = new_problem(50, 70, 900, 1, form & 1, form & 2, 1, GEMM_PLAIN);
        float *before = must_alloc(p.c_count, sizeof *before);
        memcpy(before, q.c, p.c_count * sizeof *before);
        gemm_run(&p.job, 1), gemm_run(&q.job, 1);
        for (size_t r = 0; r < 50; r++)
            for (size_t i = 0; i < 70; i++) {
                size_t at = r * p.job.ldc + i;
                if (q.c[at] != before[at] + p.c[at]) fail_msg("level %d form %d: (%zu, %zu)", level, form, r, i);
            }
        free(before), free_problem(&p), free_problem(&q);
    }
}

/* The bits of an element do not depend on where it stands: rows 100 .. 260 alone, on other numbers of threads, in a run with others. */
static void bits_of_an_element(void **state) {
    (void)state;
    problem p = new_problem(700, 200, 500, 1, false, true, 0, GEMM_GELU), q = new_problem(700, 200, 500, 1, false, true, 0, GEMM_GELU);
    omp_set_num_threads(1);
    gemm_run(&p.job, 1);
    for (int threads = 2; threads <= 3; threads++) {
        omp_set_num_threads(threads);
        gemm_job jobs[3] = {q.job, q.job, q.job};
        jobs[0].m = 300;
        for (int i = 1; i < 3; i++) jobs[i].m = 200, jobs[i].a += 300 * q.job.lda, jobs[i].c += 300 * q.job.ldc, jobs[i].g += 300 * q.job.ldc;
        jobs[2].a += 200 * q.job.lda, jobs[2].c += 200 * q.job.ldc, jobs[2].g += 200 * q.job.ldc;
        gemm_run(jobs, 3);
        assert_memory_equal(p.c, q.c, p.c_count * sizeof(float));
        assert_memory_equal(p.g, q.g, p.c_count * sizeof(float));
    }
    free_problem(&p), free_problem(&q);
}

/* A wide gradient of weights is made as its transpose: the same bits as narrow parts of it, which are not, and the same sums. */
static void turned_bits(void **state) {
    (void)state;
    enum { M = 90, N = 700, PART = 140 };
    for (int beta = 0; beta < 2; beta++) {
        problem p = new_problem(M, N, 600, 1, true, false, (float)beta, GEMM_PLAIN), q = new_problem(M, N, 600, 1, true, false, (float)beta, GEMM_PLAIN);
        omp_set_num_threads(1 + beta);
        gemm_job both[2] = {p.job, q.job};           /* the second is its first part: the turned one is not the last of the run */
        both[1].n = PART;
        gemm_run(both, 2);
        for (size_t i = PART; i < N; i += PART) {
            gemm_job part = q.job;
            part.n = PART, part.b += i, part.c += i, part.sums = NULL;
            gemm_run(&part, 1);
        }
        assert_memory_equal(p.c, q.c, p.c_count * sizeof(float));
        assert_memory_equal(p.sums, q.sums, M * sizeof(float));
        free_problem(&p), free_problem(&q);
    }
}

/* Every row once, in steps, when it is complete: each is doubled. n past what a tile holds whole, too. */
typedef struct doubling { const problem *p; int seen[500]; } doubling;

static void double_rows(void *context, size_t first, size_t rows) {
    doubling *d = context;
    if (first % GEMM_STEP != 0 || rows > GEMM_STEP) fail_msg("rows %zu, %zu of them", first, rows);
    for (size_t r = first; r < first + rows; r++) {
        d->seen[r]++;
        for (size_t i = 0; i < d->p->job.n; i++) d->p->c[r * d->p->job.ldc + i] *= 2;
    }
}

static void whole_rows(void **state) {
    (void)state;
    static const size_t n[] = {70, 600, 1100};
    for (int i = 0; i < 6; i++) {
        float beta = i < 3 ? 0.0f : 1.0f;
        problem p = new_problem(450, n[i % 3], 20, 1, false, true, beta, GEMM_BIAS), q = new_problem(450, n[i % 3], 20, 1, false, true, beta, GEMM_BIAS);
        doubling d = {.p = &p};
        omp_set_num_threads(1 + i % 2);
        p.job.rows_done = double_rows, p.job.context = &d;
        gemm_run(&p.job, 1), gemm_run(&q.job, 1);
        for (size_t r = 0; r < 450; r++) {
            assert_int_equal(d.seen[r], 1);
            for (size_t c = 0; c < n[i % 3]; c++) assert_true(p.c[r * p.job.ldc + c] == 2 * q.c[r * q.job.ldc + c]);
        }
        free_problem(&p), free_problem(&q);
    }
}

static void count_call(void *context) { ++*(int *)context; }

static void polls(void **state) {
    (void)state;
    int calls = 0;
    omp_set_num_threads(1);
    problem p = new_problem(1000, 40, 20, 1, false, true, 0, GEMM_PLAIN);
    gemm_set_poll(count_call, &calls);
    gemm_run(&p.job, 1);
    gemm_set_poll(NULL, NULL);
    int after = calls;
    gemm_run(&p.job, 1);
    if (after < 2 || calls != after) fail_msg("level %d: %d calls, then %d", level, after, calls);
    free_problem(&p);
}

static void refuses_ways(void **state) {
    (void)state;
    error e = {0};
    setenv("BERT_GEMM", "mkl", 1);
    assert_int_equal(kernels_start(-1, &e), EXIT_USAGE);
    assert_non_null(strstr(e.text, "BERT_GEMM=mkl"));
    setenv("BERT_GEMM", "openblas", 1);
    assert_int_equal(kernels_start(-1, &e), 0);
    assert_non_null(strstr(gemm_name(), "OpenBLAS"));
    unsetenv("BERT_GEMM");
    assert_int_equal(kernels_start(-1, &e), 0);
    assert_string_equal(gemm_name(), "own");
}

int main(void) {
    const struct CMUnitTest start[] = {cmocka_unit_test(refuses_ways)};
    const struct CMUnitTest tests[] = {cmocka_unit_test(edges), cmocka_unit_test(forms), cmocka_unit_test(large), cmocka_unit_test(adds_the_whole_sum),
                                       cmocka_unit_test(whole_rows), cmocka_unit_test(polls)};
    const struct CMUnitTest bits[] = {cmocka_unit_test(bits_of_an_element), cmocka_unit_test(turned_bits)};
    error e;
    unsetenv("BERT_ISA"), unsetenv("BERT_GEMM");
    int bad = cmocka_run_group_tests(start, NULL, NULL), best = kernels_level();
    for (level = KERNELS_REF; level <= best; level++) {
        if (kernels_start(level, &e)) return error_print(&e);
        bad += cmocka_run_group_tests(tests, NULL, NULL) + cmocka_run_group_tests(bits, NULL, NULL);
    }
    level = best;
    setenv("BERT_GEMM", "openblas", 1);
    if (kernels_start(-1, &e)) return error_print(&e);
    bad += cmocka_run_group_tests(tests, NULL, NULL);
    bf16 = true;
    unsetenv("BERT_GEMM");
    static const char *const set[] = {"emulated", "avx512bf16", "amx"};
    for (int i = 0; i < 1 || i < bf16_best_set(); i++) {
        setenv("BERT_BF16", set[i], 1);
        if (kernels_start(-1, &e) || gemm_set_precision(GEMM_BF16, -1, &e)) return error_print(&e);
        bad += cmocka_run_group_tests(tests, NULL, NULL) + cmocka_run_group_tests(bits, NULL, NULL);
    }
    return bad != 0;
}
