/* datagen/deflate_search.h - the longest match for a position of the text, as zlib chooses it among the last places. Inside of deflate.c.
 *
 * Up to 8 bytes are compared in the ring; the text is looked at for longer matches only. */
#ifndef DATAGEN_DEFLATE_SEARCH_H
#define DATAGEN_DEFLATE_SEARCH_H
#include "datagen/deflate_places.h"

/* A bit for each entry of `among` whose first byte, or two, three, four are those of `word`. */
typedef struct alike { uint32_t one, two, three, four; } alike;
typedef alike compare_words(const uint32_t *entry, uint32_t word, uint32_t among);
typedef uint32_t compare_places(const uint32_t *entry, uint32_t here, uint32_t most);  /* a bit for each that is `most` from here, or nearer */

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
