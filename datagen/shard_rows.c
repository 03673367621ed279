/* datagen/shard_rows.c - buffers for rows, and the check that every value in them is possible. */
#include <stdlib.h>
#include <string.h>
#include "datagen/shard_rows.h"

shard_rows *shard_rows_make(uint32_t seq_length, uint32_t max_predictions, size_t capacity) {
    shard_rows *r = must_zalloc(1, sizeof *r);
    r->capacity = capacity;
    r->input_ids = must_zalloc(capacity * seq_length, sizeof *r->input_ids);
    r->input_mask = must_zalloc(capacity * seq_length, sizeof *r->input_mask);
    r->segment_ids = must_zalloc(capacity * seq_length, sizeof *r->segment_ids);
    r->positions = must_zalloc(capacity * max_predictions, sizeof *r->positions);
    r->labels = must_zalloc(capacity * max_predictions, sizeof *r->labels);
    r->next_sentence = must_zalloc(capacity, sizeof *r->next_sentence);
    return r;
}

void shard_rows_free(shard_rows *r) {
    if (!r) return;
    free(r->input_ids);
    free(r->input_mask);
    free(r->segment_ids);
    free(r->positions);
    free(r->labels);
    free(r->next_sentence);
    free(r);
}

/* NULL or what is wrong with the S values of one row; *length is its tokens. */
static const char *tokens_fault(const shard_rows *r, size_t row, uint32_t S, int64_t ids, uint32_t *length) {
    const int32_t *id = r->input_ids + row * S;
    const int8_t *mask = r->input_mask + row * S, *segment = r->segment_ids + row * S;
    uint32_t n = 0;
    while (n < S && mask[n] == 1) n++;
    *length = n;
    if (!n) return "input_mask begins with padding";
    for (uint32_t i = 0; i < S; i++) {
        if (mask[i] != (i < n)) return "input_mask is not ones and then zeros";
        if (id[i] < 0 || id[i] >= ids) return "input_ids holds an id outside the vocabulary";
        if (segment[i] != 0 && segment[i] != 1) return "segment_ids holds a value other than 0 and 1";
    }
    return NULL;
}

/* Positions ascending inside the tokens, then zeros. A prediction at position 0, where [CLS] stands, cannot be. */
static const char *predictions_fault(const shard_rows *r, size_t row, uint32_t P, int64_t ids, uint32_t length) {
    const int32_t *position = r->positions + row * P, *label = r->labels + row * P;
    uint32_t n = 0;
    while (n < P && position[n] != 0) n++;
    for (uint32_t i = 0; i < P; i++) {
        if (i >= n && position[i] != 0) return "masked_lm_positions goes on after a zero";
        if (i < n && (position[i] < 0 || (uint32_t)position[i] >= length)) return "masked_lm_positions points outside the tokens";
        if (i > 0 && i < n && position[i] <= position[i - 1]) return "masked_lm_positions is not ascending";
        if (label[i] < 0 || label[i] >= ids) return "masked_lm_ids holds an id outside the vocabulary";
    }
    return NULL;
}

int shard_rows_check(const shard_rows *r, const shard_rows_limits *limits, uint16_t *lengths, const char *file, uint64_t first, error *e) {
    for (size_t row = 0; row < r->count; row++) {
        uint32_t length;
        const char *fault = tokens_fault(r, row, limits->seq_length, limits->ids, &length);
        if (!fault && length > limits->longest) fault = "it has more tokens than lengths can hold";
        if (!fault) fault = predictions_fault(r, row, limits->max_predictions, limits->ids, length);
        if (!fault && r->next_sentence[row] != 0 && r->next_sentence[row] != 1) fault = "next_sentence_labels holds a value other than 0 and 1";
        if (!fault && limits->expected && limits->expected[row] != length) fault = "its tokens are not as many as the lengths file says";
        if (fault) return error_set(e, EXIT_USAGE, "%s: row %llu: %s; make the shards again", file, (unsigned long long)(first + row), fault);
        if (lengths) lengths[row] = (uint16_t)length;
    }
    return 0;
}
