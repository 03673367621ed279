/* trainer/kernels/mathf.h - exp, erf and tanh in plain arithmetic: gcc vectorises them in loops, which it will not do with libm.
 *
 * Largest error against libm in double, over all floats and instruction sets of x86-64 (tests/bench/bench_math.c): exp 1.010, erf 1.186,
 * tanh 1.330 ULP. NaN stays NaN.
 * Sources: exp and tanh: Cephes' polynomials (Moshier); erf: N. Juffa's two-range minimax fit. */
#ifndef TRAINER_KERNELS_MATHF_H
#define TRAINER_KERNELS_MATHF_H
#include <stdint.h>
#include "trainer/kernels/levels.h"

typedef union float_bits { float f; int32_t i; uint32_t u; } float_bits;

/* condition ? a : b by bits: of a plain ?: gcc makes a branch, since arithmetic might trap, and then no vectors. */
BODY float choose(int condition, float a, float b) {
    float_bits x = {.f = a}, y = {.f = b};
    int32_t mask = -(int32_t)(condition != 0);
    x.i = (x.i & mask) | (y.i & ~mask);
    return x.f;
}

/* For x <= 88.37; below -87.3 the result stays at 2^-126 (no denormals). */
BODY float exp_body(float x) {
    x = choose(x < -87.33f, -87.33f, x);
    const float magic = 12582912.0f;                     /* 1.5 * 2^23: adding it rounds to the nearest integer, in the low bits */
    float_bits n = {.f = x * 1.44269504f + magic};
    float whole = n.f - magic, r = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = (p * (r * r) + r) + 1.0f;
    float_bits scale = {.u = (n.u << 23) + 0x3f800000u};
    return p * scale.f;
}

BODY float absolute(float x) {
    float_bits b = {.f = x};
    b.i &= 0x7fffffff;
    return b.f;
}

BODY float with_sign_of(float x, float sign) {
    float_bits a = {.f = x}, s = {.f = sign};
    a.i |= s.i & INT32_MIN;
    return a.f;
}

/* Both ranges are computed and one is chosen. */
BODY float erf_body(float a) {
    float t = absolute(a), s = a * a;
    float r = -1.72853470e-5f * t + 3.83197126e-4f;
    float u = -3.88396438e-3f * t + 2.42546219e-2f;
    r = r * s + u;
    r = r * t - 1.06777877e-1f;
    r = r * t - 6.34846687e-1f;
    r = r * t - 1.28717512e-1f;
    r = r * t - t;
    float large = with_sign_of(1.0f - exp_body(r), a);
    float q = -5.96761703e-4f;
    q = q * s + 4.99119423e-3f;
    q = q * s - 2.67681349e-2f;
    q = q * s + 1.12819925e-1f;
    q = q * s - 3.76125336e-1f;
    q = q * s + 1.28379166e-1f;
    float small = q * a + a;
    large = choose(t > 4.0f, with_sign_of(1.0f, a), large);    /* the fit ends there; erf(4) rounds to 1 */
    return choose(t > 0.927734375f, large, small);
}

BODY float tanh_body(float x) {
    float t = absolute(x), z = x * x;
    float large = with_sign_of(1.0f - 2.0f / (exp_body(2.0f * choose(t > 20.0f, 20.0f, t)) + 1.0f), x);
    float p = -5.70498872745e-3f;
    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    float small = p * z * x + x;
    return choose(t > 0.625f, large, small);
}
#endif
