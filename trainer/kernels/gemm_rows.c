/* trainer/kernels/gemm_rows.c - rows of a product: packed, multiplied, completed.
 *
 * A block of rows of a is packed into memory of this thread, where it stays in the second-level cache while panel after panel passes. To
 * pack an element costs a third of a cycle when it is at hand, and five times that when it must come from memory; so the rows that are
 * packed next are fetched during the multiply-adds of these. */
#include "trainer/kernels/gemm_rows.h"
#include <assert.h>
#include <stdalign.h>
#include <string.h>
#include "trainer/kernels/kernels.h"

enum {
    MOST_LINES = 4,              /* fetched for a group of steps */
    FAR = 1 << 18                /* floats of b: more than half of a second-level cache, so that a tile reads them from further away */
};

static gemm_kernels own;
static _Thread_local alignas(64) float rows_of_a[GEMM_ROWS * GEMM_DEPTH + GEMM_SPILL];
static _Thread_local alignas(64) float sum_of_block[GEMM_ROWS], sum_of_rows[GEMM_ROWS];
static _Thread_local alignas(64) float panels[GEMM_DEPTH * GEMM_SERIAL_COLUMNS];
static _Thread_local alignas(64) float whole[GEMM_WHOLE];

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }
static size_t cut(size_t n, size_t most) { return (n + most - 1) / most; }

void gemm_rows_start(int level) { own = gemm_kernels_of(level); }
const gemm_kernels *gemm_own(void) { return &own; }
size_t gemm_rows_bytes(void) { return sizeof rows_of_a + sizeof panels + sizeof whole; }
float *gemm_whole(void) { return whole; }

void gemm_add_whole(const gemm_job *j, size_t first, size_t rows) {
    for (size_t r = first; r < first + rows; r++) kernel.add(j->c + r * j->ldc, whole + r * j->n, j->n);
}

gemm_depths gemm_cut_depth(const gemm_job *j) {
    size_t parts = gemm_parts(j), part = j->k / parts, blocks = cut(part, GEMM_DEPTH);
    return (gemm_depths){parts, part, blocks, blocks ? cut(part, blocks) : 0, parts * blocks};
}

size_t gemm_block_at(const gemm_depths *d, size_t i) { return i / d->blocks * d->part + i % d->blocks * d->block; }
size_t gemm_block_length(const gemm_depths *d, size_t i) { return smaller(d->block, d->part - i % d->blocks * d->block); }

static const float *rows_at(const gemm_job *j, size_t k, size_t first) { return j->a + (j->transpose_a ? first + k * j->lda : first * j->lda + k); }

void gemm_pack_rows(const gemm_job *j, const gemm_depths *d, size_t i, size_t first, size_t rows) {
    own.pack_a(rows, gemm_block_length(d, i), rows_at(j, gemm_block_at(d, i), first), j->lda, j->transpose_a, rows_of_a);
}

size_t gemm_groups(const gemm_depths *d, size_t i, size_t rows, size_t width) {
    return cut(width, own.panel) * cut(rows, own.height) * (gemm_block_length(d, i) / GEMM_GROUP);
}

gemm_fetch gemm_fetch_rows(const gemm_job *j, const gemm_depths *d, size_t i, size_t first, size_t rows, size_t groups) {
    size_t length = gemm_block_length(d, i), bytes = (j->transpose_a ? rows : length) * sizeof(float), count = j->transpose_a ? length : rows;
    const char *at = (const char *)rows_at(j, gemm_block_at(d, i), first);
    return (gemm_fetch){.at = at, .end = at + bytes, .row = bytes, .skip = j->lda * sizeof(float) - bytes, .rows = count,
                        .each = groups ? smaller(MOST_LINES, cut(count * cut(bytes, GEMM_LINE), groups)) : 0};
}

void gemm_add_sums(const gemm_job *j, const gemm_depths *d, size_t i, size_t first, size_t rows) {
    assert(j->transpose_a && rows <= GEMM_ROWS);
    const float *a = rows_at(j, gemm_block_at(d, i), first);
    for (size_t c = 0; c < rows; c += SUM_COLUMNS)
        kernel.column_sums(a + c, sum_of_block + c, gemm_block_length(d, i), smaller(SUM_COLUMNS, rows - c), j->lda);
    if (i == 0) memcpy(sum_of_rows, sum_of_block, rows * sizeof *sum_of_rows);
    else kernel.add(sum_of_rows, sum_of_block, rows);
    if (i + 1 < d->count) return;
    if (j->beta != 0) kernel.add(j->sums + first, sum_of_rows, rows);
    else memcpy(j->sums + first, sum_of_rows, rows * sizeof *sum_of_rows);
}

void gemm_sums(const gemm_job *j, size_t first, size_t rows) {
    gemm_depths d = gemm_cut_depth(j);
    if (d.count == 0 && j->beta == 0) memset(j->sums + first, 0, rows * sizeof *j->sums);
    for (size_t r = 0; r < rows; r += GEMM_ROWS)
        for (size_t i = 0; i < d.count; i++) gemm_add_sums(j, &d, i, first + r, smaller(GEMM_ROWS, rows - r));
}

/* `whole` is cᵀ: turned, a part of its columns at a time, in the memory of a's rows, which are done with. */
static void turn_whole(const gemm_job *j, size_t first, size_t rows) {
    for (size_t column = 0; column < j->n; column += GEMM_DEPTH) {
        size_t columns = smaller(GEMM_DEPTH, j->n - column);
        own.turn(rows, columns, whole + first * j->n + column, j->n, rows_of_a);
        for (size_t r = 0; r < columns; r++) {
            float *c = j->c + (column + r) * j->ldc + first;
            if (j->beta != 0) kernel.add(c, rows_of_a + r * rows, rows);
            else memcpy(c, rows_of_a + r * rows, rows * sizeof *c);
        }
    }
}

bool gemm_wait_apart(const gemm_job *j, const gemm_depths *d) { return j->turned || (j->beta != 0 && d->count > 1); }

/* What is touched when the rows are complete, and c itself if they wait apart. */
static void name_beside(const gemm_job *j, size_t first, bool apart, gemm_block *g) {
    const float *all[] = {apart && !j->turned ? j->c : NULL, j->finish == GEMM_GELU_BACKWARD ? j->u : NULL,
                          j->finish == GEMM_GELU || (j->finish == GEMM_GELU_BACKWARD && j->g != j->u) ? j->g : NULL, j->beside[0], j->beside[1]};
    g->beside_stride = j->ldc;
    for (size_t i = 0, used = 0; i < sizeof all / sizeof *all && used < GEMM_BESIDE; i++) if (all[i]) g->beside[used++] = all[i] + first * j->ldc;
}

void gemm_multiply_rows(const gemm_job *j, const gemm_depths *d, size_t i, size_t first, size_t rows, const float *packed, gemm_fetch *fetch) {
    bool apart = gemm_wait_apart(j, d), last = i + 1 == d->count;
    gemm_block g = {.m = rows, .n = j->n, .k = gemm_block_length(d, i), .a = rows_of_a, .panels = packed, .fetch = fetch, .far = j->k * j->n > FAR,
                    .c = apart ? whole + first * j->n : j->c + first * j->ldc, .ldc = apart ? j->n : j->ldc, .add = i > 0 || (j->beta != 0 && !apart)};
    if (last) name_beside(j, first, apart, &g);
    own.block(&g);
    if (!last) return;
    if (j->turned) turn_whole(j, first, rows);
    else if (apart) gemm_add_whole(j, first, rows);
    gemm_finish(j, first, rows);
}

void gemm_rows_serial(const gemm_job *j) {
    gemm_depths d = gemm_cut_depth(j);
    for (size_t i = 0; i < d.count; i++) {
        size_t k = i % d.blocks * d.block;
        own.pack_b(gemm_block_length(&d, i), j->n, gemm_b_of(j, i / d.blocks) + (j->transpose_b ? k : k * j->ldb), j->ldb, j->transpose_b, panels);
        for (size_t r = 0; r < j->m; r += GEMM_ROWS) {
            size_t rows = smaller(GEMM_ROWS, j->m - r);
            gemm_pack_rows(j, &d, i, r, rows);
            gemm_multiply_rows(j, &d, i, r, rows, panels, NULL);
        }
    }
}
