/* trainer/kernels/gemm_body.h - products over packed panels, written once and compiled for each instruction set.
 *
 * gemm_kernels.c includes it several times with
 *     GEMM(f)       the name of f for this set                    GEMM_TARGET    attribute of its functions
 *     GEMM_LANES    floats of a vector                            GEMM_HEIGHT    rows of a register tile (at most 14)
 *     GEMM_PANEL    columns of a panel: GEMM_VECTORS vectors      GEMM_EACH(f)   f(1) f(2) ... f(HEIGHT)
 *
 * A register tile is HEIGHT rows by one panel: its sums stay in registers over the whole block of k, `b` comes from the panel (one after
 * the other in memory), `a` is read where it lies. Every element is one chain of multiply-adds in the order of k: its bits depend neither
 * on its place in the tile nor on how the product was cut.
 * Source: Goto and van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication"; Van Zee and van de Geijn 2015, BLIS. */
#define GEMM_VECTORS (GEMM_PANEL / GEMM_LANES)

typedef float GEMM(vector) __attribute__((vector_size(4 * GEMM_LANES)));
typedef float GEMM(loose) __attribute__((vector_size(4 * GEMM_LANES), aligned(4)));      /* anywhere in memory */
typedef int32_t GEMM(order) __attribute__((vector_size(4 * GEMM_LANES)));

/* c (rows, columns) = or += a b over one block of k. a[r * row_step + k * k_step]; b: the panel's block, aligned. rows is a constant. */
GEMM_TARGET BODY void GEMM(tile)(size_t rows, const gemm_block *g, const float *a, const float *b, float *c, size_t columns) {
    GEMM(vector) sum[GEMM_HEIGHT][GEMM_VECTORS];
#pragma GCC unroll 14
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (size_t v = 0; v < GEMM_VECTORS; v++) sum[r][v] = (GEMM(vector)){0};
    size_t row_step = g->row_step, k_step = g->k_step;
    for (size_t k = g->k; k > 0; k--, a += k_step, b += GEMM_PANEL) {
        const GEMM(vector) *line = (const GEMM(vector) *)b;
#pragma GCC unroll 14
        for (size_t r = 0; r < rows; r++) {
            GEMM(vector) x = a[r * row_step] - (GEMM(vector)){0};       /* one value in every lane */
#pragma GCC unroll 4
            for (size_t v = 0; v < GEMM_VECTORS; v++) sum[r][v] += x * line[v];
        }
    }
    if (columns == GEMM_PANEL) {
#pragma GCC unroll 14
        for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
            for (size_t v = 0; v < GEMM_VECTORS; v++) {
                GEMM(loose) *to = (GEMM(loose) *)(c + r * g->ldc) + v;
                *to = g->add ? *to + sum[r][v] : sum[r][v];
            }
        return;
    }
    GEMM(vector) edge[GEMM_HEIGHT][GEMM_VECTORS];
#pragma GCC unroll 14
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (size_t v = 0; v < GEMM_VECTORS; v++) edge[r][v] = sum[r][v];
    gemm_edge(g, (const float *)edge, GEMM_PANEL, c, rows, columns);
}

#define GEMM_TILE(rows)                                                                                                                  \
    GEMM_TARGET static __attribute__((noinline)) void GEMM(tile_##rows)(const gemm_block *g, const float *a, const float *b, float *c,   \
                                                                        size_t columns) {                                                \
        GEMM(tile)(rows, g, a, b, c, columns);                                                                                           \
    }
#define GEMM_NAME(rows) GEMM(tile_##rows),
GEMM_EACH(GEMM_TILE)

GEMM_TARGET static void GEMM(block)(const gemm_block *g) {
    static void (*const tile[])(const gemm_block *, const float *, const float *, float *, size_t) = {NULL, GEMM_EACH(GEMM_NAME)};
    for (size_t i = 0; i < g->n; i += GEMM_PANEL) {
        size_t columns = g->n - i < GEMM_PANEL ? g->n - i : GEMM_PANEL;
        const float *panel = g->panels + i * g->k;
        for (size_t r = 0; r < g->m; r += GEMM_HEIGHT) {
            size_t rows = g->m - r < GEMM_HEIGHT ? g->m - r : GEMM_HEIGHT;
            tile[rows](g, g->a + r * g->row_step, panel, g->c + r * g->ldc + i, columns);
        }
    }
}

/* LANES vectors at b, stride ldb, turned: vector i of the result holds element i of each. */
GEMM_TARGET BODY void GEMM(turn)(const float *b, size_t ldb, float *out) {
    GEMM(vector) x[GEMM_LANES], y[GEMM_LANES];
    GEMM(order) low, high;
    for (int i = 0; i < GEMM_LANES; i++) {
        low[i] = i / 2 + i % 2 * GEMM_LANES;
        high[i] = low[i] + GEMM_LANES / 2;
    }
#pragma GCC unroll 16
    for (size_t i = 0; i < GEMM_LANES; i++) x[i] = *(const GEMM(loose) *)(b + i * ldb);
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
    for (size_t i = 0; i < GEMM_LANES; i++) *(GEMM(vector) *)(out + i * GEMM_PANEL) = x[i];
}

/* b (k, n), or its transpose (n, k), into panels (k, PANEL) of n's columns; the last one is filled with zeros. */
GEMM_TARGET static void GEMM(pack)(size_t k, size_t n, const float *b, size_t ldb, bool transpose, float *out) {
    size_t column_step = transpose ? ldb : 1, k_step = transpose ? 1 : ldb;
    for (size_t i = 0; i < n; i += GEMM_PANEL, out += k * GEMM_PANEL) {
        size_t columns = n - i < GEMM_PANEL ? n - i : GEMM_PANEL, j = 0;
        const float *from = b + i * column_step;
        for (; transpose && j + GEMM_LANES <= columns; j += GEMM_LANES) {
            size_t at = 0;
            for (; at + GEMM_LANES <= k; at += GEMM_LANES) GEMM(turn)(from + j * ldb + at, ldb, out + at * GEMM_PANEL + j);
            for (; at < k; at++)
                for (size_t l = j; l < j + GEMM_LANES; l++) out[at * GEMM_PANEL + l] = from[l * ldb + at];
        }
        if (!transpose && columns == GEMM_PANEL) {
            for (size_t at = 0; at < k; at++) memcpy(out + at * GEMM_PANEL, from + at * ldb, GEMM_PANEL * sizeof *out);
            continue;
        }
        for (size_t at = 0; at < k && j < GEMM_PANEL; at++)
            for (size_t l = j; l < GEMM_PANEL; l++) out[at * GEMM_PANEL + l] = l < columns ? from[l * column_step + at * k_step] : 0;
    }
}
#undef GEMM_VECTORS
#undef GEMM_TILE
#undef GEMM_NAME
