/* datagen/vocab_table.h - inside of a vocabulary, for vocab.c, wordpiece.c and tokenizer.c only.
 *
 * The hash grows byte by byte, so that one walk over a word gives the hashes of all its beginnings:
 *
 *     uint64_t h = VOCAB_HASH_START;      for a continuation: vocab_hash_byte(vocab_hash_byte(h, '#'), '#')
 *     h = vocab_hash_byte(h, 'a'); ...    vocab_find(v, h, "##", 2, "ab", 2) */
#ifndef DATAGEN_VOCAB_TABLE_H
#define DATAGEN_VOCAB_TABLE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "datagen/tokenizer.h"

typedef struct vocab_slot { uint32_t hash; int32_t id; } vocab_slot;     /* id -1: empty */

struct vocab {
    char *text;               /* the tokens, each ended by NUL */
    uint32_t *start;          /* count + 1 offsets into text */
    size_t count, longest;    /* bytes of the longest token */
    vocab_slot *slot;         /* open addressing, at most half full */
    size_t mask;              /* slots - 1 */
    int32_t unk, cls, sep, mask_id;
    bool capitals, casing, lowercase;
    int strip_accents;
    char hash[SHA256_HEX];
};

#define VOCAB_HASH_START UINT64_C(0xcbf29ce484222325)
static inline uint64_t vocab_hash_byte(uint64_t h, char c) { return (h ^ (unsigned char)c) * UINT64_C(0x100000001b3); }   /* FNV-1a */

/* The id of the token first + rest, whose hash is h; -1 when absent. */
static inline int32_t vocab_find(const vocab *v, uint64_t h, const char *first, size_t first_bytes, const char *rest, size_t rest_bytes) {
    uint32_t part = (uint32_t)(h >> 32);
    for (size_t i = (size_t)(h ^ h >> 29) & v->mask; v->slot[i].id >= 0; i = (i + 1) & v->mask) {
        if (v->slot[i].hash != part) continue;
        int32_t id = v->slot[i].id;
        const char *token = v->text + v->start[id];
        if (v->start[id + 1] - v->start[id] - 1 != first_bytes + rest_bytes) continue;
        if (!memcmp(token, first, first_bytes) && !memcmp(token + first_bytes, rest, rest_bytes)) return id;
    }
    return -1;
}
#endif
