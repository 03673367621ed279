/* tests/unit/test_schedule.c - every schedule against its formula worked out by hand, and the published recipes' form. */
#include <math.h>
#include "trainer/optimizer.h"
#include "tests/check.h"

static void near(double got, double wanted, const char *what, int64_t k) {
    if (fabs(got - wanted) > 1e-15 + 1e-12 * fabs(wanted)) fail_msg("%s, step %lld: %.17g, wanted %.17g", what, (long long)k, got, wanted);
}

static schedule make(int kind, int from, double power) {
    return (schedule){ .kind = kind, .decay_from = from, .peak = 0.8, .power = power, .warmup_steps = 4, .steps = 10 };
}

static void test_warmup_is_linear_and_meets_the_decay(void **state) {
    (void)state;
    for (int kind = SCHEDULE_LINEAR; kind <= SCHEDULE_CONSTANT; kind++) {
        schedule s = make(kind, DECAY_FROM_WARMUP, 2);
        near(schedule_rate(&s, 1), 0.2, "warm-up", 1);
        near(schedule_rate(&s, 2), 0.4, "warm-up", 2);
        near(schedule_rate(&s, 4), 0.8, "warm-up", 4);
    }
}

/* W 4, T 10: x = 6/7 at step 5 down to 1/7 at step 10. */
static void test_decay_after_warmup(void **state) {
    (void)state;
    schedule linear = make(SCHEDULE_LINEAR, DECAY_FROM_WARMUP, 3), square = make(SCHEDULE_POLYNOMIAL, DECAY_FROM_WARMUP, 2);
    schedule cosine = make(SCHEDULE_COSINE, DECAY_FROM_WARMUP, 1), constant = make(SCHEDULE_CONSTANT, DECAY_FROM_WARMUP, 1);
    near(schedule_rate(&linear, 5), 0.8 * 6 / 7, "linear", 5);
    near(schedule_rate(&linear, 10), 0.8 / 7, "linear", 10);
    near(schedule_rate(&square, 5), 0.8 * 36 / 49, "polynomial", 5);
    near(schedule_rate(&square, 10), 0.8 / 49, "polynomial", 10);
    near(schedule_rate(&cosine, 5), 0.8 * 0.95048443395120952, "cosine", 5);          /* (1 - cos(6 pi / 7)) / 2 */
    near(schedule_rate(&cosine, 10), 0.8 * 0.049515566048790434, "cosine", 10);
    near(schedule_rate(&constant, 5), 0.8, "constant", 5);
    near(schedule_rate(&constant, 10), 0.8, "constant", 10);
}

static void test_no_warmup_starts_at_the_peak(void **state) {
    (void)state;
    schedule s = make(SCHEDULE_LINEAR, DECAY_FROM_WARMUP, 1);
    s.warmup_steps = 0;
    near(schedule_rate(&s, 1), 0.8 * 10 / 11, "linear without warm-up", 1);
    s.warmup_steps = s.steps;
    near(schedule_rate(&s, 10), 0.8, "warm-up to the end", 10);
}

/* google-research/bert optimization.py: global_step g = 0, 1, ...: g < W: peak g / W, else (peak - 0) (1 - g / T)^power + 0. */
static void test_published_form(void **state) {
    (void)state;
    schedule linear = make(SCHEDULE_LINEAR, DECAY_FROM_ZERO, 7), root = make(SCHEDULE_POLYNOMIAL, DECAY_FROM_ZERO, 0.5);
    const double wanted[] = { 0, 0.2, 0.4, 0.6, 0.48, 0.4, 0.32, 0.24, 0.16, 0.08 };   /* drops at the end of warm-up, as published */
    for (int64_t k = 1; k <= 10; k++) near(schedule_rate(&linear, k), wanted[k - 1], "linear from zero", k);
    near(schedule_rate(&root, 5), 0.8 * sqrt(0.6), "polynomial from zero", 5);
    near(schedule_rate(&root, 10), 0.8 * sqrt(0.1), "polynomial from zero", 10);
}

/* NVIDIA's lamb_schedulers.py, PolyWarmUpScheduler: progress = step / T with step = 1, 2, ...: below the warm-up's share peak progress / share,
 * else peak (1 - progress)^power. */
static void test_nvidia_form(void **state) {
    (void)state;
    schedule s = make(SCHEDULE_POLYNOMIAL, DECAY_FROM_ZERO, 0.5);
    s.counts_from_one = true;
    for (int64_t k = 1; k <= 10; k++) {
        double progress = (double)k / 10, share = 0.4;
        near(schedule_rate(&s, k), 0.8 * (progress < share ? progress / share : sqrt(1 - progress)), "NVIDIA's polynomial", k);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_warmup_is_linear_and_meets_the_decay), cmocka_unit_test(test_decay_after_warmup),
        cmocka_unit_test(test_no_warmup_starts_at_the_peak), cmocka_unit_test(test_published_form), cmocka_unit_test(test_nvidia_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
