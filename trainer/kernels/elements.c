/* trainer/kernels/elements.c - bias, GELU (erf form: Hendrycks & Gimpel 2016), tanh, sums by columns. */
#include <assert.h>
#include <math.h>
#include "trainer/kernels/kernels.h"
#include "trainer/kernels/mathf.h"

static void add_bias_ref(float *y, const float *bias, size_t rows, size_t columns, size_t stride) {
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < columns; i++) y[r * stride + i] += bias[i];
}

BODY void add_bias_body(float *y, const float *bias, size_t rows, size_t columns, size_t stride) {
    for (size_t r = 0; r < rows; r++, y += stride) {
#pragma omp simd
        for (size_t i = 0; i < columns; i++) y[i] += bias[i];
    }
}
LEVELS(void, add_bias, (float *y, const float *bias, size_t rows, size_t columns, size_t stride), (y, bias, rows, columns, stride))

static void bias_gelu_ref(float *u, const float *bias, float *g, size_t rows, size_t columns, size_t stride) {
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < columns; i++) {
            double x = u[r * stride + i] += bias[i];
            g[r * stride + i] = (float)(0.5 * x * (1 + erf(x * 0.70710678118654752440)));
        }
}

BODY void bias_gelu_body(float *u, const float *bias, float *g, size_t rows, size_t columns, size_t stride) {
    for (size_t r = 0; r < rows; r++, u += stride, g += stride) {
#pragma omp simd
        for (size_t i = 0; i < columns; i++) {
            float x = u[i] + bias[i], half = 0.5f * x;
            u[i] = x;
            g[i] = half * erf_body(x * 0.707106781f) + half;
        }
    }
}
LEVELS(void, bias_gelu, (float *u, const float *bias, float *g, size_t rows, size_t columns, size_t stride), (u, bias, g, rows, columns, stride))

/* gelu'(x) = Phi(x) + x phi(x), Phi = (1 + erf(x / sqrt 2)) / 2, phi = exp(-x^2 / 2) / sqrt(2 pi). */
static void gelu_backward_ref(const float *u, float *d, float *g, size_t rows, size_t columns, size_t stride) {
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < columns; i++) {
            double x = u[r * stride + i], cdf = 0.5 * (1 + erf(x * 0.70710678118654752440));
            d[r * stride + i] = (float)(d[r * stride + i] * (cdf + x * 0.39894228040143267794 * exp(-0.5 * x * x)));
            g[r * stride + i] = (float)(x * cdf);
        }
}

enum { SPAN = 256 };                     /* columns that are computed while the same ones of the next row are fetched: u comes from memory */

BODY void gelu_backward_span(const float *u, float *d, float *g, size_t columns) {
#pragma omp simd
    for (size_t i = 0; i < columns; i++) {
        float x = u[i], e = erf_body(x * 0.707106781f), cdf = 0.5f * e + 0.5f, half = 0.5f * x;
        d[i] *= x * 0.398942280f * exp_body(-0.5f * x * x) + cdf;
        g[i] = half * e + half;
    }
}

BODY void gelu_backward_body(const float *u, float *d, float *g, size_t rows, size_t columns, size_t stride) {
    for (size_t r = 0; r < rows; r++, u += stride, d += stride, g += stride)
        for (size_t i = 0; i < columns; i += SPAN) {
            size_t count = columns - i < SPAN ? columns - i : SPAN;
            for (size_t j = i; r + 1 < rows && j < i + count; j += 16) __builtin_prefetch(u + stride + j), __builtin_prefetch(g + stride + j, 1);
            gelu_backward_span(u + i, d + i, g + i, count);
        }
}
LEVELS(void, gelu_backward, (const float *u, float *d, float *g, size_t rows, size_t columns, size_t stride), (u, d, g, rows, columns, stride))

static void tanh_ref(float *y, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] = (float)tanh((double)y[i]);
}

BODY void tanhs_body(float *y, size_t n) {
#pragma omp simd
    for (size_t i = 0; i < n; i++) y[i] = tanh_body(y[i]);
}
#define tanhs_ref tanh_ref
LEVELS(void, tanhs, (float *y, size_t n), (y, n))

static void add_ref(float *y, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] += x[i];
}

BODY void add_body(float *y, const float *x, size_t n) {
#pragma omp simd
    for (size_t i = 0; i < n; i++) y[i] += x[i];
}
LEVELS(void, add, (float *y, const float *x, size_t n), (y, x, n))

static float dot_ref(const float *x, const float *y, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i] * y[i];
    return (float)sum;
}

BODY float dot_body(const float *x, const float *y, size_t n) {
    float lane[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++) lane[j] += x[i + j] * y[i + j];
    for (size_t j = 0; i + j < n; j++) lane[j] += x[i + j] * y[i + j];
    return lanes_sum(lane);
}
LEVELS(float, dot, (const float *x, const float *y, size_t n), (x, y, n))

static void column_sums_ref(const float *x, float *out, size_t rows, size_t columns, size_t stride) {
    for (size_t i = 0; i < columns; i++) {
        double sum = 0;
        for (size_t r = 0; r < rows; r++) sum += x[r * stride + i];
        out[i] = (float)sum;
    }
}

BODY void column_sums_body(const float *x, float *out, size_t rows, size_t columns, size_t stride) {
    assert(columns <= SUM_COLUMNS);
    float sum[SUM_COLUMNS] = {0};
    for (size_t first = 0; first < rows; first += SUM_ROWS) {
        size_t end = first + SUM_ROWS < rows ? first + SUM_ROWS : rows;
        float part[SUM_COLUMNS] = {0};
        for (size_t r = first; r < end; r++) {
#pragma omp simd
            for (size_t i = 0; i < columns; i++) part[i] += x[r * stride + i];
        }
        for (size_t i = 0; i < columns; i++) sum[i] += part[i];
    }
    for (size_t i = 0; i < columns; i++) out[i] = sum[i];
}
LEVELS(void, column_sums, (const float *x, float *out, size_t rows, size_t columns, size_t stride), (x, out, rows, columns, stride))

void kernels_fill_elements(kernels *t, int level) {
    t->add_bias = LEVEL(add_bias, level);
    t->bias_gelu = LEVEL(bias_gelu, level);
    t->gelu_backward = LEVEL(gelu_backward, level);
    t->tanh = LEVEL(tanhs, level);
    t->add = LEVEL(add, level);
    t->dot = LEVEL(dot, level);
    t->column_sums = LEVEL(column_sums, level);
}
