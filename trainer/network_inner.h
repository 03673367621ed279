/* trainer/network_inner.h - what the files of the network share: kept activations, scratch, dropout keys. Not for callers.
 * Their functions are in network_parts.h.
 *
 * Letters as in model.h; N packed tokens, B sequences, K masked tokens. Kept for backward: inputs of every product, LayerNorm's input with
 * mean and 1/std, the pre-activation of GELU, maximum and 1/sum of every softmax row. Recomputed: GELU, softmax, dropout masks.
 * Backward writes over what it has read for the last time: a LayerNorm's input becomes the gradient behind the dropout in front of it,
 * GELU's input its output.
 *
 * With limits.recompute only the input of the second LayerNorm is each layer's own (its output is the next layer's input, made again in a pass
 * over memory, without a product). All else is one layer's room that the layers use in turn, the last one last; inputs and outputs alternate
 * between two arrays. */
#ifndef TRAINER_NETWORK_INNER_H
#define TRAINER_NETWORK_INNER_H
#include <stdbool.h>
#include "base/arena.h"
#include "trainer/kernels/gemm.h"
#include "trainer/kernels/kernels.h"
#include "trainer/network.h"

enum {
    TASK_ROWS = GEMM_STEP,       /* rows of one element-wise task: what a product finishes at a time */
    EMBEDDING_LAYER = 255,       /* layer number of the embeddings' dropout key */
    SITE_ATTENTION = 0, SITE_ATTENTION_OUTPUT = 1, SITE_OUTPUT = 2
};

typedef struct norm_state { float *sum, *mean, *rstd; } norm_state;      /* LayerNorm's input (rows, H) and its statistics */

/* Rows that a layer computes: all tokens, or in the last one only those that the losses read, [CLS] and masked ones. */
typedef struct row_set {
    size_t count;
    const int32_t *row;          /* (count) packed rows, ascending; NULL: all */
    const int32_t *first;        /* (B + 1) first one of each sequence */
    const int32_t *sequence, *position;      /* (count) */
} row_set;

typedef struct layer_state {     /* (R): rows of the layer's set, one after the other */
    float *input;                /* (N, H) all tokens, borrowed: output of the layer below */
    float *qkv;                  /* (N, 3H) keys and values of all tokens, queries of the set */
    float *max, *inverse;        /* (A, N) of the softmax rows, the first R of each head */
    float *context;              /* (R, H) */
    norm_state norm1;
    float *middle;               /* (R, H) after the first LayerNorm */
    float *u;                    /* (R, I) before GELU */
    norm_state norm2;
    float *output;               /* (R, H) */
} layer_state;

typedef struct attention_view {          /* queries are all tokens or, in the last layer, those that the losses read */
    size_t rows;                 /* queries of the leaf */
    const int32_t *first;        /* (B + 1) first query of each sequence: b->first when every token is one */
    const int32_t *position;     /* (rows) position in the sequence: dropout's key */
    const float *q, *k, *v;      /* (rows, H), (N, H), (N, H) */
    size_t q_stride, kv_stride;
    float *context;              /* (rows, H) stride H */
    float *max, *inverse;        /* (A, limits.tokens): the first `rows` of each head */
    const float *dcontext;       /* (rows, H) stride H: backward only, as are the gradients; strides as q, k, v */
    float *dq, *dk, *dv;         /* written whole */
} attention_view;

typedef struct head_state {
    const float *hidden;         /* borrowed: the last layer's rows, of which masked and cls are */
    float *gathered, *u, *g, *mean, *rstd, *output, *d;      /* (K, H): rows, pre-GELU, GELU; after LayerNorm; gradient */
    float *cls, *pooled, *nsp, *dpooled;                     /* (B, H), (B, H), (B, 2), (B, H) */
} head_state;

typedef struct decoder_state {   /* decoder.c: words by tokens; steps of GEMM_STEP words */
    size_t block, stride;        /* words whose logits exist at one time; floats of a row */
    float *logits;               /* (block, stride) */
    float *max, *sum, *spare;    /* (steps, stride); spare: only where there are several blocks */
    float *label_logit, *top;    /* (K) the label's logit, the largest one */
    double *total;               /* (K) sum of exp(logit - top) */
    int32_t *label_chain, *next_label;       /* (V), (K); the heads are empty between calls */
} decoder_state;

typedef struct thread_scratch { float *attention; uint16_t *lane; } thread_scratch;

struct network {
    const model *model;
    network_limits limits;
    arena memory;
    size_t H, I, A, D, V;
    int L, threads;
    bool dropping;               /* dropout is on in this pass */
    bool sliced;                 /* the last layer computes `needed` only in this pass */
    bool add;                    /* backward adds the leaf's gradient to what waits, instead of writing it */
    loss_scale scale;            /* of the last forward */
    norm_state embedding;
    layer_state *layer;          /* [L] */
    head_state head;
    decoder_state decoder;
    row_set all, needed;
    float *needed_input;         /* (R, H) the last layer's input, needed rows */
    float *needed_d;             /* (R, H) their gradient on its way down */
    int32_t *sequence;           /* (N) which sequence a row belongs to: of `all` */
    int32_t *need[4];            /* what `needed` points to, in the order of its fields: (K + B), (B + 1), (K + B), (K + B) */
    int32_t *masked_at, *cls_at; /* (K), (B): where the heads' rows stand in the last layer's set */
    float *d;                    /* (N, H) gradient on its way down */
    float *wide;                 /* one thing after the other: forward GELU's output (R, I); backward the gradient of its input, then of Q, K, V (N, 3H) */
    float *norm_parts;           /* (tasks, 2, H) */
    int32_t *word_chain, *position_chain, *next_word, *next_position;       /* (V), (P), (N), (N): embeddings_backward.c */
    thread_scratch *scratch;     /* [threads] */
    void (*await)(void *context, int bucket);                /* NULL: weights are always there */
    void *await_context;
};

static inline const float *weight_of(const network *n, const float *weights, int tensor_index) {
    return weights + n->model->tensor[tensor_index].offset;
}
static inline float *gradient_of(const network *n, float *gradients, int tensor_index) {
    return gradients + n->model->tensor[tensor_index].offset;
}

/* Rows of the task or block that begins at `first`; tasks of so many rows. */
static inline size_t task_rows(size_t rows, size_t first) { return rows - first < TASK_ROWS ? rows - first : TASK_ROWS; }
static inline size_t tasks_of(size_t rows) { return (rows + TASK_ROWS - 1) / TASK_ROWS; }
#endif
