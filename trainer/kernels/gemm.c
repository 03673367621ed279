/* trainer/kernels/gemm.c - products cut into tiles, tiles over threads.
 *
 * A tile is up to TILE_ROWS rows by one strip of columns. It packs its own strip of b, one block of k after the other, into memory of its
 * thread, and reads a where it lies:
 *
 *            n ->   |strip|strip|                     for each block of k:      pack (block, strip) of b: stays in L2, a panel in L1
 *          +--------+-----+-----+                         for BLOCK_ROWS rows:  those rows of a stay in L2
 *     m    |        |tile |     |  TILE_ROWS                  for each panel, for each register tile: gemm_body.h
 *     |    +--------+-----+-----+                     the last block of k finishes the rows while they are in cache
 *
 * Packing costs a thread about 0.3 cycles an element, its use TILE_ROWS / 32 or more: nothing is shared, nobody waits. */
#include "trainer/kernels/gemm.h"
#include <assert.h>
#include <omp.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include "trainer/kernels/gemm_kernels.h"
#include "trainer/kernels/kernels.h"

enum {
    MAX_JOBS = 8,
    TILE_ROWS = 576,
    ROW_STEP = 42,               /* whole register tiles of every set */
    BLOCK_ROWS = 4 * ROW_STEP,
    STRIP = 64, NARROW = 32,     /* columns */
    FEW_TILES = 16,              /* of a run: then strips are narrow, so that threads end together */
    BLAS_STRIP = 384, BLAS_ROWS = 192
};

static bool by_blas;
static gemm_kernels own;
static int own_level = KERNELS_REF;
static void (*poll_function)(void *);
static void *poll_context;
static _Thread_local alignas(64) float panels[GEMM_DEPTH * STRIP];
static _Thread_local alignas(64) float whole[BLAS_ROWS * BLAS_STRIP];      /* a tile's sum before it is added to c */
static_assert(BLAS_ROWS * BLAS_STRIP >= TILE_ROWS * STRIP, "a tile of either kind fits");

int gemm_start(error *e) {
    const char *wanted = getenv("BERT_GEMM");
    by_blas = wanted && strcmp(wanted, "openblas") == 0;
    if (wanted && *wanted && !by_blas && strcmp(wanted, "own") != 0)
        return error_set(e, EXIT_USAGE, "BERT_GEMM=%.40s: not a way to multiply matrices; use own or openblas", wanted);
    if (by_blas) gemm_blas_start();
    return 0;
}

void gemm_set_level(int level) {
    own_level = level;
    if (level > KERNELS_REF) own = gemm_kernels_of(level);
}

const char *gemm_name(void) { return by_blas ? gemm_blas_name() : "own"; }

void gemm_set_poll(void (*poll)(void *), void *context) {
    poll_function = poll;
    poll_context = context;
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }
static size_t cut(size_t n, size_t most) { return (n + most - 1) / most; }
static size_t parts_of(const gemm_job *j) { return j->parts ? j->parts : 1; }
static const float *b_of(const gemm_job *j, size_t part) { return part == 0 ? j->b : j->part[part - 1]; }

static void product_ref(const gemm_job *j) {
    size_t length = j->k / parts_of(j);
    for (size_t r = 0; r < j->m; r++)
        for (size_t i = 0; i < j->n; i++) {
            double sum = 0;
            for (size_t k = 0; k < j->k; k++) {
                const float *b = b_of(j, k / length);
                size_t at = k % length;
                sum += (double)(j->transpose_a ? j->a[k * j->lda + r] : j->a[r * j->lda + k])
                       * (j->transpose_b ? b[i * j->ldb + at] : b[at * j->ldb + i]);
            }
            float *c = &j->c[r * j->ldc + i];
            *c = j->beta == 0 ? (float)sum : *c + (float)sum;
        }
}

/* c += whole (m, n), its rows `stride` apart */
static void add_whole(const gemm_job *j, size_t first, size_t rows, size_t stride) {
    for (size_t r = first; r < first + rows; r++) kernel.add(j->c + r * j->ldc, whole + r * stride, j->n);
}

static void product_blas(const gemm_job *j) {
    size_t parts = parts_of(j), length = j->k / parts;
    gemm_job part = *j;
    part.k = length;
    if (j->beta != 0) part.c = whole, part.ldc = j->n, part.beta = 0;
    for (size_t p = 0; p < parts; p++) {
        part.b = b_of(j, p);
        gemm_blas(&part);
        part.a += j->transpose_a ? length * j->lda : length;
        part.beta = 1;
    }
    if (j->beta != 0) add_whole(j, 0, j->m, j->n);
}

static void finish(const gemm_job *j, size_t first, size_t rows) {
    size_t at = first * j->ldc;
    switch (j->finish) {
    case GEMM_PLAIN: break;
    case GEMM_BIAS: kernel.add_bias(j->c + at, j->bias, rows, j->n, j->ldc); break;
    case GEMM_GELU: kernel.bias_gelu(j->c + at, j->bias, j->g + at, rows, j->n, j->ldc); break;
    case GEMM_GELU_BACKWARD: kernel.gelu_backward(j->u + at, j->c + at, j->g + at, rows, j->n, j->ldc); break;
    }
}

/* A product of at most TILE_ROWS rows and STRIP columns, finished. */
static void product_own(const gemm_job *j) {
    size_t parts = parts_of(j), length = j->k / parts, blocks = cut(length, GEMM_DEPTH), depth = cut(length, blocks), last = parts * blocks - 1;
    bool apart = j->beta != 0 && last > 0;               /* the whole sum first, then added */
    gemm_block g = {.row_step = j->transpose_a ? 1 : j->lda, .k_step = j->transpose_a ? j->lda : 1, .n = j->n, .panels = panels,
                    .ldc = apart ? STRIP : j->ldc};
    for (size_t i = 0; i <= last; i++) {
        size_t part = i / blocks, k = i % blocks * depth;
        g.k = smaller(depth, length - k);
        g.add = i > 0 || (j->beta != 0 && !apart);
        own.pack(g.k, j->n, b_of(j, part) + (j->transpose_b ? k : k * j->ldb), j->ldb, j->transpose_b, panels);
        for (size_t r = 0; r < j->m; r += BLOCK_ROWS) {
            g.m = smaller(BLOCK_ROWS, j->m - r);
            g.a = j->a + r * g.row_step + (part * length + k) * g.k_step;
            g.c = (apart ? whole : j->c) + r * g.ldc;
            own.block(&g);
            if (i < last) continue;
            if (apart) add_whole(j, r, g.m, STRIP);
            finish(j, r, g.m);
        }
    }
}

/* Sums of op(a)'s rows over k: of a's columns, in the order of column_sums. */
static void row_sums(const gemm_job *j) {
    float sum[SUM_COLUMNS];
    assert(j->transpose_a);
    for (size_t first = 0; first < j->m; first += SUM_COLUMNS) {
        size_t count = smaller(SUM_COLUMNS, j->m - first);
        kernel.column_sums(j->a + first, sum, j->k, count, j->lda);
        if (j->beta != 0) kernel.add(j->sums + first, sum, count);
        else memcpy(j->sums + first, sum, count * sizeof *sum);
    }
}

static void run_tile(const gemm_job *j) {
    if (j->sums) row_sums(j);
    if (own_level == KERNELS_REF || j->k == 0) product_ref(j);
    else if (by_blas) product_blas(j);
    else {
        product_own(j);
        return;
    }
    finish(j, 0, j->m);
}

typedef struct cutting { size_t rows, columns, strips, tiles; } cutting;     /* of a job */

static cutting cut_job(const gemm_job *j, size_t most_columns) {
    if (!j->m || !j->n) return (cutting){0};
    size_t most_rows = by_blas ? BLAS_ROWS : TILE_ROWS;
    size_t rows = by_blas ? BLAS_ROWS : cut(cut(j->m, cut(j->m, most_rows)), ROW_STEP) * ROW_STEP;
    size_t strips = cut(j->n, most_columns);
    size_t columns = by_blas ? cut(cut(j->n, strips), 16) * 16 : most_columns;
    return (cutting){rows, columns, cut(j->n, columns), cut(j->m, rows) * cut(j->n, columns)};
}

static gemm_job tile_of(const gemm_job *job, const cutting *cut, size_t tile) {
    size_t row = tile / cut->strips * cut->rows, column = tile % cut->strips * cut->columns;
    gemm_job j = *job;
    j.m = smaller(cut->rows, job->m - row);
    j.n = smaller(cut->columns, job->n - column);
    j.a += job->transpose_a ? row : row * job->lda;
    size_t at = job->transpose_b ? column * job->ldb : column;
    j.b += at;
    for (size_t p = 0; p + 1 < job->parts; p++) j.part[p] += at;
    j.c += row * job->ldc + column;
    if (j.bias) j.bias += column;
    if (j.u) j.u += row * job->ldc + column;
    if (j.g) j.g += row * job->ldc + column;
    if (j.sums) j.sums = column ? NULL : j.sums + row;
    return j;
}

void gemm_serial(const gemm_job *job) {
    cutting c = cut_job(job, by_blas ? BLAS_STRIP : STRIP);
    for (size_t i = 0; i < c.tiles; i++) {
        gemm_job j = tile_of(job, &c, i);
        run_tile(&j);
    }
}

void gemm_run(const gemm_job *jobs, size_t count) {
    assert(count <= MAX_JOBS);
    cutting of[MAX_JOBS];
    size_t first[MAX_JOBS + 1] = {0}, widest = by_blas ? BLAS_STRIP : STRIP;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < count; i++) {
            of[i] = cut_job(&jobs[i], widest);
            first[i + 1] = first[i] + of[i].tiles;
        }
        if (by_blas || first[count] >= FEW_TILES) break;
        widest = NARROW;
    }
#pragma omp parallel for schedule(dynamic, 1)
    for (size_t t = 0; t < first[count]; t++) {
        size_t i = 0;
        while (t >= first[i + 1]) i++;
        gemm_job j = tile_of(&jobs[i], &of[i], t - first[i]);
        run_tile(&j);
        if (poll_function && omp_get_thread_num() == 0) poll_function(poll_context);
    }
}
