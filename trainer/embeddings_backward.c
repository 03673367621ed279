/* trainer/embeddings_backward.c - gradients of the three embedding tables. Rows add in packed order; threads take strips of columns, so
 * that a row's sum is one thread's whatever the number of threads. */
#include <omp.h>
#include <string.h>
#include "trainer/network_inner.h"

static void clear_rows(float *rows, size_t count, size_t columns) {
#pragma omp parallel for schedule(static)
    for (size_t r = 0; r < count; r++) memset(rows + r * columns, 0, columns * sizeof *rows);
}

/* n->d = drop(n->d) */
static void backward_embedding_dropout(network *n, const batch *b) {
#pragma omp parallel for schedule(static) num_threads(n->threads)
    for (size_t row = 0; row < b->tokens; row++) {
        dropout d = network_row_dropout(n, b, row, EMBEDDING_LAYER, 0, n->scratch[omp_get_thread_num()].lane);
        kernel.dropout_apply(n->d + row * n->H, n->d + row * n->H, d, n->H);
    }
}

void backward_embeddings(network *n, const float *weights, const batch *b, float *gradients) {
    const model *m = n->model;
    size_t H = n->H;
    float *word = gradient_of(n, gradients, m->word), *position = gradient_of(n, gradients, m->position), *type = gradient_of(n, gradients, m->type);
    backward_embedding_dropout(n, b);
    backward_norm(n, &n->embedding, weight_of(n, weights, m->embedding_norm_weight), n->d, n->d,
                  gradient_of(n, gradients, m->embedding_norm_weight), gradient_of(n, gradients, m->embedding_norm_bias), b->tokens);
    clear_rows(word, m->tensor[m->word].rows, H);
    clear_rows(position, m->tensor[m->position].rows, H);
    clear_rows(type, m->tensor[m->type].rows, H);
#pragma omp parallel for schedule(static)
    for (size_t first = 0; first < H; first += SUM_COLUMNS) {
        size_t width = H - first < SUM_COLUMNS ? H - first : SUM_COLUMNS;
        for (size_t row = 0; row < b->tokens; row++) {
            const float *d = n->d + row * H + first;
            if (b->token[row] != (int32_t)m->config.pad_token_id) kernel.add(word + (size_t)b->token[row] * H + first, d, width);
            kernel.add(position + (size_t)b->position[row] * H + first, d, width);
            kernel.add(type + (size_t)b->segment[row] * H + first, d, width);
        }
    }
}
