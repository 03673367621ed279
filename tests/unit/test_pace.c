/* A rank is named when it is slow for long: not for a moment, not twice in a row, and not when the slow one changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "trainer/pace.h"
#include <cmocka.h>   /* last: it makes fail a macro */

enum { RANKS = 5 };

/* Judges every 30 s, `times` times; rank `slow` computes `factor` times as long as the others. How often it was named, the last ratio. */
static int named(pace *p, double *now, int times, int slow, double factor, double *ratio) {
    int count = 0;
    double busy[RANKS], sorted[RANKS];
    for (int i = 0; i < times; i++, *now += 30) {
        for (int r = 0; r < RANKS; r++) busy[r] = (1 + 0.01 * r) * (r == slow ? factor : 1);
        int who = pace_judge(p, busy, sorted, RANKS, *now, ratio);
        assert_true(who == -1 || who == slow);
        count += who == slow;
    }
    return count;
}

static void slow_for_long(void **state) {
    (void)state;
    pace p = {0};
    double now = 5, ratio = 0;
    assert_int_equal(named(&p, &now, 100, 0, 1.0, &ratio), 0);       /* alike */
    assert_int_equal(named(&p, &now, 2, 3, 2.0, &ratio), 0);         /* a moment */
    assert_int_equal(named(&p, &now, 1, 3, 1.0, &ratio), 0);
    assert_int_equal(named(&p, &now, 2, 3, 2.0, &ratio), 0);         /* counted anew */
    assert_int_equal(named(&p, &now, 2, 1, 2.0, &ratio), 0);         /* another one */
    assert_int_equal(named(&p, &now, 1, 1, 2.0, &ratio), 1);
    assert_true(ratio > 1.9 && ratio < 2.1);
    assert_int_equal(named(&p, &now, 59, 1, 2.0, &ratio), 0);        /* quiet for half an hour, though it stays slow */
    assert_int_equal(named(&p, &now, 1, 1, 2.0, &ratio), 1);
}

/* Many judgements in a short time are a moment too. */
static void short_steps(void **state) {
    (void)state;
    pace p = {0};
    double busy[2] = {1, 3}, sorted[2], ratio;
    for (int i = 0; i < 1000; i++) assert_int_equal(pace_judge(&p, busy, sorted, 2, 1 + 0.05 * i, &ratio), -1);
    assert_int_equal(pace_judge(&p, busy, sorted, 2, 62, &ratio), 1);
}

static void one_rank(void **state) {
    (void)state;
    pace p = {0};
    double busy[1] = {3}, sorted[1], ratio;
    for (int i = 0; i < 100; i++) assert_int_equal(pace_judge(&p, busy, sorted, 1, 1 + 60 * i, &ratio), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(slow_for_long), cmocka_unit_test(short_steps), cmocka_unit_test(one_rank) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
