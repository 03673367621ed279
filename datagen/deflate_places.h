/* datagen/deflate_places.h - the last places in a text with the same hash of three bytes. Inside of deflate.c.
 *
 * zlib follows a chain through the last 16 such places, one load after the other, and compares text at each. Here a ring holds them side by side,
 * with the 8 bytes that stand there, and all are compared at once (deflate_search.h; deflate_places_x86.h has the fast ways). */
#ifndef DATAGEN_DEFLATE_PLACES_H
#define DATAGEN_DEFLATE_PLACES_H
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { HASHES = 1 << 15, RECENT = 16, MOST_DISTANCE = 32768 - 262, LONGEST_MATCH = 258, NICE = 16, WORDS = 8, FIRST_PLACE = 1 << 16, KEYS = 1 << 12 };

/* From the newest on upwards they grow older, around the end. */
typedef struct ring { uint32_t word[RECENT], next[RECENT], place[RECENT]; } ring;      /* bytes 1 to 4, and 5 to 8, of what stands at a place */

typedef struct places {
    ring ring[HASHES];
    uint8_t newest[HASHES];            /* index in the ring */
    uint16_t key[KEYS];                /* of text position p, at p % KEYS: hash */
    uint32_t base;                     /* place of the stream's first byte: places are counted on over all streams */
} places;

#define INLINE __attribute__((always_inline)) static inline

INLINE uint32_t load32(const unsigned char *p) { uint32_t v; memcpy(&v, p, 4); return v; }
INLINE uint64_t load64(const unsigned char *p) { uint64_t v; memcpy(&v, p, 8); return v; }

/* Keys of `count` positions: zlib's hash of 3 bytes, turned by 5 bits: then small numbers, 4 bytes each, have their rings near each other. */
INLINE void places_keys(uint16_t *restrict key, const unsigned char *restrict text, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        uint16_t a = text[i], b = text[i + 1], c = text[i + 2];
        key[i] = (uint16_t)((a << 5 & 0x3E0) ^ b ^ c >> 5 ^ (c << 10 & 0x7C00));
    }
}

INLINE void places_insert(places *s, const unsigned char *text, uint32_t p) {
    uint32_t hash = s->key[p % KEYS], i = (s->newest[hash] - 1u) % RECENT;
    ring *r = &s->ring[hash];
    s->newest[hash] = (uint8_t)i;
    r->word[i] = load32(text + p);
    r->next[i] = load32(text + p + 4);
    r->place[i] = s->base + p;
}

INLINE uint32_t equal_bytes(const unsigned char *a, const unsigned char *b, uint32_t most) {
    uint32_t n = 0;
    for (; n < most; n += 8) {
        uint64_t x = load64(a + n) ^ load64(b + n);
        if (!x) continue;
        n += (uint32_t)__builtin_ctzll(x) / 8;
        break;
    }
    return n < most ? n : most;
}

/* Positions [p, end) inside of a match. Of a run of one byte only the last RECENT stay: they are written at once. */
INLINE void places_insert_match(places *s, const unsigned char *text, uint32_t p, uint32_t end) {
    switch (end - p) {                                 /* short ones without a loop, whose end would have to be foreseen */
    case 8: places_insert(s, text, p++);               /* fall through */
    case 7: places_insert(s, text, p++);               /* fall through */
    case 6: places_insert(s, text, p++);               /* fall through */
    case 5: places_insert(s, text, p++);               /* fall through */
    case 4: places_insert(s, text, p++);               /* fall through */
    case 3: places_insert(s, text, p++);               /* fall through */
    case 2: places_insert(s, text, p++);               /* fall through */
    case 1: places_insert(s, text, p);                 /* fall through */
    case 0: return;
    }
    while (p < end) {
        uint32_t run = 0;
        if (end - p >= RECENT + WORDS && load64(text + p) == load64(text + p + 1)) run = 1 + equal_bytes(text + p, text + p + 1, end - p - 1);
        if (run >= RECENT + WORDS - 1) {
            uint32_t hash = s->key[p % KEYS], place = s->base + p + run - WORDS;      /* the last whose bytes are all of the run */
            ring *r = &s->ring[hash];
            for (uint32_t i = 0; i < RECENT; i++) {
                r->word[i] = r->next[i] = load32(text + p);
                r->place[i] = place - i;
            }
            s->newest[hash] = 0;
            p += run - WORDS + 1;
        }
        for (uint32_t stop = end - p < RECENT + WORDS ? end : p + WORDS; p < stop; p++) places_insert(s, text, p);
    }
}
#endif
