/* trainer/kernels/gemm.c - products cut into tiles, tiles over threads.
 *
 * First all threads pack b into panels of a shared memory; then they take tiles: up to BLOCK_ROWS rows of all columns that were packed
 * (pieces of at most PIECE columns). A tile packs its rows of a, a block of k at a time, once for all pieces that multiply the same a (Q, K
 * and V), and keeps its rows of c in cache:
 *
 *            n ->  | piece  | p. |                    for each block of k:  pack (rows, block) of a: stays in L2
 *          +-------+--------+----+                        for each panel (stays in L1), for each register tile: gemm_body.h
 *     m    | tile  |        |    |  BLOCK_ROWS        the last block of k finishes the rows while they are in cache
 *     |    +-------+--------+----+
 *
 * The last rows of a run are dealt in small tiles: no core is always as fast as another. To pack b costs about 0.3 cycles an element, its use
 * m / 32 and more; to pack a likewise, n / 32 and more. */
#include "trainer/kernels/gemm_inner.h"
#include <assert.h>
#include <omp.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include "base/ledger.h"
#include "base/memory.h"
#include "trainer/kernels/gemm_kernels.h"
#include "trainer/kernels/kernels.h"

enum {
    MAX_PIECES = 64, MAX_CHAIN = 6,
    PIECE = 1024,                /* columns */
    ROW_STEP = GEMM_STEP,        /* whole register tiles of every set */
    BLOCK_ROWS = 4 * ROW_STEP, WHOLE_ROWS = 2 * ROW_STEP,
    TILES_A_THREAD = 4,          /* whole ones; then come single steps of rows, so that threads end together */
    PACK_COLUMNS = 128,          /* of b, packed at a time */
    SHARED = GEMM_SHARED,        /* floats of packed b, made once at start; pages that are never needed are never there */
    SERIAL_ROWS = 576, SERIAL_COLUMNS = 64,
    BLAS_ROWS = 192, BLAS_COLUMNS = 384
};

static bool by_blas, rounded;     /* rounded: operands are, to bf16 */
static gemm_kernels own;
static int own_level = KERNELS_REF;
static void (*poll_function)(void *);
static void *poll_context;
static float *shared;            /* [SHARED] */
static_assert(WHOLE_ROWS * PIECE >= BLAS_ROWS * BLAS_COLUMNS, "a tile of either kind fits into `whole`");
static _Thread_local alignas(64) float rows_of_a[BLOCK_ROWS * GEMM_DEPTH + GEMM_SPILL];
static _Thread_local alignas(64) float sum_of_block[BLOCK_ROWS], sum_of_rows[BLOCK_ROWS];
static _Thread_local alignas(64) float panels[GEMM_DEPTH * SERIAL_COLUMNS];
static _Thread_local alignas(64) float whole[WHOLE_ROWS * PIECE];     /* a tile's sum before it is added to c */

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

int gemm_start(error *e) {
    const char *wanted = getenv("BERT_GEMM");
    by_blas = wanted && strcmp(wanted, "openblas") == 0;
    if (wanted && *wanted && !by_blas && strcmp(wanted, "own") != 0)
        return error_set(e, EXIT_USAGE, "BERT_GEMM=%.40s: not a way to multiply matrices; use own or openblas", wanted);
    if (by_blas) gemm_blas_start();
    return 0;
}

void gemm_set_level(int level) {
    rounded = false;
    own_level = level;
    if (level > KERNELS_REF) own = gemm_kernels_of(level);
    if (!shared) shared = memory_new(SHARED * sizeof *shared);
    if (!shared) fail(EXIT_MACHINE, "out of memory: %zu bytes to multiply matrices", SHARED * sizeof *shared);
}

int gemm_set_precision(int precision, int lowest, error *e) {
    rounded = false;
    if (precision == GEMM_FP32) return 0;
    if (by_blas) return error_set(e, EXIT_USAGE, "precision: bf16 has own kernels only, and BERT_GEMM asks for openblas; unset it, or give --precision fp32");
    if (gemm_bf16_start(lowest, e)) return e->code;
    rounded = true;
    return 0;
}

size_t gemm_bytes(size_t most, int threads) {
    if (rounded) return smaller(most, 2 * SHARED) * sizeof(uint16_t) + gemm_bf16_bytes(threads);
    return (most < SHARED ? most : SHARED) * sizeof *shared + (size_t)threads * (sizeof rows_of_a + sizeof panels + sizeof whole);
}

const char *gemm_name(void) { return by_blas ? gemm_blas_name() : rounded ? gemm_bf16_name() : "own"; }

void gemm_set_poll(void (*poll)(void *), void *context) {
    poll_function = poll;
    poll_context = context;
}

static size_t cut(size_t n, size_t most) { return (n + most - 1) / most; }
static size_t parts_of(const gemm_job *j) { return j->parts ? j->parts : 1; }

static void product_ref(const gemm_job *j) {
    size_t length = j->k / parts_of(j);
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
        part.b = gemm_b_of(j, p);
        gemm_blas(&part);
        part.a += j->transpose_a ? length * j->lda : length;
        part.beta = 1;
    }
    if (j->beta != 0) add_whole(j, 0, j->m, j->n);
}

typedef struct depths { size_t parts, part, blocks, block; } depths;     /* how k is cut: parts of b, blocks of a part, their lengths */

static depths cut_depth(const gemm_job *j) {
    size_t parts = parts_of(j), part = j->k / parts, blocks = cut(part, GEMM_DEPTH);
    return (depths){parts, part, blocks, cut(part, blocks)};
}

static void pack_rows(const gemm_job *j, const depths *d, size_t i, size_t first, size_t rows) {
    size_t k = i / d->blocks * d->part + i % d->blocks * d->block, length = smaller(d->block, d->part - i % d->blocks * d->block);
    own.pack_a(rows, length, j->a + (j->transpose_a ? first + k * j->lda : first * j->lda + k), j->lda, j->transpose_a, rows_of_a);
}

/* Sums of op(a)'s rows first .. over block i of k: of a's columns. Blocks are added in order, the whole to what waits. rows <= BLOCK_ROWS */
static void add_sums(const gemm_job *j, const depths *d, size_t i, size_t first, size_t rows) {
    size_t k = i / d->blocks * d->part + i % d->blocks * d->block, length = smaller(d->block, d->part - i % d->blocks * d->block);
    assert(j->transpose_a);
    for (size_t c = 0; c < rows; c += SUM_COLUMNS)
        kernel.column_sums(j->a + k * j->lda + first + c, sum_of_block + c, length, smaller(SUM_COLUMNS, rows - c), j->lda);
    if (i == 0) memcpy(sum_of_rows, sum_of_block, rows * sizeof *sum_of_rows);
    else kernel.add(sum_of_rows, sum_of_block, rows);
    if (i + 1 < d->parts * d->blocks) return;
    if (j->beta != 0) kernel.add(j->sums + first, sum_of_rows, rows);
    else memcpy(j->sums + first, sum_of_rows, rows * sizeof *sum_of_rows);
}

static void row_sums(const gemm_job *j) {
    if (j->k == 0 && j->beta == 0) memset(j->sums, 0, j->m * sizeof *j->sums);
    if (j->k == 0) return;
    depths d = cut_depth(j);
    for (size_t r = 0; r < j->m; r += BLOCK_ROWS)
        for (size_t i = 0; i < d.parts * d.blocks; i++) add_sums(j, &d, i, r, smaller(BLOCK_ROWS, j->m - r));
}

/* The packed rows, first .. first + rows - 1 over block i of k, times the panels there: into c, or into `whole` until the sum is complete. */
static void multiply_rows(const gemm_job *j, const depths *d, size_t i, size_t first, size_t rows, const float *packed) {
    size_t last = d->parts * d->blocks - 1;
    bool apart = j->beta != 0 && last > 0;               /* the whole sum first, then added */
    gemm_block g = {.m = rows, .n = j->n, .k = smaller(d->block, d->part - i % d->blocks * d->block), .a = rows_of_a, .panels = packed,
                    .add = i > 0 || (j->beta != 0 && !apart), .ldc = apart ? j->n : j->ldc};
    g.c = apart ? whole + first * j->n : j->c + first * j->ldc;
    own.block(&g);
    if (i < last) return;
    if (apart) add_whole(j, first, rows, j->n);
    gemm_finish(j, first, rows);
}

/* At most SERIAL_ROWS by SERIAL_COLUMNS. */
static void product_own(const gemm_job *j) {
    depths d = cut_depth(j);
    for (size_t i = 0; i < d.parts * d.blocks; i++) {
        size_t k = i % d.blocks * d.block;
        own.pack_b(smaller(d.block, d.part - k), j->n, gemm_b_of(j, i / d.blocks) + (j->transpose_b ? k : k * j->ldb), j->ldb, j->transpose_b, panels);
        for (size_t r = 0; r < j->m; r += BLOCK_ROWS) {
            size_t rows = smaller(BLOCK_ROWS, j->m - r);
            pack_rows(j, &d, i, r, rows);
            multiply_rows(j, &d, i, r, rows, panels);
        }
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
    gemm_finish(j, 0, j->m);
}

/* Tiles of a size of their own: each packs what it needs. */
typedef struct grid { size_t rows, columns, across, tiles; } grid;

static grid serial_grid(const gemm_job *j) {
    size_t rows = by_blas ? BLAS_ROWS : SERIAL_ROWS, most = by_blas ? BLAS_COLUMNS : SERIAL_COLUMNS;
    size_t columns = cut(cut(j->n, cut(j->n, most)), 32) * 32, across = cut(j->n, columns);
    return (grid){rows, columns, across, cut(j->m, rows) * across};
}

static void run_serial_tile(const gemm_job *job, const grid *g, size_t tile) {
    gemm_job j = gemm_cut_out(job, tile / g->across * g->rows, g->rows, tile % g->across * g->columns, g->columns);
    run_tile(&j);
}

void gemm_serial(const gemm_job *job) {
    if (rounded) {
        gemm_bf16_serial(job);
        return;
    }
    if (!job->m || !job->n) return;
    grid g = serial_grid(job);
    for (size_t i = 0; i < g.tiles; i++) run_serial_tile(job, &g, i);
}

void gemm_poll(void) {
    if (poll_function && omp_get_thread_num() == 0) poll_function(poll_context);
}

static void run_separate(const gemm_job *job) {
    grid g = serial_grid(job);
#pragma omp parallel for schedule(dynamic, 1)
    for (size_t i = 0; i < g.tiles; i++) {
        run_serial_tile(job, &g, i);
        gemm_poll();
    }
}

typedef struct piece {           /* columns of a job whose b is packed at the same time */
    gemm_job job;
    depths depth;
    float *packed;               /* for each block of k: its panels */
    bool borrowed;               /* packed is another piece's: the same b */
    size_t width;                /* columns, rounded up to whole panels */
    size_t chain;                /* this piece and those behind it that multiply the same a, a tile of them at once; 0: not the first of them */
    size_t rows, whole;          /* of a tile of the chain; such tiles */
    size_t first_strip, first_tile;
} piece;

static void pack_strip(const piece *p, size_t strip) {
    const gemm_job *j = &p->job;
    const depths *d = &p->depth;
    size_t across = cut(p->width, PACK_COLUMNS), i = strip / across, column = strip % across * PACK_COLUMNS, k = i % d->blocks * d->block;
    size_t length = smaller(d->block, d->part - k);
    const float *b = gemm_b_of(j, i / d->blocks) + (j->transpose_b ? column * j->ldb + k : k * j->ldb + column);
    float *to = p->packed + (i / d->blocks * d->part + k) * p->width + column * length;
    own.pack_b(length, smaller(PACK_COLUMNS, j->n - column), b, j->ldb, j->transpose_b, to);
}

static void multiply_tile(const piece *p, size_t tile) {
    const depths *d = &p->depth;
    size_t row = tile < p->whole ? tile * p->rows : p->whole * p->rows + (tile - p->whole) * ROW_STEP, rows = tile < p->whole ? p->rows : ROW_STEP;
    gemm_job job[MAX_CHAIN];
    for (size_t c = 0; c < p->chain; c++) job[c] = gemm_cut_out(&p[c].job, row, rows, 0, p[c].job.n);
    for (size_t i = 0; i < d->parts * d->blocks; i++) {
        pack_rows(job, d, i, 0, job->m);
        if (job->sums) add_sums(job, d, i, 0, job->m);       /* only the first columns' piece has them; their rows are in cache now */
        for (size_t c = 0; c < p->chain; c++)
            multiply_rows(&job[c], d, i, 0, job->m, p[c].packed + (i / d->blocks * d->part + i % d->blocks * d->block) * p[c].width);
    }
    for (size_t r = 0; job->rows_done && r < job->m; r += GEMM_STEP)
        job->rows_done(job->context, row + r, smaller(GEMM_STEP, job->m - r));
}

/* One a, each product complete after its last block: sums that wait apart have room for one piece only. */
static bool same_a(const piece *p, const piece *q) {
    const gemm_job *j = &p->job, *o = &q->job;
    return j->a == o->a && j->lda == o->lda && j->m == o->m && j->k == o->k && j->transpose_a == o->transpose_a && parts_of(j) == parts_of(o)
           && j->beta == 0 && o->beta == 0 && !j->rows_done && !o->rows_done;
}

static void make_chains(piece *p, size_t count) {
    for (size_t i = 0, next; i < count; i = next) {
        for (next = i + 1; next < count && next - i < MAX_CHAIN && same_a(&p[i], &p[next]); next++) p[next].chain = 0;
        p[i].chain = next - i;
    }
}

static size_t strips_of(const piece *p) { return p->borrowed ? 0 : cut(p->width, PACK_COLUMNS) * p->depth.parts * p->depth.blocks; }

/* A piece that packs the same b already, or NULL: Q, K and V take their weights' gradients from one input. */
static const piece *same_b(const piece *held, size_t count, const gemm_job *j) {
    for (size_t i = 0; i < count; i++) {
        const gemm_job *o = &held[i].job;
        if (o->b == j->b && o->ldb == j->ldb && o->n == j->n && o->k == j->k && o->transpose_b == j->transpose_b && parts_of(o) == 1 && parts_of(j) == 1)
            return &held[i];
    }
    return NULL;
}

/* Tiles: chains in order, `whole` tiles of `rows` each, then single steps of rows. No bits depend on it. */
static size_t whole_tiles(const piece *p, size_t threads, bool last) {
    size_t steps = cut(p->job.m, ROW_STEP), each = p->rows / ROW_STEP, spare = last ? threads * each / 2 : 0;
    return steps > spare ? (steps - spare) / each : 0;
}

/* Rows of a tile: many, so that panels are used often, but so few that every thread gets its share. */
static size_t choose_rows(const piece *p, size_t count, size_t threads) {
    size_t rows = BLOCK_ROWS, tiles = 0;
    for (;; rows /= 2, tiles = 0) {
        for (size_t i = 0; i < count; i += p[i].chain) tiles += cut(p[i].job.m, rows);
        if (rows == ROW_STEP || tiles >= TILES_A_THREAD * threads) return rows;
    }
}

/* Strips and tiles of all pieces, numbered. */
static void number_tiles(piece *p, size_t count, size_t *strips, size_t *tiles) {
    size_t threads = (size_t)omp_get_max_threads(), rows = choose_rows(p, count, threads);
    *strips = *tiles = 0;
    for (size_t i = 0; i < count; i++) {
        p[i].first_strip = *strips, p[i].first_tile = *tiles;
        *strips += strips_of(&p[i]);
        if (p[i].chain == 0) continue;
        p[i].rows = p[i].job.beta != 0 ? smaller(rows, WHOLE_ROWS) : rows;
        p[i].whole = whole_tiles(&p[i], threads, i + p[i].chain == count);
        *tiles += p[i].whole + cut(p[i].job.m - smaller(p[i].job.m, p[i].whole * p[i].rows), ROW_STEP);
    }
}

static void run_pieces(piece *p, size_t count) {
    size_t strips, tiles;
    make_chains(p, count);
    number_tiles(p, count, &strips, &tiles);
#pragma omp parallel
    {
#pragma omp for schedule(dynamic, 1)
        for (size_t s = 0; s < strips; s++) {
            size_t i = count - 1;
            while (s < p[i].first_strip) i--;
            pack_strip(&p[i], s - p[i].first_strip);
        }
#pragma omp for schedule(dynamic, 1) nowait
        for (size_t t = 0; t < tiles; t++) {
            size_t i = count - 1;
            while (p[i].chain == 0 || t < p[i].first_tile) i--;
            multiply_tile(&p[i], t - p[i].first_tile);
            gemm_poll();
        }
    }
}

/* Rows that no tile held whole. */
void gemm_finish_rows(const gemm_job *j) {
#pragma omp parallel for schedule(dynamic, 1)
    for (size_t r = 0; r < j->m; r += GEMM_STEP) j->rows_done(j->context, r, smaller(GEMM_STEP, j->m - r));
}

static void run_own(const gemm_job *jobs, size_t count) {
    piece pieces[MAX_PIECES];
    bool apart[GEMM_JOBS] = {false};         /* rows are finished at the end */
    size_t used = 0, held = 0;
    for (size_t i = 0; i < count; i++) {
        const gemm_job *j = &jobs[i];
        if (!j->m || !j->n) continue;
        if (by_blas || own_level == KERNELS_REF || j->k == 0 || j->k > SHARED / own.panel) {
            run_separate(j);
            apart[i] = j->rows_done;
            continue;
        }
        size_t most = smaller(PIECE, SHARED / j->k / own.panel * own.panel);
        apart[i] = j->rows_done && j->n > most;
        for (size_t column = 0; column < j->n; column += most) {
            piece p = {.job = gemm_cut_out(j, 0, j->m, column, most), .depth = cut_depth(j)};
            p.width = cut(p.job.n, own.panel) * own.panel;
            if (apart[i]) p.job.rows_done = NULL;
            if (held == MAX_PIECES || used + p.width * j->k > SHARED) {
                run_pieces(pieces, held);
                used = held = 0;
            }
            const piece *same = same_b(pieces, held, &p.job);
            p.borrowed = same;
            p.packed = same ? same->packed : shared + used;
            if (!same) used += cut(p.width * j->k, 16) * 16;
            pieces[held++] = p;
        }
    }
    if (held) run_pieces(pieces, held);
    for (size_t i = 0; i < count; i++) if (apart[i]) gemm_finish_rows(&jobs[i]);
}

void gemm_run(const gemm_job *jobs, size_t count) {
    assert(count <= GEMM_JOBS);
    int before = ledger_enter(LEDGER_GEMM);
    if (rounded) gemm_bf16_run(jobs, count, shared);
    else run_own(jobs, count);
    ledger_leave(before);
}
