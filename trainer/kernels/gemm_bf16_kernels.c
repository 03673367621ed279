/* trainer/kernels/gemm_bf16_kernels.c - the emulated set: plain C that gives the bits of AMX on any CPU, slowly. For tests, and to look into
 * a run that was made with AMX. */
#include "trainer/kernels/gemm_bf16_kernels.h"
#include <math.h>
#include <string.h>

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static uint16_t rounded(float x) {
    uint32_t u, sign;
    memcpy(&u, &x, sizeof u);
    sign = u & 0x80000000u;
    if ((u & 0x7f800000u) == 0) return (uint16_t)(sign >> 16);                   /* zero or denormal */
    if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(u >> 16 | 0x40);      /* NaN */
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static float widened(uint16_t x) {
    uint32_t u = (uint32_t)x << 16;
    float y;
    memcpy(&y, &u, sizeof y);
    return y;
}

static inline float flushed(float x) { return fabsf(x) < 0x1p-126f ? copysignf(0, x) : x; }

/* Where element k of a line lies in a tile: row_step apart in a, pairs of k apart in b. */
static void pack(size_t lines, size_t depth, const float *x, size_t stride, bool along_k, uint16_t *out, size_t line_step, size_t pair_step) {
    size_t steps = (depth + BF16_DEPTH - 1) / BF16_DEPTH;
    memset(out, 0, (lines + BF16_LINES - 1) / BF16_LINES * steps * BF16_TILE * sizeof *out);
    for (size_t line = 0; line < lines; line++) {
        uint16_t *group = out + line / BF16_LINES * steps * BF16_TILE + line % BF16_LINES * line_step;
        for (size_t k = 0; k < depth; k++) {
            float value = along_k ? x[line * stride + k] : x[k * stride + line];
            group[k / BF16_DEPTH * BF16_TILE + k % BF16_DEPTH / 2 * pair_step + k % 2] = rounded(value);
        }
    }
}

static void pack_a(size_t lines, size_t k, const float *x, size_t stride, bool along_k, uint16_t *out) {
    pack(lines, k, x, stride, along_k, out, BF16_DEPTH, 2);
}

static void pack_b(size_t lines, size_t k, const float *x, size_t stride, bool along_k, uint16_t *out) {
    pack(lines, k, x, stride, along_k, out, 2, 2 * BF16_LINES);
}

/* A tile's rows and columns of c, as far as they exist. */
static void store(const bf16_block *g, const float *sum, size_t row, size_t column) {
    size_t rows = smaller(BF16_LINES, g->m - row), columns = smaller(BF16_LINES, g->n - column);
    for (size_t r = 0; r < rows; r++, sum += BF16_LINES) {
        float *c = g->c + (row + r) * g->ldc + column;
        for (size_t i = 0; i < columns; i++) c[i] = g->add ? c[i] + sum[i] : sum[i];
    }
}

/* x y + sum, rounded once: the product is exact, and a sum that a double cannot hold is far from the middle between two floats. */
static inline float multiply_add(float x, float y, float sum) { return flushed((float)((double)x * (double)y + (double)sum)); }

/* sum (LINES, LINES) += a tile of a times one of b. */
static void multiply_tile(const uint16_t *a, const uint16_t *b, float *sum) {
    float wide[2][BF16_DEPTH / 2][BF16_LINES];
    for (size_t p = 0; p < BF16_DEPTH / 2; p++)
        for (size_t i = 0; i < BF16_LINES; i++)
            for (size_t half = 0; half < 2; half++) wide[half][p][i] = widened(b[(p * BF16_LINES + i) * 2 + half]);
    for (size_t r = 0; r < BF16_LINES; r++, a += BF16_DEPTH, sum += BF16_LINES) {
        float chain[2][BF16_LINES] = {{0}};
        for (size_t half = 0; half < 2; half++)
            for (size_t p = 0; p < BF16_DEPTH / 2; p++) {
                float x = widened(a[2 * p + half]);
                for (size_t i = 0; i < BF16_LINES; i++) chain[half][i] = multiply_add(x, wide[half][p][i], chain[half][i]);
            }
        for (size_t i = 0; i < BF16_LINES; i++) sum[i] = flushed(sum[i] + flushed(chain[0][i] + chain[1][i]));
    }
}

static void block(const bf16_block *g) {
    float sum[BF16_SUMS];
    size_t tile = 0;
    for (size_t row = 0; row < g->m; row += BF16_LINES)
        for (size_t column = 0; column < g->n; column += BF16_LINES, tile += BF16_SUMS) {
            if (g->sums) memcpy(sum, g->sums + tile, sizeof sum);
            else memset(sum, 0, sizeof sum);
            const uint16_t *a = g->a + row * g->steps * BF16_DEPTH, *b = g->b + column * g->steps * BF16_DEPTH;
            for (size_t s = 0; s < g->steps; s++) multiply_tile(a + s * BF16_TILE, b + s * BF16_TILE, sum);
            if (g->keep) memcpy(g->keep + tile, sum, sizeof sum);
            else store(g, sum, row, column);
        }
}

bf16_kernels bf16_kernels_of(int set) {
#if defined(__x86_64__)
    if (set > BF16_EMULATED) return bf16_kernels_x86(set);
#endif
    (void)set;
    return (bf16_kernels){pack_a, pack_b, block};
}

int bf16_best_set(void) {
#if defined(__x86_64__)
    return bf16_best_x86();
#else
    return BF16_NONE;
#endif
}
