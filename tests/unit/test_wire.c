/* Sums with absent parts, rounding to bfloat16, and messages of touched rows: against plain loops. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "comm/floats.h"
#include "comm/wire.h"
#include <cmocka.h>   /* last: it makes fail a macro */

static uint64_t state_of_hash = 1;

static uint64_t draw(void) {
    uint64_t h = state_of_hash++ * 0x9e3779b97f4a7c15u;
    h = (h ^ h >> 29) * 0xbf58476d1ce4e5b9u;
    return h ^ h >> 32;
}

static float draw_float(void) { return (float)ldexp((double)(draw() >> 40) - 8388608.0, -(int)(draw() % 40)); }

static float T(const float *v, const bool *there, int lo, int n) {       /* absent: +0.0 */
    if (n == 1) return there[lo] ? v[lo] : 0;
    int p = 1;
    while (2 * p < n) p *= 2;
    return T(v, there, lo, p) + T(v, there, lo + p, n - p);
}

static void sums_with_absent_parts(void **state) {
    (void)state;
    enum { N = 2500, MOST = 40 };
    float *all = malloc(MOST * N * sizeof *all), v[MOST];
    for (int n = 1; n <= MOST; n++)
        for (int trial = 0; trial < 6; trial++) {
            const float *part[MOST];
            bool there[MOST], any = false;
            int home = (int)(draw() % (unsigned)n);
            for (size_t i = 0; i < (size_t)n * N; i++) all[i] = draw_float() + 0.0f;     /* never -0.0 */
            for (int p = 0; p < n; p++) {
                there[p] = trial == 0 || draw() % 3 > 0;
                part[p] = there[p] ? all + p * N : NULL;
                any |= there[p];
            }
            if (!there[home]) memset(all + home * N, 0, N * sizeof *all);
            float expected[N];
            for (size_t i = 0; i < N; i++) {
                for (int p = 0; p < n; p++) v[p] = all[(size_t)p * N + i];
                expected[i] = T(v, there, 0, n);
            }
            floats_sum(all + home * N, part, n, N);          /* in place of one of the parts */
            if (any) assert_memory_equal(all + home * N, expected, sizeof expected);
        }
    free(all);
}

static uint16_t bf16(float x) {
    uint16_t y;
    floats_to_bf16(&y, &x, 1);
    return y;
}

static void rounding(void **state) {
    (void)state;
    assert_int_equal(bf16(1.0f), 0x3f80);
    assert_int_equal(bf16(-2.0f), 0xc000);
    assert_int_equal(bf16(0x1.01p0f), 0x3f80);                /* half way: to even, down */
    assert_int_equal(bf16(0x1.03p0f), 0x3f82);                /* half way: to even, up */
    assert_int_equal(bf16(0x1.010002p0f), 0x3f81);            /* just above half */
    assert_int_equal(bf16(0x1.fffffep127f), 0x7f80);          /* beyond the largest: infinity */
    assert_int_equal(bf16(INFINITY), 0x7f80);
    assert_int_equal(bf16(-0.0f), 0x8000);
    float back;
    uint16_t nan = bf16(NAN);
    floats_from_bf16(&back, &nan, 1);
    assert_true(isnan(back));
    for (int i = 0; i < 100000; i++) {
        float x = draw_float();
        uint16_t y = bf16(x);
        floats_from_bf16(&back, &y, 1);
        assert_true(fabsf(back - x) <= fabsf(x) / 256);
        assert_int_equal(bf16(back), y);
    }
}

/* Packed by one, added and unpacked by another: what whole rows of +0.0 would give; short when few rows are touched. */
static void rows(void **state) {
    (void)state;
    enum { ROWS = 64, ROW = 37, FIRST = 1024, N = ROWS * ROW };
    for (int trial = 0; trial < 300; trial++) {
        bool round = trial % 5 == 4;
        uint64_t mine[2] = {0}, theirs[2] = {0};
        float *a = calloc(FIRST + N, sizeof *a), *b = calloc(FIRST + N, sizeof *b), *message = malloc(wire_room(N) * sizeof *message),
              *out = malloc(N * sizeof *out);
        size_t touched = 0, share = draw() % 8;
        range r = {FIRST + draw() % (N / 2), FIRST + N / 2 + draw() % (N / 2)};
        for (size_t row = 0; row < ROWS; row++) {
            bool there = draw() % 8 < share;
            if (there) bit_set(mine, row);
            for (size_t i = FIRST + row * ROW; i < FIRST + (row + 1) * ROW; i++) {
                if (there) a[i] = round ? (float)(draw() % 200) : draw_float() + 0.0f;       /* small integers: exact in bfloat16 */
                b[i] = draw() % 2 ? draw_float() + 0.0f : 0;
                touched += there && i >= r.begin && i < r.end;
            }
        }
        wire from = { .bf16 = round, .row_elements = ROW, .first = FIRST, .touched = mine }, to = from;
        to.touched = theirs;
        size_t used = wire_pack(&from, a, r, message), length = r.end - r.begin;
        assert_true(used <= wire_room(length));
        if (2 * touched <= length) assert_true(used <= 1 + ROWS + touched);
        wire_unpack(&to, message, out, r);
        assert_memory_equal(out, a + r.begin, length * sizeof *out);
        for (size_t i = r.begin; i < r.end; i++) out[i - r.begin] = b[i] + a[i];
        wire_add(&to, message, b, r);
        for (size_t i = r.begin; i < r.end; i++) assert_true(b[i] == out[i - r.begin]);
        for (size_t row = 0; row < ROWS; row++) {
            bool inside = FIRST + (row + 1) * ROW > r.begin && FIRST + row * ROW < r.end;
            if (inside && bit_of(mine, row)) assert_true(bit_of(theirs, row));
        }
        free(a), free(b), free(message), free(out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(sums_with_absent_parts), cmocka_unit_test(rounding), cmocka_unit_test(rows) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
