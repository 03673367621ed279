/* Philox against Random123, and the draws as base/rng.h words them. */
#include <math.h>
#include <string.h>
#include "base/rng.h"
#include "tests/check.h"

/* Random123 1.14, tests/kat_vectors: philox4x32 10. */
static void known_answers(void **state) {
    (void)state;
    static const struct { uint32_t counter[4], key[2], want[4]; } kat[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}, {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof kat / sizeof *kat; i++) {
        uint32_t out[4];
        rng_philox(kat[i].key, kat[i].counter, out);
        for (int w = 0; w < 4; w++) assert_int_equal(out[w], kat[i].want[w]);
    }
}

/* The folding of the tuple, step by step. */
static void key_is_two_philox_calls(void **state) {
    (void)state;
    uint64_t seed = 0x123456789abcdef0, a = 0x1111111122222222, b = 0x3333333344444444, c = 0x5555555566666666;
    uint32_t key[2] = {0x9abcdef0, 0x12345678}, out[4];
    rng_philox(key, (uint32_t[]){RNG_DROPOUT, 0, 0x22222222, 0x11111111}, out);
    rng_philox((uint32_t[]){out[0], out[1]}, (uint32_t[]){0x44444444, 0x33333333, 0x66666666, 0x55555555}, out);
    rng_key k = rng_open(seed, RNG_DROPOUT, a, b, c);
    assert_int_equal(k.word[0], out[0]);
    assert_int_equal(k.word[1], out[1]);
}

static void every_part_of_the_tuple_counts(void **state) {
    (void)state;
    rng_key k[7] = {rng_open(1, RNG_MASK, 2, 3, 4), rng_open(9, RNG_MASK, 2, 3, 4), rng_open(1, RNG_TIE, 2, 3, 4), rng_open(1, RNG_MASK, 9, 3, 4),
                    rng_open(1, RNG_MASK, 2, 9, 4), rng_open(1, RNG_MASK, 2, 3, 9), rng_open(1ull << 32 | 1, RNG_MASK, 2, 3, 4)};
    for (int i = 0; i < 7; i++)
        for (int j = 0; j < i; j++) assert_memory_not_equal(&k[i], &k[j], sizeof *k);
}

static void draws_at_once_are_the_same(void **state) {
    (void)state;
    uint64_t index[41], got[41];
    for (uint64_t i = 0; i < 41; i++) index[i] = i * i << i % 50 | i;
    for (size_t count = 0; count <= 41; count++) {
        rng_key k = rng_open(count, RNG_MASK, 0, 0, 0);
        memset(got, 0, sizeof got);
        rng_u64s(k, index, count, got);
        for (size_t i = 0; i < 41; i++) assert_true(got[i] == (i < count ? rng_u64(k, index[i]) : 0));
    }
}

static void draws_follow_their_words(void **state) {
    (void)state;
    rng_key k = rng_open(12345, RNG_ORDER, 0, 0, 0);
    for (uint64_t i = 0; i < 1000; i++) {
        uint64_t index = i << 27 | i;             /* both halves of the index */
        uint32_t w[4], want[4];
        rng_philox(k.word, (uint32_t[]){(uint32_t)index, (uint32_t)(index >> 32), 0, 0}, want);
        rng_block(k, index, w);
        assert_memory_equal(w, want, sizeof w);
        uint64_t u = (uint64_t)w[1] << 32 | w[0], v = (uint64_t)w[3] << 32 | w[2];
        assert_true(rng_u64(k, index) == u);
        assert_true(rng_unit(k, index) == (double)(u >> 11) / 9007199254740992.0);
        double r = sqrt(-2 * log(((double)(u >> 11) + 1) / 9007199254740992.0)) * cos(2 * 3.14159265358979323846 * (double)(v >> 11) / 9007199254740992.0);
        assert_true(fabs(rng_normal(k, index) - r) < 1e-12);
        assert_true(rng_below(k, index, 1) == 0);
        assert_true(rng_below(k, index, 1ull << 63) == u >> 1);
        assert_true(rng_below(k, index, 10) == (uint64_t)((double)(u >> 11) / 9007199254740992.0 * 10));
    }
}

/* Wrong only once in about 10^9 keys; the key is fixed. */
static void moments(void **state) {
    (void)state;
    enum { N = 200000 };
    rng_key k = rng_open(7, RNG_INIT, 0, 0, 0);
    double sum = 0, squares = 0, fourth = 0, unit = 0;
    int counts[10] = {0};
    for (uint64_t i = 0; i < N; i++) {
        double x = rng_normal(k, i);
        sum += x, squares += x * x, fourth += x * x * x * x;
        unit += rng_unit(k, i);
        counts[rng_below(k, i, 10)]++;
    }
    assert_true(fabs(sum / N) < 6 / sqrt(N));
    assert_true(fabs(squares / N - 1) < 6 * sqrt(2.0 / N));
    assert_true(fabs(fourth / N - 3) < 6 * sqrt(96.0 / N));
    assert_true(fabs(unit / N - 0.5) < 6 * sqrt(1 / 12.0 / N));
    for (int i = 0; i < 10; i++) assert_in_range(counts[i], N / 10 - 800, N / 10 + 800);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(known_answers), cmocka_unit_test(key_is_two_philox_calls),
                                       cmocka_unit_test(every_part_of_the_tuple_counts), cmocka_unit_test(draws_at_once_are_the_same),
                                       cmocka_unit_test(draws_follow_their_words), cmocka_unit_test(moments)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
