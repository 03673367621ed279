/* trainer/model.h - the model as one table of tensors in one flat array.
 *
 * Promise: the names and shapes are those of Hugging Face's BertForPreTraining.save_pretrained (tied tensors and buffers left out), so
 * the whole-model operations (sum, norm, update, save) are loops over one array and the export is a copy.
 *
 * Letters: V vocab_size, H hidden_size, I intermediate_size, L num_hidden_layers, A num_attention_heads, D = H / A, P max_position_embeddings,
 * T type_vocab_size. Linear weights are (out, in), y = x W^T + b.
 *
 * Flat order (float32; every tensor starts at a multiple of PLAN_BLOCK elements, the gap behind it stays 0):
 *
 *     | word (V,H) | position (P,H) | type (T,H) | LN | layer 0 | ... | layer L-1 | pooler | transform | mlm bias | nsp |   weights
 *     | lookup part of word's gradient | ......... same order ................................................... | decoder part (V,H) |   gradients
 *
 * Buckets (comm/plan.h) in the order that backward finishes them: 0 decoder part; 1 heads and pooler; then layer L-1 .. 0; then position,
 * type and LN; last the lookup part. Buckets 0 and last have equal lengths, so that a rank owns the same rows of both. */
#ifndef TRAINER_MODEL_H
#define TRAINER_MODEL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/fail.h"   /* error */
#include "base/json.h"   /* json */
#include "comm/plan.h"   /* range */

typedef struct model_config {            /* config.json, names as there */
    int64_t vocab_size, hidden_size, num_hidden_layers, num_attention_heads, intermediate_size;
    int64_t max_position_embeddings, type_vocab_size, pad_token_id;
    double layer_norm_eps, initializer_range, hidden_dropout_prob, attention_probs_dropout_prob;
    json *source;                        /* the file as read; owned. The exported config.json keeps its other keys */
} model_config;

/* Reads a Hugging Face BERT config.json. vocab_size may be absent: model_config_fit_vocab() then sets it. Refused by key and value
 * (EXIT_USAGE): another model_type, hidden_act other than "gelu", relative positions, is_decoder, add_cross_attention, hidden_size not
 * divisible by num_attention_heads, sizes below 1 or absurd, pad_token_id other than 0, tie_word_embeddings false. */
int model_config_read(model_config *c, const char *path, error *e);
int model_config_fit_vocab(model_config *c, size_t vocab_entries, const char *where, error *e);   /* given and smaller: EXIT_USAGE */
void model_config_free(model_config *c);
char *model_config_print(const model_config *c);     /* config.json for a checkpoint: loads in transformers 4 and 5; caller frees */

typedef enum { DECAY_NO, DECAY_YES } decay_rule;

typedef struct tensor {
    char name[96];                       /* bert.encoder.layer.0.attention.self.query.weight */
    size_t rows, columns;                /* a vector has rows 1 */
    bool vector;
    size_t offset, count;                /* elements in the flat array */
    decay_rule decay;                    /* none on biases and LayerNorm */
    bool only_nsp;                       /* pooler and seq_relationship: untouched when there is no NSP */
    int bucket;
} tensor;

/* Indices into model.tensor, for forward and backward. */
typedef struct layer_tensors {
    int query_weight, query_bias, key_weight, key_bias, value_weight, value_bias;
    int attention_output_weight, attention_output_bias, attention_norm_weight, attention_norm_bias;
    int intermediate_weight, intermediate_bias, output_weight, output_bias, output_norm_weight, output_norm_bias;
} layer_tensors;

typedef struct model {
    model_config config;
    tensor *tensor;
    size_t tensors;
    int word, position, type, embedding_norm_weight, embedding_norm_bias;
    layer_tensors *layer;                /* [L] */
    int pooler_weight, pooler_bias, transform_weight, transform_bias, transform_norm_weight, transform_norm_bias;
    int mlm_bias, nsp_weight, nsp_bias;
    size_t weight_elements;              /* of the weights' flat array: a multiple of PLAN_BLOCK */
    size_t gradient_elements;            /* weight_elements + the decoder part */
    size_t decoder_offset;               /* of the decoder part in the gradients: == weight_elements */
    range *bucket;                       /* [buckets]: for plan_new() */
    int buckets;
    size_t parameters;                   /* without gaps: what Hugging Face counts */
} model;

/* Not collective. Takes over *c (vocab_size set). */
model *model_new(model_config *c);
void model_free(model *m);
int model_find(const model *m, const char *name);     /* index, -1 when absent */

/* Fills weights (weight_elements): N(0, initializer_range) by Philox (seed, RNG_INIT, tensor index), element; word row [PAD] zero, biases 0,
 * LayerNorm 1 and 0, gaps 0. A pure function of (seed, model). */
void model_init(const model *m, float *weights, uint64_t seed);
void model_init_tensor(const model *m, float *weights, uint64_t seed, int tensor_index);
#endif
