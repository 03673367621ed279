/* trainer/kernels/gemm.c - the one door to OpenBLAS: single-threaded calls on fixed tiles.
 *
 * What has to be known of OpenBLAS 0.3.21 with OpenMP: its bits depend on how a product is cut, so the cut is a constant; inside a parallel
 * region a call stays on its thread, but a team of one does not count as one, and then the call would fan out; and
 * openblas_set_num_threads() also sets OpenMP's count. */
#include "trainer/kernels/gemm.h"
#include <assert.h>
#include <cblas.h>
#include <omp.h>
#include <stdio.h>
#include "trainer/kernels/kernels.h"

enum { MAX_JOBS = 8, TILE_COLUMNS = 384, COLUMN_STEP = 16 };

void gemm_start(void) {
    if (openblas_get_parallel() != OPENBLAS_OPENMP)
        warn("OpenBLAS was not built with OpenMP: threads of both may fight; link the openmp flavour");
    int threads = omp_get_max_threads();
    openblas_set_num_threads(1);
    omp_set_num_threads(threads);
}

const char *gemm_name(void) {
    static char name[128];
    if (!*name) snprintf(name, sizeof name, "%.90s %.30s", openblas_get_config(), openblas_get_corename());
    return name;
}

static void product_ref(const gemm_job *j) {
    for (size_t r = 0; r < j->m; r++)
        for (size_t i = 0; i < j->n; i++) {
            double sum = 0;
            for (size_t k = 0; k < j->k; k++)
                sum += (double)(j->transpose_a ? j->a[k * j->lda + r] : j->a[r * j->lda + k])
                       * (j->transpose_b ? j->b[i * j->ldb + k] : j->b[k * j->ldb + i]);
            float *c = &j->c[r * j->ldc + i];
            *c = (float)(j->beta == 0 ? sum : sum + (double)j->beta * *c);
        }
}

static void product(const gemm_job *j) {
    if (kernels_level() == KERNELS_REF || j->k == 0) {
        product_ref(j);
        return;
    }
    int threads = omp_in_parallel() ? 1 : omp_get_max_threads();
    if (threads > 1) omp_set_num_threads(1);
    cblas_sgemm(CblasRowMajor, j->transpose_a ? CblasTrans : CblasNoTrans, j->transpose_b ? CblasTrans : CblasNoTrans,
                (blasint)j->m, (blasint)j->n, (blasint)j->k, 1, j->a, (blasint)j->lda, j->b, (blasint)j->ldb, j->beta, j->c, (blasint)j->ldc);
    if (threads > 1) omp_set_num_threads(threads);
}

void gemm_serial(const gemm_job *j) {
    if (!j->m || !j->n) return;
    product(j);
    switch (j->finish) {
    case GEMM_PLAIN: break;
    case GEMM_BIAS: kernel.add_bias(j->c, j->bias, j->m, j->n, j->ldc); break;
    case GEMM_GELU: kernel.bias_gelu(j->c, j->bias, j->g, j->m, j->n, j->ldc); break;
    case GEMM_GELU_BACKWARD: kernel.gelu_backward(j->u, j->c, j->g, j->m, j->n, j->ldc); break;
    }
}

/* Columns are cut evenly into an even number of strips, so that two threads get equal work whatever the rows. */
static size_t strip_columns(size_t n) {
    size_t strips = (n + TILE_COLUMNS - 1) / TILE_COLUMNS;
    strips += strips % 2;
    size_t width = (n + strips - 1) / strips;
    return (width + COLUMN_STEP - 1) / COLUMN_STEP * COLUMN_STEP;
}

static void run_tile(const gemm_job *job, size_t tile) {
    size_t width = strip_columns(job->n), strips = (job->n + width - 1) / width;
    size_t row = tile / strips * GEMM_ROWS, column = tile % strips * width;
    gemm_job j = *job;
    j.m = job->m - row < GEMM_ROWS ? job->m - row : GEMM_ROWS;
    j.n = job->n - column < width ? job->n - column : width;
    j.a += job->transpose_a ? row : row * job->lda;
    j.b += job->transpose_b ? column * job->ldb : column;
    j.c += row * job->ldc + column;
    if (j.bias) j.bias += column;
    if (j.u) j.u += row * job->ldc + column;
    if (j.g) j.g += row * job->ldc + column;
    gemm_serial(&j);
}

void gemm_run(const gemm_job *jobs, size_t count) {
    assert(count <= MAX_JOBS);
    size_t first[MAX_JOBS + 1] = {0};
    for (size_t i = 0; i < count; i++) {
        size_t width = jobs[i].n ? strip_columns(jobs[i].n) : 1;
        first[i + 1] = first[i] + (jobs[i].m + GEMM_ROWS - 1) / GEMM_ROWS * ((jobs[i].n + width - 1) / width);
    }
#pragma omp parallel for schedule(dynamic, 1)
    for (size_t t = 0; t < first[count]; t++) {
        size_t i = 0;
        while (t >= first[i + 1]) i++;
        run_tile(&jobs[i], t - first[i]);
    }
}
