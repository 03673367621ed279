/* trainer/heads_backward.c - gradients of the two heads; the decoder part of the word matrix' gradient is written here, dense. */
#include <string.h>
#include "trainer/network_inner.h"

/* One block of logits' gradients: decoder part and bias (added after the first block), and the transformed rows' gradient. */
static void backward_decoder(network *n, const float *weights, float *gradients, size_t first, size_t rows, bool add) {
    head_state *h = &n->head;
    size_t H = n->H, V = n->V;
    gemm_job job[2] = {
        {.m = rows, .n = H, .k = V, .a = h->logits, .lda = V, .b = weight_of(n, weights, n->model->word), .ldb = H, .c = h->d + first * H, .ldc = H},
        {.m = V, .n = H, .k = rows, .a = h->logits, .lda = V, .transpose_a = true, .b = h->output + first * H, .ldb = H,
         .c = gradients + n->model->decoder_offset, .ldc = H, .beta = add ? 1.0f : 0.0f}};
    gemm_run(job, 2);
    sum_columns(h->logits, gradient_of(n, gradients, n->model->mlm_bias), rows, V, V, add);
}

/* The kept block first, then the others, made again. */
static void backward_decoder_blocks(network *n, const float *weights, const batch *b, float *gradients) {
    size_t kept = n->head.kept;
    backward_decoder(n, weights, gradients, kept, head_rows(b->masked, kept), false);
    for (size_t first = 0; first < b->masked; first += HEAD_ROWS) {
        if (first == kept) continue;
        heads_logits(n, weights, first, head_rows(b->masked, first));
        heads_loss_gradient(n, b, first, head_rows(b->masked, first));
        backward_decoder(n, weights, gradients, first, head_rows(b->masked, first), true);
    }
}

/* dense layer y = x W^T + b of the heads: dW, db, and dx into `dx`. */
static void backward_dense(network *n, const float *weights, int weight, int bias, const float *x, const float *dy, float *dx, size_t rows,
                           float *gradients) {
    size_t H = n->H;
    gemm_job job[2] = {
        {.m = H, .n = H, .k = rows, .a = dy, .lda = H, .transpose_a = true, .b = x, .ldb = H, .c = gradient_of(n, gradients, weight), .ldc = H},
        {.m = rows, .n = H, .k = H, .a = dy, .lda = H, .b = weight_of(n, weights, weight), .ldb = H, .c = dx, .ldc = H}};
    gemm_run(job, 2);
    sum_columns(dy, gradient_of(n, gradients, bias), rows, H, H, false);
}

static void backward_mlm(network *n, const float *weights, const batch *b, float *gradients) {
    const model *m = n->model;
    head_state *h = &n->head;
    size_t H = n->H, K = b->masked;
    backward_decoder_blocks(n, weights, b, gradients);
    norm_state s = {h->g, h->mean, h->rstd};
    backward_norm(n, &s, weight_of(n, weights, m->transform_norm_weight), h->d, h->d, gradient_of(n, gradients, m->transform_norm_weight),
                  gradient_of(n, gradients, m->transform_norm_bias), K);
    kernel.gelu_backward(h->u, h->d, h->g, K, H, H);
    backward_dense(n, weights, m->transform_weight, m->transform_bias, h->gathered, h->d, h->output, K, gradients);
    for (size_t i = 0; i < K; i++) kernel.add(n->d + (size_t)b->masked_row[i] * H, h->output + i * H, H);
}

static void backward_nsp(network *n, const float *weights, const batch *b, float *gradients) {
    const model *m = n->model;
    head_state *h = &n->head;
    size_t H = n->H, B = b->sequences;
    gemm_job job[2] = {
        {.m = 2, .n = H, .k = B, .a = h->nsp, .lda = 2, .transpose_a = true, .b = h->pooled, .ldb = H,
         .c = gradient_of(n, gradients, m->nsp_weight), .ldc = H},
        {.m = B, .n = H, .k = 2, .a = h->nsp, .lda = 2, .b = weight_of(n, weights, m->nsp_weight), .ldb = H, .c = h->dpooled, .ldc = H}};
    gemm_run(job, 2);
    sum_columns(h->nsp, gradient_of(n, gradients, m->nsp_bias), B, 2, 2, false);
    for (size_t i = 0; i < B * H; i++) h->dpooled[i] *= 1 - h->pooled[i] * h->pooled[i];
    backward_dense(n, weights, m->pooler_weight, m->pooler_bias, h->cls, h->dpooled, h->pooled, B, gradients);
    for (size_t s = 0; s < B; s++) kernel.add(n->d + (size_t)b->first[s] * H, h->pooled + s * H, H);
}

void heads_backward(network *n, const float *weights, const batch *b, float *gradients) {
    memset(n->d, 0, b->tokens * n->H * sizeof *n->d);
    backward_mlm(n, weights, b, gradients);
    backward_nsp(n, weights, b, gradients);
}
