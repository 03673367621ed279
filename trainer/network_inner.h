/* trainer/network_inner.h - what the files of the network share: kept activations, scratch, dropout keys. Not for callers.
 *
 * Letters as in model.h; N packed tokens, B sequences, K masked tokens. Kept for backward: inputs of every product, LayerNorm's input with
 * mean and 1/std, the pre-activation of GELU, maximum and 1/sum of every softmax row. Recomputed: GELU, softmax, dropout masks. */
#ifndef TRAINER_NETWORK_INNER_H
#define TRAINER_NETWORK_INNER_H
#include "base/arena.h"
#include "trainer/kernels/gemm.h"
#include "trainer/kernels/kernels.h"
#include "trainer/network.h"

enum {
    TASK_ROWS = 32,              /* rows of one element-wise task: small, so that a leaf of 512 tokens spreads evenly */
    HEAD_ROWS = 192,             /* rows of logits that exist at one time */
    ATTENTION_ROWS = 128,        /* queries of one score tile */
    EMBEDDING_LAYER = 255,       /* layer number of the embeddings' dropout key */
    SITE_ATTENTION = 0, SITE_ATTENTION_OUTPUT = 1, SITE_OUTPUT = 2
};

typedef struct norm_state { float *sum, *mean, *rstd; } norm_state;      /* LayerNorm's input (rows, H) and its statistics */

typedef struct layer_state {
    float *input;                /* (N, H) borrowed: output of the layer below */
    float *qkv;                  /* (N, 3H) */
    float *max, *inverse;        /* (A, N) of the softmax rows */
    float *context;              /* (N, H) */
    norm_state norm1;
    float *middle;               /* (N, H) after the first LayerNorm */
    float *u;                    /* (N, I) before GELU */
    norm_state norm2;
    float *output;               /* (N, H) */
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
    float *gathered, *u, *g, *mean, *rstd, *output, *d;      /* (K, H): rows, pre-GELU, GELU; after LayerNorm; gradient */
    float *logits;               /* (HEAD_ROWS, V): of block `kept`, already its gradient */
    size_t kept;
    float *cls, *pooled, *nsp, *dpooled;                     /* (B, H), (B, H), (B, 2), (B, H) */
    double *loss;                /* (max(K, B)) */
    int *correct;
} head_state;

typedef struct thread_scratch { float *p, *dp; uint16_t *lane; } thread_scratch;

struct network {
    const model *model;
    network_limits limits;
    arena memory;
    size_t H, I, A, D, V;
    int L, threads;
    bool dropping;               /* dropout is on in this pass */
    loss_scale scale;            /* of the last forward */
    norm_state embedding;
    float *embedded;             /* (N, H) input of layer 0 */
    layer_state *layer;          /* [L] */
    head_state head;
    int32_t *sequence;           /* (N) which sequence a row belongs to */
    float *gelu;                 /* (N, I) */
    float *d, *ds, *dropped, *dqkv, *du;                     /* (N, H), (N, H), (N, H), (N, 3H), (N, I) */
    float *norm_parts;           /* (tasks, 2, H) */
    thread_scratch *scratch;     /* [threads] */
    void (*need)(void *context, int bucket);                 /* NULL: weights are always there */
    void *need_context;
};

static inline const float *weight_of(const network *n, const float *weights, int tensor_index) {
    return weights + n->model->tensor[tensor_index].offset;
}
static inline float *gradient_of(const network *n, float *gradients, int tensor_index) {
    return gradients + n->model->tensor[tensor_index].offset;
}

/* Rows of the task or block that begins at `first`; tasks of so many rows. */
static inline size_t task_rows(size_t rows, size_t first) { return rows - first < TASK_ROWS ? rows - first : TASK_ROWS; }
static inline size_t head_rows(size_t rows, size_t first) { return rows - first < HEAD_ROWS ? rows - first : HEAD_ROWS; }
static inline size_t tasks_of(size_t rows) { return (rows + TASK_ROWS - 1) / TASK_ROWS; }

/* network_dropout.c. Dropout of elements first .. first + count - 1 of a sequence's site; lane: room for count + 16. */
dropout network_dropout(const network *n, const batch *b, size_t sequence, int layer, int site, double p, uint64_t first, size_t count,
                        uint16_t *lane);
dropout network_row_dropout(const network *n, const batch *b, size_t row, int layer, int site, uint16_t *lane);   /* hidden row */

/* forward.c */
void forward_embeddings(network *n, const float *weights, const batch *b);
void forward_layer(network *n, const float *weights, const batch *b, int l);
attention_view attention_view_of(const network *n, const batch *b, int l);

/* attention.c: all sequences and heads of a layer. */
void attention_forward(network *n, const batch *b, int l, const attention_view *v);
void attention_backward(network *n, const batch *b, int l, const attention_view *v);

/* heads.c, heads_backward.c. Backward writes n->d, the gradient of the last layer's output. */
void heads_transform(network *n, const float *weights, const float *hidden, const int32_t *rows, size_t count);
void heads_logits(network *n, const float *weights, size_t first, size_t rows);
void heads_forward(network *n, const float *weights, const batch *b, leaf_result *result);
void heads_pool(network *n, const float *weights, const float *hidden, const int32_t *rows, size_t count);
void heads_loss_gradient(network *n, const batch *b, size_t first, size_t rows);
void heads_backward(network *n, const float *weights, const batch *b, float *gradients);

/* backward.c, embeddings_backward.c. n->d: gradient of the layer's output, then of its input. */
void backward_layer(network *n, const float *weights, const batch *b, int l, float *gradients);
void backward_embeddings(network *n, const float *weights, const batch *b, float *gradients);

/* backward.c. bias gradient: out (columns) = sum over rows of x; threads take strips of columns. */
void sum_columns(const float *x, float *out, size_t rows, size_t columns, size_t stride, bool add);
/* dgamma, dbeta and dx of rows; dx may be dy. */
void backward_norm(network *n, const norm_state *s, const float *gamma, const float *dy, float *dx, float *dgamma, float *dbeta, size_t rows);
#endif
