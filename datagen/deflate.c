/* datagen/deflate.c - see deflate.h. The rule of choice is here, the places to choose from are in deflate_places.h and
 * deflate_search.h, the codes in deflate_block.c. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/fail.h"
#include "datagen/deflate.h"
#include "datagen/deflate_block.h"
#include "datagen/deflate_search.h"
#include "datagen/deflate_sum.h"
#ifdef __x86_64__
#include "datagen/deflate_places_x86.h"
#endif

enum { FAR_OFF = 4096, PAD = 16, KEY_PART = KEYS / 2, KEY_LEAD = 512,   /* lead: the longest match, and more */
       MOST_BYTES = 1 << 27 };

typedef void pack_stream(deflater *d, const unsigned char *text, uint32_t bytes, bit_writer *w);

struct deflater {
    places places;
    deflate_block block;
    pack_stream *pack;
    unsigned char *text;
    size_t room;
};

deflater *deflater_new(void) {
    deflater *d = aligned_alloc(64, (sizeof *d + 63) / 64 * 64);
    if (!d) fail(EXIT_MACHINE, "out of memory: %zu bytes were asked for", sizeof *d);
    memset(d, 0, sizeof *d);
    d->places.base = FIRST_PLACE;
    (void)deflater_use(d, NULL);
    return d;
}

void deflater_free(deflater *d) {
    if (!d) return;
    free(d->text);
    free(d);
}

/* Blocks of 16,383 symbols; a stored one has at most 5 bytes and 7 bits beside them; 8 bytes may be written ahead. */
size_t deflater_bound(size_t bytes) { return bytes + bytes / 1000 + 64; }

static void end_block(deflate_block *b, const unsigned char *text, uint32_t *from, uint32_t end, bool last, bit_writer *w) {
    deflate_block_end(b, text + *from, end - *from, last, w);
    *from = end;
}

/* zlib's rule: a match is taken unless it has 3 bytes only and the next position has a longer one. */
INLINE void pack(deflater *d, compare_words *words, compare_places *near_ones, add_bytes *add, const unsigned char *text, uint32_t bytes, bit_writer *w) {
    deflate_block *b = &d->block;
    places *s = &d->places;
    uint32_t block_start = 0, keys = 0, hashed = bytes < 3 ? 0 : bytes - 2;      /* hashed: positions that have 3 bytes */
    deflate_block_start(b);
    for (uint32_t p = 0; p < bytes; ) {
        uint32_t length = 2, start = 0, known = p;                               /* known: positions before it are inserted */
        if (p + KEY_LEAD > keys) {
            if (keys < bytes) places_keys(s->key + keys % KEYS, text + keys, bytes - keys < KEY_PART ? bytes - keys : KEY_PART);
            keys += KEY_PART;
        }
        if (p < hashed) {
            if (p) length = places_search(s, words, near_ones, text, p, bytes - p, 2, &start);
            places_insert(s, text, p);
            known++;
        }
        if (length == 3 && p - start > FAR_OFF) length = 2;
        if (length == 3 && p + 1 < hashed) {
            uint32_t later, longer = places_search(s, words, near_ones, text, p + 1, bytes - p - 1, 3, &later);
            places_insert(s, text, p + 1);
            known++;
            if (longer > 3) {
                deflate_block_literal(b, text[p++]);
                if (b->symbols == BLOCK_SYMBOLS) end_block(b, text, &block_start, p, false, w);
                length = longer;
                start = later;
            }
        }
        if (length < 3) {
            deflate_block_literal(b, text[p++]);
            if (p == bytes) break;                                               /* the end does not wait for a full block */
        } else {
            uint32_t end = p + length;
            deflate_block_match(b, p - start, length);
            places_insert_match(s, text, known, end < hashed ? end : hashed);
            p = end;
        }
        if (b->symbols == BLOCK_SYMBOLS) end_block(b, text, &block_start, p, false, w);
    }
    end_block(b, text, &block_start, bytes, true, w);
    bit_writer_align(w);
    uint32_t sum = adler32_of(add, text, bytes);
    for (int i = 3; i >= 0; i--) *w->at++ = (unsigned char)(sum >> 8 * i);
}

INLINE alike words_portable(const uint32_t *entry, uint32_t word, uint32_t among) {
    alike t = {0};
    for (uint32_t i = 0; i < RECENT; i++) {
        uint32_t differ = entry[i] ^ word;
        if (!(among >> i & 1)) continue;
        t.one |= (uint32_t)!(differ & 0xFF) << i;
        t.two |= (uint32_t)!(differ & 0xFFFF) << i;
        t.three |= (uint32_t)!(differ & 0xFFFFFF) << i;
        t.four |= (uint32_t)!differ << i;
    }
    return t;
}

INLINE uint32_t near_portable(const uint32_t *entry, uint32_t here, uint32_t most) {
    uint32_t near = 0;
    for (uint32_t i = 0; i < RECENT; i++) near |= (uint32_t)(here - entry[i] <= most) << i;
    return near;
}

static void pack_portable(deflater *d, const unsigned char *text, uint32_t bytes, bit_writer *w) {
    pack(d, words_portable, near_portable, add_bytes_portable, text, bytes, w);
}
#ifdef __x86_64__
__attribute__((target(AVX2))) static void pack_avx2(deflater *d, const unsigned char *text, uint32_t bytes, bit_writer *w) {
    pack(d, words_avx2, near_avx2, add_bytes_avx2, text, bytes, w);
}
__attribute__((target(AVX512))) static void pack_avx512(deflater *d, const unsigned char *text, uint32_t bytes, bit_writer *w) {
    pack(d, words_avx512, near_avx512, add_bytes_avx2, text, bytes, w);
}
static bool runs_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2"); }
static bool runs_avx512(void) { return runs_avx2() && __builtin_cpu_supports("avx512f"); }
#endif
static bool runs_portable(void) { return true; }

static const struct { const char *name; pack_stream *pack; bool (*runs)(void); } kinds[] = {
#ifdef __x86_64__
    { "avx512", pack_avx512, runs_avx512 }, { "avx2", pack_avx2, runs_avx2 },
#endif
    { "portable", pack_portable, runs_portable },
};

bool deflater_use(deflater *d, const char *kind) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if ((kind && strcmp(kind, kinds[i].name)) || !kinds[i].runs()) continue;
        d->pack = kinds[i].pack;
        return true;
    }
    return false;
}

size_t deflater_pack(deflater *d, const void *data, size_t bytes, unsigned char *out) {
    if (bytes > MOST_BYTES) fail(EXIT_MACHINE, "a chunk of %zu bytes is too large to be packed", bytes);
    if (bytes + PAD > d->room) {
        free(d->text);
        d->text = must_alloc(d->room = bytes + PAD, 1);
    }
    memcpy(d->text, data, bytes);
    memset(d->text + bytes, 0, PAD);
    if (d->places.base > UINT32_MAX / 4) {             /* before the distance from a place that was never written passes 2^31 */
        memset(d->places.ring, 0, sizeof d->places.ring);
        d->places.base = FIRST_PLACE;
    }
    bit_writer w = { .at = out + 2 };
    out[0] = 0x78, out[1] = 0x5E;                      /* window 15, level below 6 */
    d->pack(d, d->text, (uint32_t)bytes, &w);
    d->places.base += (uint32_t)bytes + 1;
    return (size_t)(w.at - out);
}
