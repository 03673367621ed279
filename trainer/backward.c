/* trainer/backward.c - gradients of the encoder layers, in the reverse order of forward.c. LayerNorm and dropout run row by row inside the
 * products that complete their rows; so a layer ends with the first step of the one below. */
#include <string.h>
#include "trainer/network_parts.h"

gemm_job weight_gradient(const network *n, size_t rows, size_t out, size_t in, const float *dy, size_t stride, const float *x, float *dw, float *db) {
    return (gemm_job){.m = out, .n = in, .k = rows, .a = dy, .lda = stride, .transpose_a = true, .b = x, .ldb = in, .c = dw, .ldc = in,
                      .beta = n->add ? 1.0f : 0.0f, .sums = db};
}

gemm_job input_gradient(size_t rows, size_t out, size_t in, const float *dy, size_t stride, const float *w, float *dx) {
    return (gemm_job){.m = rows, .n = in, .k = out, .a = dy, .lda = stride, .b = w, .ldb = in, .c = dx, .ldc = in};
}

static norm_task output_norm_task(network *n, const float *weights, const batch *b, int l, float *gradients) {
    const layer_tensors *t = &n->model->layer[l];
    return (norm_task){n, b, rows_of_layer(n, l), &n->layer[l].norm2, weight_of(n, weights, t->output_norm_weight), gradient_at(n, l), true, l, SITE_OUTPUT,
                       gradient_of(n, gradients, t->output_norm_weight), gradient_of(n, gradients, t->output_norm_bias)};
}

static norm_task attention_norm_task(network *n, const float *weights, const batch *b, int l, float *gradients) {
    const layer_tensors *t = &n->model->layer[l];
    return (norm_task){n, b, rows_of_layer(n, l), &n->layer[l].norm1, weight_of(n, weights, t->attention_norm_weight), gradient_at(n, l), true, l,
                       SITE_ATTENTION_OUTPUT, gradient_of(n, gradients, t->attention_norm_weight), gradient_of(n, gradients, t->attention_norm_bias)};
}

/* What comes below layer l. */
static norm_task next_norm_task(network *n, const float *weights, const batch *b, int l, float *gradients) {
    return l > 0 ? output_norm_task(n, weights, b, l - 1, gradients) : embedding_norm_task(n, weights, b, gradients);
}

void backward_begin(network *n, const float *weights, const batch *b, float *gradients) {
    norm_task top = output_norm_task(n, weights, b, n->L - 1, gradients);
    norm_all(&top);
}

/* gradient_at() and norm2.sum, gradients before the second LayerNorm and behind its dropout, become those of the first: gradient_at() and
 * norm1.sum. */
static void backward_feed_forward(network *n, const float *weights, const batch *b, int l, float *gradients) {
    const layer_tensors *t = &n->model->layer[l];
    const layer_state *s = &n->layer[l];
    size_t R = rows_of_layer(n, l)->count, H = n->H, I = n->I;
    const float *dropped = s->norm2.sum;
    gemm_job down = input_gradient(R, H, I, dropped, H, weight_of(n, weights, t->output_weight), n->wide);
    down.finish = GEMM_GELU_BACKWARD;
    down.u = down.g = s->u;
    gemm_run(&down, 1);
    norm_task norm = attention_norm_task(n, weights, b, l, gradients);
    gemm_job job[3] = {weight_gradient(n, R, H, I, dropped, H, s->u, gradient_of(n, gradients, t->output_weight),
                                       gradient_of(n, gradients, t->output_bias)),
                       weight_gradient(n, R, I, H, n->wide, I, s->middle, gradient_of(n, gradients, t->intermediate_weight),
                                       gradient_of(n, gradients, t->intermediate_bias)),
                       input_gradient(R, I, H, n->wide, I, weight_of(n, weights, t->intermediate_weight), gradient_at(n, l))};
    job[2].beta = 1;
    job[2].rows_done = norm_rows;
    job[2].context = &norm;
    job[2].beside[0] = norm.norm->sum;
    gemm_run(job, 3);
    norm_sums(&norm);
}

/* dx of Q, K and V, with all tokens' queries one product. */
static gemm_job qkv_input_gradient(network *n, const float *weights, const batch *b, const layer_tensors *t) {
    gemm_job j = input_gradient(b->tokens, 3 * n->H, n->H, n->wide, 3 * n->H, weight_of(n, weights, t->query_weight), n->d);
    j.parts = 3;
    j.part[0] = weight_of(n, weights, t->key_weight);
    j.part[1] = weight_of(n, weights, t->value_weight);
    j.beta = 1;
    return j;
}

/* With some rows' queries: keys and values give all rows of n->d, queries add to their rows of needed_d, which then join them. */
static void sliced_input_gradient(network *n, const float *weights, const batch *b, const layer_tensors *t, const row_set *r) {
    size_t H = n->H;
    gemm_job dx[2] = {input_gradient(b->tokens, 2 * H, H, n->wide + H, 3 * H, weight_of(n, weights, t->key_weight), n->d),
                      input_gradient(r->count, H, H, n->wide, 3 * H, weight_of(n, weights, t->query_weight), n->needed_d)};
    dx[0].parts = 2;
    dx[0].part[0] = weight_of(n, weights, t->value_weight);
    dx[1].beta = 1;
    gemm_run(dx, 2);
    for (size_t i = 0; i < r->count; i++) kernel.add(n->d + (size_t)r->row[i] * H, n->needed_d + i * H, H);
}

/* gradient_at() and norm1.sum become what backward_feed_forward() of the layer below begins with. */
static void backward_attention_block(network *n, const float *weights, const batch *b, int l, float *gradients) {
    const layer_tensors *t = &n->model->layer[l];
    const layer_state *s = &n->layer[l];
    const row_set *r = rows_of_layer(n, l);
    size_t H = n->H;
    gemm_job output[2] = {weight_gradient(n, r->count, H, H, s->norm1.sum, H, s->context, gradient_of(n, gradients, t->attention_output_weight),
                                          gradient_of(n, gradients, t->attention_output_bias)),
                          input_gradient(r->count, H, H, s->norm1.sum, H, weight_of(n, weights, t->attention_output_weight), s->norm2.sum)};
    gemm_run(output, 2);
    attention_view view = attention_view_of(n, l);
    attention_backward(n, b, l, &view);

    const int weight[3] = {t->query_weight, t->key_weight, t->value_weight}, bias[3] = {t->query_bias, t->key_bias, t->value_bias};
    gemm_job job[4];
    for (size_t i = 0; i < 3; i++)
        job[i] = weight_gradient(n, i ? b->tokens : r->count, H, H, n->wide + i * H, 3 * H, i ? s->input : residual_of(n, l),
                                 gradient_of(n, gradients, weight[i]), gradient_of(n, gradients, bias[i]));
    if (r->row) {
        gemm_run(job, 3);
        sliced_input_gradient(n, weights, b, t, r);
        norm_task next = next_norm_task(n, weights, b, l, gradients);
        norm_all(&next);
        return;
    }
    norm_task next = next_norm_task(n, weights, b, l, gradients);
    job[3] = qkv_input_gradient(n, weights, b, t);
    job[3].rows_done = norm_rows;
    job[3].context = &next;
    job[3].beside[0] = next.norm->sum;
    gemm_run(job, 4);
    norm_sums(&next);
}

void backward_layer(network *n, const float *weights, const batch *b, int l, float *gradients) {
    backward_feed_forward(n, weights, b, l, gradients);
    backward_attention_block(n, weights, b, l, gradients);
}
