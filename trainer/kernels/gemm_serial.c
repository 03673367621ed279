/* trainer/kernels/gemm_serial.c - products in tiles that each pack what they need: on one thread inside parallel regions, and over the
 * threads for OpenBLAS and the reference. */
#include <assert.h>
#include "trainer/kernels/gemm_rows.h"
#include "trainer/kernels/kernels.h"

enum { BLAS_ROWS = 192, BLAS_COLUMNS = 384 };
static_assert(GEMM_WHOLE >= BLAS_ROWS * BLAS_COLUMNS, "a tile waits apart");

static size_t cut(size_t n, size_t most) { return (n + most - 1) / most; }

static void product_ref(const gemm_job *j) {
    size_t length = j->k / gemm_parts(j);
    for (size_t r = 0; r < j->m; r++)
        for (size_t i = 0; i < j->n; i++) {
            double sum = 0;
            for (size_t k = 0; k < j->k; k++) {
                const float *b = gemm_b_of(j, k / length);
                size_t at = k % length;
                sum += (double)(j->transpose_a ? j->a[k * j->lda + r] : j->a[r * j->lda + k])
                       * (j->transpose_b ? b[i * j->ldb + at] : b[at * j->ldb + i]);
            }
            float *c = &j->c[r * j->ldc + i];
            *c = j->beta == 0 ? (float)sum : *c + (float)sum;
        }
}

static void product_blas(const gemm_job *j) {
    size_t parts = gemm_parts(j), length = j->k / parts;
    gemm_job part = *j;
    part.k = length;
    if (j->beta != 0) part.c = gemm_whole(), part.ldc = j->n, part.beta = 0;
    for (size_t p = 0; p < parts; p++) {
        part.b = gemm_b_of(j, p);
        gemm_blas(&part);
        part.a += j->transpose_a ? length * j->lda : length;
        part.beta = 1;
    }
    if (j->beta != 0) gemm_add_whole(j, 0, j->m);
}

static void run_tile(const gemm_job *j) {
    enum gemm_way way = gemm_way();
    if (j->sums) gemm_sums(j, 0, j->m);
    if (way == GEMM_BY_REFERENCE || j->k == 0) product_ref(j);
    else if (way == GEMM_BY_BLAS) product_blas(j);
    else {
        gemm_rows_serial(j);
        return;
    }
    gemm_finish(j, 0, j->m);
}

typedef struct grid { size_t rows, columns, across, tiles; } grid;

static grid make_grid(const gemm_job *j) {
    bool by_blas = gemm_way() == GEMM_BY_BLAS;
    size_t rows = by_blas ? BLAS_ROWS : GEMM_SERIAL_ROWS, most = by_blas ? BLAS_COLUMNS : GEMM_SERIAL_COLUMNS;
    size_t columns = cut(cut(j->n, cut(j->n, most)), 32) * 32, across = cut(j->n, columns);
    return (grid){rows, columns, across, cut(j->m, rows) * across};
}

static void run_grid_tile(const gemm_job *job, const grid *g, size_t tile) {
    gemm_job j = gemm_cut_out(job, tile / g->across * g->rows, g->rows, tile % g->across * g->columns, g->columns);
    run_tile(&j);
}

void gemm_serial_tiles(const gemm_job *job) {
    if (!job->m || !job->n) return;
    grid g = make_grid(job);
    for (size_t i = 0; i < g.tiles; i++) run_grid_tile(job, &g, i);
}

void gemm_separate_tiles(const gemm_job *job) {
    grid g = make_grid(job);
#pragma omp parallel for schedule(dynamic, 1)
    for (size_t i = 0; i < g.tiles; i++) {
        run_grid_tile(job, &g, i);
        gemm_poll();
    }
}
