/* trainer/embeddings_backward.c - gradients of the three embedding tables. The tokens that use a table's row form a chain in packed order;
 * one thread follows it and adds, from +0.0 on, so that neither threads nor what waits in the gradient change a row's sum. */
#include <string.h>
#include "trainer/network_parts.h"

enum { END = -1 };

norm_task embedding_norm_task(network *n, const float *weights, const batch *b, float *gradients) {
    const model *m = n->model;
    (void)b;
    return (norm_task){n, b, &n->all, &n->embedding, weight_of(n, weights, m->embedding_norm_weight), n->d, false, EMBEDDING_LAYER, 0,
                       gradient_of(n, gradients, m->embedding_norm_weight), gradient_of(n, gradients, m->embedding_norm_bias)};
}

static void clear_rows(float *rows, size_t count, size_t columns) {
#pragma omp parallel for schedule(static)
    for (size_t r = 0; r < count; r++) memset(rows + r * columns, 0, columns * sizeof *rows);
}

void embeddings_start(network *n) {
    for (size_t i = 0; i < n->V; i++) n->word_chain[i] = END;
    for (int64_t i = 0; i < n->model->config.max_position_embeddings; i++) n->position_chain[i] = END;
}

/* head[id]: first row with this id; next[row]: the one after. */
static void build_chain(const int32_t *id, size_t rows, int32_t *head, int32_t *next) {
    for (size_t row = rows; row-- > 0;) {
        next[row] = head[id[row]];
        head[id[row]] = (int32_t)row;
    }
}

static void clear_chain(const int32_t *id, size_t rows, int32_t *head) {
    for (size_t row = 0; row < rows; row++) head[id[row]] = END;
}

/* out (H) = or += the sum of a chain's rows of n->d. */
static void sum_chain(const network *n, const int32_t *next, int32_t from, float *out) {
    for (size_t first = 0; first < n->H; first += SUM_COLUMNS) {
        float sum[SUM_COLUMNS] = {0};
        size_t width = n->H - first < SUM_COLUMNS ? n->H - first : SUM_COLUMNS;
        for (int32_t row = from; row != END; row = next[row]) kernel.add(sum, n->d + (size_t)row * n->H + first, width);
        if (n->add) kernel.add(out + first, sum, width);
        else memcpy(out + first, sum, width * sizeof *sum);
    }
}

/* Two rows or so, many tokens each: by strips of columns. */
static void sum_types(const network *n, const batch *b, float *type) {
    size_t H = n->H, types = n->model->tensor[n->model->type].rows;
#pragma omp parallel for schedule(static)
    for (size_t first = 0; first < H; first += SUM_COLUMNS) {
        size_t width = H - first < SUM_COLUMNS ? H - first : SUM_COLUMNS;
        for (size_t t = 0; t < types; t++) {
            float sum[SUM_COLUMNS] = {0};
            for (size_t row = 0; row < b->tokens; row++)
                if ((size_t)b->segment[row] == t) kernel.add(sum, n->d + row * H + first, width);
            if (n->add) kernel.add(type + t * H + first, sum, width);
            else memcpy(type + t * H + first, sum, width * sizeof *sum);
        }
    }
}

void backward_embeddings(network *n, const batch *b, float *gradients) {
    const model *m = n->model;
    size_t H = n->H;
    float *word = gradient_of(n, gradients, m->word), *position = gradient_of(n, gradients, m->position);
    if (!n->add) {
        clear_rows(word, m->tensor[m->word].rows, H);
        clear_rows(position, m->tensor[m->position].rows, H);
    }
    build_chain(b->token, b->tokens, n->word_chain, n->next_word);
    build_chain(b->position, b->tokens, n->position_chain, n->next_position);
#pragma omp parallel for schedule(dynamic, 16)
    for (size_t i = 0; i < b->tokens; i++) {
        int32_t row = (int32_t)i, token = b->token[i], at = b->position[i];
        if (n->word_chain[token] == row && token != (int32_t)m->config.pad_token_id) sum_chain(n, n->next_word, row, word + (size_t)token * H);
        if (n->position_chain[at] == row) sum_chain(n, n->next_position, row, position + (size_t)at * H);
    }
    clear_chain(b->token, b->tokens, n->word_chain);
    clear_chain(b->position, b->tokens, n->position_chain);
    sum_types(n, b, gradient_of(n, gradients, m->type));
}
