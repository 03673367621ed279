/* comm/wire.c - see wire.h. */
#include "comm/wire.h"
#include <string.h>
#include "comm/floats.h"

static const uint32_t all_values = UINT32_MAX;

static uint32_t word_at(const float *message, size_t i) {
    uint32_t word;
    memcpy(&word, message + i, sizeof word);
    return word;
}

static void put_word(float *message, size_t i, uint32_t word) { memcpy(message + i, &word, sizeof word); }

/* The part of a row that lies in r. */
static range segment_of(const wire *w, size_t row, range r) {
    size_t begin = w->first + row * w->row_elements, end = begin + w->row_elements;
    return (range){begin > r.begin ? begin : r.begin, end < r.end ? end : r.end};
}

size_t wire_room(size_t elements) { return elements + 1; }

/* Values end to end behind the words: value i of the message. */
typedef struct values { const wire *wire; float *at; } values;

static void put_values(values v, size_t i, const float *from, size_t n) {
    if (v.wire->bf16) floats_to_bf16((uint16_t *)(void *)v.at + i, from, n);
    else floats_copy(v.at + i, from, n);
}

/* Row segments that are shorter than this stand on the stack while they are widened. */
enum { WIDEN = 1024 };

static void get_values(values v, size_t i, float *to, size_t n, bool add) {
    if (!add && !v.wire->bf16) floats_copy(to, v.at + i, n);
    else if (!add) floats_from_bf16(to, (uint16_t *)(void *)v.at + i, n);
    else if (!v.wire->bf16) floats_add_pairs((float *[]){to, v.at + i}, &(add_pair){0, 1}, 1, n);
    else {
        float wide[WIDEN];
        for (size_t k = 0; k < n; k += WIDEN) {
            size_t length = n - k < WIDEN ? n - k : WIDEN;
            floats_from_bf16(wide, (uint16_t *)(void *)v.at + i + k, length);
            floats_add_pairs((float *[]){to + k, wide}, &(add_pair){0, 1}, 1, length);
        }
    }
}

static size_t floats_of(const wire *w, size_t n) { return w->bf16 ? (n + 1) / 2 : n; }

/* Rows of r that are touched, and their elements in it. */
static size_t count_touched(const wire *w, range r, size_t *elements) {
    size_t rows = 0;
    *elements = 0;
    for (size_t row = (r.begin - w->first) / w->row_elements; w->first + row * w->row_elements < r.end; row++) {
        if (!bit_of(w->touched, row)) continue;
        range s = segment_of(w, row, r);
        rows++;
        *elements += s.end - s.begin;
    }
    return rows;
}

size_t wire_pack(const wire *w, const float *a, range r, float *out) {
    size_t length = r.end - r.begin, touched = length, rows = 0;
    if (w->row_elements) rows = count_touched(w, r, &touched);
    if (2 * touched > length) {
        put_word(out, 0, all_values);
        put_values((values){w, out + 1}, 0, a + r.begin, length);
        return 1 + floats_of(w, length);
    }
    values v = {w, out + 1 + rows};
    put_word(out, 0, (uint32_t)rows);
    size_t i = 0, at = 0;
    for (size_t row = (r.begin - w->first) / w->row_elements; i < rows; row++) {
        if (!bit_of(w->touched, row)) continue;
        range s = segment_of(w, row, r);
        put_word(out, 1 + i++, (uint32_t)row);
        put_values(v, at, a + s.begin, s.end - s.begin);
        at += s.end - s.begin;
    }
    return 1 + rows + floats_of(w, at);
}

/* All values of a range stand for all rows in it. */
static void touch_all(const wire *w, range r) {
    if (!w->row_elements) return;
    for (size_t row = (r.begin - w->first) / w->row_elements; w->first + row * w->row_elements < r.end; row++) bit_set(w->touched, row);
}

/* to: where element r.begin goes. */
static void take(const wire *w, const float *message, float *to, range r, bool add) {
    uint32_t rows = word_at(message, 0);
    values v = {w, (float *)message + 1};
    if (rows == all_values) {
        get_values(v, 0, to, r.end - r.begin, add);
        touch_all(w, r);
        return;
    }
    v.at += rows;
    size_t at = 0;
    for (uint32_t i = 0; i < rows; i++) {
        size_t row = word_at(message, 1 + i);
        range s = segment_of(w, row, r);
        get_values(v, at, to + (s.begin - r.begin), s.end - s.begin, add);
        at += s.end - s.begin;
        bit_set(w->touched, row);
    }
}

void wire_add(const wire *w, const float *message, float *a, range r) { take(w, message, a + r.begin, r, true); }

void wire_unpack(const wire *w, const float *message, float *out, range r) {
    if (word_at(message, 0) != all_values) floats_clear(out, r.end - r.begin);
    take(w, message, out, r, false);
}
