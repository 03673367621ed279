/* trainer/heads_backward.c - gradients of the two heads around decoder.c. */
#include <string.h>
#include "trainer/network_parts.h"

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
    decoder_backward(n, weights, b, gradients);
    norm_all(&(norm_task){.n = n, .b = b, .rows = &rows, .norm = &norm, .gamma = weight_of(n, weights, m->transform_norm_weight), .d = h->d,
                          .dgamma = gradient_of(n, gradients, m->transform_norm_weight), .dbeta = gradient_of(n, gradients, m->transform_norm_bias)});
    kernel.gelu_backward(h->u, h->d, h->g, K, H, H);
    backward_dense(n, weights, m->transform_weight, m->transform_bias, h->gathered, h->d, h->output, K, gradients);
    float *below = gradient_at(n, n->L - 1);
    for (size_t i = 0; i < K; i++) kernel.add(below + (size_t)n->masked_at[i] * H, h->output + i * H, H);
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
    float *below = gradient_at(n, n->L - 1);
    for (size_t s = 0; s < B; s++) kernel.add(below + (size_t)n->cls_at[s] * H, h->pooled + s * H, H);
}

void heads_backward(network *n, const float *weights, const batch *b, float *gradients) {
    memset(gradient_at(n, n->L - 1), 0, rows_of_layer(n, n->L - 1)->count * n->H * sizeof(float));
    backward_mlm(n, weights, b, gradients);
    backward_nsp(n, weights, b, gradients);
}
