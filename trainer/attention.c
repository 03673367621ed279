/* trainer/attention.c - softmax(Q K^T / sqrt(D)) V by sequence and head; scores live in a tile of ATTENTION_ROWS queries by all keys.
 *
 * Backward, with P the probabilities, M the dropout mask with its scale, o the product of elements, dO the context's gradient:
 *     dP = (dO V^T) o M,  dS = P o (dP - rowsum(P o dP)) / sqrt(D),  dQ = dS K,  dK = dS^T Q,  dV = (P o M)^T dO
 * Source: Vaswani et al. 2017; recomputation from row maximum and sum as in Dao et al. 2022. */
#include <math.h>
#include <omp.h>
#include <string.h>
#include "trainer/network_inner.h"

typedef struct head_task {               /* one sequence and head */
    const network *n;
    const batch *b;
    const attention_view *view;
    int layer;
    size_t sequence, head, query, queries, key, keys;    /* first query and key row, and how many */
    const float *q, *k, *v;              /* (queries, D), (keys, D), (keys, D) */
    float *context, *max, *inverse;      /* (queries, D) stride H; (queries) */
    float scale;
    thread_scratch *scratch;
} head_task;

static head_task open_task(const network *n, const batch *b, int l, const attention_view *v, size_t index) {
    size_t sequence = index / n->A, head = index % n->A, column = head * n->D;
    size_t query = (size_t)v->first[sequence], key = (size_t)b->first[sequence];
    return (head_task){.n = n, .b = b, .view = v, .layer = l, .sequence = sequence, .head = head, .query = query,
                       .queries = (size_t)v->first[sequence + 1] - query, .key = key, .keys = (size_t)b->first[sequence + 1] - key,
                       .q = v->q + query * v->q_stride + column, .k = v->k + key * v->kv_stride + column, .v = v->v + key * v->kv_stride + column,
                       .context = v->context + query * n->H + column, .max = v->max + head * n->limits.tokens + query,
                       .inverse = v->inverse + head * n->limits.tokens + query, .scale = (float)(1 / sqrt((double)n->D)),
                       .scratch = &n->scratch[omp_get_thread_num()]};
}

/* p (rows, keys) = Q[first..] K^T */
static void scores(const head_task *t, size_t first, size_t rows) {
    const attention_view *v = t->view;
    gemm_serial(&(gemm_job){.m = rows, .n = t->keys, .k = t->n->D, .a = t->q + first * v->q_stride, .lda = v->q_stride, .b = t->k,
                            .ldb = v->kv_stride, .transpose_b = true, .c = t->scratch->p, .ldc = t->keys});
}

/* Masks of the tile's rows, one after the other; the same in forward and backward. mask[r].lane NULL: dropout is off. */
static void tile_masks(const head_task *t, size_t first, size_t rows, dropout *mask) {
    size_t S = t->b->seq_length, room = t->keys + 16;
    for (size_t r = 0; r < rows; r++) {
        size_t position = (size_t)t->view->position[t->query + first + r];
        mask[r] = network_dropout(t->n, t->b, t->sequence, t->layer, SITE_ATTENTION, t->n->limits.attention_dropout,
                                  (t->head * S + position) * S, t->keys, t->scratch->lane + r * room);
    }
}

static void drop_tile(const head_task *t, float *x, size_t rows, const dropout *mask) {
    for (size_t r = 0; r < rows && mask[r].lane; r++) kernel.dropout_apply(x + r * t->keys, x + r * t->keys, mask[r], t->keys);
}

static void forward_tile(const head_task *t, size_t first, size_t rows) {
    dropout mask[ATTENTION_ROWS];
    scores(t, first, rows);
    kernel.softmax(t->scratch->p, t->scale, t->max + first, t->inverse + first, rows, t->keys, t->keys);
    tile_masks(t, first, rows, mask);
    drop_tile(t, t->scratch->p, rows, mask);
    gemm_serial(&(gemm_job){.m = rows, .n = t->n->D, .k = t->keys, .a = t->scratch->p, .lda = t->keys, .b = t->v, .ldb = t->view->kv_stride,
                            .c = t->context + first * t->n->H, .ldc = t->n->H});
}

static size_t tile_rows(size_t first, size_t queries) { return queries - first < ATTENTION_ROWS ? queries - first : ATTENTION_ROWS; }

void attention_forward(network *n, const batch *b, int l, const attention_view *v) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(n->threads)
    for (size_t i = 0; i < b->sequences * n->A; i++) {
        head_task t = open_task(n, b, l, v, i);
        for (size_t first = 0; first < t.queries; first += ATTENTION_ROWS) forward_tile(&t, first, tile_rows(first, t.queries));
    }
}

/* dq: (queries, D); dk, dv: (keys, D). Tiles add their parts of dK and dV in order; the first one writes. */
static void backward_tile(const head_task *t, const float *dcontext, float *dq, float *dk, float *dv, size_t first, size_t rows) {
    const attention_view *v = t->view;
    size_t H = t->n->H, D = t->n->D, keys = t->keys;
    float *p = t->scratch->p, *dp = t->scratch->dp, beta = first == 0 ? 0.0f : 1.0f;
    const float *dout = dcontext + first * H;
    dropout mask[ATTENTION_ROWS];
    scores(t, first, rows);
    kernel.softmax_again(p, t->scale, t->max + first, t->inverse + first, rows, keys, keys);
    tile_masks(t, first, rows, mask);
    gemm_serial(&(gemm_job){.m = rows, .n = keys, .k = D, .a = dout, .lda = H, .b = t->v, .ldb = v->kv_stride, .transpose_b = true, .c = dp,
                            .ldc = keys});
    drop_tile(t, dp, rows, mask);
    kernel.softmax_backward(p, dp, t->scale, rows, keys, keys);
    drop_tile(t, p, rows, mask);
    gemm_serial(&(gemm_job){.m = rows, .n = D, .k = keys, .a = dp, .lda = keys, .b = t->k, .ldb = v->kv_stride, .c = dq + first * v->q_stride,
                            .ldc = v->q_stride});
    gemm_serial(&(gemm_job){.m = keys, .n = D, .k = rows, .a = dp, .lda = keys, .transpose_a = true, .b = t->q + first * v->q_stride,
                            .ldb = v->q_stride, .c = dk, .ldc = v->kv_stride, .beta = beta});
    gemm_serial(&(gemm_job){.m = keys, .n = D, .k = rows, .a = p, .lda = keys, .transpose_a = true, .b = dout, .ldb = H, .c = dv,
                            .ldc = v->kv_stride, .beta = beta});
}

static void clear_head(float *x, size_t rows, size_t columns, size_t stride) {
    for (size_t r = 0; r < rows; r++) memset(x + r * stride, 0, columns * sizeof *x);
}

void attention_backward(network *n, const batch *b, int l, const attention_view *v) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(n->threads)
    for (size_t i = 0; i < b->sequences * n->A; i++) {
        head_task t = open_task(n, b, l, v, i);
        size_t column = t.head * n->D;
        float *dq = v->dq + t.query * v->q_stride + column, *dk = v->dk + t.key * v->kv_stride + column, *dv = v->dv + t.key * v->kv_stride + column;
        if (t.queries == 0) clear_head(dk, t.keys, n->D, v->kv_stride), clear_head(dv, t.keys, n->D, v->kv_stride);
        for (size_t first = 0; first < t.queries; first += ATTENTION_ROWS)
            backward_tile(&t, v->dcontext + t.query * n->H + column, dq, dk, dv, first, tile_rows(first, t.queries));
    }
}
