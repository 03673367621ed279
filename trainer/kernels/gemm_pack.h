/* trainer/kernels/gemm_pack.h - operands in the order in which gemm_body.h reads them; included after it, by the same macros. */
#ifndef GEMM_AHEAD
#define GEMM_AHEAD 8             /* rows fetched early */
#endif

/* A block of LANES by LANES turned: vector i of the result holds element i of each row. Rows from `rows` on are copies of the last one. */
GEMM_TARGET BODY void GEMM(turn)(const float *from, size_t stride, size_t rows, float *out, size_t out_stride) {
    GEMM(vector) x[GEMM_LANES], y[GEMM_LANES];
    GEMM(order) low, high;
    for (int i = 0; i < GEMM_LANES; i++) {
        low[i] = i / 2 + i % 2 * GEMM_LANES;
        high[i] = low[i] + GEMM_LANES / 2;
    }
#pragma GCC unroll 16
    for (size_t i = 0; i < GEMM_LANES; i++) x[i] = *(const GEMM(loose) *)(from + (i < rows ? i : rows - 1) * stride);
#pragma GCC unroll 4
    for (int width = GEMM_LANES; width > 1; width /= 2) {      /* each pass turns one bit of the indices over */
#pragma GCC unroll 8
        for (size_t i = 0; i < GEMM_LANES / 2; i++) {
            y[2 * i] = __builtin_shuffle(x[i], x[i + GEMM_LANES / 2], low);
            y[2 * i + 1] = __builtin_shuffle(x[i], x[i + GEMM_LANES / 2], high);
        }
#pragma GCC unroll 16
        for (size_t i = 0; i < GEMM_LANES; i++) x[i] = y[i];
    }
#pragma GCC unroll 16
    for (size_t i = 0; i < GEMM_LANES; i++) *(GEMM(loose) *)(out + i * out_stride) = x[i];
}

/* out[k * width + r] = from[r * stride + k] for `rows` rows and `depth` of k, rows <= width. Up to LANES - 1 floats behind the end of what
 * belongs to a k are overwritten, those of later ones: so from the last rows to the first, and k upwards. */
GEMM_TARGET static void GEMM(interleave)(const float *from, size_t stride, size_t rows, size_t depth, float *out, size_t width) {
    size_t k = 0;
    for (; k + GEMM_LANES <= depth; k += GEMM_LANES)
        for (size_t r = (rows - 1) / GEMM_LANES * GEMM_LANES + GEMM_LANES; r > 0; r -= GEMM_LANES)
            GEMM(turn)(from + (r - GEMM_LANES) * stride + k, stride, rows - (r - GEMM_LANES), out + k * width + r - GEMM_LANES, width);
    for (; k < depth; k++)
        for (size_t r = 0; r < rows; r++) out[k * width + r] = from[r * stride + k];
}

GEMM_TARGET static void GEMM(turned)(size_t rows, size_t columns, const float *x, size_t stride, float *out) {
    GEMM(interleave)(x, stride, rows, columns, out, rows);
}

/* a (m, k), or its transpose (k, m), its rows in groups of HEIGHT: a group is (k, its rows). Whole vectors spoil the beginning of the
 * group's next k, which is written afterwards; behind the last k, that of the next group. */
GEMM_TARGET static void GEMM(pack_a)(size_t m, size_t k, const float *a, size_t lda, bool transpose, float *out) {
    enum { WIDE = (GEMM_HEIGHT + GEMM_LANES - 1) / GEMM_LANES * GEMM_LANES };
    for (size_t r = 0; r < m && !transpose; r += GEMM_HEIGHT) {
        size_t rows = m - r < GEMM_HEIGHT ? m - r : GEMM_HEIGHT;
        GEMM(interleave)(a + r * lda, lda, rows, k, out + r * k, rows);
    }
    if (!transpose) return;
    size_t whole = m < WIDE ? 0 : (m - WIDE) / GEMM_HEIGHT * GEMM_HEIGHT + GEMM_HEIGHT;      /* rows of groups that whole vectors can read */
    for (size_t i = 0; i + 1 < k; i++) {
        const float *from = a + i * lda;
        for (size_t r = 0; r < whole; r += GEMM_HEIGHT) {
            if (r % 16 < GEMM_HEIGHT) __builtin_prefetch(from + GEMM_AHEAD * lda + r);       /* rows may lie pages apart: nobody else guesses them */
#pragma GCC unroll 2
            for (size_t v = 0; v < WIDE; v += GEMM_LANES)
                *(GEMM(loose) *)(out + r * k + i * GEMM_HEIGHT + v) = *(const GEMM(loose) *)(from + r + v);
        }
    }
    for (size_t r = 0; r < m; r += GEMM_HEIGHT) {
        size_t rows = m - r < GEMM_HEIGHT ? m - r : GEMM_HEIGHT;
        for (size_t i = r < whole ? k - 1 : 0; i < k; i++)
            for (size_t q = 0; q < rows; q++) out[r * k + i * rows + q] = a[i * lda + r + q];
    }
}

/* b (k, n), or its transpose (n, k), into panels (k, PANEL) of n's columns; the last one is filled with zeros. */
GEMM_TARGET static void GEMM(pack_b)(size_t k, size_t n, const float *b, size_t ldb, bool transpose, float *out) {
    for (size_t i = 0; i < n; i += GEMM_PANEL, out += k * GEMM_PANEL) {
        size_t columns = n - i < GEMM_PANEL ? n - i : GEMM_PANEL;
        if (columns < GEMM_PANEL) memset(out, 0, k * GEMM_PANEL * sizeof *out);
        if (transpose) GEMM(interleave)(b + i * ldb, ldb, columns, k, out, GEMM_PANEL);
        else if (columns == GEMM_PANEL)
            for (size_t at = 0; at < k; at++)
#pragma GCC unroll 4
                for (size_t v = 0; v < GEMM_PANEL; v += GEMM_LANES)
                    *(GEMM(vector) *)(out + at * GEMM_PANEL + v) = *(const GEMM(loose) *)(b + at * ldb + i + v);
        else
            for (size_t at = 0; at < k; at++) memcpy(out + at * GEMM_PANEL, b + at * ldb + i, columns * sizeof *out);
    }
}
