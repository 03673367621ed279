/* trainer/kernels/layernorm.c - y = gamma (x - mean) rstd + beta, rstd = 1 / sqrt(var + epsilon), var over all columns (biased).
 * Source: Ba et al. 2016. Backward: with h = (x - mean) rstd and t = gamma dy, dx = rstd (t - mean(t) - h mean(t h)). */
#include <math.h>
#include "trainer/kernels/kernels.h"
#include "trainer/kernels/levels.h"

static void layernorm_ref(const float *x, const float *gamma, const float *beta, float epsilon, float *y, float *mean, float *rstd,
                          size_t rows, size_t columns) {
    for (size_t r = 0; r < rows; r++, x += columns, y += columns) {
        double sum = 0, square = 0;
        for (size_t i = 0; i < columns; i++) sum += x[i];
        double m = sum / (double)columns;
        for (size_t i = 0; i < columns; i++) square += (x[i] - m) * (x[i] - m);
        double s = 1 / sqrt(square / (double)columns + (double)epsilon);
        for (size_t i = 0; i < columns; i++) y[i] = (float)((x[i] - m) * s * gamma[i] + beta[i]);
        mean[r] = (float)m;
        rstd[r] = (float)s;
    }
}

BODY float row_mean(const float *x, size_t n) {
    float lane[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++) lane[j] += x[i + j];
    for (size_t j = 0; i + j < n; j++) lane[j] += x[i + j];
    return lanes_sum(lane) / (float)n;
}

BODY float row_variance(const float *x, float mean, size_t n) {
    float lane[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++) lane[j] += (x[i + j] - mean) * (x[i + j] - mean);
    for (size_t j = 0; i + j < n; j++) lane[j] += (x[i + j] - mean) * (x[i + j] - mean);
    return lanes_sum(lane) / (float)n;
}

BODY void layernorm_body(const float *x, const float *gamma, const float *beta, float epsilon, float *y, float *mean, float *rstd,
                         size_t rows, size_t columns) {
    for (size_t r = 0; r < rows; r++, x += columns, y += columns) {
        float m = row_mean(x, columns), s = 1.0f / sqrtf(row_variance(x, m, columns) + epsilon);
#pragma omp simd
        for (size_t i = 0; i < columns; i++) y[i] = (x[i] - m) * s * gamma[i] + beta[i];
        mean[r] = m;
        rstd[r] = s;
    }
}
LEVELS(void, layernorm,
       (const float *x, const float *gamma, const float *beta, float epsilon, float *y, float *mean, float *rstd, size_t rows, size_t columns),
       (x, gamma, beta, epsilon, y, mean, rstd, rows, columns))

static void layernorm_backward_ref(const float *x, const float *gamma, const float *mean, const float *rstd, const float *dy, float *dx,
                                   float *dgamma, float *dbeta, size_t rows, size_t columns) {
    for (size_t i = 0; i < columns; i++) {
        double weight = 0, bias = 0;
        for (size_t r = 0; r < rows; r++) {
            weight += (double)dy[r * columns + i] * (x[r * columns + i] - mean[r]) * rstd[r];
            bias += dy[r * columns + i];
        }
        dgamma[i] = (float)weight;
        dbeta[i] = (float)bias;
    }
    for (size_t r = 0; r < rows; r++, x += columns, dy += columns, dx += columns) {
        double a = 0, b = 0;
        for (size_t i = 0; i < columns; i++) {
            a += (double)gamma[i] * dy[i];
            b += (double)gamma[i] * dy[i] * (x[i] - mean[r]) * rstd[r];
        }
        a /= (double)columns, b /= (double)columns;
        for (size_t i = 0; i < columns; i++)
            dx[i] = (float)(rstd[r] * ((double)gamma[i] * dy[i] - a - (x[i] - mean[r]) * rstd[r] * b));
    }
}

/* sums[0] = sum gamma dy, sums[1] = sum gamma dy h over one row. */
BODY void row_backward_sums(const float *x, const float *gamma, const float *dy, float m, float s, size_t n, float sums[2]) {
    float a[LANES] = {0}, b[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++) {
            float t = gamma[i + j] * dy[i + j];
            a[j] += t;
            b[j] += t * ((x[i + j] - m) * s);
        }
    for (size_t j = 0; i + j < n; j++) {
        float t = gamma[i + j] * dy[i + j];
        a[j] += t;
        b[j] += t * ((x[i + j] - m) * s);
    }
    sums[0] = lanes_sum(a);
    sums[1] = lanes_sum(b);
}

BODY void layernorm_backward_body(const float *x, const float *gamma, const float *mean, const float *rstd, const float *dy, float *dx,
                                  float *dgamma, float *dbeta, size_t rows, size_t columns) {
    for (size_t i = 0; i < columns; i++) dgamma[i] = dbeta[i] = 0;
    for (size_t r = 0; r < rows; r++, x += columns, dy += columns, dx += columns) {
        float sums[2], m = mean[r], s = rstd[r];
        row_backward_sums(x, gamma, dy, m, s, columns, sums);
        float a = sums[0] / (float)columns, b = sums[1] / (float)columns;
#pragma omp simd
        for (size_t i = 0; i < columns; i++) {
            float h = (x[i] - m) * s, d = dy[i];
            dgamma[i] += d * h;
            dbeta[i] += d;
            dx[i] = s * (gamma[i] * d - a - h * b);
        }
    }
}
LEVELS(void, layernorm_backward,
       (const float *x, const float *gamma, const float *mean, const float *rstd, const float *dy, float *dx, float *dgamma, float *dbeta,
        size_t rows, size_t columns),
       (x, gamma, mean, rstd, dy, dx, dgamma, dbeta, rows, columns))

void kernels_fill_layernorm(kernels *t, int level) {
    t->layernorm = LEVEL(layernorm, level);
    t->layernorm_backward = LEVEL(layernorm_backward, level);
}
