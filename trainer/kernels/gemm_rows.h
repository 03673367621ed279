/* trainer/kernels/gemm_rows.h - some rows of a product by own fp32 kernels: what fits into the second-level cache of one core.
 *
 * k is cut into blocks, at most GEMM_DEPTH long, within each part of b. For each block in order: pack its rows of a, then multiply them by
 * the panels of b; the last block completes the rows. For gemm*.c only.
 *
 *     depths d = gemm_depths(&j);
 *     for (size_t i = 0; i < d.count; i++) {
 *         gemm_pack_rows(&j, &d, i, 0, j.m);
 *         gemm_multiply_rows(&j, &d, i, 0, j.m, panels of block i, NULL);
 *     } */
#ifndef TRAINER_KERNELS_GEMM_ROWS_H
#define TRAINER_KERNELS_GEMM_ROWS_H
#include "trainer/kernels/gemm_inner.h"
#include "trainer/kernels/gemm_kernels.h"

enum {
    GEMM_ROWS = 4 * GEMM_STEP,           /* at most */
    GEMM_PIECE = 1024,                   /* columns at most */
    GEMM_WHOLE = 2 * GEMM_STEP * GEMM_PIECE      /* sums that wait apart, at most: gemm_wait_apart() */
};

typedef struct gemm_depths { size_t parts, part, blocks, block, count; } gemm_depths;     /* parts of b, blocks of a part; lengths; blocks in all */

void gemm_rows_start(int level);
const gemm_kernels *gemm_own(void);      /* of that level */
size_t gemm_rows_bytes(void);            /* that a thread touches */

gemm_depths gemm_cut_depth(const gemm_job *j);
size_t gemm_block_at(const gemm_depths *d, size_t i);        /* where block i begins, and how long it is */
size_t gemm_block_length(const gemm_depths *d, size_t i);

/* Rows first .. first + rows - 1 of op(a) over block i, into this thread's memory; rows <= GEMM_ROWS. */
void gemm_pack_rows(const gemm_job *j, const gemm_depths *d, size_t i, size_t first, size_t rows);

/* The lines of memory that gemm_pack_rows() of the same arguments will read, to be fetched during `groups` groups of steps of k. */
gemm_fetch gemm_fetch_rows(const gemm_job *j, const gemm_depths *d, size_t i, size_t first, size_t rows, size_t groups);
/* Groups of steps of k that the product of so many packed rows over block i by panels of `width` columns in all has. */
size_t gemm_groups(const gemm_depths *d, size_t i, size_t rows, size_t width);

/* The packed rows times the panels of block i: into c, or into memory apart until the sum is complete. fetch: NULL, or moved on. */
void gemm_multiply_rows(const gemm_job *j, const gemm_depths *d, size_t i, size_t first, size_t rows, const float *panels, gemm_fetch *fetch);
bool gemm_wait_apart(const gemm_job *j, const gemm_depths *d);      /* then rows times j->n <= GEMM_WHOLE */

/* Sums of op(a)'s rows first .. over block i, blocks in order; the last one writes them or adds them to what waits. rows <= GEMM_ROWS */
void gemm_add_sums(const gemm_job *j, const gemm_depths *d, size_t i, size_t first, size_t rows);
/* All of them, rows first .. */
void gemm_sums(const gemm_job *j, size_t first, size_t rows);

/* At most GEMM_SERIAL_ROWS by GEMM_SERIAL_COLUMNS, with panels of this thread. */
enum { GEMM_SERIAL_ROWS = 576, GEMM_SERIAL_COLUMNS = 64 };
void gemm_rows_serial(const gemm_job *j);

/* This thread's memory apart, and c += what lies there, rows first .. */
float *gemm_whole(void);
void gemm_add_whole(const gemm_job *j, size_t first, size_t rows);
#endif
