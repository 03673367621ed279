/* trainer/kernels/attention_rows.h - softmax and dropout by the rows of a tile, for attention_body.h, which says what WIDTH, TARGET and NAME(f)
 * are. */

/* out[r] = maximum or sum of the ROUND lanes of row r. Rows are turned into columns, since halving the lanes of every row is slow. */
TARGET static void NAME(fold)(const float *lanes, float *out, size_t rows, const bool largest) {
    for (size_t r = 0; r < rows; r += WIDTH) {
        float column[ROUND * WIDTH];
        NAME(transpose)(lanes + r * ROUND, ROUND, column, WIDTH, WIDTH, ROUND);
        for (size_t c = ROUND / 2; c > 0; c /= 2)
            for (size_t i = 0; i < c * WIDTH; i++) {
                float a = column[i], b = column[c * WIDTH + i];
                column[i] = !largest ? a + b : b > a ? b : a;
            }
        memcpy(out + r, column, WIDTH * sizeof *out);
    }
}

/* t->most: maxima of the tile's rows. n: a multiple of ROUND. */
TARGET static void NAME(row_maxima)(const tiles *t, size_t queries, size_t n) {
    for (size_t r = 0; r < queries; r++) {
        const float *x = t->p + r * TILE_STRIDE;
        float lane[ROUND];
        for (int j = 0; j < ROUND; j++) lane[j] = x[j];
        for (size_t i = ROUND; i < n; i += ROUND)
#pragma omp simd
            for (int j = 0; j < ROUND; j++) lane[j] = x[i + (size_t)j] > lane[j] ? x[i + (size_t)j] : lane[j];
        memcpy(t->lanes + r * ROUND, lane, sizeof lane);
    }
    NAME(fold)(t->lanes, t->most, queries, true);
}

/* Rows become exponentials under t->max; t->part: their sums. */
TARGET static void NAME(exponentials)(const tiles *t, float scale, size_t queries, size_t n) {
    for (size_t r = 0; r < queries; r++) {
        float *x = t->p + r * TILE_STRIDE, max = t->max[r], lane[ROUND] = {0};
        for (size_t i = 0; i < n; i += ROUND)
#pragma omp simd
            for (int j = 0; j < ROUND; j++) {
                float e = exp_body(x[i + (size_t)j] * scale - max);
                x[i + (size_t)j] = e;
                lane[j] += e;
            }
        memcpy(t->lanes + r * ROUND, lane, sizeof lane);
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
    NAME(exponentials)(t, h->scale, queries, n);
    for (size_t r = 0; r < queries; r++) {
        float *out = t->out + r * t->stride;
        t->sum[r] = again ? t->sum[r] * shrink[r] + t->part[r] : t->part[r];
        for (size_t c = 0; c < t->stride && again && shrink[r] < 1; c++) out[c] *= shrink[r];
    }
}

TARGET static void NAME(keep_some)(const tiles *t, uint32_t threshold, size_t queries, size_t n) {
    for (size_t r = 0; r < queries; r++) {
        float *x = t->p + r * TILE_STRIDE;
        const uint16_t *lane = t->lane + r * LANE_STRIDE + t->skip[r];
        for (size_t i = 0; i < n; i += ROUND)
#pragma omp simd
            for (int j = 0; j < ROUND; j++) x[i + (size_t)j] = choose(lane[i + (size_t)j] >= threshold, x[i + (size_t)j], 0);
    }
}

/* Scores and dO V^T of a tile become (P o M) and dS. */
BODY TARGET void NAME(backward_rows)(const attention_head *h, const tiles *t, size_t query, size_t queries, const bool dropping, size_t n) {
    const float scale = h->scale, keep = keep_scale(h);
    const uint32_t threshold = h->threshold;
    for (size_t r = 0; r < queries; r++) {
        float *p = t->p + r * TILE_STRIDE, *dp = t->dp + r * TILE_STRIDE;
        const float max = h->max[query + r], inverse = h->inverse[query + r], delta = t->delta[r];
        const uint16_t *lane = dropping ? t->lane + r * LANE_STRIDE + t->skip[r] : NULL;
        for (size_t i = 0; i < n; i += ROUND)
#pragma omp simd
            for (size_t j = i; j < i + ROUND; j++) {
                float value = exp_body(p[j] * scale - max) * inverse, kept = !dropping ? 1 : choose(lane[j] >= threshold, keep, 0);
                dp[j] = scale * value * (dp[j] * kept - delta);
                p[j] = value * kept;
            }
    }
}
