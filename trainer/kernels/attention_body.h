/* trainer/kernels/attention_body.h - the body of attention.c's fast kernels, included once for every instruction set with
 * WIDTH (floats of a vector), PANEL (vectors across a micro-tile of the products), LARGER(a, b) (b where a < b or b is no number),
 * WIDEN(p) (16-bit integers at p to 32 bits), TARGET (attribute) and NAME(f). */
#include "trainer/kernels/attention_vectors.h"
#include "trainer/kernels/attention_product.h"
#include "trainer/kernels/attention_rows.h"

/* Scores of a tile; `behind` in the columns behind the keys, up to a multiple of ROUND. */
TARGET static void NAME(scores)(const attention_head *h, tiles *t, const float *q, size_t q_stride, size_t queries, size_t first, size_t keys, float behind) {
    NAME(multiply)((NAME(product)){.rows = queries, .columns = whole(keys, WIDTH), .depth = h->width, .a = q, .a_row = q_stride, .a_step = 1,
                                   .b = t->kt + first / KEYS * t->stride * TILE_STRIDE, .b_stride = TILE_STRIDE, .c = t->p,
                                   .c_stride = TILE_STRIDE, .tiles = t, .width = h->width});
    for (size_t i = 0; i < queries && keys % ROUND; i++)
        for (size_t j = keys; j < padded(keys); j++) t->p[i * TILE_STRIDE + j] = behind;
}

TARGET static void NAME(forward_tile)(const attention_head *h, tiles *t, size_t query, size_t queries, size_t first, size_t keys) {
    NAME(scores)(h, t, h->q + query * h->q_stride, h->q_stride, queries, first, keys, -1e30f);      /* exp() makes 0 of them, as good as */
    if (h->threshold) take_lanes(h, t, query, queries, first, keys);
    NAME(forward_rows)(h, t, queries, first > 0, padded(keys));
    NAME(multiply)((NAME(product)){.rows = queries, .columns = whole(h->width, WIDTH), .depth = keys, .a = t->p, .a_row = TILE_STRIDE, .a_step = 1,
                                   .b = t->v + first * t->stride, .b_stride = t->stride, .c = t->out, .c_stride = t->stride, .add = first > 0,
                                   .tiles = t, .width = h->width});
}

/* x^T by blocks of keys. */
TARGET static void NAME(take_turned)(const attention_head *h, const tiles *t, const float *x, float *turned) {
    for (size_t first = 0; first < h->keys; first += KEYS)
        NAME(transpose)(x + first * h->kv_stride, h->kv_stride, turned + first / KEYS * t->stride * TILE_STRIDE, TILE_STRIDE,
                        smaller(KEYS, h->keys - first), h->width);
}

TARGET static void NAME(attention_forward)(const attention_head *h) {
    tiles t;
    open_tiles(&t, h);
    NAME(take_turned)(h, &t, h->k, t.kt);
    NAME(take_rows)(t.v, t.stride, h->v, h->kv_stride, h->keys, h->width);
    size_t block = block_of_queries(h->queries);
    for (size_t query = 0; query < h->queries; query += block) {
        size_t queries = smaller(block, h->queries - query);
        want(&t, h, NULL, query, block);
        for (size_t first = 0; first < h->keys; first += KEYS) NAME(forward_tile)(h, &t, query, queries, first, smaller(KEYS, h->keys - first));
        NAME(finish_rows)(h, &t, query, queries);
    }
}

/* One tile's share of the gradients. */
TARGET static void NAME(backward_tile)(const attention_head *h, tiles *t, place dq, place dk, place dv, size_t query, size_t queries, size_t first,
                                       size_t keys) {
    size_t D = whole(h->width, WIDTH), S = t->stride;
    NAME(scores)(h, t, t->q, S, queries, first, keys, 0);
    NAME(multiply)((NAME(product)){.rows = queries, .columns = whole(keys, WIDTH), .depth = h->width, .a = t->dout, .a_row = S, .a_step = 1,
                                   .b = t->vt + first / KEYS * S * TILE_STRIDE, .b_stride = TILE_STRIDE, .c = t->dp, .c_stride = TILE_STRIDE,
                                   .tiles = t, .width = h->width});
    if (h->threshold) {
        take_lanes(h, t, query, queries, first, keys);
        NAME(backward_rows)(h, t, query, queries, true, padded(keys));
    } else {
        NAME(backward_rows)(h, t, query, queries, false, padded(keys));
    }
    NAME(multiply)((NAME(product)){.rows = queries, .columns = D, .depth = keys, .a = t->dp, .a_row = TILE_STRIDE, .a_step = 1, .b = t->k + first * S,
                                   .b_stride = S, .c = dq.at + query * dq.stride, .c_stride = dq.stride, .add = first > 0, .tiles = t,
                                   .width = h->width});
    NAME(multiply)((NAME(product)){.rows = keys, .columns = D, .depth = queries, .a = t->dp, .a_row = 1, .a_step = TILE_STRIDE, .b = t->q, .b_stride = S,
                                   .c = dk.at + first * dk.stride, .c_stride = dk.stride, .add = query > 0, .tiles = t, .width = h->width});
    NAME(multiply)((NAME(product)){.rows = keys, .columns = D, .depth = queries, .a = t->p, .a_row = 1, .a_step = TILE_STRIDE, .b = t->dout, .b_stride = S,
                                   .c = dv.at + first * dv.stride, .c_stride = dv.stride, .add = query > 0, .tiles = t, .width = h->width});
}

TARGET static void NAME(attention_backward)(const attention_head *h, const attention_gradients *g) {
    tiles t;
    open_tiles(&t, h);
    place dq = place_of(&t, g->dq, h->q_stride, t.dq), dk = place_of(&t, g->dk, h->kv_stride, t.dk), dv = place_of(&t, g->dv, h->kv_stride, t.dv);
    NAME(take_turned)(h, &t, h->k, t.kt);
    NAME(take_turned)(h, &t, h->v, t.vt);
    NAME(take_rows)(t.k, t.stride, h->k, h->kv_stride, h->keys, h->width);
    for (size_t r = 0; h->queries == 0 && r < h->keys; r++) {
        memset(dk.at + r * dk.stride, 0, h->width * sizeof(float));
        memset(dv.at + r * dv.stride, 0, h->width * sizeof(float));
    }
    size_t block = block_of_queries(h->queries);
    for (size_t query = 0; query < h->queries; query += block) {
        size_t queries = smaller(block, h->queries - query);
        want(&t, h, g->dcontext, query, block);
        NAME(take_rows)(t.q, t.stride, h->q + query * h->q_stride, h->q_stride, queries, h->width);
        NAME(take_rows)(t.dout, t.stride, g->dcontext + query * h->context_stride, h->context_stride, queries, h->width);
        NAME(take_deltas)(h, &t, query, queries);
        for (size_t first = 0; first < h->keys; first += KEYS)
            NAME(backward_tile)(h, &t, dq, dk, dv, query, queries, first, smaller(KEYS, h->keys - first));
    }
    copy_out(g->dq, h->q_stride, t.dq, h->queries, h->width);
    copy_out(g->dk, h->kv_stride, t.dk, h->keys, h->width);
    copy_out(g->dv, h->kv_stride, t.dv, h->keys, h->width);
}

#undef vec
#undef index_vec
#undef short_vec
#undef WIDTH
#undef PANEL
#undef LARGER
#undef WIDEN
#undef TARGET
#undef NAME
