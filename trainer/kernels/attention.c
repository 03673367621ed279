/* trainer/kernels/attention.c - see attention.h: the plain reference, and one body for every instruction set. */
#include "trainer/kernels/attention.h"
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include "trainer/kernels/kernels.h"
#include "trainer/kernels/mathf.h"

enum {
    QUERIES = ATTENTION_QUERIES,
    KEYS = ATTENTION_KEYS,
    ROUND = 16,                          /* floats of the widest vector: rows of scratch are multiples of it */
    TILE_STRIDE = KEYS + ROUND,          /* an odd number of cache lines: columns of a tile do not share cache sets */
    LANE_STRIDE = KEYS + 2 * ROUND       /* 16-bit lanes of a row: begins and ends inside a block of 8 */
};

static size_t padded(size_t n) { return (n + ROUND - 1) / ROUND * ROUND; }
static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* What one thread works in. Q, dO and the accumulators of their gradients are (QUERIES, D'), those of K and V (KEYS, D'), D' = padded(D). */
typedef struct tiles {
    size_t stride;                       /* D' */
    float *q, *out, *dout, *k, *v, *dk, *dv;
    float *kt, *vt;                      /* (D', TILE_STRIDE) K^T, V^T */
    float *p, *dp;                       /* (QUERIES, TILE_STRIDE) */
    double *sum;                         /* (QUERIES) of the softmax rows, so far */
    float *max, *most, *part, *delta;    /* (QUERIES): largest so far and of this block, sums of this block, row sums of dO o O */
    float *lanes;                        /* (QUERIES, ROUND) a row's maxima or sums, one for every lane */
    uint16_t *lane;                      /* (QUERIES, LANE_STRIDE) of the tile's masks */
    size_t skip[ATTENTION_QUERIES];      /* where a row's lanes begin */
} tiles;

/* The next floats of scratch; counts only when there is none. */
static float *cut(float *scratch, size_t *used, size_t floats) {
    size_t begin = *used;
    *used += padded(floats);
    return scratch ? scratch + begin : NULL;
}

static size_t lay_out(tiles *t, float *s, size_t width) {
    size_t D = padded(width), n = 0;
    t->stride = D;
    t->q = cut(s, &n, QUERIES * D), t->out = cut(s, &n, QUERIES * D), t->dout = cut(s, &n, QUERIES * D);
    t->k = cut(s, &n, KEYS * D), t->v = cut(s, &n, KEYS * D), t->dk = cut(s, &n, KEYS * D), t->dv = cut(s, &n, KEYS * D);
    t->kt = cut(s, &n, D * TILE_STRIDE), t->vt = cut(s, &n, D * TILE_STRIDE);
    t->p = cut(s, &n, QUERIES * TILE_STRIDE), t->dp = cut(s, &n, QUERIES * TILE_STRIDE);
    t->sum = (double *)(void *)cut(s, &n, 2 * QUERIES);
    t->max = cut(s, &n, QUERIES), t->most = cut(s, &n, QUERIES), t->part = cut(s, &n, QUERIES), t->delta = cut(s, &n, QUERIES);
    t->lanes = cut(s, &n, QUERIES * ROUND);
    t->lane = (uint16_t *)(void *)cut(s, &n, QUERIES * LANE_STRIDE / 2);
    return n;
}

size_t attention_scratch(size_t width) {
    tiles t;
    return lay_out(&t, NULL, width);
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

static size_t even(size_t n) { return n + n % 2; }
static size_t whole(size_t n, size_t step) { return (n + step - 1) / step * step; }

/* to (rows up to a multiple of `step`, D') = rows of `from`, zeros behind and below. */
static void pack(float *to, const float *from, size_t from_stride, size_t rows, size_t width, size_t step) {
    size_t stride = padded(width);
    for (size_t r = 0; r < rows; r++) {
        memcpy(to + r * stride, from + r * from_stride, width * sizeof *to);
        if (width < stride) memset(to + r * stride + width, 0, (stride - width) * sizeof *to);
    }
    memset(to + rows * stride, 0, (whole(rows, step) - rows) * stride * sizeof *to);
}

static void unpack(float *to, size_t to_stride, const float *from, size_t rows, size_t width, bool add) {
    for (size_t r = 0; r < rows; r++) {
        if (add) kernel.add(to + r * to_stride, from + r * padded(width), width);
        else memcpy(to + r * to_stride, from + r * padded(width), width * sizeof *to);
    }
}

/* Rows of the context are whole: divided by their sum, kept elements scaled up. */
static void finish_rows(const attention_head *h, const tiles *t, size_t query, size_t queries) {
    for (size_t r = 0; r < queries; r++) {
        const float *from = t->out + r * t->stride;
        float *to = h->context + (query + r) * h->context_stride, inverse = (float)(1 / t->sum[r]), factor = inverse * keep_scale(h);
        h->max[query + r] = t->max[r];
        h->inverse[query + r] = inverse;
        for (size_t c = 0; c < h->width; c++) to[c] = from[c] * factor;
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

static void take_deltas(const attention_head *h, const attention_gradients *g, const tiles *t, size_t query, size_t queries) {
    for (size_t r = 0; r < queries; r++)
        t->delta[r] = kernel.dot(g->dcontext + (query + r) * h->context_stride, h->context + (query + r) * h->context_stride, h->width);
}

#define WIDTH 4                          /* floats of a vector */
#define PANEL 2                          /* vectors across a tile of the products */
#define TARGET
#define NAME(f) f##_base
#include "trainer/kernels/attention_body.h"

#if defined(__x86_64__)
#define WIDTH 8
#define PANEL 2
#define TARGET AVX2
#define NAME(f) f##_avx2
#include "trainer/kernels/attention_body.h"

#define WIDTH 16
#define PANEL 4
#define TARGET AVX512
#define NAME(f) f##_avx512
#include "trainer/kernels/attention_body.h"
#endif

void kernels_fill_attention(kernels *t, int level) {
    t->attention_forward = LEVEL(attention_forward, level);
    t->attention_backward = LEVEL(attention_backward, level);
}
