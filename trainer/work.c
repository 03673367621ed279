/* trainer/work.c - see work.h. */
#include "trainer/work.h"

double work_flops(const model *m, const batch *b) {
    double H = (double)m->config.hidden_size, I = (double)m->config.intermediate_size, V = (double)m->config.vocab_size;
    double L = (double)m->config.num_hidden_layers, N = (double)b->tokens, K = (double)b->masked, B = (double)b->sequences, squares = 0, read = 0;
    size_t mask = 0;
    for (size_t s = 0; s < b->sequences; s++) {
        double n = b->first[s + 1] - b->first[s], r = 1;                 /* [CLS] */
        for (; mask < b->masked && b->masked_row[mask] < b->first[s + 1]; mask++) r++;
        squares += n * n;
        read += n * r;
    }
    double inner = 2 * N * (4 * H * H + 2 * H * I) + 4 * H * squares;
    double last = 2 * N * 2 * H * H + 2 * (K + B) * (2 * H * H + 2 * H * I) + 4 * H * read;
    return 3 * ((L - 1) * inner + last + 2 * K * (H * H + H * V) + 2 * B * (H * H + 2 * H));
}
