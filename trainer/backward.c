/* trainer/backward.c - gradients of the encoder layers, in the reverse order of forward.c. */
#include <omp.h>
#include <string.h>
#include "trainer/network_inner.h"

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

void sum_columns(const float *x, float *out, size_t rows, size_t columns, size_t stride, bool add) {
#pragma omp parallel for schedule(static)
    for (size_t strip = 0; strip < (columns + SUM_COLUMNS - 1) / SUM_COLUMNS; strip++) {
        float sum[SUM_COLUMNS];
        size_t first = strip * SUM_COLUMNS, width = smaller(SUM_COLUMNS, columns - first);
        kernel.column_sums(x + first, sum, rows, width, stride);
        if (add) kernel.add(out + first, sum, width);
        else memcpy(out + first, sum, width * sizeof *sum);
    }
}

/* Parts of the row blocks, added in block order. */
static void add_norm_parts(const network *n, float *dgamma, float *dbeta, size_t tasks) {
    size_t H = n->H;
    memset(dgamma, 0, H * sizeof *dgamma);
    memset(dbeta, 0, H * sizeof *dbeta);
    for (size_t task = 0; task < tasks; task++) {
        kernel.add(dgamma, n->norm_parts + task * 2 * H, H);
        kernel.add(dbeta, n->norm_parts + task * 2 * H + H, H);
    }
}

void backward_norm(network *n, const norm_state *s, const float *gamma, const float *dy, float *dx, float *dgamma, float *dbeta, size_t rows) {
    size_t H = n->H;
#pragma omp parallel for schedule(dynamic, 1) num_threads(n->threads)
    for (size_t task = 0; task < tasks_of(rows); task++) {
        size_t first = task * TASK_ROWS, at = first * H;
        float *part = n->norm_parts + task * 2 * H;
        kernel.layernorm_backward(s->sum + at, gamma, s->mean + first, s->rstd + first, dy + at, dx + at, part, part + H,
                                  task_rows(rows, first), H);
    }
    add_norm_parts(n, dgamma, dbeta, tasks_of(rows));
}

/* n->dropped = drop(n->ds): the gradient behind the sublayer's dropout. */
static void backward_dropout(network *n, const batch *b, int l, int site) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(n->threads)
    for (size_t task = 0; task < tasks_of(b->tokens); task++) {
        uint16_t *lane = n->scratch[omp_get_thread_num()].lane;
        for (size_t row = task * TASK_ROWS; row < smaller((task + 1) * TASK_ROWS, b->tokens); row++) {
            dropout d = network_row_dropout(n, b, row, l, site, lane);
            kernel.dropout_apply(n->dropped + row * n->H, n->ds + row * n->H, d, n->H);
        }
    }
}

/* y = x W^T: dW (out, in) = dy^T x, written. */
static gemm_job weight_gradient(size_t rows, size_t out, size_t in, const float *dy, size_t stride, const float *x, float *dw) {
    return (gemm_job){.m = out, .n = in, .k = rows, .a = dy, .lda = stride, .transpose_a = true, .b = x, .ldb = in, .c = dw, .ldc = in};
}

/* y = x W^T: dx (rows, in) = dy W, written or added. */
static gemm_job input_gradient(size_t rows, size_t out, size_t in, const float *dy, size_t stride, const float *w, float *dx, float beta) {
    return (gemm_job){.m = rows, .n = in, .k = out, .a = dy, .lda = stride, .b = w, .ldb = in, .c = dx, .ldc = in, .beta = beta};
}

/* n->d (gradient of the output) -> n->ds (gradient of the middle). */
static void backward_feed_forward(network *n, const float *weights, const batch *b, int l, float *gradients) {
    const layer_tensors *t = &n->model->layer[l];
    const layer_state *s = &n->layer[l];
    size_t N = b->tokens, H = n->H, I = n->I;
    backward_norm(n, &s->norm2, weight_of(n, weights, t->output_norm_weight), n->d, n->ds, gradient_of(n, gradients, t->output_norm_weight),
                  gradient_of(n, gradients, t->output_norm_bias), N);
    backward_dropout(n, b, l, SITE_OUTPUT);
    gemm_job down = input_gradient(N, H, I, n->dropped, H, weight_of(n, weights, t->output_weight), n->du, 0);
    down.finish = GEMM_GELU_BACKWARD;
    down.u = s->u;
    down.g = n->gelu;
    gemm_run(&down, 1);
    gemm_job job[3] = {weight_gradient(N, H, I, n->dropped, H, n->gelu, gradient_of(n, gradients, t->output_weight)),
                       weight_gradient(N, I, H, n->du, I, s->middle, gradient_of(n, gradients, t->intermediate_weight)),
                       input_gradient(N, I, H, n->du, I, weight_of(n, weights, t->intermediate_weight), n->ds, 1)};
    gemm_run(job, 3);
    sum_columns(n->dropped, gradient_of(n, gradients, t->output_bias), N, H, H, false);
    sum_columns(n->du, gradient_of(n, gradients, t->intermediate_bias), N, I, I, false);
}

/* n->ds (gradient of the middle) -> n->d (gradient of the input). */
static void backward_attention_block(network *n, const float *weights, const batch *b, int l, float *gradients) {
    const layer_tensors *t = &n->model->layer[l];
    const layer_state *s = &n->layer[l];
    size_t N = b->tokens, H = n->H;
    backward_norm(n, &s->norm1, weight_of(n, weights, t->attention_norm_weight), n->ds, n->ds,
                  gradient_of(n, gradients, t->attention_norm_weight), gradient_of(n, gradients, t->attention_norm_bias), N);
    backward_dropout(n, b, l, SITE_ATTENTION_OUTPUT);
    gemm_job output[2] = {input_gradient(N, H, H, n->dropped, H, weight_of(n, weights, t->attention_output_weight), n->d, 0),
                          weight_gradient(N, H, H, n->dropped, H, s->context, gradient_of(n, gradients, t->attention_output_weight))};
    gemm_run(output, 2);
    sum_columns(n->dropped, gradient_of(n, gradients, t->attention_output_bias), N, H, H, false);
    attention_view view = attention_view_of(n, b, l);
    attention_backward(n, b, l, &view);

    const int weight[3] = {t->query_weight, t->key_weight, t->value_weight}, bias[3] = {t->query_bias, t->key_bias, t->value_bias};
    gemm_job dw[3];
    for (size_t i = 0; i < 3; i++) {
        const float *dy = n->dqkv + i * H;
        dw[i] = weight_gradient(N, H, H, dy, 3 * H, s->input, gradient_of(n, gradients, weight[i]));
        sum_columns(dy, gradient_of(n, gradients, bias[i]), N, H, 3 * H, false);
        gemm_job dx = input_gradient(N, H, H, dy, 3 * H, weight_of(n, weights, weight[i]), n->ds, 1);
        gemm_run(&dx, 1);
    }
    gemm_run(dw, 3);
    float *swap = n->d;
    n->d = n->ds;
    n->ds = swap;
}

void backward_layer(network *n, const float *weights, const batch *b, int l, float *gradients) {
    backward_feed_forward(n, weights, b, l, gradients);
    backward_attention_block(n, weights, b, l, gradients);
}
