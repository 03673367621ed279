/* trainer/kernels/gemm_inner.h - what the ways to multiply share. For gemm*.c only. */
#ifndef TRAINER_KERNELS_GEMM_INNER_H
#define TRAINER_KERNELS_GEMM_INNER_H
#include <stdint.h>
#include "trainer/kernels/gemm.h"

enum { GEMM_JOBS = 8, GEMM_SHARED = 4 << 20 };      /* jobs of a run; floats of packed b */

/* Rows and columns first .. of a job, as a job of its own. */
gemm_job gemm_cut_out(const gemm_job *job, size_t row, size_t rows, size_t column, size_t columns);
static inline size_t gemm_parts(const gemm_job *j) { return j->parts ? j->parts : 1; }
/* b of part 0 .. 2. */
const float *gemm_b_of(const gemm_job *j, size_t part);
/* Rows first .. of c are whole: bias, GELU. */
void gemm_finish(const gemm_job *j, size_t first, size_t rows);
/* j->sums: of a transposed a, in the order of column_sums. */
void gemm_row_sums(const gemm_job *j);
/* rows_done of all rows, by all threads: for jobs that were cut into columns. */
void gemm_finish_rows(const gemm_job *j);
/* The master thread's poll function; other threads return at once. */
void gemm_poll(void);

/* gemm_pieces.c and gemm_serial.c: by own fp32 kernels, OpenBLAS or the reference. */
enum gemm_way { GEMM_BY_OWN, GEMM_BY_BLAS, GEMM_BY_REFERENCE };
enum gemm_way gemm_way(void);
void gemm_own_run(const gemm_job *jobs, size_t count, float *shared);    /* shared: GEMM_SHARED floats */
void gemm_separate_tiles(const gemm_job *job);      /* tiles that each pack what they need, over the threads */
void gemm_serial_tiles(const gemm_job *job);        /* the same on this one */

/* gemm_bf16.c. shared: GEMM_SHARED floats. */
int gemm_bf16_start(int lowest, error *e);          /* by gemm_set_precision() */
const char *gemm_bf16_name(void);
void gemm_bf16_run(const gemm_job *jobs, size_t count, void *shared);
void gemm_bf16_serial(const gemm_job *job);
size_t gemm_bf16_bytes(int threads);                /* that threads touch of their own */
#endif
