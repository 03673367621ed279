/* trainer/network_dropout.c - which 16-bit lanes a row of elements takes (keys: network.h). */
#include <math.h>
#include "trainer/network_parts.h"

uint32_t network_threshold(const network *n, double p) { return n->dropping ? (uint32_t)lround(p * 65536) : 0; }

rng_key network_dropout_key(const network *n, const batch *b, size_t sequence, int layer, int site) {
    return rng_open(n->limits.seed, RNG_DROPOUT, b->epoch[sequence], b->row[sequence], (uint64_t)(layer * 8 + site));
}

dropout network_dropout(const network *n, const batch *b, size_t sequence, int layer, int site, double p, uint64_t first, size_t count,
                        uint16_t *lane) {
    uint32_t threshold = network_threshold(n, p);
    if (threshold == 0) return (dropout){0};
    rng_key key = network_dropout_key(n, b, sequence, layer, site);
    size_t skip = first % 8;
    kernel.dropout_lanes(key, first / 8, (skip + count + 7) / 8, lane);
    return (dropout){lane + skip, threshold, (float)(1 / (1 - threshold / 65536.0))};
}

dropout network_row_dropout(const network *n, const batch *b, const row_set *r, size_t i, int layer, int site, uint16_t *lane) {
    return network_dropout(n, b, (size_t)r->sequence[i], layer, site, n->limits.hidden_dropout, (uint64_t)r->position[i] * n->H, n->H, lane);
}
