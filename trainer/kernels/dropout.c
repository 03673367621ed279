/* trainer/kernels/dropout.c - 16-bit lanes of Philox4x32-10 (base/rng.h), whole rows of blocks at a time, and their use.
 * Block i of a key gives elements 8 i .. 8 i + 7: lane 2 w is the low half of word w, lane 2 w + 1 the high half. */
#include <string.h>
#include "trainer/kernels/kernels.h"
#include "trainer/kernels/levels.h"

static void dropout_lanes_ref(rng_key key, uint64_t first, size_t blocks, uint16_t *lane) {
    for (size_t b = 0; b < blocks; b++, lane += 8) {
        uint32_t word[4];
        rng_block(key, first + b, word);
        for (int w = 0; w < 4; w++) lane[2 * w] = (uint16_t)word[w], lane[2 * w + 1] = (uint16_t)(word[w] >> 16);
    }
}

/* WIDE blocks run side by side, one per lane of the vectors: state c[word][block]. */
enum { WIDE = 16 };

BODY void philox_wide(rng_key key, uint64_t first, uint32_t c[4][WIDE]) {
    for (uint32_t j = 0; j < WIDE; j++) {
        uint64_t index = first + j;
        c[0][j] = (uint32_t)index, c[1][j] = (uint32_t)(index >> 32), c[2][j] = 0, c[3][j] = 0;
    }
    uint32_t k0 = key.word[0], k1 = key.word[1];
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
#pragma omp simd
        for (int j = 0; j < WIDE; j++) {
            uint64_t p0 = (uint64_t)0xD2511F53u * c[0][j], p1 = (uint64_t)0xCD9E8D57u * c[2][j];
            uint32_t a = (uint32_t)(p1 >> 32) ^ c[1][j] ^ k0, b = (uint32_t)(p0 >> 32) ^ c[3][j] ^ k1;
            c[0][j] = a, c[1][j] = (uint32_t)p1, c[2][j] = b, c[3][j] = (uint32_t)p0;
        }
    }
}

BODY void dropout_lanes_body(rng_key key, uint64_t first, size_t blocks, uint16_t *lane) {
    for (size_t b = 0; b < blocks; b += WIDE) {
        uint32_t c[4][WIDE];
        philox_wide(key, first + b, c);
        size_t count = blocks - b < WIDE ? blocks - b : WIDE;
        for (size_t j = 0; j < count; j++)
            for (int w = 0; w < 4; w++) {
                lane[8 * (b + j) + 2 * (size_t)w] = (uint16_t)c[w][j];
                lane[8 * (b + j) + 2 * (size_t)w + 1] = (uint16_t)(c[w][j] >> 16);
            }
    }
}
LEVELS(void, dropout_lanes, (rng_key key, uint64_t first, size_t blocks, uint16_t *lane), (key, first, blocks, lane))

static void dropout_apply_ref(float *y, const float *x, dropout d, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] = !d.lane ? x[i] : d.lane[i] >= d.threshold ? x[i] * d.scale : 0.0f;
}

BODY void dropout_apply_body(float *y, const float *x, dropout d, size_t n) {
    if (!d.lane) {
        if (y != x) memcpy(y, x, n * sizeof *y);
        return;
    }
#pragma omp simd
    for (size_t i = 0; i < n; i++) y[i] = x[i] * (d.lane[i] >= d.threshold ? d.scale : 0.0f);
}
LEVELS(void, dropout_apply, (float *y, const float *x, dropout d, size_t n), (y, x, d, n))

static void dropout_residual_ref(float *y, const float *bias, const float *residual, dropout d, size_t n) {
    for (size_t i = 0; i < n; i++) {
        double v = (double)y[i] + bias[i];
        y[i] = (float)((!d.lane ? v : d.lane[i] >= d.threshold ? v * d.scale : 0) + residual[i]);
    }
}

BODY void dropout_residual_body(float *y, const float *bias, const float *residual, dropout d, size_t n) {
    if (!d.lane) {
#pragma omp simd
        for (size_t i = 0; i < n; i++) y[i] = (y[i] + bias[i]) + residual[i];
        return;
    }
#pragma omp simd
    for (size_t i = 0; i < n; i++) y[i] = (y[i] + bias[i]) * (d.lane[i] >= d.threshold ? d.scale : 0.0f) + residual[i];
}
LEVELS(void, dropout_residual, (float *y, const float *bias, const float *residual, dropout d, size_t n), (y, bias, residual, d, n))

void kernels_fill_dropout(kernels *t, int level) {
    t->dropout_lanes = LEVEL(dropout_lanes, level);
    t->dropout_apply = LEVEL(dropout_apply, level);
    t->dropout_residual = LEVEL(dropout_residual, level);
}
