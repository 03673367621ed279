/* datagen/deflate_places.h - the last places in a text with the same hash of three bytes, and the longest match among them. Inside of deflate.c.
 *
 * zlib follows a chain through the last 16 such places, one load after the other. Here they lie side by side in one cache line, the newest first,
 * each as the low 16 bits of its place and a mark of what stands there, and are looked at together: deflate_places_x86.h has the fast ways. */
#ifndef DATAGEN_DEFLATE_PLACES_H
#define DATAGEN_DEFLATE_PLACES_H
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { HASHES = 1 << 15, RECENT = 16, ALL_RECENT = (1 << RECENT) - 1, MOST_DISTANCE = 32768 - 262, LONGEST_MATCH = 258, NICE = 16, FORGOTTEN = 1 << 15,
       KEYS = 1 << 12, SOON = 8, MARK_THREE = 0x1FF << 16 };
#define MARK_FOUR 0xFFFF0000u

typedef struct places {
    uint32_t recent[HASHES][RECENT];
    uint32_t newest[HASHES];           /* place of the newest; 0: there is none */
    uint32_t key[KEYS];                /* of text position p, at p % KEYS: hash and mark (see places_keys) */
    uint32_t base;                     /* place of the stream's first byte: places are counted on over all streams */
} places;

/* A bit for each: too far; same 3 bytes; same 4 bytes, as far as its mark tells. */
typedef struct sight { uint32_t far, three, four; } sight;
typedef sight look_at_places(const uint32_t *recent, uint32_t here, uint32_t mark, uint32_t most_distance);
typedef void put_place(uint32_t *recent, uint32_t entry);
/* The longest match for position p among the places in `four`, of which there are some; longer than `longer` (2 or 3) or that. */
typedef uint32_t choose_place(const uint32_t *recent, uint32_t here, sight t, const unsigned char *text, uint32_t p, size_t left, uint32_t longer,
                              uint32_t *start);

#define INLINE __attribute__((always_inline)) static inline

INLINE uint32_t load32(const unsigned char *p) { uint32_t v; memcpy(&v, p, 4); return v; }
INLINE uint64_t load64(const unsigned char *p) { uint64_t v; memcpy(&v, p, 8); return v; }

/* Keys of `count` positions. Low 15 bits: zlib's hash of 3 bytes. Then 9 bits that it leaves open of them, and all but one of the fourth byte. */
INLINE void places_keys(uint32_t *restrict key, const unsigned char *restrict text, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        uint32_t a = text[i], b = text[i + 1], c = text[i + 2], d = text[i + 3];
        key[i] = ((a << 10 ^ b << 5 ^ c) & (HASHES - 1)) | (a & 7) << 16 | (a & 0xE0) << 14 | (c & 0xE0) << 17 | d << 25;
    }
}

/* Only 16 bits tell how far a place is. If one is FORGOTTEN before the next comes, all before go: then distances that rise from entry to entry
 * never pass from too far to near again unseen. */
INLINE void places_insert(places *s, put_place *put, uint32_t p) {
    uint32_t key = s->key[p % KEYS], hash = key % HASHES, place = s->base + p, before = s->newest[hash], *recent = s->recent[hash];
    s->newest[hash] = place;
    if (place - before >= FORGOTTEN) for (int i = 0; i < RECENT; i++) recent[i] = (place - FORGOTTEN) & 0xFFFF;
    put(recent, (place & 0xFFFF) | (key & MARK_FOUR));
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
INLINE void places_insert_match(places *s, put_place *put, const unsigned char *text, uint32_t p, uint32_t end) {
    while (p < end) {
        uint32_t run = 0;
        if (end - p >= RECENT + 4 && load64(text + p) == load64(text + p + 1)) run = 1 + equal_bytes(text + p, text + p + 1, end - p - 1);
        if (run >= RECENT + 3) {
            uint32_t key = s->key[p % KEYS], hash = key % HASHES, place = s->base + p + run - 4;     /* the last whose 4 bytes are of the run */
            for (uint32_t i = 0; i < RECENT; i++) s->recent[hash][i] = ((place - i) & 0xFFFF) | (key & MARK_FOUR);
            s->newest[hash] = place;
            p += run - 3;
        }
        for (uint32_t stop = end - p < RECENT + 4 ? end : p + RECENT / 2; p < stop; p++) places_insert(s, put, p);
    }
}

INLINE uint32_t position_of(const uint32_t *recent, uint32_t i, uint32_t here, uint32_t p) { return p - ((here - recent[i]) & 0xFFFF); }
INLINE uint32_t first_of(uint32_t bits) { return (uint32_t)__builtin_ctz(bits); }

/* One after the other: the nearest of equals; one of NICE bytes, or of all that are left, ends the search. */
INLINE uint32_t choose_each(const uint32_t *recent, uint32_t here, sight t, const unsigned char *text, uint32_t p, size_t left, uint32_t longer,
                            uint32_t *start) {
    uint32_t most = left < LONGEST_MATCH ? (uint32_t)left : LONGEST_MATCH, nice = most < NICE ? most : NICE, best = 3;
    uint32_t at = position_of(recent, first_of(t.three), here, p);
    for (uint32_t four = t.four; four; four &= four - 1) {
        uint32_t q = position_of(recent, first_of(four), here, p), n = equal_bytes(text + q, text + p, most);
        if (n <= best) continue;
        best = n;
        at = q;
        if (n >= nice) break;
    }
    if (best > longer) *start = at;
    return best;
}

/* Returns the length of the longest match for position p that is longer than `longer`, or that. left: bytes from p on, 3 at least. */
INLINE uint32_t places_search(const places *s, look_at_places *look, choose_place *choose, const unsigned char *text, uint32_t p, size_t left,
                              uint32_t longer, uint32_t *start) {
    uint32_t key = s->key[p % KEYS], soon = s->key[(p + SOON) % KEYS] % HASHES, hash = key % HASHES, here = s->base + p;
    const uint32_t *recent = s->recent[hash];
    __builtin_prefetch(s->recent[soon]);
    __builtin_prefetch(&s->newest[soon]);
    if (!p || here - s->newest[hash] > (p > MOST_DISTANCE ? MOST_DISTANCE : p - 1)) return longer;      /* none before the stream's second byte */
    sight t = look(recent, here, key & MARK_FOUR, p > MOST_DISTANCE ? MOST_DISTANCE - 1 : p - 1);       /* the full distance is for the newest only */
    t.far &= ~1u;
    uint32_t near = ~t.far & (t.far - 1) & ALL_RECENT;                                                   /* before the first that is too far */
    t.three &= near;
    t.four &= near;
    if (!t.three) return longer;
    if (t.four && left > 3) return choose(recent, here, t, text, p, left, longer, start);
    if (longer < 3) *start = position_of(recent, first_of(t.three), here, p);
    return 3;
}
#endif
