/* trainer/network.c - memory of the network, and the order of its parts. */
#include "trainer/network.h"
#include <assert.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include "base/ledger.h"
#include "trainer/network_parts.h"

static float *floats(arena *a, size_t rows, size_t columns) { return arena_take(a, rows * columns, sizeof(float)); }

static norm_state take_norm(arena *a, size_t rows, size_t columns) {
    return (norm_state){floats(a, rows, columns), floats(a, rows, 1), floats(a, rows, 1)};
}

static size_t needed_rows(const network_limits *l) {
    return l->whole_last_layer || l->tokens < l->masked + l->sequences ? l->tokens : l->masked + l->sequences;
}

/* rows of the set; norm2 and output apart, since with limits.recompute they are not a part of the room that layers share. */
static layer_state take_room(const network *n, arena *a, size_t rows) {
    size_t N = n->limits.tokens, H = n->H;
    layer_state s = {.qkv = floats(a, N, 3 * H), .max = floats(a, N, n->A), .inverse = floats(a, N, n->A), .context = floats(a, rows, H)};
    s.norm1 = take_norm(a, rows, H);
    s.middle = floats(a, rows, H);
    s.u = floats(a, rows, n->I);
    return s;
}

static void take_layers(network *n, arena *a) {
    size_t N = n->limits.tokens, H = n->H;
    bool shared = n->limits.recompute && n->L > 1;
    n->layer = arena_take(a, (size_t)n->L, sizeof *n->layer);
    float *input = floats(a, N, H), *other = shared ? floats(a, N, H) : NULL;
    layer_state room = {0};
    for (int l = 0; l < n->L; l++) {
        bool last = l == n->L - 1;
        size_t rows = last ? needed_rows(&n->limits) : N;
        if (l == 0 || !shared) room = take_room(n, a, rows);
        layer_state s = room;
        s.input = input;
        s.norm2 = take_norm(a, rows, H);
        s.output = shared && !last ? other : floats(a, rows, H);
        other = input;
        input = s.output;
        if (n->layer) n->layer[l] = s;
    }
}

static void take_heads(network *n, arena *a) {
    size_t K = n->limits.masked, B = n->limits.sequences, H = n->H;
    n->head = (head_state){.gathered = floats(a, K, H), .u = floats(a, K, H), .g = floats(a, K, H), .mean = floats(a, K, 1), .rstd = floats(a, K, 1),
                           .output = floats(a, K, H), .d = floats(a, K, H), .cls = floats(a, B, H), .pooled = floats(a, B, H),
                           .nsp = floats(a, B, 2), .dpooled = floats(a, B, H)};
    decoder_take(n, a);
}

static void take_scratch(network *n, arena *a) {
    size_t N = n->limits.tokens, H = n->H, tasks = N / TASK_ROWS + 1, B = n->limits.sequences, K = n->limits.masked;
    const size_t need[4] = {K + B, B + 1, K + B, K + B};
    n->sequence = arena_take(a, N, sizeof *n->sequence);
    for (int i = 0; i < 4; i++) n->need[i] = arena_take(a, need[i], sizeof *n->need[i]);
    n->needed_input = floats(a, needed_rows(&n->limits), H);
    n->needed_d = floats(a, needed_rows(&n->limits), H);
    n->masked_at = arena_take(a, K, sizeof *n->masked_at);
    n->cls_at = arena_take(a, B, sizeof *n->cls_at);
    n->word_chain = arena_take(a, n->V, sizeof *n->word_chain);
    n->position_chain = arena_take(a, (size_t)n->model->config.max_position_embeddings, sizeof *n->position_chain);
    n->next_word = arena_take(a, N, sizeof *n->next_word);
    n->next_position = arena_take(a, N, sizeof *n->next_position);
    n->d = floats(a, N, H);
    n->wide = floats(a, N, n->I > 3 * H ? n->I : 3 * H);
    n->norm_parts = floats(a, tasks, 2 * H);
    n->scratch = arena_take(a, (size_t)n->threads, sizeof *n->scratch);
    for (int i = 0; i < n->threads; i++) {
        thread_scratch s = {floats(a, 1, attention_scratch(n->D, n->limits.seq_length)), arena_take(a, H + 16, sizeof(uint16_t))};
        if (n->scratch) n->scratch[i] = s;
    }
}

/* The same sequence of takes on an empty arena counts the bytes. */
static void lay_out(network *n, arena *a, const model *m, const network_limits *limits) {
    const model_config *c = &m->config;
    *n = (network){.model = m, .limits = *limits, .H = (size_t)c->hidden_size, .I = (size_t)c->intermediate_size,
                   .A = (size_t)c->num_attention_heads, .V = (size_t)c->vocab_size, .L = (int)c->num_hidden_layers, .threads = omp_get_max_threads()};
    n->D = n->H / n->A;
    if (n->limits.masked == 0) n->limits.masked = 1;           /* network_mlm_logits() needs one row */
    n->embedding = take_norm(a, n->limits.tokens, n->H);
    take_layers(n, a);
    take_heads(n, a);
    take_scratch(n, a);
}

size_t network_bytes(const model *m, const network_limits *limits) {
    network n;
    arena count;
    arena_init(&count, 0);
    lay_out(&n, &count, m, limits);
    return arena_peak(&count);
}

network *network_new(const model *m, const network_limits *limits) {
    assert(limits->seq_length <= m->config.max_position_embeddings);
    network *n = must_zalloc(1, sizeof *n);
    arena a;
    arena_init(&a, network_bytes(m, limits));
    lay_out(n, &a, m, limits);
    n->memory = a;
    embeddings_start(n);
    decoder_start(n);
    return n;
}

void network_free(network *n) {
    if (!n) return;
    arena_free(&n->memory);
    free(n);
}

void network_set_await(network *n, void (*await)(void *context, int bucket), void *context) {
    n->await = await;
    n->await_context = context;
}

static void await(const network *n, int bucket) {
    if (n->await) n->await(n->await_context, bucket);
}

/* training: dropout, and in the last layer only what the losses read. */
static void forward_encoder(network *n, const float *weights, const batch *b, bool training) {
    assert(b->tokens <= n->limits.tokens && b->sequences <= n->limits.sequences && b->masked <= n->limits.masked);
    n->dropping = training;
    n->sliced = training && !n->limits.whole_last_layer;
    rows_of_batch(n, b);
    await(n, n->model->tensor[n->model->word].bucket);
    await(n, n->model->tensor[n->model->position].bucket);
    forward_embeddings(n, weights, b);
    for (int l = 0; l < n->L; l++) {
        await(n, n->model->tensor[n->model->layer[l].query_weight].bucket);
        forward_layer(n, weights, b, l);
    }
    await(n, n->model->tensor[n->model->transform_weight].bucket);        /* the heads */
    n->head.hidden = n->layer[n->L - 1].output;
}

void network_forward(network *n, const float *weights, const batch *b, loss_scale scale, leaf_result *result) {
    n->scale = scale;
    int before = ledger_enter(LEDGER_ELEMENTS);
    forward_encoder(n, weights, b, true);
    (void)ledger_enter(LEDGER_HEAD);
    heads_forward(n, weights, b, result);
    ledger_leave(before);
}

/* Behind each tensor up to the next block. */
static void clear_gaps(const model *m, float *gradients) {
    for (size_t i = 0; i < m->tensors; i++) {
        size_t begin = m->tensor[i].offset + m->tensor[i].count, end = i + 1 < m->tensors ? m->tensor[i + 1].offset : m->weight_elements;
        memset(gradients + begin, 0, (end - begin) * sizeof *gradients);
    }
    size_t begin = m->decoder_offset + m->tensor[m->word].count;
    memset(gradients + begin, 0, (m->gradient_elements - begin) * sizeof *gradients);
}

static void buckets_ready(const network_progress *p, int first, int last) {
    if (!p) return;
    for (int bucket = first; bucket <= last; bucket++) p->ready(p->context, bucket);
    p->poll(p->context);
}

void network_backward(network *n, const float *weights, const batch *b, float *gradients, bool add, const network_progress *p) {
    const int decoder = 0, heads = 1;
    int before = ledger_enter(LEDGER_ELEMENTS);
    n->add = add;
    if (!add) clear_gaps(n->model, gradients);
    (void)ledger_enter(LEDGER_HEAD);
    heads_backward(n, weights, b, gradients);
    ledger_leave(LEDGER_ELEMENTS);
    buckets_ready(p, decoder, heads);
    backward_begin(n, weights, b, gradients);
    for (int l = n->L - 1; l >= 0; l--) {
        if (n->limits.recompute && l < n->L - 1) forward_layer_again(n, weights, b, l);        /* the last one's room is as forward left it */
        backward_layer(n, weights, b, l, gradients);
        buckets_ready(p, heads + n->L - l, heads + n->L - l);
    }
    backward_embeddings(n, b, gradients);
    buckets_ready(p, heads + n->L + 1, n->model->buckets - 1);
    ledger_leave(before);
}

const float *network_hidden(network *n, const float *weights, const batch *b) {
    assert(n->limits.whole_last_layer);
    forward_encoder(n, weights, b, false);
    return n->layer[n->L - 1].output;
}

void network_mlm_logits(network *n, const float *weights, size_t row, float *logits) {
    int32_t rows = (int32_t)row;
    heads_transform(n, weights, &rows, 1);
    decoder_logits(n, weights, logits);
}

void network_nsp_logits(network *n, const float *weights, size_t first_row, float logits[2]) {
    int32_t rows = (int32_t)first_row;
    heads_pool(n, weights, &rows, 1);
    memcpy(logits, n->head.nsp, 2 * sizeof *logits);
}
