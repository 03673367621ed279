/* The arena: dry pass, alignment, stack discipline; red zones under AddressSanitizer. */
#include <stdint.h>
#include <string.h>
#include "base/arena.h"
#include "base/fail.h"
#include "tests/check.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

/* A step as a program takes it. */
static void take_all(arena *a, char *slice[4]) {
    slice[0] = arena_take(a, 3, 4);
    size_t mark = arena_mark(a);
    slice[1] = arena_take(a, 1000, 8);
    arena_release(a, mark);
    slice[2] = arena_take(a, 64, 1);
    slice[3] = arena_take(a, 0, 8);
}

static void dry_pass_sizes_the_real_one(void **state) {
    (void)state;
    arena dry, real;
    char *slice[4];
    arena_init(&dry, 0);
    take_all(&dry, slice);
    for (int i = 0; i < 4; i++) assert_null(slice[i]);
    assert_true(arena_peak(&dry) >= 64 + 8000);
    arena_init(&real, arena_peak(&dry));
    take_all(&real, slice);
    assert_int_equal(arena_peak(&real), arena_peak(&dry));
    for (int i = 0; i < 4; i++) {
        assert_non_null(slice[i]);
        assert_int_equal((uintptr_t)slice[i] % 64, 0);
    }
    assert_ptr_equal(slice[1], slice[2]);         /* released, and handed out again */
    memset(slice[0], 1, 12), memset(slice[2], 2, 64);
    assert_int_equal(slice[0][11], 1);
    arena_free(&real);
    assert_null(real.base);
    arena_free(&dry);
}

static void overflow_of_the_count(void **state) {
    (void)state;
    arena dry;
    arena_init(&dry, 0);
    arena_take(&dry, SIZE_MAX / 8, 1);
    arena_take(&dry, SIZE_MAX / 8, 1);
    assert_true(arena_peak(&dry) >= SIZE_MAX / 4 - 64);
}

static void red_zones(void **state) {
    (void)state;
#if defined(__SANITIZE_ADDRESS__)
    arena a;
    arena_init(&a, 1024);
    char *first = arena_take(&a, 10, 1);
    size_t mark = arena_mark(&a);
    char *second = arena_take(&a, 10, 1);
    assert_false(__asan_address_is_poisoned(first + 9));
    assert_true(__asan_address_is_poisoned(first + 10));
    assert_true(__asan_address_is_poisoned(second - 1));
    assert_false(__asan_address_is_poisoned(second));
    arena_release(&a, mark);
    assert_true(__asan_address_is_poisoned(second));
    arena_free(&a);
#else
    skip();
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(dry_pass_sizes_the_real_one), cmocka_unit_test(overflow_of_the_count), cmocka_unit_test(red_zones)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
