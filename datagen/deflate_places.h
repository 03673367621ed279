/* datagen/deflate_places.h - the last places in a text with the same hash of three bytes, and the longest match among them. Inside of deflate.c.
 *
 * zlib follows a chain through the last 16 such places, one load after the other, and compares text at each. Here a ring holds them side by side,
 * with the 8 bytes that stand there, and all are compared at once: deflate_places_x86.h has the fast ways. Text is looked at for longer matches only. */
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

/* A bit for each entry of `among` whose first byte, or two, three, four are those of `word`. */
typedef struct alike { uint32_t one, two, three, four; } alike;
typedef alike compare_words(const uint32_t *entry, uint32_t word, uint32_t among);
typedef uint32_t compare_places(const uint32_t *entry, uint32_t here, uint32_t most);  /* a bit for each that is `most` from here, or nearer */

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

INLINE uint32_t newest_first(uint32_t bits, uint32_t newest) { return (bits | bits << RECENT) >> newest & ((1u << RECENT) - 1); }

INLINE uint32_t place_of(const ring *r, uint32_t newest, uint32_t bits) { return r->place[((uint32_t)__builtin_ctz(bits) + newest) % RECENT]; }

/* One after the other: the nearest of equals; one of NICE bytes, or of all that are left, ends the search. */
static uint32_t choose_each(const ring *r, uint32_t newest, uint32_t among, const unsigned char *text, uint32_t here, uint32_t p, uint32_t most,
                            uint32_t longer, uint32_t *start) {
    uint32_t nice = most < NICE ? most : NICE, best = longer;
    for (uint32_t bits = newest_first(among, newest); bits; bits &= bits - 1) {
        uint32_t q = p - (here - place_of(r, newest, bits)), n = equal_bytes(text + q, text + p, most);
        if (n <= best) continue;
        best = n;
        *start = q;
        if (n >= nice) break;
    }
    return best;
}

/* A length that is known by the branch that was taken, not computed: then the CPU goes on to the next position before the loads have come. */
INLINE uint32_t by_branch(uint32_t n) { __asm__("" : "+r"(n)); return n; }

/* The length of the longest match for position p > 0 that is longer than `longer` (2 or 3), or that. left: bytes from p on, 3 at least. */
INLINE uint32_t places_search(const places *s, compare_words *words, compare_places *near_ones, const unsigned char *text, uint32_t p, uint32_t left,
                              uint32_t longer, uint32_t *start) {
    uint32_t hash = s->key[p % KEYS], newest = s->newest[hash], here = s->base + p, best, found, most = left < LONGEST_MATCH ? left : LONGEST_MATCH;
    const ring *r = &s->ring[hash];
    uint32_t near = near_ones(r->place, here, p < MOST_DISTANCE ? p - 1 : MOST_DISTANCE - 1);          /* none at the stream's first byte */
    if (here - r->place[newest] == MOST_DISTANCE && p > MOST_DISTANCE)                                  /* the full distance is for the newest only */
        return choose_each(r, newest, 1u << newest, text, here, p, most, longer, start);
    alike first = words(r->word, load32(text + p), near);
    if (longer == 2 && !first.three) return 2;
    if (longer == 3 && !first.four) return 3;
    if (left < NICE) return choose_each(r, newest, first.three, text, here, p, most, longer, start);
    if (!first.four) best = by_branch(3), found = first.three;
    else {
        alike second = words(r->next, load32(text + p + 4), first.four);
        if (second.four) return choose_each(r, newest, second.four, text, here, p, most, longer, start);
        if (!second.one) best = by_branch(4), found = first.four;
        else if (!second.two) best = by_branch(5), found = second.one;
        else if (!second.three) best = by_branch(6), found = second.two;
        else best = by_branch(7), found = second.three;
    }
    *start = p - (here - place_of(r, newest, newest_first(found, newest)));
    return best;
}
#endif
