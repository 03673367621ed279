/* trainer/kernels/dropout.c - 16-bit lanes of Philox4x32-10 (base/rng.h), whole rows of blocks at a time, and their use.
 * Block i of a key gives elements 8 i .. 8 i + 7: lane 2 w is the low half of word w, lane 2 w + 1 the high half. */
#include <stdbool.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#include "trainer/kernels/kernels.h"
#include "trainer/kernels/levels.h"

static void dropout_lanes_ref(rng_key key, uint64_t first, size_t blocks, uint16_t *lane) {
    for (size_t b = 0; b < blocks; b++, lane += 8) {
        uint32_t word[4];
        rng_block(key, first + b, word);
        for (int w = 0; w < 4; w++) lane[2 * w] = (uint16_t)word[w], lane[2 * w + 1] = (uint16_t)(word[w] >> 16);
    }
}

static void dropout_rows_ref(rng_key key, const uint64_t *first, size_t rows, size_t blocks, uint16_t *lane, size_t stride) {
    for (size_t r = 0; r < rows; r++) dropout_lanes_ref(key, first[r], blocks, lane + r * stride);
}

static const uint64_t counting[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

#define LANES64 2
#define TARGET
#define NAME(f) f##_base
#if defined(__x86_64__)
#define MULTIPLY(a, b) (wide)_mm_mul_epu32((__m128i)(a), _mm_set1_epi64x(b))
#else
#define MULTIPLY(a, b) (((a) & 0xffffffffu) * (uint64_t)(b))
#endif
#include "trainer/kernels/philox_body.h"

#if defined(__x86_64__)
#define LANES64 4
#define TARGET AVX2
#define NAME(f) f##_avx2
#define MULTIPLY(a, b) (wide)_mm256_mul_epu32((__m256i)(a), _mm256_set1_epi64x(b))
#include "trainer/kernels/philox_body.h"

#define LANES64 8
#define TARGET AVX512
#define NAME(f) f##_avx512
#define MULTIPLY(a, b) (wide)_mm512_mul_epu32((__m512i)(a), _mm512_set1_epi64(b))
#include "trainer/kernels/philox_body.h"
#endif

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
    t->dropout_rows = LEVEL(dropout_rows, level);
    t->dropout_apply = LEVEL(dropout_apply, level);
    t->dropout_residual = LEVEL(dropout_residual, level);
}
