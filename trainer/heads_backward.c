/* trainer/heads_backward.c - gradients of the two heads; the decoder part of the word matrix' gradient is written here, dense. */
#include <string.h>
#include "trainer/network_parts.h"

/* One block of logits' gradients: decoder part and bias (added after the first block), and the transformed rows' gradient. */
static void backward_decoder(network *n, const float *weights, float *gradients, size_t first, size_t rows, bool add) {
    head_state *h = &n->head;
    size_t H = n->H, V = n->V;
    gemm_job job[2] = {input_gradient(rows, V, H, h->logits, V, weight_of(n, weights, n->model->word), h->d + first * H),
                       weight_gradient(n, rows, V, H, h->logits, V, h->output + first * H, gradients + n->model->decoder_offset,
                                       gradient_of(n, gradients, n->model->mlm_bias))};
    if (add) job[1].beta = 1;
    gemm_run(job, 2);
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
    gemm_job job[2] = {weight_gradient(n, rows, H, H, dy, H, x, gradient_of(n, gradients, weight), gradient_of(n, gradients, bias)),
                       input_gradient(rows, H, H, dy, H, weight_of(n, weights, weight), dx)};
    gemm_run(job, 2);
}

static void backward_mlm(network *n, const float *weights, const batch *b, float *gradients) {
    const model *m = n->model;
    head_state *h = &n->head;
    size_t H = n->H, K = b->masked;
    const norm_state norm = {h->g, h->mean, h->rstd};
    const row_set rows = {.count = K};
    backward_decoder_blocks(n, weights, b, gradients);
    norm_all(&(norm_task){.n = n, .b = b, .rows = &rows, .norm = &norm, .gamma = weight_of(n, weights, m->transform_norm_weight), .d = h->d,
                          .dgamma = gradient_of(n, gradients, m->transform_norm_weight), .dbeta = gradient_of(n, gradients, m->transform_norm_bias)});
    kernel.gelu_backward(h->u, h->d, h->g, K, H, H);
    backward_dense(n, weights, m->transform_weight, m->transform_bias, h->gathered, h->d, h->output, K, gradients);
    for (size_t i = 0; i < K; i++) kernel.add(n->d + (size_t)n->masked_at[i] * H, h->output + i * H, H);
}

static void backward_nsp(network *n, const float *weights, const batch *b, float *gradients) {
    const model *m = n->model;
    head_state *h = &n->head;
    size_t H = n->H, B = b->sequences;
    gemm_job job[2] = {weight_gradient(n, B, 2, H, h->nsp, 2, h->pooled, gradient_of(n, gradients, m->nsp_weight),
                                       gradient_of(n, gradients, m->nsp_bias)),
                       input_gradient(B, 2, H, h->nsp, 2, weight_of(n, weights, m->nsp_weight), h->dpooled)};
    gemm_run(job, 2);
    for (size_t i = 0; i < B * H; i++) h->dpooled[i] *= 1 - h->pooled[i] * h->pooled[i];
    backward_dense(n, weights, m->pooler_weight, m->pooler_bias, h->cls, h->dpooled, h->pooled, B, gradients);
    for (size_t s = 0; s < B; s++) kernel.add(n->d + (size_t)n->cls_at[s] * H, h->pooled + s * H, H);
}

void heads_backward(network *n, const float *weights, const batch *b, float *gradients) {
    memset(n->d, 0, rows_of_layer(n, n->L - 1)->count * n->H * sizeof *n->d);
    backward_mlm(n, weights, b, gradients);
    backward_nsp(n, weights, b, gradients);
}
