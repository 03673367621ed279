/* trainer/forward.c - embeddings and encoder layers, post-LN:
 *
 *     x -> Q K V -> attention -> dense -> dropout -> + x -> LN = m -> dense -> GELU -> dense -> dropout -> + m -> LN
 *
 * Source: modeling_bert.py, BertEmbeddings and BertLayer. */
#include <omp.h>
#include <string.h>
#include "trainer/network_parts.h"

/* One row of word + type + position, in Hugging Face's order of additions. */
static void embed_row(const network *n, const float *weights, const batch *b, size_t row) {
    const model *m = n->model;
    const float *word = weight_of(n, weights, m->word) + (size_t)b->token[row] * n->H;
    const float *type = weight_of(n, weights, m->type) + (size_t)b->segment[row] * n->H;
    const float *position = weight_of(n, weights, m->position) + (size_t)b->position[row] * n->H;
    float *sum = n->embedding.sum + row * n->H;
    for (size_t i = 0; i < n->H; i++) sum[i] = (word[i] + type[i]) + position[i];
}

void forward_embeddings(network *n, const float *weights, const batch *b) {
    const model *m = n->model;
    const float *gamma = weight_of(n, weights, m->embedding_norm_weight), *beta = weight_of(n, weights, m->embedding_norm_bias);
    const norm_state *s = &n->embedding;
    float *out = n->layer[0].input, epsilon = (float)m->config.layer_norm_eps;
#pragma omp parallel for schedule(dynamic, 1) num_threads(n->threads)
    for (size_t task = 0; task < tasks_of(b->tokens); task++) {
        size_t first = task * TASK_ROWS, rows = task_rows(b->tokens, first);
        uint16_t *lane = n->scratch[omp_get_thread_num()].lane;
        for (size_t row = first; row < first + rows; row++) embed_row(n, weights, b, row);
        kernel.layernorm(s->sum + first * n->H, gamma, beta, epsilon, out + first * n->H, s->mean + first, s->rstd + first, rows, n->H);
        for (size_t row = first; row < first + rows; row++) {
            dropout d = network_row_dropout(n, b, &n->all, row, EMBEDDING_LAYER, 0, lane);
            kernel.dropout_apply(out + row * n->H, out + row * n->H, d, n->H);
        }
    }
}

/* y = LN(drop(sum + bias) + residual), row by row; norm->sum becomes LN's input. */
typedef struct sublayer {
    network *n;
    const batch *b;
    const row_set *rows;
    int layer, site;
    const norm_state *norm;
    const float *bias, *residual, *gamma, *beta;
    float *y;
} sublayer;

static void finish_rows(void *context, size_t first, size_t rows) {
    const sublayer *s = context;
    network *n = s->n;
    size_t at = first * n->H;
    uint16_t *lane = n->scratch[omp_get_thread_num()].lane;
    for (size_t row = first; row < first + rows; row++) {
        dropout d = network_row_dropout(n, s->b, s->rows, row, s->layer, s->site, lane);
        kernel.dropout_residual(s->norm->sum + row * n->H, s->bias, s->residual + row * n->H, d, n->H);
    }
    kernel.layernorm(s->norm->sum + at, s->gamma, s->beta, (float)n->model->config.layer_norm_eps, s->y + at, s->norm->mean + first,
                     s->norm->rstd + first, rows, n->H);
}

/* y (rows, out) = x (rows, in) W^T, W (out, in). */
static gemm_job linear(size_t rows, size_t out, size_t in, const float *x, const float *w, float *y, size_t stride) {
    return (gemm_job){.m = rows, .n = out, .k = in, .a = x, .lda = in, .b = w, .ldb = in, .transpose_b = true, .c = y, .ldc = stride};
}

static void gather_needed_input(const network *n, int l, const row_set *r) {
    size_t H = n->H;
    for (size_t i = 0; r->row && i < r->count; i++) memcpy(n->needed_input + i * H, n->layer[l].input + (size_t)r->row[i] * H, H * sizeof(float));
}

static void project_qkv(network *n, const float *weights, const batch *b, int l) {
    const layer_tensors *t = &n->model->layer[l];
    const layer_state *s = &n->layer[l];
    const row_set *r = rows_of_layer(n, l);
    const int weight[3] = {t->query_weight, t->key_weight, t->value_weight}, bias[3] = {t->query_bias, t->key_bias, t->value_bias};
    gather_needed_input(n, l, r);
    gemm_job job[3];
    for (size_t i = 0; i < 3; i++) {
        bool query = i == 0;
        job[i] = linear(query ? r->count : b->tokens, n->H, n->H, query ? residual_of(n, l) : s->input, weight_of(n, weights, weight[i]),
                        s->qkv + i * n->H, 3 * n->H);
        job[i].finish = GEMM_BIAS;
        job[i].bias = weight_of(n, weights, bias[i]);
    }
    gemm_run(job, 3);
}

attention_view attention_view_of(const network *n, int l) {
    const layer_state *s = &n->layer[l];
    const row_set *r = rows_of_layer(n, l);
    return (attention_view){.rows = r->count, .first = r->first, .position = r->position, .q = s->qkv, .k = s->qkv + n->H, .v = s->qkv + 2 * n->H,
                            .q_stride = 3 * n->H, .kv_stride = 3 * n->H, .context = s->context, .max = s->max, .inverse = s->inverse,
                            .dcontext = s->norm2.sum, .dq = n->wide, .dk = n->wide + n->H, .dv = n->wide + 2 * n->H};
}

/* A product whose rows are a sublayer's sum, and what follows on each row. */
static void run_sublayer(gemm_job j, sublayer s) {
    j.rows_done = finish_rows;
    j.beside[0] = s.residual, j.beside[1] = s.y;
    j.context = &s;
    gemm_run(&j, 1);
}

/* From the layer's input to the output of its first LayerNorm. */
static void forward_attention_block(network *n, const float *weights, const batch *b, int l) {
    const layer_tensors *t = &n->model->layer[l];
    const layer_state *s = &n->layer[l];
    const row_set *r = rows_of_layer(n, l);
    project_qkv(n, weights, b, l);
    attention_view view = attention_view_of(n, l);
    attention_forward(n, b, l, &view);
    run_sublayer(linear(r->count, n->H, n->H, s->context, weight_of(n, weights, t->attention_output_weight), s->norm1.sum, n->H),
                 (sublayer){n, b, r, l, SITE_ATTENTION_OUTPUT, &s->norm1, weight_of(n, weights, t->attention_output_bias), residual_of(n, l),
                            weight_of(n, weights, t->attention_norm_weight), weight_of(n, weights, t->attention_norm_bias), s->middle});
}

/* u, and with GEMM_GELU n->wide = gelu(u); with GEMM_BIAS u alone. */
static void forward_up(network *n, const float *weights, int l, enum gemm_finish finish) {
    const layer_tensors *t = &n->model->layer[l];
    const layer_state *s = &n->layer[l];
    gemm_job up = linear(rows_of_layer(n, l)->count, n->I, n->H, s->middle, weight_of(n, weights, t->intermediate_weight), s->u, n->I);
    up.finish = finish;
    up.bias = weight_of(n, weights, t->intermediate_bias);
    up.g = n->wide;
    gemm_run(&up, 1);
}

void forward_layer(network *n, const float *weights, const batch *b, int l) {
    const layer_tensors *t = &n->model->layer[l];
    const layer_state *s = &n->layer[l];
    const row_set *r = rows_of_layer(n, l);
    forward_attention_block(n, weights, b, l);
    forward_up(n, weights, l, GEMM_GELU);
    run_sublayer(linear(r->count, n->H, n->I, n->wide, weight_of(n, weights, t->output_weight), s->norm2.sum, n->H),
                 (sublayer){n, b, r, l, SITE_OUTPUT, &s->norm2, weight_of(n, weights, t->output_bias), s->middle,
                            weight_of(n, weights, t->output_norm_weight), weight_of(n, weights, t->output_norm_bias), s->output});
}

/* The output of the layer below from its LayerNorm's input, row by row as in finish_rows(): the same bits. */
static void input_again(network *n, const float *weights, const batch *b, int l) {
    const layer_tensors *t = &n->model->layer[l - 1];
    const float *gamma = weight_of(n, weights, t->output_norm_weight), *beta = weight_of(n, weights, t->output_norm_bias);
    const norm_state *s = &n->layer[l - 1].norm2;
    float *out = n->layer[l].input, epsilon = (float)n->model->config.layer_norm_eps;
#pragma omp parallel for schedule(dynamic, 1) num_threads(n->threads)
    for (size_t task = 0; task < tasks_of(b->tokens); task++) {
        size_t first = task * TASK_ROWS, at = first * n->H;
        kernel.layernorm(s->sum + at, gamma, beta, epsilon, out + at, s->mean + first, s->rstd + first, task_rows(b->tokens, first), n->H);
    }
}

void forward_layer_again(network *n, const float *weights, const batch *b, int l) {
    if (l == 0) forward_embeddings(n, weights, b);
    else input_again(n, weights, b, l);
    forward_attention_block(n, weights, b, l);
    forward_up(n, weights, l, GEMM_BIAS);
}
