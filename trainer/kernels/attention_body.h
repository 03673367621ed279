/* trainer/kernels/attention_body.h - the body of attention.c's fast kernels, included once for every instruction set with
 * WIDTH (floats of a vector), PANEL (vectors across a micro-tile of the products), TARGET (attribute) and NAME(f). */
#include "trainer/kernels/attention_product.h"
#include "trainer/kernels/attention_rows.h"

/* Scores of a tile; `behind` in the columns behind the keys, up to a multiple of ROUND. */
TARGET static void NAME(scores)(const attention_head *h, const tiles *t, size_t queries, size_t keys, float behind) {
    NAME(multiply)((NAME(product)){.rows = even(queries), .columns = whole(keys, WIDTH), .depth = h->width, .a = t->q, .a_row = t->stride, .a_step = 1,
                                   .b = t->kt, .b_stride = TILE_STRIDE, .c = t->p, .c_stride = TILE_STRIDE});
    for (size_t i = 0; i < queries; i++)
        for (size_t j = keys; j < padded(keys); j++) t->p[i * TILE_STRIDE + j] = behind;
}

TARGET static void NAME(forward_tile)(const attention_head *h, tiles *t, size_t query, size_t queries, size_t first, size_t keys) {
    NAME(scores)(h, t, queries, keys, -1e30f);         /* exp() makes 0 of them, as good as */
    NAME(forward_rows)(h, t, queries, first > 0, padded(keys));
    if (h->threshold) {
        take_lanes(h, t, query, queries, first, keys);
        NAME(keep_some)(t, h->threshold, queries, padded(keys));
    }
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

/* Tiles of one block of keys, in the order of queries: dK and dV add up in scratch, dQ in the output. */
TARGET static void NAME(backward_tile)(const attention_head *h, const attention_gradients *g, tiles *t, size_t query, size_t queries,
                                       size_t first, size_t keys) {
    size_t D = whole(h->width, WIDTH);
    NAME(scores)(h, t, queries, keys, 0);
    NAME(multiply)((NAME(product)){.rows = even(queries), .columns = whole(keys, WIDTH), .depth = h->width, .a = t->dout, .a_row = t->stride,
                                   .a_step = 1, .b = t->vt, .b_stride = TILE_STRIDE, .c = t->dp, .c_stride = TILE_STRIDE});
    if (h->threshold) {
        take_lanes(h, t, query, queries, first, keys);
        NAME(backward_rows)(h, t, query, queries, true, padded(keys));
    } else {
        NAME(backward_rows)(h, t, query, queries, false, padded(keys));
    }
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
