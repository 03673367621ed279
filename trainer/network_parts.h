/* trainer/network_parts.h - the steps of forward and backward, between the files that hold them. Not for callers. */
#ifndef TRAINER_NETWORK_PARTS_H
#define TRAINER_NETWORK_PARTS_H
#include "trainer/network_inner.h"

/* network_dropout.c. Threshold of 16-bit lanes, 0 when dropout is off in this pass; key of a sequence's site; dropout of elements
 * first .. first + count - 1 of the site, lane: room for count + 16. */
uint32_t network_threshold(const network *n, double p);
rng_key network_dropout_key(const network *n, const batch *b, size_t sequence, int layer, int site);
dropout network_dropout(const network *n, const batch *b, size_t sequence, int layer, int site, double p, uint64_t first, size_t count,
                        uint16_t *lane);
dropout network_row_dropout(const network *n, const batch *b, const row_set *r, size_t i, int layer, int site, uint16_t *lane);   /* hidden row */

/* network_rows.c. Both sets of a batch; the set of a layer. */
void rows_of_batch(network *n, const batch *b);
const row_set *rows_of_layer(const network *n, int l);
float *residual_of(const network *n, int l);                 /* (R, H) the set's rows of the layer's input */
float *gradient_at(const network *n, int l);                 /* (R, H) gradient of the layer's output, then of its sums */

/* forward.c */
void forward_embeddings(network *n, const float *weights, const batch *b);
void forward_layer(network *n, const float *weights, const batch *b, int l);
void forward_layer_again(network *n, const float *weights, const batch *b, int l);       /* what backward needs, with limits.recompute */
attention_view attention_view_of(const network *n, int l);

/* attention.c: all sequences and heads of a layer. */
void attention_forward(network *n, const batch *b, int l, const attention_view *v);
void attention_backward(network *n, const batch *b, int l, const attention_view *v);

/* decoder.c. Forward: of n->head.output, all masked tokens; logits (V) of its first row. Backward writes n->head.d. */
void decoder_take(network *n, arena *a);
void decoder_start(network *n);
void decoder_forward(network *n, const float *weights, const batch *b, leaf_result *result);
void decoder_backward(network *n, const float *weights, const batch *b, float *gradients);
void decoder_logits(network *n, const float *weights, float *logits);

/* heads.c, heads_backward.c. rows: of n->head.hidden. Backward writes gradient_at() of the last layer. */
void heads_transform(network *n, const float *weights, const int32_t *rows, size_t count);
void heads_forward(network *n, const float *weights, const batch *b, leaf_result *result);
void heads_pool(network *n, const float *weights, const int32_t *rows, size_t count);
void heads_backward(network *n, const float *weights, const batch *b, float *gradients);

/* backward.c. gradient_at(): of the layer's output with backward of its second LayerNorm done, then the same of what is below. */
void backward_layer(network *n, const float *weights, const batch *b, int l, float *gradients);
void backward_begin(network *n, const float *weights, const batch *b, float *gradients);   /* from the heads to the top layer */

/* y = x W^T: dW (out, in) = dy^T x and the bias' gradient, written or added; dx (rows, in) = dy W. */
gemm_job weight_gradient(const network *n, size_t rows, size_t out, size_t in, const float *dy, size_t stride, const float *x, float *dw, float *db);
gemm_job input_gradient(size_t rows, size_t out, size_t in, const float *dy, size_t stride, const float *w, float *dx);

/* norm_backward.c. LayerNorm and dropout backward, row by row: d becomes the gradient of the norm's input. */
typedef struct norm_task {
    network *n;
    const batch *b;
    const row_set *rows;
    const norm_state *norm;
    const float *gamma;
    float *d;
    bool drops;                  /* a sublayer's dropout lies before the norm: norm->sum becomes the gradient before that */
    int layer, site;             /* EMBEDDING_LAYER: dropout comes first, in place */
    float *dgamma, *dbeta;
} norm_task;
void norm_rows(void *task, size_t first, size_t rows);       /* for gemm_job.rows_done: parts of dgamma, dbeta are kept */
void norm_sums(const norm_task *task);                       /* and added, when all rows are done */
void norm_all(const norm_task *task);                        /* both, over the threads */

/* embeddings_backward.c. The chains' heads are empty between calls. */
void embeddings_start(network *n);
norm_task embedding_norm_task(network *n, const float *weights, const batch *b, float *gradients);
void backward_embeddings(network *n, const batch *b, float *gradients);
#endif
