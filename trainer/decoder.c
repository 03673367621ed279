/* trainer/decoder.c - the tied decoder and its cross-entropy, forward and backward, on blocks of words:
 *
 *     logits (words, tokens) = W x^T + bias -> loss; with g their gradient: dW = g x, dbias = sums of g's rows, dx = g^T W
 *
 * Turned like that, W (V, H) is read where it lies, in all three products, and x (K, H) is the small matrix that gets packed. The logits
 * of a block exist in memory, never more than LOGITS of them (kernels/logits.c keeps maxima and sums of all); where one block holds all
 * words nothing is made twice, else backward makes the blocks again. Each sum over tokens is whole before it is added to a gradient that
 * waits. Source: modeling_bert.py, BertLMPredictionHead; blocks of words as in Wijmans et al. 2025, "Cut Your Losses". */
#include <math.h>
#include <string.h>
#include "trainer/network_parts.h"

enum { LOGITS = 20 << 20, PANEL_WORDS = 98 * GEMM_STEP, END = -1 };

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

void decoder_take(network *n, arena *a) {
    decoder_state *d = &n->decoder;
    size_t K = n->limits.masked, steps = (n->V + GEMM_STEP - 1) / GEMM_STEP, fit;
    *d = (decoder_state){.stride = (K + 15) / 16 * 16};
    fit = (n->limits.logits ? n->limits.logits : LOGITS) / d->stride / GEMM_STEP * GEMM_STEP;
    d->block = n->V <= fit ? n->V : fit ? fit : GEMM_STEP;
    d->logits = arena_take(a, d->block * d->stride, sizeof(float));
    d->max = arena_take(a, steps * d->stride, sizeof(float));
    d->sum = arena_take(a, steps * d->stride, sizeof(float));
    d->spare = arena_take(a, d->block < n->V ? steps * d->stride : 0, sizeof(float));
    d->label_logit = arena_take(a, K, sizeof(float));
    d->top = arena_take(a, K, sizeof(float));
    d->total = arena_take(a, K, sizeof(double));
    d->label_chain = arena_take(a, n->V, sizeof(int32_t));
    d->next_label = arena_take(a, K, sizeof(int32_t));
}

void decoder_start(network *n) {
    for (size_t v = 0; v < n->V; v++) n->decoder.label_chain[v] = END;
}

/* The tokens whose label is a word form a chain. */
static void chain_labels(decoder_state *d, const batch *b) {
    for (size_t k = b->masked; k-- > 0;) {
        d->next_label[k] = d->label_chain[b->label[k]];
        d->label_chain[b->label[k]] = (int32_t)k;
    }
}

static void unchain_labels(decoder_state *d, const batch *b) {
    for (size_t k = 0; k < b->masked; k++) d->label_chain[b->label[k]] = END;
}

typedef struct word_block {
    network *n;
    const float *bias;
    size_t first, words, tokens;
    bool again;                  /* for backward: maxima and sums are known, and made again beside them */
    float *dbias;
} word_block;

/* Words first .. of a block, at most GEMM_STEP, have their products: bias, the labels' logits, maxima, sums. */
static void finish_words(void *context, size_t first, size_t words) {
    const word_block *w = context;
    decoder_state *d = &w->n->decoder;
    float *x = d->logits + first * d->stride;
    size_t at = (w->first + first) / GEMM_STEP * d->stride;
    for (size_t r = 0; r < words; r++, x += d->stride) {
        size_t word = w->first + first + r;
        for (size_t i = 0; i < w->tokens; i++) x[i] += w->bias[word];
        for (int32_t k = d->label_chain[word]; k != END; k = d->next_label[k]) d->label_logit[k] = x[k];
    }
    kernel.logit_block(d->logits + first * d->stride, (w->again ? d->spare : d->max) + at, d->sum + at, words, w->tokens, d->stride);
}

static void make_block(word_block *w, const float *weights) {
    network *n = w->n;
    const decoder_state *d = &n->decoder;
    gemm_job j = {.m = w->words, .n = w->tokens, .k = n->H, .a = weight_of(n, weights, n->model->word) + w->first * n->H, .lda = n->H,
                  .b = n->head.output, .ldb = n->H, .transpose_b = true, .c = d->logits, .ldc = d->stride, .rows_done = finish_words, .context = w};
    gemm_run(&j, 1);
}

static word_block block_at(network *n, const float *weights, const batch *b, size_t first) {
    return (word_block){.n = n, .bias = weight_of(n, weights, n->model->mlm_bias), .first = first, .words = smaller(n->decoder.block, n->V - first),
                        .tokens = b->masked};
}

/* Losses and hits of all tokens, in their order; d->max becomes the factors of the gradient. */
static void sum_losses(network *n, const batch *b, leaf_result *result) {
    decoder_state *d = &n->decoder;
    size_t steps = (n->V + GEMM_STEP - 1) / GEMM_STEP;
#pragma omp parallel for schedule(static)
    for (size_t k = 0; k < b->masked; k += SUM_COLUMNS)
        kernel.logit_factors(d->max + k, d->sum + k, steps, smaller(SUM_COLUMNS, b->masked - k), d->stride, (float)n->scale.mlm, d->top + k, d->total + k);
    for (size_t k = 0; k < b->masked; k++) {
        result->mlm_loss += log(d->total[k]) + (double)d->top[k] - (double)d->label_logit[k];
        result->mlm_correct += d->label_logit[k] >= d->top[k];
    }
}

void decoder_forward(network *n, const float *weights, const batch *b, leaf_result *result) {
    decoder_state *d = &n->decoder;
    if (b->masked == 0) return;
    chain_labels(d, b);
    for (size_t first = 0; first < n->V; first += d->block) {
        word_block w = block_at(n, weights, b, first);
        make_block(&w, weights);
    }
    unchain_labels(d, b);
    sum_losses(n, b, result);
}

/* exp(x - max) of words first .. becomes the logits' gradient; its sums by word are the bias' gradient. */
static void word_gradients(const word_block *w, const batch *b, size_t first, size_t words) {
    network *n = w->n;
    decoder_state *d = &n->decoder;
    float sums[GEMM_STEP], *x = d->logits + first * d->stride, *dbias = w->dbias + w->first + first;
    kernel.scale_columns(x, d->max + (w->first + first) / GEMM_STEP * d->stride, words, w->tokens, d->stride);
    for (size_t r = 0; r < words; r++)
        for (int32_t k = d->label_chain[w->first + first + r]; k != END; k = d->next_label[k]) x[r * d->stride + (size_t)k] -= (float)n->scale.mlm;
    kernel.row_sums(x, sums, words, b->masked, d->stride);
    if (n->add) kernel.add(dbias, sums, words);
    else memcpy(dbias, sums, words * sizeof *sums);
}

/* A part of a block, PANEL_WORDS at most: its rows of dW, and its share of dx, added in the order of words. */
static void backward_words(const word_block *w, const float *weights, const batch *b, float *gradients, size_t first, size_t words) {
    network *n = w->n;
    const decoder_state *d = &n->decoder;
    size_t H = n->H, at = w->first + first;
#pragma omp parallel for schedule(dynamic, 1)
    for (size_t r = 0; r < words; r += GEMM_STEP) word_gradients(w, b, first + r, smaller(GEMM_STEP, words - r));
    const float *g = d->logits + first * d->stride;
    gemm_job job[2] = {{.m = w->tokens, .n = H, .k = words, .a = g, .lda = d->stride, .transpose_a = true,
                        .b = weight_of(n, weights, n->model->word) + at * H, .ldb = H, .c = n->head.d, .ldc = H, .beta = at ? 1.0f : 0.0f},
                       {.m = words, .n = H, .k = w->tokens, .a = g, .lda = d->stride, .b = n->head.output, .ldb = H,
                        .c = gradients + n->model->decoder_offset + at * H, .ldc = H, .beta = n->add ? 1.0f : 0.0f}};
    gemm_run(job, 2);
}

/* Decoder part of the word matrix, bias, and n->head.d, the gradient of the transformed rows. */
void decoder_backward(network *n, const float *weights, const batch *b, float *gradients) {
    decoder_state *d = &n->decoder;
    chain_labels(d, b);
    for (size_t first = 0; first < n->V; first += d->block) {
        word_block w = block_at(n, weights, b, first);
        w.dbias = gradient_of(n, gradients, n->model->mlm_bias);
        w.again = d->block < n->V;
        if (w.again) make_block(&w, weights);
        for (size_t part = 0; part < w.words; part += PANEL_WORDS)
            backward_words(&w, weights, b, gradients, part, smaller(PANEL_WORDS, w.words - part));
    }
    unchain_labels(d, b);
}

void decoder_logits(network *n, const float *weights, float *logits) {
    const float *bias = weight_of(n, weights, n->model->mlm_bias);
    gemm_job j = {.m = n->V, .n = 1, .k = n->H, .a = weight_of(n, weights, n->model->word), .lda = n->H, .b = n->head.output, .ldb = n->H,
                  .transpose_b = true, .c = logits, .ldc = 1};
    gemm_run(&j, 1);
    for (size_t v = 0; v < n->V; v++) logits[v] += bias[v];
}
