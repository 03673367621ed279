/* trainer/kernels/gemm_job.c - what every way to multiply does with a job: cut it, finish rows, sum a. */
#include <assert.h>
#include <string.h>
#include "trainer/kernels/gemm_inner.h"
#include "trainer/kernels/kernels.h"

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

const float *gemm_b_of(const gemm_job *j, size_t part) { return part == 0 ? j->b : j->part[part - 1]; }

void gemm_finish(const gemm_job *j, size_t first, size_t rows) {
    size_t at = first * j->ldc;
    switch (j->finish) {
    case GEMM_PLAIN: break;
    case GEMM_BIAS: kernel.add_bias(j->c + at, j->bias, rows, j->n, j->ldc); break;
    case GEMM_GELU: kernel.bias_gelu(j->c + at, j->bias, j->g + at, rows, j->n, j->ldc); break;
    case GEMM_GELU_BACKWARD: kernel.gelu_backward(j->u + at, j->c + at, j->g + at, rows, j->n, j->ldc); break;
    }
}

/* Sums of op(a)'s rows over k: of a's columns, in the order of column_sums. */
void gemm_row_sums(const gemm_job *j) {
    float sum[SUM_COLUMNS];
    assert(j->transpose_a);
    for (size_t first = 0; first < j->m; first += SUM_COLUMNS) {
        size_t count = smaller(SUM_COLUMNS, j->m - first);
        kernel.column_sums(j->a + first, sum, j->k, count, j->lda);
        if (j->beta != 0) kernel.add(j->sums + first, sum, count);
        else memcpy(j->sums + first, sum, count * sizeof *sum);
    }
}

/* Rows and columns first .. of a job, as a job of its own. */
gemm_job gemm_cut_out(const gemm_job *job, size_t row, size_t rows, size_t column, size_t columns) {
    gemm_job j = *job;
    j.m = smaller(rows, job->m - row);
    j.n = smaller(columns, job->n - column);
    j.a += job->transpose_a ? row : row * job->lda;
    size_t at = job->transpose_b ? column * job->ldb : column;
    j.b += at;
    for (size_t p = 0; p + 1 < job->parts; p++) j.part[p] += at;
    j.c += job->turned ? column * job->ldc + row : row * job->ldc + column;
    if (j.bias) j.bias += column;
    if (j.u) j.u += row * job->ldc + column;
    if (j.g) j.g += row * job->ldc + column;
    for (size_t i = 0; i < 2; i++) if (j.beside[i]) j.beside[i] += row * job->ldc + column;
    if (j.sums && j.turned) j.sums += column;
    else if (j.sums) j.sums = column ? NULL : j.sums + row;
    return j;
}
