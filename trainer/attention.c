/* trainer/attention.c - a layer's attention: which rows belong to a sequence and head, and which thread takes them. The arithmetic is in
 * kernels/attention.h. A task is one sequence and head, so that all its sums are one thread's whatever the number of threads. */
#include <math.h>
#include <omp.h>
#include "base/ledger.h"
#include "trainer/network_parts.h"

typedef struct head_place { size_t query, key, column; } head_place;     /* first query row, first key row, first column of the head */

static head_place place_of(const network *n, const batch *b, const attention_view *v, size_t task) {
    size_t sequence = task / n->A;
    return (head_place){(size_t)v->first[sequence], (size_t)b->first[sequence], task % n->A * n->D};
}

static attention_head open_head(const network *n, const batch *b, int l, const attention_view *v, size_t task) {
    head_place at = place_of(n, b, v, task);
    size_t sequence = task / n->A, head = task % n->A, row = head * n->limits.tokens + at.query;
    uint64_t S = b->seq_length;
    return (attention_head){.queries = (size_t)v->first[sequence + 1] - at.query, .keys = (size_t)b->first[sequence + 1] - at.key, .width = n->D,
                            .q = v->q + at.query * v->q_stride + at.column, .q_stride = v->q_stride,
                            .k = v->k + at.key * v->kv_stride + at.column, .v = v->v + at.key * v->kv_stride + at.column, .kv_stride = v->kv_stride,
                            .context = v->context + at.query * n->H + at.column, .context_stride = n->H, .max = v->max + row,
                            .inverse = v->inverse + row, .scale = (float)(1 / sqrt((double)n->D)), .position = v->position + at.query,
                            .threshold = network_threshold(n, n->limits.attention_dropout),
                            .key = network_dropout_key(n, b, sequence, l, SITE_ATTENTION), .first = head * S * S, .row_elements = S,
                            .scratch = n->scratch[omp_get_thread_num()].attention};
}

static attention_gradients open_gradients(const network *n, const batch *b, const attention_view *v, size_t task) {
    head_place at = place_of(n, b, v, task);
    return (attention_gradients){.dcontext = v->dcontext + at.query * n->H + at.column, .dq = v->dq + at.query * v->q_stride + at.column,
                                 .dk = v->dk + at.key * v->kv_stride + at.column, .dv = v->dv + at.key * v->kv_stride + at.column};
}

/* A thread takes its next task before it begins one, to have that one's rows fetched meanwhile. */
static void run_tasks(network *n, const batch *b, int l, const attention_view *v, bool backward) {
    size_t tasks = b->sequences * n->A, taken = 0;
#pragma omp parallel num_threads(n->threads)
    {
        size_t task = __atomic_fetch_add(&taken, 1, __ATOMIC_RELAXED);
        while (task < tasks) {
            size_t next = __atomic_fetch_add(&taken, 1, __ATOMIC_RELAXED);
            attention_head h = open_head(n, b, l, v, task);
            attention_gradients g = open_gradients(n, b, v, task);
            attention_rows soon[ATTENTION_SOON];
            if (next < tasks) {
                attention_head h_next = open_head(n, b, l, v, next);
                attention_soon(&h_next, backward ? open_gradients(n, b, v, next).dcontext : NULL, soon);
                h.soon = soon;
            }
            if (backward) kernel.attention_backward(&h, &g);
            else kernel.attention_forward(&h);
            task = next;
        }
    }
}

void attention_forward(network *n, const batch *b, int l, const attention_view *v) {
    int before = ledger_enter(LEDGER_ATTENTION);
    run_tasks(n, b, l, v, false);
    ledger_leave(before);
}

void attention_backward(network *n, const batch *b, int l, const attention_view *v) {
    int before = ledger_enter(LEDGER_ATTENTION);
    run_tasks(n, b, l, v, true);
    ledger_leave(before);
}
