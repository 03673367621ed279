/* The bits of products with operands in bf16: rounding, packing, order of additions, each set against plain C; what is refused. Shapes,
 * finishes and tolerances: test_gemm.c. */
#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/rng.h"
#include "trainer/kernels/gemm.h"
#include "trainer/kernels/gemm_bf16_kernels.h"
#include "trainer/kernels/kernels.h"
#include <cmocka.h>

static const char *const name[] = {"", "emulated", "avx512bf16", "amx"};
static int set;                          /* under test */

static float *random_floats(size_t n, uint64_t seed, float scale) {
    float *x = must_alloc(n + 1, sizeof *x);
    rng_key key = rng_open(seed, RNG_INIT, 0, 0, 0);
    for (size_t i = 0; i < n; i++) x[i] = scale * (float)rng_normal(key, i);
    return x;
}

/* Any bits at all. */
static float *random_bits(size_t n, uint64_t seed) {
    float *x = must_alloc(n + 1, sizeof *x);
    for (size_t i = 0; i < n; i += 4) {
        uint32_t word[4];
        rng_block(rng_open(seed, RNG_INIT, 0, 0, 0), i / 4, word);
        memcpy(x + i, word, (n - i < 4 ? n - i : 4) * sizeof *word);
    }
    return x;
}

static float flushed(float x) { return fabsf(x) < 0x1p-126f ? copysignf(0, x) : x; }

/* To the nearest bf16, by arithmetic. */
static float operand(float x) {
    if (!isfinite(x) || flushed(x) == 0) return isfinite(x) ? copysignf(0, x) : x;
    double unit = ldexp(1, ilogb(x) - 7);
    return (float)(nearbyint((double)x / unit) * unit);
}

static float widened(uint16_t x) {
    uint32_t u = (uint32_t)x << 16;
    float y;
    memcpy(&y, &u, sizeof y);
    return y;
}

static float multiply_add(float a, float b, float c) { return flushed(fmaf(a, b, c)); }

/* sum += a tile's k, as gemm_bf16_kernels.h says; x, y: BF16_DEPTH of them, rounded. */
static float add_tile(float sum, const float *x, const float *y) {
    float even = 0, odd = 0;
    for (size_t k = 0; k < BF16_DEPTH; k += 2) {
        if (set == BF16_AVX512) sum = multiply_add(x[k], y[k], multiply_add(x[k + 1], y[k + 1], sum));
        even = multiply_add(x[k], y[k], even), odd = multiply_add(x[k + 1], y[k + 1], odd);
    }
    return set == BF16_AVX512 ? sum : flushed(flushed(even + odd) + sum);
}

static void rounding(void **state) {
    (void)state;
    static const struct { float x; uint16_t want; } pair[] = {
        {1.0f, 0x3f80}, {-2.0f, 0xc000}, {0x1.01p0f, 0x3f80}, {0x1.03p0f, 0x3f82}, {0x1.010002p0f, 0x3f81}, {0x1.fffffep127f, 0x7f80}, {INFINITY, 0x7f80},
        {-INFINITY, 0xff80}, {0.0f, 0}, {-0.0f, 0x8000}, {0x1p-126f, 0x0080}, {0x1.fffffcp-127f, 0}, {-0x1p-149f, 0x8000}};
    for (size_t i = 0; i < sizeof pair / sizeof *pair; i++) {
        alignas(64) uint16_t a[BF16_TILE], b[BF16_TILE];
        bf16_kernels_of(set).pack_a(1, 1, &pair[i].x, 1, true, a), bf16_kernels_of(set).pack_b(1, 1, &pair[i].x, 1, false, b);
        if (a[0] != pair[i].want || b[0] != pair[i].want)
            fail_msg("%s: %a is %04x and %04x, wanted %04x", name[set], (double)pair[i].x, a[0], b[0], pair[i].want);
    }
    float nan = NAN;
    alignas(64) uint16_t a[BF16_TILE];
    bf16_kernels_of(set).pack_a(1, 1, &nan, 1, true, a);
    assert_true(isnan(widened(a[0])));
}

/* Every shape about a tile's edges, all four forms, any bits: where an element lies, and zeros everywhere else. */
static void packing(void **state) {
    (void)state;
    static const size_t lines[] = {1, 15, 16, 17, 40}, depth[] = {1, 2, 17, 31, 32, 33, 70};
    for (size_t i = 0; i < 5 * 7 * 4; i++) {
        size_t m = lines[i % 5], k = depth[i / 5 % 7], steps = (k + BF16_DEPTH - 1) / BF16_DEPTH, tiles = (m + BF16_LINES - 1) / BF16_LINES * steps;
        bool along = i / 35 & 1, of_a = i / 35 & 2;
        size_t stride = (along ? k : m) + 5;
        float *x = random_bits((along ? m : k) * stride, i);
        uint16_t *got = aligned_alloc(64, tiles * BF16_TILE * sizeof *got), *want = must_zalloc(tiles * BF16_TILE, sizeof *want);
        for (size_t r = 0; r < m; r++)
            for (size_t c = 0; c < k; c++) {
                size_t line = r % BF16_LINES, at = c % BF16_DEPTH;
                float y = operand(along ? x[r * stride + c] : x[c * stride + r]);
                uint32_t u;
                memcpy(&u, &y, sizeof u);
                if (isnan(y)) u |= 0x400000;
                want[(r / BF16_LINES * steps + c / BF16_DEPTH) * BF16_TILE + (of_a ? line * BF16_DEPTH + at : at / 2 * BF16_DEPTH + 2 * line + at % 2)] =
                    (uint16_t)(u >> 16);
            }
        memset(got, 0xff, tiles * BF16_TILE * sizeof *got);
        (of_a ? bf16_kernels_of(set).pack_a : bf16_kernels_of(set).pack_b)(m, k, x, stride, along, got);
        for (size_t e = 0; e < tiles * BF16_TILE; e++)
            if (got[e] != want[e])
                fail_msg("%s: %zu lines of %zu, along %d, a %d: element %zu is %04x, wanted %04x", name[set], m, k, along, of_a, e, got[e], want[e]);
        free(x), free(got), free(want);
    }
}

/* op(b)'s element, and where the sum of its tile's k is padded with zeros. */
static float element(const gemm_job *j, size_t r, size_t i) {
    size_t parts = j->parts ? j->parts : 1, length = j->k / parts;
    float sum = 0, x[BF16_DEPTH], y[BF16_DEPTH];
    for (size_t p = 0; p < parts; p++) {
        const float *b = p ? j->part[p - 1] : j->b;
        for (size_t first = 0; first < length; first += BF16_DEPTH) {
            for (size_t at = 0; at < BF16_DEPTH; at++) {
                size_t in = first + at, k = p * length + in;
                x[at] = in < length ? operand(j->transpose_a ? j->a[k * j->lda + r] : j->a[r * j->lda + k]) : 0;
                y[at] = in < length ? operand(j->transpose_b ? b[i * j->ldb + in] : b[in * j->ldb + i]) : 0;
            }
            sum = add_tile(sum, x, y);
        }
    }
    return sum;
}

/* Products whole, of k cut into blocks and parts, on several threads: the bits are those of the chain that is written down. `scale` makes
 * sums that are denormal in between. */
static void check_bits(size_t m, size_t n, size_t k, size_t parts, int form, float scale) {
    bool ta = form & 1, tb = form & 2;
    float *a = random_floats(m * k, 1, scale), *b = random_floats(n * k, 2, scale), *c = random_floats(m * n, 3, scale * scale);
    float *before = must_alloc(m * n, sizeof *c);
    gemm_job j = {.m = m, .n = n, .k = k, .a = a, .lda = ta ? m : k, .b = b, .ldb = tb ? k : n, .transpose_a = ta, .transpose_b = tb, .c = c, .ldc = n,
                  .beta = form & 4 ? 1.0f : 0.0f, .parts = parts};
    if (parts > 1 && tb) j.ldb = k / parts;
    for (size_t p = 1; p < parts; p++) j.part[p - 1] = b + p * (k / parts) * n;
    memcpy(before, c, m * n * sizeof *c);
    omp_set_num_threads(1 + form % 3);
    if (form % 2) gemm_serial(&j);
    else gemm_run(&j, 1);
    for (size_t r = 0; r < m; r += r + 7 < m ? 7 : m - r)
        for (size_t i = 0; i < n; i++) {
            float want = element(&j, r, i), got = c[r * n + i];
            if (j.beta != 0) want = before[r * n + i] + want;
            if (memcmp(&got, &want, sizeof got))
                fail_msg("%s, m %zu n %zu k %zu parts %zu form %d: (%zu, %zu) is %a, wanted %a", name[set], m, n, k, parts, form, r, i, (double)got,
                         (double)want);
        }
    free(a), free(b), free(c), free(before);
}

static void order_of_additions(void **state) {
    (void)state;
    for (int form = 0; form < 8; form++) {
        check_bits(33, 20, 70, 1, form, 1);
        check_bits(80, 49, 1030, 1, form, 1);
        check_bits(19, 530, 600, 1, form, 1);
        check_bits(20, 17, 3 * 50, 3, form, 1);
        check_bits(20, 17, 100, 1, form, 0x1p-62f);
        check_bits(20, 17, 100, 1, form, 0x1p-66f);
        check_bits(350, 33, 600, 1, form, 1);
    }
}

static void mark_rows(void *context, size_t first, size_t rows) {
    for (size_t r = first; r < first + rows; r++) ((int *)context)[r]++;
}

/* More of b than the shared memory holds: in several pieces, and where not even a tile's columns fit, without it. */
static void larger_than_memory(void **state) {
    (void)state;
    enum { M = 18, N = 240, K = 40000, LONG = (16384 + 2) * BF16_DEPTH };
    float *a = random_floats(4 * (size_t)LONG, 1, 1), *b = random_floats(20 * (size_t)LONG, 2, 1), *c = must_alloc(M * N, sizeof *c);
    int seen[M] = {0};
    gemm_job wide = {.m = M, .n = N, .k = K, .a = a, .lda = K, .b = b, .ldb = N, .c = c, .ldc = N, .rows_done = mark_rows, .context = seen};
    gemm_run(&wide, 1);
    for (size_t i = 0; i < N; i += 60) assert_true(c[17 * N + i] == element(&wide, 17, i));
    for (size_t r = 0; r < M; r++) assert_int_equal(seen[r], 1);
    gemm_job deep = {.m = 4, .n = 20, .k = LONG, .a = a, .lda = LONG, .b = b, .ldb = LONG, .transpose_b = true, .c = c, .ldc = N};
    gemm_run(&deep, 1);
    for (size_t r = 0; r < 4; r++) assert_true(c[r * N + 19] == element(&deep, r, 19));
    free(a), free(b), free(c);
}

/* Both give the same bits, so that a run made with AMX can be looked into anywhere. */
static void emulated_is_amx(void **state) {
    (void)state;
    if (bf16_best_set() < BF16_AMX) skip();
    enum { STEPS = 5, M = 40, N = 56, TILES = STEPS * 4 };
    for (uint64_t seed = 0; seed < 20; seed++) {
        float scale = ldexpf(1, seed % 2 ? -60 : 0);
        float *x = random_floats(64 * STEPS * BF16_DEPTH, 2 * seed, scale), *y = random_floats(64 * STEPS * BF16_DEPTH, 2 * seed + 1, scale), *sums[2];
        uint16_t *a = aligned_alloc(64, TILES * BF16_TILE * sizeof *a), *b = aligned_alloc(64, TILES * BF16_TILE * sizeof *b);
        bf16_kernels_of(BF16_AMX).pack_a(64, STEPS * BF16_DEPTH, x, 64, false, a), bf16_kernels_of(BF16_AMX).pack_b(64, STEPS * BF16_DEPTH, y, 64, false, b);
        float *waiting = aligned_alloc(64, 12 * BF16_SUMS * sizeof *waiting), *kept[2];
        memcpy(waiting, x, 12 * BF16_SUMS * sizeof *waiting);
        for (int i = 0; i < 2; i++) {
            kept[i] = aligned_alloc(64, 12 * BF16_SUMS * sizeof *waiting);
            memset(kept[i], 0, 12 * BF16_SUMS * sizeof *waiting);
            sums[i] = random_floats(64 * 64, 7, scale * scale);
            bf16_block g = {.m = M, .n = N, .steps = STEPS, .a = a, .b = b, .sums = seed % 3 ? waiting : NULL, .keep = seed % 5 ? NULL : kept[i],
                            .c = sums[i], .ldc = 64,
                            .add = seed % 4 > 1};
            bf16_kernels_of(i ? BF16_AMX : BF16_EMULATED).block(&g);
        }
        assert_memory_equal(sums[0], sums[1], 64 * 64 * sizeof(float));
        assert_memory_equal(kept[0], kept[1], 12 * BF16_SUMS * sizeof(float));
        free(x), free(y), free(a), free(b), free(sums[0]), free(sums[1]), free(waiting), free(kept[0]), free(kept[1]);
    }
}

static int choose(const char *isa, const char *gemm, const char *bf16, int lowest, error *e) {
    *e = (error){0};
    if (isa) setenv("BERT_ISA", isa, 1);
    if (gemm) setenv("BERT_GEMM", gemm, 1);
    if (bf16) setenv("BERT_BF16", bf16, 1);
    int code = kernels_start(-1, e);
    if (!code) code = gemm_set_precision(GEMM_BF16, lowest, e);
    unsetenv("BERT_ISA"), unsetenv("BERT_GEMM"), unsetenv("BERT_BF16");
    return code;
}

static void refusals(void **state) {
    (void)state;
    error e;
    assert_int_equal(choose(NULL, NULL, "fast", -1, &e), EXIT_USAGE);
    assert_non_null(strstr(e.text, "BERT_BF16=fast"));
    assert_int_equal(choose(NULL, "openblas", "emulated", -1, &e), EXIT_USAGE);
    assert_non_null(strstr(e.text, "openblas"));
    assert_int_equal(choose(NULL, NULL, "emulated", BF16_NONE, &e), EXIT_USAGE);           /* another rank has nothing */
    assert_non_null(strstr(e.text, "AVX512-BF16"));
    for (int i = KERNELS_REF; i <= KERNELS_BASE; i++) {
        assert_int_equal(choose(i ? "base" : "ref", NULL, "emulated", -1, &e), 0);
        assert_string_equal(gemm_name(), "bf16 emulated");
        if (bf16_best_set() == BF16_NONE) continue;
        assert_int_equal(choose(i ? "base" : "ref", NULL, NULL, -1, &e), EXIT_USAGE);
        assert_non_null(strstr(e.text, "needs the kernel set avx512"));
    }
    for (int i = bf16_best_set() + 1; i > BF16_EMULATED && i <= BF16_AMX; i++) assert_int_equal(choose(NULL, NULL, name[i], -1, &e), EXIT_USAGE);
    if (bf16_best_set() == BF16_AMX) {
        assert_int_equal(choose(NULL, NULL, NULL, BF16_AVX512, &e), 0);
        assert_string_equal(gemm_name(), "bf16 avx512bf16");
        assert_int_equal(choose(NULL, NULL, NULL, -1, &e), 0);
        assert_string_equal(gemm_name(), "bf16 amx");
    }
    assert_int_equal(gemm_set_precision(GEMM_FP32, -1, &e), 0);
    assert_string_equal(gemm_name(), "own");
}

int main(void) {
    const struct CMUnitTest start[] = {cmocka_unit_test(refusals)};
    const struct CMUnitTest tests[] = {cmocka_unit_test(rounding), cmocka_unit_test(packing), cmocka_unit_test(order_of_additions),
                                       cmocka_unit_test(larger_than_memory)};
    const struct CMUnitTest same[] = {cmocka_unit_test(emulated_is_amx)};
    unsetenv("BERT_ISA"), unsetenv("BERT_GEMM"), unsetenv("BERT_BF16");
    int bad = cmocka_run_group_tests(start, NULL, NULL);
    error e;
    for (set = BF16_EMULATED; set == BF16_EMULATED || set <= bf16_best_set(); set++) {
        if (choose(NULL, NULL, name[set], -1, &e)) return error_print(&e);
        bad += cmocka_run_group_tests(tests, NULL, NULL);
    }
    bad += cmocka_run_group_tests(same, NULL, NULL);
    return bad != 0;
}
