/* trainer/kernels/logits.c - cross-entropy over a turned block of logits: a row is one word, a column one masked token, so that the word
 * matrix is read where it lies and every lane of a vector follows a token of its own.
 *
 * Blocks of words keep their own maximum m and sum s of exp(x - m), in place of x. Over all blocks: M = max m, S = sum s exp(m - M), loss
 * = log S + M - x[label]; the gradient of x is exp(x - m) times factor = scale exp(m - M) / S, less scale at the label.
 * Source: Milakov and Gimelshein 2018, "Online normalizer calculation for softmax". */
#include <assert.h>
#include <math.h>
#include <string.h>
#include "trainer/kernels/kernels.h"
#include "trainer/kernels/mathf.h"

static void logit_block_ref(float *x, float *max, float *sum, size_t rows, size_t columns, size_t stride) {
    for (size_t i = 0; i < columns; i++) {
        double m = -INFINITY, s = 0;
        for (size_t r = 0; r < rows; r++) if (x[r * stride + i] > m) m = x[r * stride + i];
        for (size_t r = 0; r < rows; r++) {
            x[r * stride + i] = (float)exp(x[r * stride + i] - m);
            s += x[r * stride + i];
        }
        max[i] = (float)m;
        sum[i] = (float)s;
    }
}

BODY void logit_block_body(float *x, float *max, float *sum, size_t rows, size_t columns, size_t stride) {
    memcpy(max, x, columns * sizeof *max);
    for (size_t r = 1; r < rows; r++) {
#pragma omp simd
        for (size_t i = 0; i < columns; i++) max[i] = choose(x[r * stride + i] > max[i], x[r * stride + i], max[i]);
    }
    memset(sum, 0, columns * sizeof *sum);
    for (size_t r = 0; r < rows; r++) {
#pragma omp simd
        for (size_t i = 0; i < columns; i++) {
            float e = exp_body(x[r * stride + i] - max[i]);
            x[r * stride + i] = e;
            sum[i] += e;
        }
    }
}
LEVELS(void, logit_block, (float *x, float *max, float *sum, size_t rows, size_t columns, size_t stride), (x, max, sum, rows, columns, stride))

static void logit_factors_ref(float *max, const float *sum, size_t blocks, size_t columns, size_t stride, float scale, float *top, double *total) {
    for (size_t i = 0; i < columns; i++) {
        double m = -INFINITY, s = 0;
        for (size_t b = 0; b < blocks; b++) if (max[b * stride + i] > m) m = max[b * stride + i];
        for (size_t b = 0; b < blocks; b++) s += sum[b * stride + i] * exp(max[b * stride + i] - m);
        for (size_t b = 0; b < blocks; b++) max[b * stride + i] = (float)(scale * exp(max[b * stride + i] - m) / s);
        top[i] = (float)m;
        total[i] = s;
    }
}

BODY void logit_factors_body(float *max, const float *sum, size_t blocks, size_t columns, size_t stride, float scale, float *top, double *total) {
    assert(columns <= SUM_COLUMNS);
    memcpy(top, max, columns * sizeof *top);
    for (size_t b = 1; b < blocks; b++) {
#pragma omp simd
        for (size_t i = 0; i < columns; i++) top[i] = choose(max[b * stride + i] > top[i], max[b * stride + i], top[i]);
    }
    for (size_t i = 0; i < columns; i++) total[i] = 0;
    for (size_t b = 0; b < blocks; b++) {
#pragma omp simd
        for (size_t i = 0; i < columns; i++) {
            float e = exp_body(max[b * stride + i] - top[i]);
            max[b * stride + i] = e;
            total[i] += (double)(sum[b * stride + i] * e);
        }
    }
    float inverse[SUM_COLUMNS];
    for (size_t i = 0; i < columns; i++) inverse[i] = (float)((double)scale / total[i]);
    for (size_t b = 0; b < blocks; b++) {
#pragma omp simd
        for (size_t i = 0; i < columns; i++) max[b * stride + i] *= inverse[i];
    }
}
LEVELS(void, logit_factors, (float *max, const float *sum, size_t blocks, size_t columns, size_t stride, float scale, float *top, double *total),
       (max, sum, blocks, columns, stride, scale, top, total))

static void scale_columns_ref(float *x, const float *factor, size_t rows, size_t columns, size_t stride) {
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < columns; i++) x[r * stride + i] *= factor[i];
}

BODY void scale_columns_body(float *x, const float *factor, size_t rows, size_t columns, size_t stride) {
    for (size_t r = 0; r < rows; r++) {
#pragma omp simd
        for (size_t i = 0; i < columns; i++) x[r * stride + i] *= factor[i];
    }
}
LEVELS(void, scale_columns, (float *x, const float *factor, size_t rows, size_t columns, size_t stride), (x, factor, rows, columns, stride))

static void row_sums_ref(const float *x, float *out, size_t rows, size_t columns, size_t stride) {
    for (size_t r = 0; r < rows; r++) {
        double sum = 0;
        for (size_t i = 0; i < columns; i++) sum += x[r * stride + i];
        out[r] = (float)sum;
    }
}

BODY void row_sums_body(const float *x, float *out, size_t rows, size_t columns, size_t stride) {
    for (size_t r = 0; r < rows; r++, x += stride) {
        float lane[LANES] = {0};
        size_t i = 0;
        for (; i + LANES <= columns; i += LANES)
            for (size_t j = 0; j < LANES; j++) lane[j] += x[i + j];
        for (size_t j = 0; i + j < columns; j++) lane[j] += x[i + j];
        out[r] = lanes_sum(lane);
    }
}
LEVELS(void, row_sums, (const float *x, float *out, size_t rows, size_t columns, size_t stride), (x, out, rows, columns, stride))

void kernels_fill_logits(kernels *t, int level) {
    t->logit_block = LEVEL(logit_block, level);
    t->logit_factors = LEVEL(logit_factors, level);
    t->scale_columns = LEVEL(scale_columns, level);
    t->row_sums = LEVEL(row_sums, level);
}
