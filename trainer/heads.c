/* trainer/heads.c - MLM head on the masked rows up to its decoder, pooler and next-sentence head on the [CLS] rows, losses.
 *
 *     masked rows -> dense -> GELU -> LN -> decoder.c       [CLS] rows -> dense -> tanh -> 2-way -> cross-entropy
 *
 * Source: modeling_bert.py, BertPooler, BertLMPredictionHead and BertForPreTraining. */
#include <math.h>
#include <string.h>
#include "trainer/network_parts.h"

static void gather(const network *n, const int32_t *rows, size_t count, float *out) {
    for (size_t i = 0; i < count; i++) memcpy(out + i * n->H, n->head.hidden + (size_t)rows[i] * n->H, n->H * sizeof *out);
}

/* Rows through dense, GELU and LayerNorm: n->head.output (count, H). */
void heads_transform(network *n, const float *weights, const int32_t *rows, size_t count) {
    const model *m = n->model;
    head_state *h = &n->head;
    size_t H = n->H;
    gather(n, rows, count, h->gathered);
    gemm_job j = {.m = count, .n = H, .k = H, .a = h->gathered, .lda = H, .b = weight_of(n, weights, m->transform_weight), .ldb = H,
                  .transpose_b = true, .c = h->u, .ldc = H, .finish = GEMM_GELU, .bias = weight_of(n, weights, m->transform_bias), .g = h->g};
    gemm_run(&j, 1);
    kernel.layernorm(h->g, weight_of(n, weights, m->transform_norm_weight), weight_of(n, weights, m->transform_norm_bias),
                     (float)m->config.layer_norm_eps, h->output, h->mean, h->rstd, count, H);
}

/* n->head.pooled (count, H) = tanh(dense(rows)), n->head.nsp (count, 2). */
void heads_pool(network *n, const float *weights, const int32_t *rows, size_t count) {
    const model *m = n->model;
    head_state *h = &n->head;
    size_t H = n->H;
    gather(n, rows, count, h->cls);
    gemm_job dense = {.m = count, .n = H, .k = H, .a = h->cls, .lda = H, .b = weight_of(n, weights, m->pooler_weight), .ldb = H,
                      .transpose_b = true, .c = h->pooled, .ldc = H, .finish = GEMM_BIAS, .bias = weight_of(n, weights, m->pooler_bias)};
    gemm_run(&dense, 1);
    kernel.tanh(h->pooled, count * H);
    gemm_job nsp = {.m = count, .n = 2, .k = H, .a = h->pooled, .lda = H, .b = weight_of(n, weights, m->nsp_weight), .ldb = H,
                    .transpose_b = true, .c = h->nsp, .ldc = 2, .finish = GEMM_BIAS, .bias = weight_of(n, weights, m->nsp_bias)};
    gemm_run(&nsp, 1);
}

static void forward_nsp(network *n, const float *weights, const batch *b, leaf_result *result) {
    head_state *h = &n->head;
    heads_pool(n, weights, n->cls_at, b->sequences);
    for (size_t s = 0; s < b->sequences; s++) {
        float *logits = h->nsp + 2 * s;
        int correct = 0;
        if (b->next_sentence[s] < 0) {
            logits[0] = logits[1] = 0;
            continue;
        }
        result->nsp_loss += kernel.cross_entropy(logits, 2, (size_t)b->next_sentence[s], (float)n->scale.nsp, &correct);
        result->nsp_correct += correct;
    }
}

void heads_forward(network *n, const float *weights, const batch *b, leaf_result *result) {
    *result = (leaf_result){0};
    heads_transform(n, weights, n->masked_at, b->masked);
    decoder_forward(n, weights, b, result);
    forward_nsp(n, weights, b, result);
}
