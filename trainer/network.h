/* trainer/network.h - forward and backward of BERT over packed tokens.
 *
 * Promise: the same leaf gives the same bits on any number of threads. Dropout masks are recomputed in backward, not stored.
 *
 *     network *n = network_new(m, &limits);
 *     network_forward(n, weights, b, scale, &result);       losses of this leaf, activations kept
 *     network_backward(n, weights, b, gradients, false, NULL);   writes the whole gradient of the leaf; true: adds it
 *
 * Source: Devlin et al. 2019; modeling_bert.py of Hugging Face transformers (BertForPreTraining, post-LN, erf GELU).
 * Dropout sites of a layer (RNG_DROPOUT key c = layer * 8 + site; embeddings are layer 255): 0 attention probabilities, 1 attention output,
 * 2 feed-forward output. Element = position * H + column, or (head * S + query) * S + key. 16 bits an element: element i takes 16-bit lane
 * i % 8 of block i / 8 (lane 2w = low half of word w); kept when lane >= threshold = round(p * 65536), scaled by 1 / (1 - threshold / 65536). */
#ifndef TRAINER_NETWORK_H
#define TRAINER_NETWORK_H
#include <stdbool.h>
#include "trainer/batch.h"   /* batch */
#include "trainer/model.h"   /* model */

typedef struct network network;

typedef struct network_limits {
    size_t sequences, tokens, masked;    /* of the largest batch */
    uint32_t seq_length;
    double hidden_dropout, attention_dropout;   /* 0 switches a site off */
    uint64_t seed;                       /* of dropout */
    size_t logits;                       /* floats of logits that may exist at one time; 0: LOGITS of decoder.c. Fewer than a leaf has: slower */
    bool whole_last_layer;               /* all its rows, not only those that the losses read: the same gradients, slower; network_hidden() needs it */
    bool recompute;                      /* keep of a layer its second LayerNorm's input only and run it again in backward: the same bits, slower */
} network_limits;

typedef struct loss_scale { double mlm, nsp; } loss_scale;    /* 1 / (masked tokens), 1 / (pairs) of the global batch; 0 drops a term */

typedef struct leaf_result {             /* sums over the leaf, not yet scaled */
    double mlm_loss, nsp_loss;
    int64_t mlm_correct, nsp_correct;
} leaf_result;

size_t network_bytes(const model *m, const network_limits *limits);      /* what network_new() allocates */
network *network_new(const model *m, const network_limits *limits);      /* m is borrowed; all memory is made here */
void network_free(network *n);

void network_forward(network *n, const float *weights, const batch *b, loss_scale scale, leaf_result *result);

/* What happens while backward runs. ready: bucket `bucket` of the gradients is final; 0, 1, 2 .. in order. poll: often, by the calling thread. */
typedef struct network_progress {
    void (*ready)(void *context, int bucket);
    void (*poll)(void *context);
    void *context;
} network_progress;

/* await(context, bucket): called before a forward pass first reads the weights of that bucket; the lowest layers first. NULL: none, as at first. */
void network_set_await(network *n, void (*await)(void *context, int bucket), void *context);

/* gradients (m->gradient_elements) of scale.mlm * mlm_loss + scale.nsp * nsp_loss, every element written, gaps 0; or, with add, the same values
 * added to what is there, which must have been written so before. The word matrix has two parts: lookup (row [PAD] stays 0, a row's sum
 * starts at +0.0 and adds in packed order) and decoder. Call once after each network_forward(), whose activations
 * it uses up. p may be NULL. */
void network_backward(network *n, const float *weights, const batch *b, float *gradients, bool add, const network_progress *p);

/* Inference without dropout (weights as above), limits.whole_last_layer. hidden: (N, H) of the last layer, borrowed until the next call. */
const float *network_hidden(network *n, const float *weights, const batch *b);
/* logits (V) of the MLM head at packed row `row` of the last network_hidden(); and (2) of NSP for sequence `s`. */
void network_mlm_logits(network *n, const float *weights, size_t row, float *logits);
void network_nsp_logits(network *n, const float *weights, size_t first_row, float logits[2]);
#endif
