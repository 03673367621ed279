/* tests/unit/test_order.c - the order of rows: complete, balanced, and equal to a slow formulation of its own. */
#include <stdlib.h>
#include <string.h>
#include "base/rng.h"
#include "trainer/loader.h"
#include "tests/check.h"

typedef struct shape { uint64_t rows; int64_t global, micro; uint32_t seq_length; } shape;
static const shape shapes[] = { { 5000, 256, 4, 128 }, { 3000, 32, 4, 512 }, { 700, 256, 4, 128 }, { 2000, 96, 8, 128 }, { 256, 256, 4, 64 },
                                { 1000, 24, 3, 16 }, { 513, 512, 512, 128 }, { 7, 1, 1, 8 } };
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* 60 % of the rows are full, the others of any length: what bert-shard makes of books. */
static uint16_t *make_lengths(const shape *s) {
    uint16_t *lengths = malloc(s->rows * sizeof *lengths);
    rng_key k = rng_open(99, RNG_EXAMPLE, 1, 2, 3);
    for (uint64_t i = 0; i < s->rows; i++) {
        uint64_t shortest = s->seq_length / 8, r = rng_u64(k, i);
        lengths[i] = (uint16_t)(r % 10 < 6 ? s->seq_length : shortest + r / 16 % (s->seq_length - shortest + 1));
    }
    return lengths;
}

static order make(const shape *s, const uint16_t *lengths) {
    order o;
    error e = {0};
    assert_int_equal(order_make(&o, s->rows, lengths, s->seq_length, s->global, s->micro, 12345, &e), 0);
    return o;
}

static void test_sizes_follow_the_formulas(void **state) {
    (void)state;
    for (int i = 0; i < SHAPES; i++) {
        uint16_t *lengths = make_lengths(&shapes[i]);
        order o = make(&shapes[i], lengths);
        double wanted = 256.0 / (double)shapes[i].micro;
        int64_t parts = (int64_t)(wanted + 0.5), most = (int64_t)shapes[i].rows / shapes[i].global;
        if (parts > most) parts = most;
        if (parts < 1) parts = 1;
        assert_int_equal(o.parts, parts);
        uint64_t blocks = 0;
        while (blocks * (uint64_t)(parts * shapes[i].micro) < shapes[i].rows) blocks++;
        assert_int_equal(o.blocks, blocks);
        assert_true((int64_t)o.blocks >= o.leaves);              /* a step never spans three epochs */
        int64_t steps = order_steps(&o, 3);
        assert_true(steps * o.leaves >= 3 * (int64_t)o.blocks * o.parts && (steps - 1) * o.leaves < 3 * (int64_t)o.blocks * o.parts);
        free(lengths);
    }
}

static void test_every_row_once_an_epoch(void **state) {
    (void)state;
    for (int i = 0; i < SHAPES; i++) {
        uint16_t *lengths = make_lengths(&shapes[i]);
        order o = make(&shapes[i], lengths);
        size_t block = (size_t)(o.parts * o.micro_batch);
        uint64_t *rows = malloc(block * sizeof *rows), *permutation = malloc(o.blocks * sizeof *permutation);
        order_card *cards = malloc(block * sizeof *cards);
        for (uint64_t epoch = 0; epoch < 2; epoch++) {
            int *seen = calloc(o.rows, sizeof *seen);
            order_permutation(&o, epoch, permutation);
            for (uint64_t b = 0; b < o.blocks; b++) {
                order_deal(&o, epoch, permutation[b], rows, cards);
                for (size_t r = 0; r < block; r++) seen[rows[r]]++;
            }
            uint64_t twice = o.blocks * block - o.rows;          /* the rows that complete the last block */
            assert_true(twice < block);
            for (uint64_t r = 0; r < o.rows; r++) assert_int_equal(seen[r], r < twice ? 2 : 1);
            free(seen);
        }
        free(rows), free(permutation), free(cards), free(lengths);
    }
}

/* How many rows of the block come before `row`: length class, then tie, then row number. */
static size_t rank_in_block(const order *o, uint64_t epoch, uint64_t first, size_t block, uint64_t row) {
    uint64_t unit = o->seq_length / 16 < 1 ? 1 : o->seq_length / 16;
    uint64_t class = o->lengths[row] / unit, tie = rng_u64(rng_open(o->seed, RNG_TIE, epoch, row, 0), 0);
    size_t before = 0;
    for (uint64_t i = 0; i < block; i++) {
        uint64_t other = (first + i) % o->rows, other_class = o->lengths[other] / unit;
        uint64_t other_tie = rng_u64(rng_open(o->seed, RNG_TIE, epoch, other, 0), 0);
        before += other_class < class || (other_class == class && (other_tie < tie || (other_tie == tie && other < row)));
    }
    return before;
}

static void test_dealing_equals_slow_formulation(void **state) {
    (void)state;
    for (int i = 0; i < SHAPES; i++) {
        uint16_t *lengths = make_lengths(&shapes[i]);
        order o = make(&shapes[i], lengths);
        size_t parts = (size_t)o.parts, each = (size_t)o.micro_batch, block = parts * each;
        uint64_t *rows = malloc(block * sizeof *rows), number = o.blocks - 1;
        order_card *cards = malloc(block * sizeof *cards);
        order_deal(&o, 1, number, rows, cards);
        for (uint64_t at = 0; at < block; at++) {
            uint64_t row = (number * block + at) % o.rows;
            size_t rank = rank_in_block(&o, 1, number * block, block, row), round = rank / parts;
            size_t part = round & 1 ? parts - rank % parts - 1 : rank % parts;
            if (rows[part * each + round] != row) fail_msg("shape %d: row %llu is not in part %zu, round %zu", i, (unsigned long long)row, part, round);
        }
        free(rows), free(cards), free(lengths);
    }
}

static void test_permutation_is_fisher_yates_by_modulo(void **state) {
    (void)state;
    uint16_t *lengths = make_lengths(&shapes[0]);
    order o = make(&shapes[0], lengths);
    uint64_t got[128], wanted[128];
    assert_true(o.blocks <= 128);
    order_permutation(&o, 3, got);
    for (uint64_t i = 0; i < o.blocks; i++) wanted[i] = i;
    for (uint64_t i = o.blocks; i-- > 1;) {
        uint64_t draw = rng_u64(rng_open(12345, RNG_ORDER, 3, i, 0), 0), j = draw - draw / (i + 1) * (i + 1), kept = wanted[i];
        wanted[i] = wanted[j], wanted[j] = kept;
    }
    assert_memory_equal(got, wanted, o.blocks * sizeof *got);
    order_permutation(&o, 4, wanted);
    assert_memory_not_equal(got, wanted, o.blocks * sizeof *got);
    free(lengths);
}

/* The fullest part of a block against the mean of its parts, averaged over blocks; dealt in row order it is about 1.25 here. */
static void test_micro_batches_hold_nearly_equal_tokens(void **state) {
    (void)state;
    uint16_t *lengths = make_lengths(&shapes[0]);
    order o = make(&shapes[0], lengths);
    uint64_t *rows = malloc((size_t)(o.parts * o.micro_batch) * sizeof *rows);
    order_card *cards = malloc((size_t)(o.parts * o.micro_batch) * sizeof *cards);
    double sum = 0;
    for (uint64_t b = 0; b < o.blocks; b++) {
        double total = 0, most = 0;
        order_deal(&o, 0, b, rows, cards);
        for (int64_t p = 0; p < o.parts; p++) {
            double tokens = 0;
            for (int64_t r = 0; r < o.micro_batch; r++) tokens += lengths[rows[p * o.micro_batch + r]];
            total += tokens;
            most = tokens > most ? tokens : most;
        }
        sum += most / (total / (double)o.parts);
    }
    if (sum / (double)o.blocks > 1.08) fail_msg("the fullest micro-batch of a block holds %.3f times the mean", sum / (double)o.blocks);
    free(rows), free(cards), free(lengths);
}

static void test_refusals_name_numbers_that_would_do(void **state) {
    (void)state;
    uint16_t lengths[100] = {0};
    order o;
    error e = {0};
    assert_int_equal(order_make(&o, 100, lengths, 16, 30, 4, 1, &e), EXIT_USAGE);
    assert_non_null(strstr(e.text, "28 or 32"));
    assert_int_equal(order_make(&o, 100, lengths, 16, 104, 4, 1, &e), EXIT_USAGE);
    assert_non_null(strstr(e.text, "100 training examples"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_follow_the_formulas), cmocka_unit_test(test_every_row_once_an_epoch),
        cmocka_unit_test(test_dealing_equals_slow_formulation), cmocka_unit_test(test_permutation_is_fisher_yates_by_modulo),
        cmocka_unit_test(test_micro_batches_hold_nearly_equal_tokens), cmocka_unit_test(test_refusals_name_numbers_that_would_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
