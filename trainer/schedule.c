/* trainer/schedule.c - the learning rate at a step. See optimizer.h; formulas: DESIGN section 5. */
#include <assert.h>
#include <math.h>
#include "trainer/optimizer.h"

/* The published recipes' form (google-research/bert optimization.py): the decay counts from step 0 and warm-up replaces it, so the rate
 * drops a little when warm-up ends. AdamW's first step has number 0 there, NVIDIA's LAMB's (lamb_schedulers.py, PolyWarmUpScheduler) number 1. */
static double rate_from_zero(const schedule *s, int64_t k, double power) {
    int64_t number = s->counts_from_one ? k : k - 1;
    double done = (double)number;
    if (number < s->warmup_steps) return s->peak * done / (double)s->warmup_steps;
    return s->peak * pow(1 - done / (double)s->steps, power);
}

double schedule_rate(const schedule *s, int64_t k) {
    assert(k >= 1 && k <= s->steps);
    double power = s->kind == SCHEDULE_LINEAR ? 1.0 : s->power;
    if (s->decay_from == DECAY_FROM_ZERO) return rate_from_zero(s, k, power);
    if (k <= s->warmup_steps) return s->peak * (double)k / (double)s->warmup_steps;
    double x = (double)(s->steps - k + 1) / (double)(s->steps - s->warmup_steps + 1);    /* 1 just after warm-up, above 0 at the last step */
    switch (s->kind) {
    case SCHEDULE_LINEAR: return s->peak * x;
    case SCHEDULE_POLYNOMIAL: return s->peak * pow(x, power);
    case SCHEDULE_COSINE: return s->peak * (1 - cos(3.14159265358979323846 * x)) / 2;
    default: return s->peak;
    }
}
