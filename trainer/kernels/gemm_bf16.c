/* trainer/kernels/gemm_bf16.c - products of bf16 operands, cut into tiles, tiles over threads.
 *
 * First all threads pack b into shared memory, rounded; then they take tiles of c: some rows, all columns. A tile packs its rows of a once,
 * rounded, and goes through its columns in chunks, so that sums and a block of b stay in the second-level cache:
 *
 *            n ->  | chunk  | chunk  |              for each chunk:
 *          +-------+--------+--------+                  for each block of k: (rows, block) of a, (block, chunk) of b; sums stay in `whole`
 *     m    | tile  |        |        |  rows            the last block writes c; finish
 *     |    +-------+--------+--------+
 *
 * Sums of one block go on in the next as if k had not been cut: bits depend on neither. See gemm_bf16_kernels.h for what they are. */
#include <omp.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include "trainer/kernels/gemm_bf16_kernels.h"
#include "trainer/kernels/gemm_inner.h"
#include "trainer/kernels/kernels.h"

enum {
    BLOCK_STEPS = 12,            /* of k in a block: 32 rows of a stay in the first-level cache */
    CHUNK = 512,                 /* columns */
    ROWS = 8 * GEMM_STEP, SIZES = 4,         /* most rows of a tile; choices of them */
    TILES_A_THREAD = 4,          /* so that threads end together */
    PACK_COLUMNS = 64,           /* of b, packed at a time */
    A_TILES = 1024,              /* of a's rows of a tile; where k is longer, a block at a time */
    B_TILES = GEMM_SHARED * 2 / BF16_TILE
};

static bf16_kernels own;
static int chosen = BF16_NONE;
static const char *const set_name[] = {"none", "emulated", "avx512bf16", "amx"};
static _Thread_local alignas(64) uint16_t rows_of_a[A_TILES * BF16_TILE];
static _Thread_local alignas(64) uint16_t columns_of_b[PACK_COLUMNS / BF16_LINES * BLOCK_STEPS * BF16_TILE];     /* where b is not shared */
static _Thread_local alignas(64) float whole[ROWS * CHUNK];

/* The set that BERT_BF16 names, or the CPU's best; -1: there is no such set. */
static int wanted_set(const char *wanted) {
    if (!wanted || !*wanted) return bf16_best_set();
    for (int i = BF16_EMULATED; i <= BF16_AMX; i++) if (!strcmp(wanted, set_name[i])) return i;
    return -1;
}

int gemm_bf16_start(int lowest, error *e) {
    const char *wanted = getenv("BERT_BF16");
    int set = wanted_set(wanted);
    if (set < 0) return error_set(e, EXIT_USAGE, "BERT_BF16=%.40s: not a kernel set; use amx, avx512bf16 or emulated", wanted);
    if (set > BF16_EMULATED && kernels_level() < KERNELS_AVX512)
        return error_set(e, EXIT_USAGE, "precision: bf16 needs the kernel set avx512, and this is %s; give --precision fp32", kernels_name());
    if (set > BF16_EMULATED && set > bf16_best_set())
        return error_set(e, EXIT_USAGE, "BERT_BF16=%s: this CPU does not have it; unset BERT_BF16 or use emulated", set_name[set]);
    if (lowest >= 0 && lowest < set) set = lowest;
    if (set == BF16_NONE)
        return error_set(e, EXIT_USAGE, "precision: bf16 needs a CPU with AVX512-BF16 or AMX on every rank; give --precision fp32");
    own = bf16_kernels_of(set);
    chosen = set;
    return 0;
}

int gemm_bf16_set(void) { return chosen; }
const char *gemm_bf16_name(void) {
    static const char *const name[] = {"", "bf16 emulated", "bf16 avx512bf16", "bf16 amx"};
    return name[chosen];
}

size_t gemm_bf16_bytes(int threads) { return (size_t)threads * (sizeof rows_of_a + sizeof whole); }

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }
static size_t cut(size_t n, size_t most) { return (n + most - 1) / most; }
static size_t groups_of(size_t lines) { return cut(lines, BF16_LINES); }

typedef struct depths { size_t parts, length, steps, blocks, block; } depths;      /* of k: parts, their length; steps, blocks of a part; steps of a block */

static depths cut_depth(const gemm_job *j) {
    size_t parts = j->parts ? j->parts : 1, length = j->k / parts, steps = cut(length, BF16_DEPTH), blocks = steps ? cut(steps, BLOCK_STEPS) : 1;
    return (depths){parts, length, steps, blocks, cut(steps, blocks)};
}

typedef struct span { size_t part, k, length, steps, before; } span;                /* block i: where it begins in its part, steps before it */

static span span_of(const depths *d, size_t i) {
    size_t part = i / d->blocks, first = i % d->blocks * d->block, steps = smaller(d->block, d->steps - first), k = first * BF16_DEPTH;
    return (span){part, k, smaller(steps * BF16_DEPTH, d->length - k), steps, part * d->steps + first};
}

typedef struct piece {           /* columns of a job whose b is packed at the same time */
    gemm_job job;
    depths depth;
    uint16_t *packed;            /* for each block of k its groups; NULL: each tile packs what it needs */
    bool borrowed;               /* packed is another piece's: the same b */
    size_t rows;                 /* of a tile */
} piece;

static const float *b_at(const gemm_job *j, const span *s, size_t column) {
    return gemm_b_of(j, s->part) + (j->transpose_b ? column * j->ldb + s->k : s->k * j->ldb + column);
}

static void pack_strip(const piece *p, size_t strip) {
    const gemm_job *j = &p->job;
    size_t across = cut(j->n, PACK_COLUMNS), column = strip % across * PACK_COLUMNS;
    span s = span_of(&p->depth, strip / across);
    uint16_t *to = p->packed + (s.before * groups_of(j->n) + column / BF16_LINES * s.steps) * BF16_TILE;
    own.pack_b(smaller(PACK_COLUMNS, j->n - column), s.length, b_at(j, &s, column), j->ldb, j->transpose_b, to);
}

/* Block i of b for a chunk of columns. */
static const uint16_t *block_of_b(const piece *p, const gemm_job *chunk, const span *s, size_t column) {
    if (p->packed) return p->packed + (s->before * groups_of(p->job.n) + column / BF16_LINES * s->steps) * BF16_TILE;
    own.pack_b(chunk->n, s->length, b_at(chunk, s, 0), chunk->ldb, chunk->transpose_b, columns_of_b);
    return columns_of_b;
}

/* Rows row .. of c, all columns of the piece. */
static void multiply_rows(const piece *p, size_t row) {
    const depths *d = &p->depth;
    size_t last = d->parts * d->blocks - 1, step = p->packed ? CHUNK : PACK_COLUMNS;
    gemm_job j = gemm_cut_out(&p->job, row, p->rows, 0, p->job.n);
    bool held = groups_of(j.m) * d->parts * d->steps <= A_TILES;
    if (j.sums) gemm_row_sums(&j);
    for (size_t column = 0; column < j.n; column += step) {
        gemm_job chunk = gemm_cut_out(&j, 0, j.m, column, step);
        for (size_t i = 0; i <= last; i++) {
            span s = span_of(d, i);
            uint16_t *a = rows_of_a + (held ? s.before * groups_of(j.m) * BF16_TILE : 0);
            size_t k = s.part * d->length + s.k;
            if (column == 0 || !held) own.pack_a(j.m, s.length, j.a + (j.transpose_a ? k * j.lda : k), j.lda, !j.transpose_a, a);
            bf16_block g = {.m = j.m, .n = chunk.n, .steps = s.steps, .a = a, .b = block_of_b(p, &chunk, &s, column), .sums = i ? whole : NULL,
                            .keep = i < last ? whole : NULL, .c = chunk.c, .ldc = j.ldc, .add = j.beta != 0};
            own.block(&g);
        }
        gemm_finish(&chunk, 0, j.m);
    }
    for (size_t r = 0; j.rows_done && r < j.m; r += GEMM_STEP) j.rows_done(j.context, row + r, smaller(GEMM_STEP, j.m - r));
}

static size_t strips_of(const piece *p) { return p->borrowed ? 0 : cut(p->job.n, PACK_COLUMNS) * p->depth.parts * p->depth.blocks; }

/* A piece that packs the same b already, or NULL: Q, K and V take their weights' gradients from one input. */
static const piece *same_b(const piece *held, size_t count, const gemm_job *j) {
    for (size_t i = 0; i < count; i++) {
        const gemm_job *o = &held[i].job;
        if (o->b == j->b && o->ldb == j->ldb && o->n == j->n && o->k == j->k && o->transpose_b == j->transpose_b && o->parts <= 1 && j->parts <= 1)
            return &held[i];
    }
    return NULL;
}

/* Low enough that every thread gets its share, and that a's rows can be held; in steps of what rows_done takes, else whole tiles. No bits
 * depend on it. */
static size_t rows_at(const piece *p, size_t size) {
    static const size_t steps[SIZES] = {ROWS, ROWS / 2, ROWS / 4, GEMM_STEP}, tiles[SIZES] = {320, 160, 96, 48};
    size_t depth = p->depth.parts * p->depth.steps;
    while (size + 1 < SIZES && groups_of(steps[size]) * depth > A_TILES) size++;
    return p->job.rows_done ? steps[size] : tiles[size];
}

static void choose_rows(piece *p, size_t count) {
    size_t threads = (size_t)omp_get_max_threads(), tiles = 0, size = 0;
    for (;; size++, tiles = 0) {
        for (size_t i = 0; i < count; i++) tiles += cut(p[i].job.m, rows_at(&p[i], size));
        if (size + 1 == SIZES || tiles >= TILES_A_THREAD * threads) break;
    }
    for (size_t i = 0; i < count; i++) p[i].rows = rows_at(&p[i], size);
}

static void pack_of_piece(const void *pieces, size_t i, size_t strip) { pack_strip((const piece *)pieces + i, strip); }

static void multiply_of_piece(const void *pieces, size_t i, size_t tile) {
    const piece *p = (const piece *)pieces + i;
    multiply_rows(p, tile * p->rows);
}

static void run_pieces(piece *p, size_t count) {
    gemm_deal d = {.count = count, .pieces = p, .pack = pack_of_piece, .multiply = multiply_of_piece};
    choose_rows(p, count);
    for (size_t i = 0; i < count; i++) {
        d.strips[i] = p[i].packed ? strips_of(&p[i]) : 0;
        d.tiles[i] = cut(p[i].job.m, p[i].rows);
    }
    gemm_deal_out(&d);
}

void gemm_bf16_serial(const gemm_job *job) {
    piece p = {.job = *job, .depth = cut_depth(job), .rows = ROWS};
    p.job.rows_done = NULL;
    if (job->n) for (size_t row = 0; row < job->m; row += ROWS) multiply_rows(&p, row);
}

void gemm_bf16_run(const gemm_job *jobs, size_t count, void *shared) {
    piece pieces[GEMM_PIECES];
    size_t used = 0, held = 0;
    bool apart[GEMM_JOBS] = {false};         /* rows are finished at the end */
    for (size_t i = 0; i < count; i++) {
        const gemm_job *j = &jobs[i];
        depths d = cut_depth(j);
        size_t steps = d.parts * d.steps, most = steps ? B_TILES / steps * BF16_LINES : j->n;
        if (!j->m || !j->n) continue;
        apart[i] = j->rows_done && most && j->n > most;
        for (size_t column = 0; column < j->n; column += most ? most : j->n) {
            piece p = {.job = gemm_cut_out(j, 0, j->m, column, most ? most : j->n), .depth = d};
            size_t tiles = most ? groups_of(p.job.n) * steps : 0;
            if (apart[i]) p.job.rows_done = NULL;
            if (held == GEMM_PIECES || used + tiles > B_TILES) {
                run_pieces(pieces, held);
                used = held = 0;
            }
            const piece *same = same_b(pieces, held, &p.job);
            p.borrowed = same;
            if (most) p.packed = same ? same->packed : (uint16_t *)shared + used * BF16_TILE;
            if (!same) used += tiles;
            pieces[held++] = p;
        }
    }
    if (held) run_pieces(pieces, held);
    for (size_t i = 0; i < count; i++) if (apart[i]) gemm_finish_rows(&jobs[i]);
}
