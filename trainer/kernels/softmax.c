/* trainer/kernels/softmax.c - softmax by rows, again from its kept maximum and sum, its gradient, and cross-entropy.
 * Sums run in lanes of floats over SPAN elements, then in doubles: a row may be a whole vocabulary. */
#include <math.h>
#include "trainer/kernels/kernels.h"
#include "trainer/kernels/mathf.h"

enum { SPAN = 512 };

static void softmax_again_ref(float *s, float scale, const float *max, const float *inverse, size_t rows, size_t columns, size_t stride) {
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < columns; i++)
            s[r * stride + i] = (float)(exp((double)s[r * stride + i] * scale - max[r]) * inverse[r]);
}

static void softmax_ref(float *s, float scale, float *max, float *inverse, size_t rows, size_t columns, size_t stride) {
    for (size_t r = 0; r < rows; r++) {
        double sum = 0, m = -INFINITY;
        for (size_t i = 0; i < columns; i++) m = fmax(m, (double)s[r * stride + i] * scale);
        max[r] = (float)m;
        for (size_t i = 0; i < columns; i++) sum += exp((double)s[r * stride + i] * scale - max[r]);
        inverse[r] = (float)(1 / sum);
    }
    softmax_again_ref(s, scale, max, inverse, rows, columns, stride);
}

BODY float row_max(const float *x, size_t n) {
    float lane[LANES];
    for (size_t j = 0; j < LANES; j++) lane[j] = x[0];
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++) lane[j] = x[i + j] > lane[j] ? x[i + j] : lane[j];
    for (size_t j = 0; i + j < n; j++) lane[j] = x[i + j] > lane[j] ? x[i + j] : lane[j];
    float m = lane[0];
    for (size_t j = 1; j < LANES; j++) m = lane[j] > m ? lane[j] : m;
    return m;
}

BODY double row_sum(const float *x, size_t n) {
    double sum = 0;
    for (size_t first = 0; first < n; first += SPAN) {
        size_t end = first + SPAN < n ? first + SPAN : n, i = first;
        float lane[LANES] = {0};
        for (; i + LANES <= end; i += LANES)
            for (size_t j = 0; j < LANES; j++) lane[j] += x[i + j];
        for (size_t j = 0; i + j < end; j++) lane[j] += x[i + j];
        sum += (double)lanes_sum(lane);
    }
    return sum;
}

/* x = exp(scale x - m) */
BODY void row_exp(float *x, float scale, float m, size_t n) {
#pragma omp simd
    for (size_t i = 0; i < n; i++) x[i] = exp_body(x[i] * scale - m);
}

BODY void row_times(float *x, float factor, size_t n) {
#pragma omp simd
    for (size_t i = 0; i < n; i++) x[i] *= factor;
}

BODY void softmax_body(float *s, float scale, float *max, float *inverse, size_t rows, size_t columns, size_t stride) {
    for (size_t r = 0; r < rows; r++, s += stride) {
        max[r] = row_max(s, columns) * scale;
        row_exp(s, scale, max[r], columns);
        inverse[r] = (float)(1 / row_sum(s, columns));
        row_times(s, inverse[r], columns);
    }
}
LEVELS(void, softmax, (float *s, float scale, float *max, float *inverse, size_t rows, size_t columns, size_t stride),
       (s, scale, max, inverse, rows, columns, stride))

BODY void softmax_again_body(float *s, float scale, const float *max, const float *inverse, size_t rows, size_t columns, size_t stride) {
    for (size_t r = 0; r < rows; r++, s += stride) {
        row_exp(s, scale, max[r], columns);
        row_times(s, inverse[r], columns);
    }
}
LEVELS(void, softmax_again, (float *s, float scale, const float *max, const float *inverse, size_t rows, size_t columns, size_t stride),
       (s, scale, max, inverse, rows, columns, stride))

static void softmax_backward_ref(const float *p, float *dp, float scale, size_t rows, size_t columns, size_t stride) {
    for (size_t r = 0; r < rows; r++, p += stride, dp += stride) {
        double sum = 0;
        for (size_t i = 0; i < columns; i++) sum += (double)p[i] * dp[i];
        for (size_t i = 0; i < columns; i++) dp[i] = (float)((double)scale * p[i] * (dp[i] - sum));
    }
}

BODY void softmax_backward_body(const float *p, float *dp, float scale, size_t rows, size_t columns, size_t stride) {
    for (size_t r = 0; r < rows; r++, p += stride, dp += stride) {
        float lane[LANES] = {0};
        size_t i = 0;
        for (; i + LANES <= columns; i += LANES)
            for (size_t j = 0; j < LANES; j++) lane[j] += p[i + j] * dp[i + j];
        for (size_t j = 0; i + j < columns; j++) lane[j] += p[i + j] * dp[i + j];
        float sum = lanes_sum(lane);
#pragma omp simd
        for (i = 0; i < columns; i++) dp[i] = scale * p[i] * (dp[i] - sum);
    }
}
LEVELS(void, softmax_backward, (const float *p, float *dp, float scale, size_t rows, size_t columns, size_t stride),
       (p, dp, scale, rows, columns, stride))

static double cross_entropy_ref(float *logits, size_t n, size_t label, float scale, int *correct) {
    double max = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++) max = fmax(max, (double)logits[i]);
    for (size_t i = 0; i < n; i++) sum += exp(logits[i] - max);
    double loss = log(sum) + max - logits[label];
    *correct = logits[label] >= max;
    for (size_t i = 0; i < n; i++) logits[i] = (float)(scale * (exp(logits[i] - max) / sum - (i == label)));
    return loss;
}

BODY double cross_entropy_body(float *logits, size_t n, size_t label, float scale, int *correct) {
    float max = row_max(logits, n), own = logits[label];
    row_exp(logits, 1.0f, max, n);
    double sum = row_sum(logits, n), loss = log(sum) + ((double)max - (double)own);
    double mine = (double)logits[label] / sum;
    row_times(logits, (float)((double)scale / sum), n);
    logits[label] = (float)((double)scale * (mine - 1));
    *correct = own >= max;
    return loss;
}
LEVELS(double, cross_entropy, (float *logits, size_t n, size_t label, float scale, int *correct), (logits, n, label, scale, correct))

void kernels_fill_softmax(kernels *t, int level) {
    t->softmax = LEVEL(softmax, level);
    t->softmax_again = LEVEL(softmax_again, level);
    t->softmax_backward = LEVEL(softmax_backward, level);
    t->cross_entropy = LEVEL(cross_entropy, level);
}
