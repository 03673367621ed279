/* trainer/kernels/attention_body.h - the body of attention.c's fast kernels, included once for every instruction set with
 * WIDTH (floats of a vector), PANEL (vectors across a micro-tile of the products), TARGET (attribute) and NAME(f). */
#include "trainer/kernels/attention_product.h"

/* Scores of a tile. Columns behind the keys, up to a multiple of ROUND, are what exp() makes 0 of. */
TARGET static void NAME(scores)(const attention_head *h, const tiles *t, size_t queries, size_t keys) {
    NAME(multiply)((NAME(product)){.rows = even(queries), .columns = whole(keys, WIDTH), .depth = h->width, .a = t->q, .a_row = t->stride, .a_step = 1,
                                   .b = t->kt, .b_stride = TILE_STRIDE, .c = t->p, .c_stride = TILE_STRIDE});
    for (size_t i = 0; i < queries; i++)
        for (size_t j = keys; j < padded(keys); j++) t->p[i * TILE_STRIDE + j] = -1e30f;
}

BODY TARGET float NAME(largest)(const float *x, size_t n, float most) {
    float lane[ROUND];
    for (int j = 0; j < ROUND; j++) lane[j] = most;
    for (size_t i = 0; i < n; i += ROUND)
#pragma omp simd
        for (int j = 0; j < ROUND; j++) lane[j] = x[i + (size_t)j] > lane[j] ? x[i + (size_t)j] : lane[j];
    for (int width = ROUND / 2; width > 0; width /= 2)
        for (int j = 0; j < width; j++) lane[j] = lane[j + width] > lane[j] ? lane[j + width] : lane[j];
    return lane[0];
}

/* x = exp(scale x - max); returns the sum. n: a multiple of ROUND. */
BODY TARGET float NAME(exponentials)(float *x, float scale, float max, size_t n) {
    float lane[ROUND] = {0};
    for (size_t i = 0; i < n; i += ROUND)
#pragma omp simd
        for (int j = 0; j < ROUND; j++) {
            float e = exp_body(x[i + (size_t)j] * scale - max);
            x[i + (size_t)j] = e;
            lane[j] += e;
        }
    for (int width = ROUND / 2; width > 0; width /= 2)
        for (int j = 0; j < width; j++) lane[j] += lane[j + width];
    return lane[0];
}

BODY TARGET void NAME(keep_only)(float *x, const uint16_t *lane, uint32_t threshold, size_t n) {
    for (size_t i = 0; i < n; i += ROUND)
#pragma omp simd
        for (int j = 0; j < ROUND; j++) x[i + (size_t)j] = choose(lane[i + (size_t)j] >= threshold, x[i + (size_t)j], 0);
}

/* One row of a tile: a running softmax. What was added up so far shrinks when a larger maximum comes. */
BODY TARGET void NAME(forward_row)(const attention_head *h, const tiles *t, size_t query, size_t row, size_t first, size_t keys) {
    float *p = t->p + row * TILE_STRIDE, *out = t->out + row * t->stride, before = t->max[row];
    float most = NAME(largest)(p, padded(keys), p[0]) * h->scale;
    bool again = first > 0;
    if (again && before > most) most = before;
    double sum = NAME(exponentials)(p, h->scale, most, padded(keys));
    if (again) {
        float shrink = exp_body(before - most);
        sum += shrink * t->sum[row];
        for (size_t c = 0; c < t->stride && shrink < 1; c++) out[c] *= shrink;
    }
    t->max[row] = most;
    t->sum[row] = sum;
    if (h->threshold) NAME(keep_only)(p, row_lanes(h, query, first, keys, t->lane), h->threshold, padded(keys));
}

TARGET static void NAME(forward_tile)(const attention_head *h, const tiles *t, size_t query, size_t queries, size_t first, size_t keys) {
    NAME(scores)(h, t, queries, keys);
    for (size_t r = 0; r < queries; r++) NAME(forward_row)(h, t, query + r, r, first, keys);
    NAME(multiply)((NAME(product)){.rows = even(queries), .columns = whole(h->width, WIDTH), .depth = keys, .a = t->p, .a_row = TILE_STRIDE, .a_step = 1,
                                   .b = t->v, .b_stride = t->stride, .c = t->out, .c_stride = t->stride, .add = first > 0});
}

TARGET static void NAME(take_keys)(const attention_head *h, const tiles *t, size_t first, size_t keys, bool backward) {
    pack(t->k, h->k + first * h->kv_stride, h->kv_stride, keys, h->width, ROUND);
    pack(t->v, h->v + first * h->kv_stride, h->kv_stride, keys, h->width, ROUND);
    NAME(transpose)(t->k, t->stride, t->kt, TILE_STRIDE, padded(keys), t->stride);
    if (backward) NAME(transpose)(t->v, t->stride, t->vt, TILE_STRIDE, padded(keys), t->stride);
}

TARGET static void NAME(attention_forward)(const attention_head *h) {
    tiles t;
    lay_out(&t, h->scratch, h->width);
    for (size_t query = 0; query < h->queries; query += QUERIES) {
        size_t queries = smaller(QUERIES, h->queries - query);
        pack(t.q, h->q + query * h->q_stride, h->q_stride, queries, h->width, 2);
        for (size_t first = 0; first < h->keys; first += KEYS) {
            size_t keys = smaller(KEYS, h->keys - first);
            if (query == 0 || h->keys > KEYS) NAME(take_keys)(h, &t, first, keys, false);
            NAME(forward_tile)(h, &t, query, queries, first, keys);
        }
        finish_rows(h, &t, query, queries);
    }
}

/* P and dP of a row become (P o M) and dS. */
BODY TARGET void NAME(backward_row)(const attention_head *h, const tiles *t, size_t query, size_t row, size_t first, size_t keys) {
    float *p = t->p + row * TILE_STRIDE, *dp = t->dp + row * TILE_STRIDE;
    const float max = h->max[query], inverse = h->inverse[query], delta = t->delta[row], scale = h->scale, keep = keep_scale(h);
    const uint16_t *lane = h->threshold ? row_lanes(h, query, first, keys, t->lane) : NULL;
    for (size_t i = 0; i < padded(keys); i += ROUND) {
        float kept[ROUND];
#pragma omp simd
        for (size_t j = 0; j < ROUND; j++) kept[j] = !lane || lane[i + j] >= h->threshold ? keep : 0;
#pragma omp simd
        for (size_t j = 0; j < ROUND; j++) {
            float value = exp_body(p[i + j] * scale - max) * inverse;
            dp[i + j] = scale * value * (dp[i + j] * kept[j] - delta);
            p[i + j] = value * kept[j];
        }
    }
}

/* Tiles of one block of keys, in the order of queries: dK and dV add up in scratch, dQ in the output. */
TARGET static void NAME(backward_tile)(const attention_head *h, const attention_gradients *g, const tiles *t, size_t query, size_t queries,
                                       size_t first, size_t keys) {
    size_t D = whole(h->width, WIDTH);
    NAME(scores)(h, t, queries, keys);
    NAME(multiply)((NAME(product)){.rows = even(queries), .columns = whole(keys, WIDTH), .depth = h->width, .a = t->dout, .a_row = t->stride,
                                   .a_step = 1, .b = t->vt, .b_stride = TILE_STRIDE, .c = t->dp, .c_stride = TILE_STRIDE});
    for (size_t r = 0; r < queries; r++) NAME(backward_row)(h, t, query + r, r, first, keys);
    NAME(multiply)((NAME(product)){.rows = even(queries), .columns = D, .depth = keys, .a = t->dp, .a_row = TILE_STRIDE, .a_step = 1, .b = t->k,
                                   .b_stride = t->stride, .c = t->out, .c_stride = t->stride});
    unpack(g->dq + query * h->q_stride, h->q_stride, t->out, queries, h->width, first > 0);
    NAME(multiply)((NAME(product)){.rows = even(keys), .columns = D, .depth = queries, .a = t->dp, .a_row = 1, .a_step = TILE_STRIDE, .b = t->q,
                                   .b_stride = t->stride, .c = t->dk, .c_stride = t->stride, .add = query > 0});
    NAME(multiply)((NAME(product)){.rows = even(keys), .columns = D, .depth = queries, .a = t->p, .a_row = 1, .a_step = TILE_STRIDE, .b = t->dout,
                                   .b_stride = t->stride, .c = t->dv, .c_stride = t->stride, .add = query > 0});
}

TARGET static void NAME(attention_backward)(const attention_head *h, const attention_gradients *g) {
    tiles t;
    lay_out(&t, h->scratch, h->width);
    for (size_t first = 0; first < h->keys; first += KEYS) {
        size_t keys = smaller(KEYS, h->keys - first);
        NAME(take_keys)(h, &t, first, keys, true);
        if (!h->queries) memset(t.dk, 0, keys * t.stride * sizeof *t.dk), memset(t.dv, 0, keys * t.stride * sizeof *t.dv);
        for (size_t query = 0; query < h->queries; query += QUERIES) {
            size_t queries = smaller(QUERIES, h->queries - query);
            pack(t.q, h->q + query * h->q_stride, h->q_stride, queries, h->width, 2);
            pack(t.dout, g->dcontext + query * h->context_stride, h->context_stride, queries, h->width, 2);
            take_deltas(h, g, &t, query, queries);
            NAME(backward_tile)(h, g, &t, query, queries, first, keys);
        }
        unpack(g->dk + first * h->kv_stride, h->kv_stride, t.dk, keys, h->width, false);
        unpack(g->dv + first * h->kv_stride, h->kv_stride, t.dv, keys, h->width, false);
    }
}

#undef vec
#undef index_vec
#undef MICRO_ROWS
#undef WIDTH
#undef PANEL
#undef TARGET
#undef NAME
