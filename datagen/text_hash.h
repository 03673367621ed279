/* datagen/text_hash.h - a 128-bit hash of a sequence of texts that can be joined: hash(a + b) from hash(a) and hash(b).
 *
 * Promise: equal sequences have equal hashes, however they were divided; different ones differ but for a chance of about 2^-100 a pair.
 * It is no defence against texts that were made to collide.
 *
 *     text_hash h = text_hash_none();  text_hash_add(&h, line, bytes);  ...  text_hash_append(&h, &of_the_rest);
 *
 * value = sum of mix(text i) * B^(n-1-i), modulo 2^128, B odd; power = B^n. */
#ifndef DATAGEN_TEXT_HASH_H
#define DATAGEN_TEXT_HASH_H
#include <stdint.h>
#include <string.h>

typedef unsigned __int128 text_hash_word;
typedef struct text_hash { text_hash_word value, power; } text_hash;

static inline text_hash text_hash_none(void) { return (text_hash){ 0, 1 }; }

static inline void text_hash_append(text_hash *h, const text_hash *more) {
    h->value = h->value * more->power + more->value;
    h->power *= more->power;
}

static inline uint64_t text_hash_fold(uint64_t a, uint64_t b) {
    text_hash_word product = (text_hash_word)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Two lanes of multiply-and-fold over 8 bytes at a time. */
static inline void text_hash_add(text_hash *h, const char *line, size_t bytes) {
    uint64_t a = UINT64_C(0x9e3779b97f4a7c15) ^ bytes, b = UINT64_C(0xc2b2ae3d27d4eb4f) + bytes, part;
    for (; bytes >= 8; bytes -= 8, line += 8) {
        memcpy(&part, line, 8);
        a = text_hash_fold(a ^ part, UINT64_C(0xa0761d6478bd642f)) + part;
        b = text_hash_fold(b + part, UINT64_C(0xe7037ed1a0b428db)) ^ a;
    }
    part = 0;
    memcpy(&part, line, bytes);
    a = text_hash_fold(a ^ part, UINT64_C(0x8ebc6af09c88c6e3));
    b = text_hash_fold(b + part, UINT64_C(0x589965cc75374cc3)) ^ a;
    text_hash_word mixed = (text_hash_word)text_hash_fold(a + UINT64_C(0x1d8e4e27c47d124f), b) << 64 | text_hash_fold(b ^ UINT64_C(0xeb44accab455d165), a);
    text_hash one = { mixed, (text_hash_word)UINT64_C(0xda942042e4dd58b5) << 64 | UINT64_C(0x9fb21c651e98df25) };
    text_hash_append(h, &one);
}
#endif
