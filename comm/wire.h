/* comm/wire.h - how a part of a gradient looks in a message when it is not sent as it stands: only touched rows, or rounded to bfloat16.
 *
 *     | header | row, row, ... | values of those rows within the range, end to end |          touched rows
 *     | ~0     | all values of the range |                                                    more than half are touched
 *
 * Values are float32 or bfloat16. Promise: with float32 values, unpacking or adding gives the bits that a dense message gives: rows that
 * are left out hold +0.0, and no sum that began with +0.0 is ever -0.0. Inner to comm/. */
#ifndef COMM_WIRE_H
#define COMM_WIRE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "comm/plan.h"   /* range */

typedef struct wire {
    bool bf16;
    size_t row_elements;         /* 0: no rows, all values */
    size_t first;                /* element at which row 0 begins */
    uint64_t *touched;           /* one bit per row of this rank's sum so far; wire_add() and wire_unpack() set those that come in */
} wire;

/* Room in floats for a message over `elements`. */
size_t wire_room(size_t elements);

/* Fills out with range r of a (a: the whole array). Returns the floats used. */
size_t wire_pack(const wire *w, const float *a, range r, float *out);

/* A message over r: adds it to a, or writes it to out (r.end - r.begin), rows that are not in it as +0.0. */
void wire_add(const wire *w, const float *message, float *a, range r);
void wire_unpack(const wire *w, const float *message, float *out, range r);

static inline bool bit_of(const uint64_t *bits, size_t i) { return bits[i / 64] >> (i % 64) & 1; }
static inline void bit_set(uint64_t *bits, size_t i) { bits[i / 64] |= 1ull << (i % 64); }
#endif
