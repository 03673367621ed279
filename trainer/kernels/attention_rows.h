/* trainer/kernels/attention_rows.h - softmax and dropout by the rows of a tile, for attention_body.h, which says what WIDTH, LARGER, TARGET and
 * NAME(f) are. */

/* t->most: maxima of the tile's rows. n: a multiple of ROUND. */
TARGET static void NAME(row_maxima)(const tiles *t, size_t queries, size_t n) {
    for (size_t r = 0; r < queries; r++) {
        const float *x = t->p + r * TILE_STRIDE;
        vec most = *(const vec *)x;
        for (size_t i = WIDTH; i < n; i += WIDTH) most = LARGER(most, *(const vec *)(x + i));
        *(vec *)(t->lanes + r * WIDTH) = most;
    }
    NAME(fold)(t->lanes, t->most, queries, true);
}

/* Rows become exponentials under t->max, those that dropout keeps; t->part: sums of all. */
BODY TARGET void NAME(exponentials)(const attention_head *h, const tiles *t, size_t queries, const bool dropping, size_t n) {
    const index_vec threshold = (index_vec){0} + (int32_t)h->threshold;
    const float scale = h->scale * LOG2_E;
    for (size_t r = 0; r < queries; r++) {
        float *x = t->p + r * TILE_STRIDE;
        const uint16_t *lane = dropping ? t->lane + r * LANE_STRIDE + t->skip[r] : NULL;
        vec max = NAME(every)(t->max[r] * LOG2_E), sum = {0};
        for (size_t i = 0; i < n; i += WIDTH) {
            vec e = NAME(power_of_two)(*(vec *)(x + i) * scale - max);
            sum += e;
            *(vec *)(x + i) = dropping ? NAME(keep)(e, lane + i, threshold) : e;
        }
        *(vec *)(t->lanes + r * WIDTH) = sum;
    }
    NAME(fold)(t->lanes, t->part, queries, false);
}

/* A running softmax: what was added up so far shrinks when a larger maximum comes. */
TARGET static void NAME(forward_rows)(const attention_head *h, const tiles *t, size_t queries, bool again, size_t n) {
    float shrink[QUERIES];
    NAME(row_maxima)(t, queries, n);
    for (size_t r = 0; r < queries; r++) {
        float before = t->max[r], most = t->most[r] * h->scale;
        t->max[r] = again && before > most ? before : most;
        shrink[r] = again ? exp_body(before - t->max[r]) : 0;
    }
    if (h->threshold) NAME(exponentials)(h, t, queries, true, n);
    else NAME(exponentials)(h, t, queries, false, n);
    for (size_t r = 0; r < queries; r++) {
        float *out = t->out + r * t->stride;
        t->sum[r] = again ? t->sum[r] * (double)shrink[r] + (double)t->part[r] : (double)t->part[r];
        for (size_t c = 0; c < t->stride && again && shrink[r] < 1; c += WIDTH) *(vec *)(out + c) *= shrink[r];
    }
}

/* Rows of the context are whole: divided by their sum, kept elements scaled up. */
TARGET static void NAME(finish_rows)(const attention_head *h, const tiles *t, size_t query, size_t queries) {
    for (size_t r = 0; r < queries; r++) {
        const float *from = t->out + r * t->stride;
        float *to = h->context + (query + r) * h->context_stride, inverse = (float)(1 / t->sum[r]), factor = inverse * keep_scale(h);
        h->max[query + r] = t->max[r];
        h->inverse[query + r] = inverse;
        size_t c = 0;
        for (; c + WIDTH <= h->width; c += WIDTH) *(vec *)(to + c) = *(const vec *)(from + c) * factor;
        for (; c < h->width; c++) to[c] = from[c] * factor;
    }
}

/* t->delta: t->dout is packed. */
TARGET static void NAME(take_deltas)(const attention_head *h, const tiles *t, size_t query, size_t queries) {
    for (size_t r = 0; r < queries; r++) {
        const float *dout = t->dout + r * t->stride, *out = h->context + (query + r) * h->context_stride;
        vec sum = {0};
        size_t c = 0;
        for (; c + WIDTH <= h->width; c += WIDTH) sum += *(const vec *)(dout + c) * *(const vec *)(out + c);
        for (; c < h->width; c++) sum[0] += dout[c] * out[c];
        *(vec *)(t->lanes + r * WIDTH) = sum;
    }
    NAME(fold)(t->lanes, t->delta, queries, false);
}

/* Scores and dO V^T of a tile become (P o M) and dS. */
BODY TARGET void NAME(backward_rows)(const attention_head *h, const tiles *t, size_t query, size_t queries, const bool dropping, size_t n) {
    const index_vec threshold = (index_vec){0} + (int32_t)h->threshold;
    const float scale = h->scale * LOG2_E, keep = keep_scale(h);
    for (size_t r = 0; r < queries; r++) {
        float *p = t->p + r * TILE_STRIDE, *dp = t->dp + r * TILE_STRIDE;
        const uint16_t *lane = dropping ? t->lane + r * LANE_STRIDE + t->skip[r] : NULL;
        const vec max = NAME(every)(h->max[query + r] * LOG2_E), delta = NAME(every)(t->delta[r]);
        const float to_kept = h->inverse[query + r] * keep, to_ds = h->inverse[query + r] * h->scale;
        for (size_t i = 0; i < n; i += WIDTH) {
            vec e = NAME(power_of_two)(*(vec *)(p + i) * scale - max), d = *(vec *)(dp + i), kept = e * to_kept;
            if (dropping) d = NAME(keep)(d, lane + i, threshold), kept = NAME(keep)(kept, lane + i, threshold);
            *(vec *)(dp + i) = e * to_ds * (d * keep - delta);
            *(vec *)(p + i) = kept;
        }
    }
}
