/* trainer/kernels/gemm_bf16_x86.c - bf16 operands with the instructions of AVX512-BF16 and AMX. Packing is common to both.
 *
 * Intrinsics, since no compiler makes tile instructions of loops, and since the rounding must be the instruction's own. AMX: 2 by 2 tiles
 * of sums take 2 tiles of a and 2 of b for 4 products, so that loads keep up. AVX512-BF16: 8 rows by 2 vectors of sums. */
#define _GNU_SOURCE              /* syscall */
#include "trainer/kernels/gemm_bf16_kernels.h"
#if defined(__x86_64__)
#include <immintrin.h>
#include <stdalign.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "trainer/kernels/levels.h"

#define BF16 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")))
#define AMX __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma,amx-tile,amx-bf16")))

enum { PAIRS = BF16_DEPTH / 2, AHEAD = 256 };

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* The first n bits. */
static __mmask16 first_bits(size_t n) { return (__mmask16)(n >= 16 ? 0xffff : (1u << n) - 1); }

/* row[line] = the pairs of k of a line: x (lines, k). */
BODY BF16 void rows_along(const float *x, size_t stride, size_t lines, size_t k, __m512i row[BF16_LINES]) {
    __mmask16 low = first_bits(k), high = first_bits(k > 16 ? k - 16 : 0);
#pragma GCC unroll 16
    for (size_t r = 0; r < BF16_LINES; r++) {
        const float *from = x + r * stride;
        if (r < lines) __builtin_prefetch(from + AHEAD), __builtin_prefetch(from + AHEAD + 16);
        row[r] = r < lines ? (__m512i)_mm512_cvtne2ps_pbh(_mm512_maskz_loadu_ps(high, from + 16), _mm512_maskz_loadu_ps(low, from)) : _mm512_setzero_si512();
    }
}

/* row[pair] = the pair of each line: x (k, lines). */
BODY BF16 void rows_across(const float *x, size_t stride, size_t lines, size_t k, __m512i row[BF16_LINES]) {
    __mmask16 mask = first_bits(lines);
#pragma GCC unroll 16
    for (size_t p = 0; p < PAIRS; p++) {
        __m512 even = 2 * p < k ? _mm512_maskz_loadu_ps(mask, x + 2 * p * stride) : _mm512_setzero_ps();
        __m512 odd = 2 * p + 1 < k ? _mm512_maskz_loadu_ps(mask, x + (2 * p + 1) * stride) : _mm512_setzero_ps();
        __m512i both = (__m512i)_mm512_cvtne2ps_pbh(odd, even);
        __m512i low = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(both)), high = _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(both, 1));
        row[p] = _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
    }
}

/* 16 by 16 pairs turned: each pass turns one bit of the indices over. */
BODY BF16 void turn(__m512i x[16]) {
    const __m512i low = _mm512_set_epi32(23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0), high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
    __m512i y[16];
#pragma GCC unroll 4
    for (int pass = 0; pass < 4; pass++) {
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            y[2 * i] = _mm512_permutex2var_epi32(x[i], low, x[i + 8]);
            y[2 * i + 1] = _mm512_permutex2var_epi32(x[i], high, x[i + 8]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++) x[i] = y[i];
    }
}

BODY BF16 void pack_tile(const float *x, size_t stride, size_t lines, size_t k, bool along, bool turned, uint16_t *out) {
    __m512i row[BF16_LINES];
    if (along) rows_along(x, stride, lines, k, row);
    else rows_across(x, stride, lines, k, row);
    if (turned) turn(row);
#pragma GCC unroll 16
    for (size_t r = 0; r < BF16_LINES; r++) _mm512_store_si512(out + r * BF16_DEPTH, row[r]);
}

/* Whole tiles by constants, so that their masks and conditions vanish. */
BODY BF16 void pack_any(const float *x, size_t stride, size_t lines, size_t k, bool along, bool turned, uint16_t *out) {
    if (lines == BF16_LINES && k == BF16_DEPTH) pack_tile(x, stride, BF16_LINES, BF16_DEPTH, along, turned, out);
    else pack_tile(x, stride, lines, k, along, turned, out);
}

/* Tiles in the order in which x lies in memory. */
BODY BF16 void pack_tiles(size_t lines, size_t k, const float *x, size_t stride, bool along, bool turned, uint16_t *out) {
    size_t steps = (k + BF16_DEPTH - 1) / BF16_DEPTH, groups = (lines + BF16_LINES - 1) / BF16_LINES;
    for (size_t i = 0; i < steps * groups; i++) {
        size_t s = along ? i % steps : i / groups, group = along ? i / steps : i % groups, line = group * BF16_LINES, first = s * BF16_DEPTH;
        const float *from = x + (along ? line * stride + first : first * stride + line);
        pack_any(from, stride, smaller(BF16_LINES, lines - line), smaller(BF16_DEPTH, k - first), along, turned, out + (group * steps + s) * BF16_TILE);
    }
}

BF16 static void pack_a(size_t lines, size_t k, const float *x, size_t stride, bool along_k, uint16_t *out) {
    if (along_k) pack_tiles(lines, k, x, stride, true, false, out);
    else pack_tiles(lines, k, x, stride, false, true, out);
}

BF16 static void pack_b(size_t lines, size_t k, const float *x, size_t stride, bool along_k, uint16_t *out) {
    if (along_k) pack_tiles(lines, k, x, stride, true, true, out);
    else pack_tiles(lines, k, x, stride, false, false, out);
}

/* Where the sums of row, column .. begin. */
static inline size_t tile_of(const bf16_block *g, size_t row, size_t column) {
    return (row / BF16_LINES * ((g->n + BF16_LINES - 1) / BF16_LINES) + column / BF16_LINES) * BF16_SUMS;
}

/* Half a tile of rows by `width` tiles of columns. */
BODY BF16 void half_tile(const bf16_block *g, const uint16_t *a, const uint16_t *b, size_t width, size_t row, size_t column) {
    enum { ROWS = BF16_LINES / 2 };
    __m512 sum[2][ROWS];
    size_t kept = tile_of(g, row, column) + row % BF16_LINES * BF16_LINES;
#pragma GCC unroll 2
    for (size_t w = 0; w < width; w++)
#pragma GCC unroll 8
        for (size_t r = 0; r < ROWS; r++)
            sum[w][r] = g->sums ? _mm512_load_ps(g->sums + kept + w * BF16_SUMS + r * BF16_LINES) : _mm512_setzero_ps();
    for (size_t s = 0; s < g->steps; s++, a += BF16_TILE, b += BF16_TILE)
        for (size_t p = 0; p < PAIRS; p++) {
            __m512bh right[2];
#pragma GCC unroll 2
            for (size_t w = 0; w < width; w++) right[w] = (__m512bh)_mm512_load_si512(b + w * g->steps * BF16_TILE + p * BF16_DEPTH);
#pragma GCC unroll 8
            for (size_t r = 0; r < ROWS; r++) {
                int32_t pair;
                memcpy(&pair, a + r * BF16_DEPTH + 2 * p, sizeof pair);
                __m512bh left = (__m512bh)_mm512_set1_epi32(pair);
#pragma GCC unroll 2
                for (size_t w = 0; w < width; w++) sum[w][r] = _mm512_dpbf16_ps(sum[w][r], left, right[w]);
            }
        }
#pragma GCC unroll 2
    for (size_t w = 0; w < width; w++) {
        __mmask16 mask = first_bits(g->n - column - w * BF16_LINES);
#pragma GCC unroll 8
        for (size_t r = 0; r < ROWS; r++) {
            if (g->keep) _mm512_store_ps(g->keep + kept + w * BF16_SUMS + r * BF16_LINES, sum[w][r]);
            if (g->keep || row + r >= g->m) continue;
            float *c = g->c + (row + r) * g->ldc + column + w * BF16_LINES;
            _mm512_mask_storeu_ps(c, mask, g->add ? _mm512_add_ps(_mm512_maskz_loadu_ps(mask, c), sum[w][r]) : sum[w][r]);
        }
    }
}

BF16 static void block_avx512(const bf16_block *g) {
    size_t depth = g->steps * BF16_DEPTH;
    for (size_t column = 0; column < g->n; column += 2 * BF16_LINES)
        for (size_t row = 0; row < g->m; row += BF16_LINES / 2) {
            const uint16_t *a = g->a + row / BF16_LINES * BF16_LINES * depth + row % BF16_LINES * BF16_DEPTH, *b = g->b + column * depth;
            if (column + BF16_LINES < g->n) half_tile(g, a, b, 2, row, column);
            else half_tile(g, a, b, 1, row, column);
        }
}

/* Sums of tile (i, w) from row, column on are tile register 2 i + w. */
#define SUM_BEGIN(t, i, w)                                                                           \
    if (g->sums) {                                                                                   \
        _tile_loadd(t, g->sums + kept + (i) * below + (w) * BF16_SUMS, BF16_LINES * sizeof(float));    \
    } else {                                                                                         \
        _tile_zero(t);                                                                               \
    }
#define SUM_END(t, i, w)                                                                             \
    if (g->keep) {                                                                                   \
        _tile_stored(t, g->keep + kept + (i) * below + (w) * BF16_SUMS, BF16_LINES * sizeof(float));   \
    } else if (inside) {                                                                             \
        _tile_stored(t, g->c + (row + (i) * BF16_LINES) * g->ldc + column + (w) * BF16_LINES, g->ldc * sizeof(float)); \
    } else {                                                                                         \
        _tile_stored(t, spare, BF16_LINES * sizeof *spare);                                          \
        store(g, spare, row + (i) * BF16_LINES, column + (w) * BF16_LINES);                          \
    }

/* A tile's rows and columns of c, as far as they exist. */
BODY AMX void store(const bf16_block *g, const float *sum, size_t row, size_t column) {
    __mmask16 mask = first_bits(g->n - column);
    size_t rows = smaller(BF16_LINES, g->m - row);
    for (size_t r = 0; r < rows; r++) {
        float *c = g->c + (row + r) * g->ldc + column;
        __m512 x = _mm512_load_ps(sum + r * BF16_LINES);
        _mm512_mask_storeu_ps(c, mask, g->add ? _mm512_add_ps(_mm512_maskz_loadu_ps(mask, c), x) : x);
    }
}

/* `height` by `width` tiles; height and width are constants. */
BODY AMX void tiles(const bf16_block *g, const uint16_t *a, const uint16_t *b, int height, int width, size_t row, size_t column) {
    alignas(64) float spare[BF16_SUMS];
    size_t next = g->steps * BF16_TILE, kept = tile_of(g, row, column), below = tile_of(g, BF16_LINES, 0);
    bool inside = !g->add && row + (size_t)height * BF16_LINES <= g->m && column + (size_t)width * BF16_LINES <= g->n;
    SUM_BEGIN(0, 0, 0)
    if (width > 1) { SUM_BEGIN(1, 0, 1) }
    if (height > 1) { SUM_BEGIN(2, 1, 0) }
    if (height > 1 && width > 1) { SUM_BEGIN(3, 1, 1) }
    for (size_t s = 0; s < g->steps; s++, a += BF16_TILE, b += BF16_TILE) {
        _tile_loadd(6, b, BF16_DEPTH * sizeof *b);
        _tile_loadd(4, a, BF16_DEPTH * sizeof *a);
        _tile_dpbf16ps(0, 4, 6);
        if (width > 1) _tile_loadd(7, b + next, BF16_DEPTH * sizeof *b);
        if (width > 1) _tile_dpbf16ps(1, 4, 7);
        if (height > 1) _tile_loadd(5, a + next, BF16_DEPTH * sizeof *a);
        if (height > 1) _tile_dpbf16ps(2, 5, 6);
        if (height > 1 && width > 1) _tile_dpbf16ps(3, 5, 7);
    }
    SUM_END(0, 0, 0)
    if (width > 1) { SUM_END(1, 0, 1) }
    if (height > 1) { SUM_END(2, 1, 0) }
    if (height > 1 && width > 1) { SUM_END(3, 1, 1) }
}

/* Sizes of all tiles; they are given back at once, so that nobody has to save them. */
typedef struct tile_sizes { uint8_t palette, start, zero[14]; uint16_t bytes[16]; uint8_t rows[16]; } tile_sizes;

AMX static void block_amx(const bf16_block *g) {
    static const tile_sizes sizes = {1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};
    _tile_loadconfig(&sizes);
    size_t depth = g->steps * BF16_DEPTH;
    for (size_t row = 0; row < g->m; row += 2 * BF16_LINES)
        for (size_t column = 0; column < g->n; column += 2 * BF16_LINES) {
            const uint16_t *a = g->a + row * depth, *b = g->b + column * depth;
            bool high = row + BF16_LINES < g->m, wide = column + BF16_LINES < g->n;
            if (high && wide) tiles(g, a, b, 2, 2, row, column);
            else if (high) tiles(g, a, b, 2, 1, row, column);
            else if (wide) tiles(g, a, b, 1, 2, row, column);
            else tiles(g, a, b, 1, 1, row, column);
        }
    _tile_release();
}

bf16_kernels bf16_kernels_x86(int set) { return (bf16_kernels){pack_a, pack_b, set == BF16_AMX ? block_amx : block_avx512}; }

/* Linux saves a thread's tiles only for processes that asked to use them. */
static bool may_use_tiles(void) {
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };        /* ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA */
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

int bf16_best_x86(void) {
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx512bf16")) return BF16_NONE;
    bool amx = __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-bf16");
    return amx && may_use_tiles() ? BF16_AMX : BF16_AVX512;
}
#endif
