/* trainer/attention.c - a layer's attention: which rows belong to a sequence and head, and which thread takes them. The arithmetic is in
 * kernels/attention.h; a task is one sequence and head, so that all its sums are one thread's whatever the number of threads. */
#include <math.h>
#include <omp.h>
#include "trainer/network_inner.h"

static attention_head open_head(network *n, const batch *b, int l, size_t index) {
    layer_state *s = &n->layer[l];
    size_t sequence = index / n->A, head = index % n->A, first = (size_t)b->first[sequence], rows = (size_t)b->first[sequence + 1] - first;
    const float *q = s->qkv + first * 3 * n->H + head * n->D;
    uint64_t S = b->seq_length;
    return (attention_head){.queries = rows, .keys = rows, .width = n->D, .q = q, .k = q + n->H, .v = q + 2 * n->H, .q_stride = 3 * n->H,
                            .kv_stride = 3 * n->H, .context = s->context + first * n->H + head * n->D, .context_stride = n->H,
                            .max = s->max + head * n->limits.tokens + first, .inverse = s->inverse + head * n->limits.tokens + first,
                            .scale = (float)(1 / sqrt((double)n->D)), .threshold = network_threshold(n, n->limits.attention_dropout),
                            .key = network_dropout_key(n, b, sequence, l, SITE_ATTENTION), .first = head * S * S, .row_elements = S,
                            .scratch = n->scratch[omp_get_thread_num()].attention};
}

void attention_forward(network *n, const batch *b, int l) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(n->threads)
    for (size_t i = 0; i < b->sequences * n->A; i++) {
        attention_head h = open_head(n, b, l, i);
        kernel.attention_forward(&h);
    }
}

void attention_backward(network *n, const batch *b, int l) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(n->threads)
    for (size_t i = 0; i < b->sequences * n->A; i++) {
        attention_head h = open_head(n, b, l, i);
        size_t row = (size_t)b->first[i / n->A], column = i % n->A * n->D;
        float *dq = n->dqkv + row * 3 * n->H + column;
        kernel.attention_backward(&h, &(attention_gradients){.dcontext = n->d + row * n->H + column, .dq = dq, .dk = dq + n->H, .dv = dq + 2 * n->H});
    }
}
