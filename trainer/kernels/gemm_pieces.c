/* trainer/kernels/gemm_pieces.c - products by own fp32 kernels, cut into tiles, tiles over threads.
 *
 * First all threads pack b into panels of a shared memory; then they take tiles: up to GEMM_ROWS rows of all columns that were packed
 * (pieces of at most GEMM_PIECE columns). A tile packs its rows of a, a block of k at a time, once for all pieces that multiply the same a
 * (Q, K and V), and keeps its rows of c in cache:
 *
 *            n ->  | piece  | p. |                    for each block of k:  pack (rows, block) of a: stays in L2
 *          +-------+--------+----+                        for each panel (stays in L1), for each register tile: gemm_body.h
 *     m    | tile  |        |    |  GEMM_ROWS         the last block of k finishes the rows while they are in cache
 *     |    +-------+--------+----+
 *
 * The last rows of a run are dealt in small tiles: no core is always as fast as another. Packed b is written to memory and read from
 * there by every tile, packed a never leaves the core: so b is the narrow one, and where it is not (the weights' gradient of a layer whose
 * input is wider than its output), the tiles are of c's transpose. */
#include <assert.h>
#include <omp.h>
#include "trainer/kernels/gemm_rows.h"

enum {
    MAX_PIECES = 64, MAX_CHAIN = 6,
    TILES_A_THREAD = 2,          /* whole ones; then come single steps of rows, so that threads end together */
    TILE = 64 << 10,             /* floats of c: with the panels and what is read beside it, they stay in the second-level cache until they are finished */
    PACK_COLUMNS = 128           /* of b, packed at a time */
};

typedef struct piece {           /* columns of a job whose b is packed at the same time */
    gemm_job job;
    gemm_depths depth;
    float *packed;               /* for each block of k: its panels */
    bool borrowed;               /* packed is another piece's: the same b */
    size_t width;                /* columns, rounded up to whole panels */
    size_t chain;                /* this piece and those behind it that multiply the same a, a tile of them at once; 0: not the first of them */
    size_t rows, whole, tiles;   /* of a tile of the chain; such tiles; all tiles, single steps included */
    size_t first_strip, first_tile;
} piece;

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }
static size_t larger(size_t a, size_t b) { return a > b ? a : b; }
static size_t cut(size_t n, size_t most) { return (n + most - 1) / most; }

static float *panels_of(const piece *p, size_t i) { return p->packed + gemm_block_at(&p->depth, i) * p->width; }

static void pack_strip(const piece *p, size_t strip) {
    const gemm_job *j = &p->job;
    const gemm_depths *d = &p->depth;
    size_t across = cut(p->width, PACK_COLUMNS), i = strip / across, column = strip % across * PACK_COLUMNS, k = i % d->blocks * d->block;
    size_t length = gemm_block_length(d, i);
    const float *b = gemm_b_of(j, i / d->blocks) + (j->transpose_b ? column * j->ldb + k : k * j->ldb + column);
    gemm_own()->pack_b(length, smaller(PACK_COLUMNS, j->n - column), b, j->ldb, j->transpose_b, panels_of(p, i) + column * length);
}

static size_t chain_width(const piece *p) {
    size_t width = 0;
    for (size_t c = 0; c < p->chain; c++) width += p[c].width;
    return width;
}

typedef struct span { size_t first, rows; } span;

static span rows_of(const piece *p, size_t tile) {
    size_t first = tile < p->whole ? tile * p->rows : p->whole * p->rows + (tile - p->whole) * GEMM_STEP;
    return (span){first, smaller(tile < p->whole ? p->rows : GEMM_STEP, p->job.m - first)};
}

/* What this thread packs after block i of a tile: the next block, or the first one of the tile that it will probably get. */
static gemm_fetch fetch_next(const piece *p, size_t tile, size_t i, size_t groups) {
    size_t later = tile + (size_t)omp_get_num_threads();
    bool same = i + 1 < p->depth.count;
    if (!same && later >= p->tiles) return (gemm_fetch){.rows = 0};
    span s = rows_of(p, same ? tile : later);
    return gemm_fetch_rows(&p->job, &p->depth, same ? i + 1 : 0, s.first, s.rows, groups);
}

/* A turned job's a is what the caller calls b: the sums are of the other operand. Each tile makes its share of them. */
static void turned_sums(const piece *p, size_t tile) {
    const gemm_job *j = &p->job;
    gemm_job other = {.m = j->n, .k = j->k, .a = j->b, .lda = j->ldb, .transpose_a = true, .beta = j->beta, .sums = j->sums};
    size_t first = j->n * tile / p->tiles;
    gemm_sums(&other, first, j->n * (tile + 1) / p->tiles - first);
}

static void multiply_tile(const piece *p, size_t tile) {
    const gemm_depths *d = &p->depth;
    span s = rows_of(p, tile);
    gemm_job job[MAX_CHAIN];
    size_t width = chain_width(p);
    for (size_t c = 0; c < p->chain; c++) job[c] = gemm_cut_out(&p[c].job, s.first, s.rows, 0, p[c].job.n);
    if (job->sums && job->turned) turned_sums(p, tile);
    for (size_t i = 0; i < d->count; i++) {
        gemm_pack_rows(job, d, i, 0, s.rows);
        if (job->sums && !job->turned) gemm_add_sums(job, d, i, 0, s.rows);    /* only the first columns' piece has them; their rows are in cache now */
        gemm_fetch fetch = fetch_next(p, tile, i, gemm_groups(d, i, s.rows, width));
        for (size_t c = 0; c < p->chain; c++) gemm_multiply_rows(&job[c], d, i, 0, s.rows, panels_of(&p[c], i), &fetch);
    }
    for (size_t r = 0; job->rows_done && r < s.rows; r += GEMM_STEP) job->rows_done(job->context, s.first + r, smaller(GEMM_STEP, s.rows - r));
}

/* One a, each product complete after its last block: sums that wait apart have room for one piece only. */
static bool same_a(const piece *p, const piece *q) {
    const gemm_job *j = &p->job, *o = &q->job;
    return j->a == o->a && j->lda == o->lda && j->m == o->m && j->k == o->k && j->transpose_a == o->transpose_a && gemm_parts(j) == gemm_parts(o)
           && !gemm_wait_apart(j, &p->depth) && !gemm_wait_apart(o, &q->depth) && !j->rows_done && !o->rows_done;
}

static void make_chains(piece *p, size_t count) {
    for (size_t i = 0, next; i < count; i = next) {
        for (next = i + 1; next < count && next - i < MAX_CHAIN && same_a(&p[i], &p[next]); next++) p[next].chain = 0;
        p[i].chain = next - i;
    }
}

static size_t strips_of(const piece *p) { return p->borrowed ? 0 : cut(p->width, PACK_COLUMNS) * p->depth.count; }

/* A piece that packs the same b already, or NULL: Q, K and V take their weights' gradients from one input. */
static const piece *same_b(const piece *held, size_t count, const gemm_job *j) {
    for (size_t i = 0; i < count; i++) {
        const gemm_job *o = &held[i].job;
        if (o->b == j->b && o->ldb == j->ldb && o->n == j->n && o->k == j->k && o->transpose_b == j->transpose_b && gemm_parts(o) == 1
            && gemm_parts(j) == 1)
            return &held[i];
    }
    return NULL;
}

/* Rows of a tile: many, so that panels are used often, but so few that every thread gets its share. */
static size_t choose_rows(const piece *p, size_t count, size_t threads) {
    size_t rows = GEMM_ROWS, tiles = 0;
    for (;; rows /= 2, tiles = 0) {
        for (size_t i = 0; i < count; i += p[i].chain) tiles += cut(p[i].job.m, rows);
        if (rows == GEMM_STEP || tiles >= TILES_A_THREAD * threads) return rows;
    }
}

/* Tiles of a chain; no bits depend on it. Of one that others follow: equal ones. Of the last: `whole` ones of `rows` each, then single steps. */
static void cut_rows(piece *p, size_t rows, size_t threads, bool last) {
    size_t m = p->job.m, step = p->job.rows_done ? GEMM_STEP : gemm_own()->height;
    rows = smaller(rows, larger(TILE / chain_width(p) / GEMM_STEP, 1) * GEMM_STEP);
    if (gemm_wait_apart(&p->job, &p->depth)) rows = smaller(rows, GEMM_WHOLE / p->job.n / step * step);
    if (!last) {
        p->rows = cut(cut(m, cut(m, rows)), step) * step;
        p->whole = p->tiles = cut(m, p->rows);
        return;
    }
    rows = rows / GEMM_STEP * GEMM_STEP;
    size_t steps = cut(m, GEMM_STEP), each = rows / GEMM_STEP, spare = threads * each / 2;
    p->rows = rows;
    p->whole = steps > spare ? (steps - spare) / each : 0;
    p->tiles = p->whole + cut(m - smaller(m, p->whole * rows), GEMM_STEP);
}

/* Strips and tiles of all pieces, numbered. */
static void number_tiles(piece *p, size_t count, size_t *strips, size_t *tiles) {
    size_t threads = (size_t)omp_get_max_threads(), rows = choose_rows(p, count, threads);
    *strips = *tiles = 0;
    for (size_t i = 0; i < count; i++) {
        p[i].first_strip = *strips, p[i].first_tile = *tiles;
        *strips += strips_of(&p[i]);
        if (p[i].chain == 0) continue;
        cut_rows(&p[i], rows, threads, i + p[i].chain == count);
        *tiles += p[i].tiles;
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

/* cᵀ = op(b)ᵀ op(a)ᵀ: each element is the same chain of the same products. */
static gemm_job turn(const gemm_job *j) {
    gemm_job t = *j;
    t.turned = true;
    t.m = j->n, t.a = j->b, t.lda = j->ldb, t.transpose_a = !j->transpose_b;
    t.n = j->m, t.b = j->a, t.ldb = j->lda, t.transpose_b = !j->transpose_a;
    return t;
}

static bool better_turned(const gemm_job *j) {
    return j->transpose_a && j->n >= 2 * j->m && j->m <= GEMM_PIECE && gemm_parts(j) == 1 && j->finish == GEMM_PLAIN && !j->rows_done;
}

void gemm_own_run(const gemm_job *jobs, size_t count, float *shared) {
    piece pieces[MAX_PIECES];
    bool apart[GEMM_JOBS] = {false};         /* rows are finished at the end */
    size_t used = 0, held = 0, panel = gemm_own()->panel;
    for (size_t i = 0; i < count; i++) {
        const gemm_job *j = &jobs[i];
        if (!j->m || !j->n) continue;
        if (gemm_way() != GEMM_BY_OWN || j->k == 0 || j->k > GEMM_SHARED / panel) {
            gemm_separate_tiles(j);
            apart[i] = j->rows_done;
            continue;
        }
        gemm_job job = better_turned(j) ? turn(j) : *j;
        size_t most = smaller(GEMM_PIECE, GEMM_SHARED / job.k / panel * panel);
        apart[i] = job.rows_done && job.n > most;
        for (size_t column = 0; column < job.n; column += most) {
            piece p = {.job = gemm_cut_out(&job, 0, job.m, column, most)};
            p.depth = gemm_cut_depth(&p.job);
            p.width = cut(p.job.n, panel) * panel;
            if (apart[i]) p.job.rows_done = NULL;
            if (held == MAX_PIECES || used + p.width * job.k > GEMM_SHARED) {
                run_pieces(pieces, held);
                used = held = 0;
            }
            const piece *same = same_b(pieces, held, &p.job);
            p.borrowed = same;
            p.packed = same ? same->packed : shared + used;
            if (!same) used += cut(p.width * job.k, 16) * 16;
            pieces[held++] = p;
        }
    }
    if (held) run_pieces(pieces, held);
    for (size_t i = 0; i < count; i++) if (apart[i]) gemm_finish_rows(&jobs[i]);
}
