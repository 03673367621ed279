/* trainer/kernels/gemm_body.h - products over packed panels, written once and compiled for each instruction set.
 *
 * gemm_kernels.c includes this and gemm_pack.h several times with
 *     GEMM(f)       the name of f for this set                    GEMM_TARGET    attribute of its functions
 *     GEMM_LANES    floats of a vector                            GEMM_HEIGHT    rows of a register tile (at most 14)
 *     GEMM_PANEL    columns of a panel: GEMM_VECTORS vectors      GEMM_EACH(f)   f(1) f(2) ... f(HEIGHT)
 *
 * A register tile is HEIGHT rows by one panel: its sums stay in registers over the whole block of k. A panel's block stays in the
 * first-level cache while groups of rows pass by; both are packed, so that a step of k is a few loads at constant offsets from two
 * pointers: nothing but multiply-adds takes the multipliers' ports.
 *
 * Memory that is wanted soon - the tile's rows of c, the next panel, the rows of a that are packed next - is fetched a line or two at a
 * time between the multiply-adds: many at once (even a group's eleven lines of a panel) take all of a core's places for misses, the panel's
 * own loads wait, and a tenth of the rate is lost; so it is without fetching them.
 *
 * Every element is one chain of multiply-adds in the order of k: its bits depend neither on its place in the tile nor on how the product
 * was cut.
 * Source: Goto and van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication"; Van Zee and van de Geijn 2015, BLIS. */
#define GEMM_VECTORS (GEMM_PANEL / GEMM_LANES)

typedef float GEMM(vector) __attribute__((vector_size(4 * GEMM_LANES)));
typedef float GEMM(loose) __attribute__((vector_size(4 * GEMM_LANES), aligned(4)));      /* anywhere in memory */
typedef int32_t GEMM(order) __attribute__((vector_size(4 * GEMM_LANES)));

/* One k: sum += a's column times b's row. */
GEMM_TARGET BODY void GEMM(step)(size_t rows, const float *a, const float *b, GEMM(vector) sum[][GEMM_VECTORS]) {
    const GEMM(vector) *line = (const GEMM(vector) *)b;
#pragma GCC unroll 14
    for (size_t r = 0; r < rows; r++) {
        GEMM(vector) x = a[r] - (GEMM(vector)){0};       /* one value in every lane */
#pragma GCC unroll 4
        for (size_t v = 0; v < GEMM_VECTORS; v++) sum[r][v] += x * line[v];
    }
}

/* A row of the tile in c and in what is read or written beside it. */
BODY void GEMM(fetch_row)(const gemm_block *g, size_t row, size_t column, size_t columns) {
    __builtin_prefetch(g->c + row * g->ldc + column, 1);
    __builtin_prefetch(g->c + row * g->ldc + column + columns - 1, 1);
    for (size_t i = 0; i < GEMM_BESIDE && g->beside[i]; i++) {
        const float *x = g->beside[i] + row * g->beside_stride + column;
        __builtin_prefetch(x, 1);
        __builtin_prefetch(x + columns - 1, 1);
    }
}

/* c (rows, columns of one panel) at row, column = or += a b over one block of k; next: the panel behind it. rows is a constant. */
GEMM_TARGET BODY void GEMM(tile)(size_t rows, const gemm_block *g, size_t row, size_t column, gemm_panel *next) {
    const float *a = g->a + row * g->k, *b = g->panels + column * g->k;
    float *c = g->c + row * g->ldc + column;
    size_t columns = g->n - column < GEMM_PANEL ? g->n - column : GEMM_PANEL;
    GEMM(vector) sum[GEMM_HEIGHT][GEMM_VECTORS];
#pragma GCC unroll 14
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (size_t v = 0; v < GEMM_VECTORS; v++) sum[r][v] = (GEMM(vector)){0};
    size_t groups = g->k / GEMM_GROUP, fetched = rows > groups ? rows - groups : 0;
    gemm_fetch fetch = g->fetch ? *g->fetch : (gemm_fetch){.rows = 0};
    size_t ahead = next->at < next->end ? next->each : 0;      /* may go a little past the panel: cheaper than a comparison each time */
    const char *panel = next->at;
    for (size_t r = 0; r < fetched; r++) GEMM(fetch_row)(g, row + r, column, columns);
    for (size_t i = 0; i < groups; i++) {
        if (fetched < rows) GEMM(fetch_row)(g, row + fetched++, column, columns);
        for (size_t f = 0; f < fetch.each; f++) gemm_fetch_line(&fetch);
        for (size_t k = 0; k < GEMM_GROUP; k += 2, a += 2 * rows, b += 2 * GEMM_PANEL) {
            for (size_t f = 0; f < ahead; f++, panel += GEMM_LINE) __builtin_prefetch(panel, 0, 2);
            GEMM(step)(rows, a, b, sum);
            GEMM(step)(rows, a + rows, b + GEMM_PANEL, sum);
        }
    }
    for (size_t k = groups * GEMM_GROUP; k < g->k; k++, a += rows, b += GEMM_PANEL) GEMM(step)(rows, a, b, sum);
    next->at = panel;
    if (g->fetch) *g->fetch = fetch;
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

#define GEMM_TILE(rows)                                                                                                             \
    GEMM_TARGET static __attribute__((noinline)) void GEMM(tile_##rows)(const gemm_block *g, size_t row, size_t column, gemm_panel *next) { \
        GEMM(tile)(rows, g, row, column, next);                                                                                      \
    }
#define GEMM_NAME(rows) GEMM(tile_##rows),
GEMM_EACH(GEMM_TILE)

GEMM_TARGET static void GEMM(block)(const gemm_block *g) {
    static void (*const tile[])(const gemm_block *, size_t, size_t, gemm_panel *) = {NULL, GEMM_EACH(GEMM_NAME)};
    for (size_t column = 0; column < g->n; column += GEMM_PANEL) {
        gemm_panel next = gemm_next_panel(g, g->panels + (column + GEMM_PANEL) * g->k, GEMM_PANEL * g->k, (g->m + GEMM_HEIGHT - 1) / GEMM_HEIGHT);
        for (size_t row = 0; row < g->m; row += GEMM_HEIGHT) tile[g->m - row < GEMM_HEIGHT ? g->m - row : GEMM_HEIGHT](g, row, column, &next);
    }
}

#undef GEMM_VECTORS
#undef GEMM_TILE
#undef GEMM_NAME
