/* datagen/digests.c: counts of equal hashes, the same in memory and through runs on disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/rng.h"
#include "datagen/digests.h"
#include <cmocka.h>   /* last: its macro fail() must not meet ours */

static void make_hash(unsigned char hash[32], uint64_t value) {
    rng_key k = rng_open(7, RNG_INIT, value, 0, 0);
    for (uint64_t i = 0; i < 4; i++) {
        uint64_t word = rng_below(k, i, UINT64_MAX);
        memcpy(hash + 8 * i, &word, 8);
    }
}

/* `rows` values below `kinds`, the last quarter on side 1; the counts by hand from tables. */
static void check(uint64_t rows, uint64_t kinds, size_t most) {
    digests d;
    digest_counts got, want = {0};
    error e = {0};
    unsigned char *seen = calloc(kinds, 1), *training = calloc(kinds, 1), hash[32];
    rng_key k = rng_open(1, RNG_INIT, rows, kinds, 0);
    digests_init(&d, most);
    for (uint64_t i = 0; i < rows; i++) {
        uint64_t value = rng_below(k, i, kinds);
        int side = i >= rows - rows / 4;
        want.repeated += seen[value];
        seen[value] = 1;
        if (side) want.shared += training[value];
        else training[value] = 1;
        make_hash(hash, value);
        assert_int_equal(digests_add(&d, hash, side, &e), 0);
    }
    assert_int_equal(digests_count(&d, &got, &e), 0);
    assert_int_equal(got.repeated, want.repeated);
    assert_int_equal(got.shared, want.shared);
    digests_free(&d);
    free(seen);
    free(training);
}

static void test_counts(void **state) {
    (void)state;
    const size_t most[] = { 0, 1, 7, 100, 5000 };
    for (size_t i = 0; i < sizeof most / sizeof *most; i++) {
        check(0, 1, most[i]);
        check(1, 1, most[i]);
        check(400, 3, most[i]);
        check(20000, 15000, most[i] == 1 ? 64 : most[i]);
        check(20000, 1000000, most[i] == 1 ? 64 : most[i]);
    }
}

static void test_no_room(void **state) {
    (void)state;
    digests d;
    error e = {0};
    unsigned char hash[32] = {0};
    const char *before = getenv("TMPDIR");
    char *kept = before ? strdup(before) : NULL;
    setenv("TMPDIR", "/nonexistent/folder", 1);
    digests_init(&d, 1);
    assert_int_equal(digests_add(&d, hash, 0, &e), 0);
    assert_int_equal(digests_add(&d, hash, 0, &e), EXIT_MACHINE);
    assert_non_null(strstr(e.text, "/nonexistent/folder"));
    digests_free(&d);
    if (kept) setenv("TMPDIR", kept, 1);
    else unsetenv("TMPDIR");
    free(kept);
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_counts), cmocka_unit_test(test_no_room) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
