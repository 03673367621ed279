/* trainer/kernels/attention.c - see attention.h: the plain reference, and one body for every instruction set. */
#include "trainer/kernels/attention.h"
#include <math.h>
#include <stdbool.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#include "trainer/kernels/kernels.h"
#include "trainer/kernels/mathf.h"

enum {
    QUERIES = ATTENTION_QUERIES,
    KEYS = ATTENTION_KEYS,
    ROUND = 16,                          /* floats of the widest vector: rows of scratch are multiples of it */
    TILE_STRIDE = KEYS + ROUND,          /* an odd number of cache lines: columns of a tile do not share cache sets */
    LANE_STRIDE = KEYS + 2 * ROUND,      /* 16-bit lanes of a row: begins and ends inside a block of 8 */
    MICRO_ROWS = 6,                      /* of a micro-tile: 6 x PANEL sums and PANEL of B fit the registers of every set */
    NEAR = 3, WANTED = NEAR + ATTENTION_SOON,
    RATE = 512                           /* 5 S rows or so are fetched over S x S / 110 micro-tiles */
};

static size_t whole(size_t n, size_t step) { return (n + step - 1) / step * step; }
static size_t padded(size_t n) { return whole(n, ROUND); }
static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* What one thread works in: D' = padded(D), S' = padded(rows). */
typedef struct tiles {
    size_t stride;                       /* D' */
    float *q, *dout;                     /* (QUERIES, D') rows as they are, zeros behind */
    float *k, *v;                        /* (S', D') the same */
    float *kt, *vt;                      /* K^T, V^T: for each block of keys (D', TILE_STRIDE) */
    float *dq, *dk, *dv;                 /* (S', D') where rows of the output are no whole vectors; else NULL */
    float *p, *dp;                       /* (QUERIES, TILE_STRIDE) */
    float *out;                          /* (QUERIES, D') context so far */
    double *sum;                         /* (QUERIES) of the softmax rows, so far */
    float *max, *most, *part, *delta;    /* (QUERIES): largest so far and of this block, sums of this block, row sums of dO o O */
    float *lanes;                        /* (QUERIES, ROUND) a row's maxima or sums, one for every lane */
    uint16_t *lane;                      /* (QUERIES, LANE_STRIDE) of the tile's masks */
    size_t skip[ATTENTION_QUERIES];      /* where a row's lanes begin */
    attention_rows wanted[WANTED];       /* rows yet to be fetched: this head's next queries, then what comes after it */
    int now;
    size_t rate;                         /* rows fetched at every micro-tile */
} tiles;

/* The next floats of scratch; counts only when there is none. */
static float *cut(float *scratch, size_t *used, size_t floats) {
    size_t begin = *used;
    *used += padded(floats);
    return scratch ? scratch + begin : NULL;
}

static size_t lay_out(tiles *t, float *s, size_t width, size_t rows) {
    size_t D = padded(width), S = padded(rows), turned = whole(rows, KEYS) / KEYS * D * TILE_STRIDE, n = 0;
    *t = (tiles){.stride = D};
    t->q = cut(s, &n, QUERIES * D), t->dout = cut(s, &n, QUERIES * D);
    t->k = cut(s, &n, S * D), t->v = cut(s, &n, S * D);
    t->kt = cut(s, &n, turned), t->vt = cut(s, &n, turned);
    if (width < D) t->dq = cut(s, &n, S * D), t->dk = cut(s, &n, S * D), t->dv = cut(s, &n, S * D);
    t->p = cut(s, &n, QUERIES * TILE_STRIDE), t->dp = cut(s, &n, QUERIES * TILE_STRIDE);
    t->out = cut(s, &n, QUERIES * D);
    t->sum = (double *)(void *)cut(s, &n, 2 * QUERIES);
    t->max = cut(s, &n, QUERIES), t->most = cut(s, &n, QUERIES), t->part = cut(s, &n, QUERIES), t->delta = cut(s, &n, QUERIES);
    t->lanes = cut(s, &n, QUERIES * ROUND);
    t->lane = (uint16_t *)(void *)cut(s, &n, QUERIES * LANE_STRIDE / 2);
    return n;
}

size_t attention_scratch(size_t width, size_t rows) {
    tiles t;
    return lay_out(&t, NULL, width, rows);
}

/* Queries of a block: as even blocks as whole micro-tiles allow. */
static size_t block_of_queries(size_t queries) {
    size_t blocks = whole(queries, QUERIES) / QUERIES;
    return blocks ? whole((queries + blocks - 1) / blocks, MICRO_ROWS) : QUERIES;
}

void attention_soon(const attention_head *h, const float *dcontext, attention_rows soon[ATTENTION_SOON]) {
    size_t queries = smaller(block_of_queries(h->queries), h->queries);
    soon[0] = (attention_rows){h->k, h->kv_stride, h->keys};
    soon[1] = (attention_rows){h->v, h->kv_stride, h->keys};
    soon[2] = (attention_rows){h->q, h->q_stride, queries};
    soon[3] = (attention_rows){dcontext, h->context_stride, dcontext ? queries : 0};
    soon[4] = (attention_rows){h->context, h->context_stride, dcontext ? queries : 0};
}

/* At the first query of a block: the next one's rows come before those of the next head. */
static void want(tiles *t, const attention_head *h, const float *dcontext, size_t query, size_t block) {
    size_t first = query + block, rows = first < h->queries ? smaller(block, h->queries - first) : 0, at = first * h->context_stride;
    memset(t->wanted, 0, NEAR * sizeof *t->wanted);
    t->now = 0;
    if (rows == 0) return;
    t->wanted[0] = (attention_rows){h->q + first * h->q_stride, h->q_stride, rows};
    if (!dcontext) return;
    t->wanted[1] = (attention_rows){dcontext + at, h->context_stride, rows};
    t->wanted[2] = (attention_rows){h->context + at, h->context_stride, rows};
}

static void open_tiles(tiles *t, const attention_head *h) {
    lay_out(t, h->scratch, h->width, h->keys);
    if (h->soon) memcpy(t->wanted + NEAR, h->soon, ATTENTION_SOON * sizeof *h->soon);
    t->rate = 1 + RATE / (h->keys + 1);
}

static uint64_t position_of(const attention_head *h, size_t query) { return h->position ? (uint64_t)h->position[query] : query; }

static float keep_scale(const attention_head *h) { return (float)(1 / (1 - h->threshold / 65536.0)); }

/* ---- reference ------------------------------------------------------------------------------------------------------------------------ */

static double dot(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)a[i] * b[i];
    return sum;
}

static bool kept(const attention_head *h, size_t query, size_t key) {
    uint32_t word[4];
    uint64_t element = h->first + position_of(h, query) * h->row_elements + key;
    rng_block(h->key, element / 8, word);
    return (word[element % 8 / 2] >> 16 * (element % 2) & 0xffff) >= h->threshold;
}

static double score(const attention_head *h, size_t query, size_t key) {
    return h->scale * dot(h->q + query * h->q_stride, h->k + key * h->kv_stride, h->width);
}

/* Doubles of one row in the thread's scratch, cleared. */
static double *row_of_doubles(const attention_head *h, int which) {
    double *x = (double *)(void *)h->scratch + (size_t)which * h->width;
    for (size_t c = 0; c < h->width; c++) x[c] = 0;
    return x;
}

static void write_row(float *out, const double *x, size_t n) {
    for (size_t c = 0; c < n; c++) out[c] = (float)x[c];
}

static void attention_forward_ref(const attention_head *h) {
    for (size_t i = 0; i < h->queries; i++) {
        double max = -INFINITY, sum = 0, *out = row_of_doubles(h, 0);
        for (size_t j = 0; j < h->keys; j++) max = fmax(max, score(h, i, j));
        h->max[i] = (float)max;
        for (size_t j = 0; j < h->keys; j++) {
            double p = exp(score(h, i, j) - h->max[i]);
            sum += p;
            for (size_t c = 0; c < h->width && kept(h, i, j); c++) out[c] += p * keep_scale(h) * h->v[j * h->kv_stride + c];
        }
        h->inverse[i] = (float)(1 / sum);
        for (size_t c = 0; c < h->width; c++) out[c] /= sum;
        write_row(h->context + i * h->context_stride, out, h->width);
    }
}

/* Of one element: P o M and dS. */
static void element_gradient(const attention_head *h, const attention_gradients *g, size_t i, size_t j, double *dropped, double *ds) {
    const float *dout = g->dcontext + i * h->context_stride;
    double p = exp(score(h, i, j) - h->max[i]) * h->inverse[i], keep = kept(h, i, j) ? keep_scale(h) : 0;
    double delta = dot(dout, h->context + i * h->context_stride, h->width);
    *dropped = p * keep;
    *ds = h->scale * p * (keep * dot(dout, h->v + j * h->kv_stride, h->width) - delta);
}

static void attention_backward_ref(const attention_head *h, const attention_gradients *g) {
    double dropped, ds;
    for (size_t i = 0; i < h->queries; i++) {
        double *dq = row_of_doubles(h, 0);
        for (size_t j = 0; j < h->keys; j++) {
            element_gradient(h, g, i, j, &dropped, &ds);
            for (size_t c = 0; c < h->width; c++) dq[c] += ds * h->k[j * h->kv_stride + c];
        }
        write_row(g->dq + i * h->q_stride, dq, h->width);
    }
    for (size_t j = 0; j < h->keys; j++) {
        double *dk = row_of_doubles(h, 0), *dv = row_of_doubles(h, 1);
        for (size_t i = 0; i < h->queries; i++) {
            element_gradient(h, g, i, j, &dropped, &ds);
            for (size_t c = 0; c < h->width; c++) {
                dk[c] += ds * h->q[i * h->q_stride + c];
                dv[c] += dropped * g->dcontext[i * h->context_stride + c];
            }
        }
        write_row(g->dk + j * h->kv_stride, dk, h->width);
        write_row(g->dv + j * h->kv_stride, dv, h->width);
    }
}

/* ---- the fast ones -------------------------------------------------------------------------------------------------------------------- */

/* A few rows of what comes next, into the second-level cache: a head's rows are short and far apart, so that the hardware guesses none. */
BODY void fetch_some(tiles *t, size_t width) {
    for (size_t left = t->rate; left > 0 && t->now < WANTED;) {
        attention_rows *w = &t->wanted[t->now];
        if (w->rows == 0) {
            t->now++;
            continue;
        }
        for (size_t c = 0; c < width; c += ROUND) __builtin_prefetch(w->at + c, 0, 2);
        w->at += w->stride, w->rows--, left--;
    }
}

/* Masks of a tile. */
static void take_lanes(const attention_head *h, tiles *t, size_t query, size_t queries, size_t first, size_t keys) {
    uint64_t block[QUERIES];
    size_t most = 0;
    for (size_t r = 0; r < queries; r++) {
        uint64_t element = h->first + position_of(h, query + r) * h->row_elements + first;
        block[r] = element / 8;
        t->skip[r] = element % 8;
        if (t->skip[r] > most) most = t->skip[r];
    }
    kernel.dropout_rows(h->key, block, queries, (most + keys + 7) / 8, t->lane, LANE_STRIDE);
}

/* Where rows of a gradient are added up: in the output itself, or where those are no whole vectors, in scratch. */
typedef struct place { float *at; size_t stride; } place;

static place place_of(const tiles *t, float *out, size_t stride, float *spare) { return spare ? (place){spare, t->stride} : (place){out, stride}; }

static void copy_out(float *to, size_t stride, const float *spare, size_t rows, size_t width) {
    for (size_t r = 0; spare && r < rows; r++) memcpy(to + r * stride, spare + r * padded(width), width * sizeof *to);
}

#define WIDTH 4                          /* floats of a vector */
#define PANEL 2                          /* vectors across a tile of the products */
#define TARGET
#define NAME(f) f##_base
#if defined(__x86_64__)
#define LARGER(a, b) ((vec)_mm_max_ps((__m128)(a), (__m128)(b)))
#define WIDEN(p) ((index_vec)_mm_unpacklo_epi16(_mm_loadl_epi64((const void *)(p)), _mm_setzero_si128()))
#else
#define WIDEN(p) __builtin_convertvector(*(const short_vec *)(p), index_vec)
#define LARGER(a, b) ((vec)(((index_vec)(a) & ((a) > (b))) | ((index_vec)(b) & ~((a) > (b)))))
#endif
#include "trainer/kernels/attention_body.h"

#if defined(__x86_64__)
#define WIDTH 8
#define PANEL 2
#define TARGET AVX2
#define NAME(f) f##_avx2
#define LARGER(a, b) ((vec)_mm256_max_ps((__m256)(a), (__m256)(b)))
#define WIDEN(p) ((index_vec)_mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)(p))))
#include "trainer/kernels/attention_body.h"

#define WIDTH 16
#define PANEL 4
#define TARGET AVX512
#define NAME(f) f##_avx512
#define LARGER(a, b) ((vec)_mm512_max_ps((__m512)(a), (__m512)(b)))
#define WIDEN(p) ((index_vec)_mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)(p))))
#include "trainer/kernels/attention_body.h"
#endif

void kernels_fill_attention(kernels *t, int level) {
    t->attention_forward = LEVEL(attention_forward, level);
    t->attention_backward = LEVEL(attention_backward, level);
}
