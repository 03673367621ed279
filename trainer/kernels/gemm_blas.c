/* trainer/kernels/gemm_blas.c - the one door to OpenBLAS: fallback and yardstick.
 *
 * What has to be known of OpenBLAS 0.3.21 with OpenMP: its bits depend on how a product is cut, so the cut is a constant; inside a parallel
 * region a call stays on its thread, but a team of one does not count as one, and then the call would fan out; and
 * openblas_set_num_threads() also sets OpenMP's count. */
#include <cblas.h>
#include <omp.h>
#include <stdio.h>
#include "trainer/kernels/gemm.h"

void gemm_blas_start(void) {
    if (openblas_get_parallel() != OPENBLAS_OPENMP)
        warn("OpenBLAS was not built with OpenMP: threads of both may fight; link the openmp flavour");
    int threads = omp_get_max_threads();
    openblas_set_num_threads(1);
    omp_set_num_threads(threads);
}

const char *gemm_blas_name(void) {
    static char name[128];
    if (!*name) snprintf(name, sizeof name, "%.90s %.30s", openblas_get_config(), openblas_get_corename());
    return name;
}

void gemm_blas(const gemm_job *j) {
    int threads = omp_in_parallel() ? 1 : omp_get_max_threads();
    if (threads > 1) omp_set_num_threads(1);
    cblas_sgemm(CblasRowMajor, j->transpose_a ? CblasTrans : CblasNoTrans, j->transpose_b ? CblasTrans : CblasNoTrans,
                (blasint)j->m, (blasint)j->n, (blasint)j->k, 1, j->a, (blasint)j->lda, j->b, (blasint)j->ldb, j->beta, j->c, (blasint)j->ldc);
    if (threads > 1) omp_set_num_threads(threads);
}
