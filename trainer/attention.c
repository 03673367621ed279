/* trainer/attention.c - softmax(Q K^T / sqrt(D)) V by sequence and head; scores live in a tile of ATTENTION_ROWS queries by all keys.
 *
 * Backward, with P the probabilities, M the dropout mask with its scale, o the product of elements, dO the context's gradient:
 *     dP = (dO V^T) o M,  dS = P o (dP - rowsum(P o dP)) / sqrt(D),  dQ = dS K,  dK = dS^T Q,  dV = (P o M)^T dO
 * Source: Vaswani et al. 2017; recomputation from row maximum and sum as in Dao et al. 2022. */
#include <math.h>
#include <omp.h>
#include "trainer/network_inner.h"

typedef struct head_task {               /* one sequence and head */
    const network *n;
    const batch *b;
    int layer;
    size_t sequence, head, keys;
    const float *q, *k, *v;              /* (keys, D), stride 3H */
    float *context, *max, *inverse;      /* (keys, D) stride H; (keys) */
    float scale;
    thread_scratch *scratch;
} head_task;

static head_task open_task(network *n, const batch *b, int l, size_t index) {
    layer_state *s = &n->layer[l];
    size_t sequence = index / n->A, head = index % n->A, first = (size_t)b->first[sequence];
    const float *q = s->qkv + first * 3 * n->H + head * n->D;
    return (head_task){.n = n, .b = b, .layer = l, .sequence = sequence, .head = head, .keys = (size_t)b->first[sequence + 1] - first,
                       .q = q, .k = q + n->H, .v = q + 2 * n->H, .context = s->context + first * n->H + head * n->D,
                       .max = s->max + head * n->limits.tokens + first, .inverse = s->inverse + head * n->limits.tokens + first,
                       .scale = (float)(1 / sqrt((double)n->D)), .scratch = &n->scratch[omp_get_thread_num()]};
}

/* p (rows, keys) = Q[first..] K^T */
static void scores(const head_task *t, size_t first, size_t rows) {
    size_t stride = 3 * t->n->H;
    gemm_serial(&(gemm_job){.m = rows, .n = t->keys, .k = t->n->D, .a = t->q + first * stride, .lda = stride, .b = t->k, .ldb = stride,
                            .transpose_b = true, .c = t->scratch->p, .ldc = t->keys});
}

/* Masks of the tile's rows, one after the other; the same in forward and backward. mask[r].lane NULL: dropout is off. */
static void tile_masks(const head_task *t, size_t first, size_t rows, dropout *mask) {
    size_t S = t->b->seq_length, room = t->keys + 16;
    for (size_t r = 0; r < rows; r++)
        mask[r] = network_dropout(t->n, t->b, t->sequence, t->layer, SITE_ATTENTION, t->n->limits.attention_dropout,
                                  (t->head * S + first + r) * S, t->keys, t->scratch->lane + r * room);
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
    gemm_serial(&(gemm_job){.m = rows, .n = t->n->D, .k = t->keys, .a = t->scratch->p, .lda = t->keys, .b = t->v, .ldb = 3 * t->n->H,
                            .c = t->context + first * t->n->H, .ldc = t->n->H});
}

static size_t tile_rows(size_t first, size_t keys) { return keys - first < ATTENTION_ROWS ? keys - first : ATTENTION_ROWS; }

void attention_forward(network *n, const batch *b, int l) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(n->threads)
    for (size_t i = 0; i < b->sequences * n->A; i++) {
        head_task t = open_task(n, b, l, i);
        for (size_t first = 0; first < t.keys; first += ATTENTION_ROWS) forward_tile(&t, first, tile_rows(first, t.keys));
    }
}

/* dcontext: (keys, D) stride H; dq, dk, dv: (keys, D) stride 3H. Tiles add their parts of dK and dV in order; the first one writes. */
static void backward_tile(const head_task *t, const float *dcontext, float *dq, size_t first, size_t rows) {
    size_t H = t->n->H, D = t->n->D, keys = t->keys, stride = 3 * H;
    float *p = t->scratch->p, *dp = t->scratch->dp, beta = first == 0 ? 0.0f : 1.0f;
    const float *dout = dcontext + first * H;
    dropout mask[ATTENTION_ROWS];
    scores(t, first, rows);
    kernel.softmax_again(p, t->scale, t->max + first, t->inverse + first, rows, keys, keys);
    tile_masks(t, first, rows, mask);
    gemm_serial(&(gemm_job){.m = rows, .n = keys, .k = D, .a = dout, .lda = H, .b = t->v, .ldb = stride, .transpose_b = true, .c = dp, .ldc = keys});
    drop_tile(t, dp, rows, mask);
    kernel.softmax_backward(p, dp, t->scale, rows, keys, keys);
    drop_tile(t, p, rows, mask);
    gemm_serial(&(gemm_job){.m = rows, .n = D, .k = keys, .a = dp, .lda = keys, .b = t->k, .ldb = stride, .c = dq + first * stride, .ldc = stride});
    gemm_serial(&(gemm_job){.m = keys, .n = D, .k = rows, .a = dp, .lda = keys, .transpose_a = true, .b = t->q + first * stride, .ldb = stride,
                            .c = dq + H, .ldc = stride, .beta = beta});
    gemm_serial(&(gemm_job){.m = keys, .n = D, .k = rows, .a = p, .lda = keys, .transpose_a = true, .b = dout, .ldb = H,
                            .c = dq + 2 * H, .ldc = stride, .beta = beta});
}

void attention_backward(network *n, const batch *b, int l) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(n->threads)
    for (size_t i = 0; i < b->sequences * n->A; i++) {
        head_task t = open_task(n, b, l, i);
        size_t row = (size_t)b->first[t.sequence];
        const float *dcontext = n->d + row * n->H + t.head * n->D;
        float *dq = n->dqkv + row * 3 * n->H + t.head * n->D;
        for (size_t first = 0; first < t.keys; first += ATTENTION_ROWS) backward_tile(&t, dcontext, dq, first, tile_rows(first, t.keys));
    }
}
