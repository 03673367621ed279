/* datagen/google_random.c against values that CPython printed: random.Random(seed), 1,300 words, random(), randint(0, n - 1), shuffle(). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include "datagen/google_random.h"
#include <cmocka.h>

static const uint32_t below[7] = { 1, 2, 3, 6, 1000, 2147483648u, 4294967295u };
static const struct { uint64_t seed; uint32_t first, last; double unit; uint32_t drawn[7]; int shuffled[20]; } known[] = {
    { 0u, 3626764237u, 613370405u, 0.7452096901500458, { 0u, 0u, 0u, 2u, 482u, 1679186368u, 3816271880u },
      { 7, 3, 10, 18, 6, 11, 13, 8, 4, 15, 9, 1, 14, 5, 19, 12, 17, 2, 16, 0 } },
    { 1u, 577090037u, 3223856108u, 0.16859757880447968, { 0u, 0u, 1u, 3u, 560u, 1673291265u, 910133698u },
      { 18, 9, 6, 12, 2, 4, 13, 5, 7, 17, 11, 0, 1, 16, 19, 3, 15, 10, 8, 14 } },
    { 12345u, 1789368711u, 4004275952u, 0.4664985324344715, { 0u, 1u, 2u, 5u, 971u, 1514452810u, 2638070944u },
      { 16, 18, 17, 14, 4, 19, 8, 9, 6, 15, 12, 11, 1, 13, 2, 5, 3, 0, 10, 7 } },
    { 4294967295u, 2728839433u, 2787731301u, 0.4130885477737589, { 0u, 1u, 1u, 3u, 297u, 446982293u, 206281945u },
      { 15, 19, 17, 6, 16, 9, 11, 1, 13, 18, 8, 3, 10, 7, 5, 4, 0, 2, 12, 14 } },
    { 4294967296u, 485306839u, 1732281320u, 0.48833749820235994, { 0u, 0u, 1u, 1u, 461u, 830180475u, 942537372u },
      { 19, 15, 14, 16, 1, 13, 11, 9, 10, 6, 2, 3, 18, 7, 17, 4, 12, 5, 0, 8 } },
    { 9007199254740992u, 2975893306u, 694602888u, 0.34446830419395824, { 0u, 1u, 1u, 0u, 604u, 21478633u, 2742181853u },
      { 9, 13, 18, 17, 3, 5, 19, 0, 7, 1, 12, 4, 2, 14, 16, 6, 10, 11, 15, 8 } },
    { 9007199254740991u, 404802386u, 299312121u, 0.5515487916898107, { 0u, 1u, 0u, 4u, 6u, 615088u, 1309619777u },
      { 19, 10, 13, 2, 15, 5, 14, 3, 17, 12, 16, 6, 8, 0, 18, 4, 11, 7, 1, 9 } },
};

static void test_as_python(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        python_random r;
        int x[20];
        python_random_seed(&r, known[k].seed);
        assert_int_equal(python_random_word(&r), known[k].first);
        for (int i = 0; i < 1298; i++) python_random_word(&r);              /* over two refills */
        assert_int_equal(python_random_word(&r), known[k].last);
        double unit = python_random_unit(&r);
        assert_true(unit == known[k].unit);
        for (size_t i = 0; i < 7; i++) assert_int_equal(python_random_below(&r, below[i]), known[k].drawn[i]);
        for (int i = 0; i < 20; i++) x[i] = i;
        for (uint32_t i = 19; i > 0; i--) {
            uint32_t j = python_random_below(&r, i + 1);
            int swap = x[i];
            x[i] = x[j];
            x[j] = swap;
        }
        assert_memory_equal(x, known[k].shuffled, sizeof x);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_as_python) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
