/* trainer/model.c - the tensor table: names and shapes of Hugging Face's BertForPreTraining, offsets in the flat array, buckets. */
#include "trainer/model.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/rng.h"

enum { EMBEDDING_TENSORS = 5, LAYER_TENSORS = 16, HEAD_TENSORS = 9 };

typedef struct builder { model *m; size_t offset; int bucket; bool only_nsp; } builder;

static size_t round_up(size_t n) { return (n + PLAN_BLOCK - 1) / PLAN_BLOCK * PLAN_BLOCK; }

/* rows 0: a vector of `columns`. Returns the tensor's index. */
__attribute__((format(printf, 5, 6)))
static int add(builder *b, size_t rows, size_t columns, decay_rule decay, const char *format, ...) {
    tensor *t = &b->m->tensor[b->m->tensors];
    va_list args;
    va_start(args, format);
    vsnprintf(t->name, sizeof t->name, format, args);
    va_end(args);
    t->vector = rows == 0;
    t->rows = rows ? rows : 1;
    t->columns = columns;
    t->count = t->rows * columns;
    t->offset = b->offset;
    t->decay = decay;
    t->bucket = b->bucket;
    t->only_nsp = b->only_nsp;
    b->offset += round_up(t->count);
    b->m->parameters += t->count;
    return (int)b->m->tensors++;
}

static void add_embeddings(builder *b) {
    model *m = b->m;
    const model_config *c = &m->config;
    size_t H = (size_t)c->hidden_size;
    b->bucket = m->buckets - 1;
    m->word = add(b, (size_t)c->vocab_size, H, DECAY_YES, "bert.embeddings.word_embeddings.weight");
    b->bucket = m->buckets - 2;
    m->position = add(b, (size_t)c->max_position_embeddings, H, DECAY_YES, "bert.embeddings.position_embeddings.weight");
    m->type = add(b, (size_t)c->type_vocab_size, H, DECAY_YES, "bert.embeddings.token_type_embeddings.weight");
    m->embedding_norm_weight = add(b, 0, H, DECAY_NO, "bert.embeddings.LayerNorm.weight");
    m->embedding_norm_bias = add(b, 0, H, DECAY_NO, "bert.embeddings.LayerNorm.bias");
}

static void add_layer(builder *b, int l) {
    layer_tensors *t = &b->m->layer[l];
    size_t H = (size_t)b->m->config.hidden_size, I = (size_t)b->m->config.intermediate_size;
    const char *p = "bert.encoder.layer";
    b->bucket = 1 + (int)b->m->config.num_hidden_layers - l;
    t->query_weight = add(b, H, H, DECAY_YES, "%s.%d.attention.self.query.weight", p, l);
    t->query_bias = add(b, 0, H, DECAY_NO, "%s.%d.attention.self.query.bias", p, l);
    t->key_weight = add(b, H, H, DECAY_YES, "%s.%d.attention.self.key.weight", p, l);
    t->key_bias = add(b, 0, H, DECAY_NO, "%s.%d.attention.self.key.bias", p, l);
    t->value_weight = add(b, H, H, DECAY_YES, "%s.%d.attention.self.value.weight", p, l);
    t->value_bias = add(b, 0, H, DECAY_NO, "%s.%d.attention.self.value.bias", p, l);
    t->attention_output_weight = add(b, H, H, DECAY_YES, "%s.%d.attention.output.dense.weight", p, l);
    t->attention_output_bias = add(b, 0, H, DECAY_NO, "%s.%d.attention.output.dense.bias", p, l);
    t->attention_norm_weight = add(b, 0, H, DECAY_NO, "%s.%d.attention.output.LayerNorm.weight", p, l);
    t->attention_norm_bias = add(b, 0, H, DECAY_NO, "%s.%d.attention.output.LayerNorm.bias", p, l);
    t->intermediate_weight = add(b, I, H, DECAY_YES, "%s.%d.intermediate.dense.weight", p, l);
    t->intermediate_bias = add(b, 0, I, DECAY_NO, "%s.%d.intermediate.dense.bias", p, l);
    t->output_weight = add(b, H, I, DECAY_YES, "%s.%d.output.dense.weight", p, l);
    t->output_bias = add(b, 0, H, DECAY_NO, "%s.%d.output.dense.bias", p, l);
    t->output_norm_weight = add(b, 0, H, DECAY_NO, "%s.%d.output.LayerNorm.weight", p, l);
    t->output_norm_bias = add(b, 0, H, DECAY_NO, "%s.%d.output.LayerNorm.bias", p, l);
}

static void add_heads(builder *b) {
    model *m = b->m;
    size_t H = (size_t)m->config.hidden_size;
    b->bucket = 1;
    b->only_nsp = true;
    m->pooler_weight = add(b, H, H, DECAY_YES, "bert.pooler.dense.weight");
    m->pooler_bias = add(b, 0, H, DECAY_NO, "bert.pooler.dense.bias");
    b->only_nsp = false;
    m->transform_weight = add(b, H, H, DECAY_YES, "cls.predictions.transform.dense.weight");
    m->transform_bias = add(b, 0, H, DECAY_NO, "cls.predictions.transform.dense.bias");
    m->transform_norm_weight = add(b, 0, H, DECAY_NO, "cls.predictions.transform.LayerNorm.weight");
    m->transform_norm_bias = add(b, 0, H, DECAY_NO, "cls.predictions.transform.LayerNorm.bias");
    m->mlm_bias = add(b, 0, (size_t)m->config.vocab_size, DECAY_NO, "cls.predictions.bias");
    b->only_nsp = true;
    m->nsp_weight = add(b, 2, H, DECAY_YES, "cls.seq_relationship.weight");
    m->nsp_bias = add(b, 0, 2, DECAY_NO, "cls.seq_relationship.bias");
}

/* A bucket's tensors stand together, so its range runs from the first one's offset to the last one's gap. */
static void cut_buckets(model *m) {
    for (int i = 0; i < m->buckets; i++) m->bucket[i] = (range){m->weight_elements, 0};
    for (size_t i = 0; i < m->tensors; i++) {
        range *r = &m->bucket[m->tensor[i].bucket];
        size_t end = m->tensor[i].offset + round_up(m->tensor[i].count);
        if (m->tensor[i].offset < r->begin) r->begin = m->tensor[i].offset;
        if (end > r->end) r->end = end;
    }
    m->bucket[0] = (range){m->decoder_offset, m->gradient_elements};
}

model *model_new(model_config *c) {
    assert(c->vocab_size > 0 && c->hidden_size % c->num_attention_heads == 0);
    model *m = must_zalloc(1, sizeof *m);
    m->config = *c;
    c->source = NULL;
    int layers = (int)m->config.num_hidden_layers;
    m->tensor = must_zalloc((size_t)(EMBEDDING_TENSORS + LAYER_TENSORS * layers + HEAD_TENSORS), sizeof *m->tensor);
    m->layer = must_zalloc((size_t)layers, sizeof *m->layer);
    m->buckets = layers + 4;
    m->bucket = must_zalloc((size_t)m->buckets, sizeof *m->bucket);
    builder b = {.m = m};
    add_embeddings(&b);
    for (int l = 0; l < layers; l++) add_layer(&b, l);
    add_heads(&b);
    m->weight_elements = m->decoder_offset = b.offset;
    m->gradient_elements = b.offset + round_up(m->tensor[m->word].count);
    cut_buckets(m);
    return m;
}

void model_free(model *m) {
    if (!m) return;
    model_config_free(&m->config);
    free(m->tensor);
    free(m->layer);
    free(m->bucket);
    free(m);
}

int model_find(const model *m, const char *name) {
    for (size_t i = 0; i < m->tensors; i++)
        if (strcmp(m->tensor[i].name, name) == 0) return (int)i;
    return -1;
}

void model_init_tensor(const model *m, float *weights, uint64_t seed, int tensor_index) {
    const tensor *t = &m->tensor[tensor_index];
    float *w = weights + t->offset;
    memset(w, 0, round_up(t->count) * sizeof *w);
    if (t->vector) {
        bool one = strstr(t->name, "LayerNorm.weight") != NULL;
        for (size_t i = 0; one && i < t->count; i++) w[i] = 1;
        return;
    }
    rng_key key = rng_open(seed, RNG_INIT, (uint64_t)tensor_index, 0, 0);
    double deviation = m->config.initializer_range;
#pragma omp parallel for schedule(static)
    for (size_t r = 0; r < t->rows; r++) {
        if (tensor_index == m->word && r == (size_t)m->config.pad_token_id) continue;   /* row [PAD] stays zero */
        for (size_t i = r * t->columns; i < (r + 1) * t->columns; i++) w[i] = (float)(deviation * rng_normal(key, i));
    }
}

void model_init(const model *m, float *weights, uint64_t seed) {
    for (size_t i = 0; i < m->tensors; i++) model_init_tensor(m, weights, seed, (int)i);
}
