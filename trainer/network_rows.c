/* trainer/network_rows.c - which rows a layer computes. Behind the last layer only masked rows and [CLS] are read; so its queries, attention
 * output and feed-forward are computed for those alone, forward and backward. Exact: no other row has a gradient there. Keys and values
 * are of all tokens. */
#include "trainer/network_parts.h"

/* Sequence by sequence: [CLS], then its masked rows. A masked [CLS] stands once. */
static void gather_needed(network *n, const batch *b) {
    int32_t *row = n->need[0], *first = n->need[1], *sequence = n->need[2], *position = n->need[3];
    int32_t count = 0;
    size_t k = 0;
    for (size_t s = 0; s < b->sequences; s++) {
        int32_t begin = b->first[s], last = begin;
        first[s] = count;
        n->cls_at[s] = count;
        row[count] = begin, sequence[count] = (int32_t)s, position[count] = b->position[begin], count++;
        for (; k < b->masked && b->masked_row[k] < b->first[s + 1]; k++) {
            if (b->masked_row[k] != last) {
                last = b->masked_row[k];
                row[count] = last, sequence[count] = (int32_t)s, position[count] = b->position[last], count++;
            }
            n->masked_at[k] = count - 1;
        }
    }
    first[b->sequences] = count;
    n->needed = (row_set){(size_t)count, row, first, sequence, position};
}

void rows_of_batch(network *n, const batch *b) {
    for (size_t s = 0; s < b->sequences; s++)
        for (int32_t row = b->first[s]; row < b->first[s + 1]; row++) n->sequence[row] = (int32_t)s;
    n->all = (row_set){b->tokens, NULL, b->first, n->sequence, b->position};
    if (n->sliced) gather_needed(n, b);
    for (size_t k = 0; !n->sliced && k < b->masked; k++) n->masked_at[k] = b->masked_row[k];
    for (size_t s = 0; !n->sliced && s < b->sequences; s++) n->cls_at[s] = b->first[s];
}

const row_set *rows_of_layer(const network *n, int l) { return n->sliced && l == n->L - 1 ? &n->needed : &n->all; }

float *residual_of(const network *n, int l) { return rows_of_layer(n, l)->row ? n->needed_input : n->layer[l].input; }
float *gradient_at(const network *n, int l) { return rows_of_layer(n, l)->row ? n->needed_d : n->d; }
