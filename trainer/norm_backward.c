/* trainer/norm_backward.c - LayerNorm and dropout backward on rows as they come out of a product. The sums of dgamma and dbeta are kept by
 * task of TASK_ROWS rows and added in the order of tasks, whatever thread did which. */
#include <omp.h>
#include <string.h>
#include "trainer/network_parts.h"

static void drop_rows(const norm_task *t, size_t first, size_t rows, float *to) {
    size_t H = t->n->H;
    uint16_t *lane = t->n->scratch[omp_get_thread_num()].lane;
    for (size_t row = first; row < first + rows; row++) {
        dropout d = network_row_dropout(t->n, t->b, t->rows, row, t->layer, t->site, lane);
        kernel.dropout_apply(to + row * H, t->d + row * H, d, H);
    }
}

void norm_rows(void *task, size_t first, size_t rows) {
    const norm_task *t = task;
    size_t H = t->n->H, at = first * H;
    float *part = t->n->norm_parts + first / TASK_ROWS * 2 * H;
    if (t->layer == EMBEDDING_LAYER) drop_rows(t, first, rows, t->d);
    kernel.layernorm_backward(t->norm->sum + at, t->gamma, t->norm->mean + first, t->norm->rstd + first, t->d + at, t->d + at, part, part + H, rows, H);
    if (t->drops) drop_rows(t, first, rows, t->norm->sum);
}

void norm_sums(const norm_task *t) {
    size_t H = t->n->H, tasks = tasks_of(t->rows->count);
    float *parts = t->n->norm_parts;
    if (tasks == 0) memset(parts, 0, 2 * H * sizeof *parts);
    for (size_t task = 1; task < tasks; task++) kernel.add(parts, parts + task * 2 * H, 2 * H);
    float *out[2] = {t->dgamma, t->dbeta};
    for (size_t i = 0; i < 2; i++) {
        if (t->n->add) kernel.add(out[i], parts + i * H, H);
        else memcpy(out[i], parts + i * H, H * sizeof *parts);
    }
}

void norm_all(const norm_task *t) {
    norm_task task = *t;
#pragma omp parallel for schedule(dynamic, 1) num_threads(t->n->threads)
    for (size_t i = 0; i < tasks_of(t->rows->count); i++) norm_rows(&task, i * TASK_ROWS, task_rows(t->rows->count, i * TASK_ROWS));
    norm_sums(t);
}
