/* datagen/deflate.c - see deflate.h. zlib follows a chain through the last 16 places with the same hash of three bytes, one load after the
 * other; here they lie side by side in one cache line, and are looked at together. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>   /* adler32 */
#include "base/fail.h"
#include "datagen/deflate.h"
#include "datagen/deflate_block.h"

enum { HASHES = 1 << 15, RECENT = 16, MOST_DISTANCE = 32768 - 262, LONGEST_MATCH = 258, NICE = 16, LAZY = 4, FAR_OFF = 4096, PAD = 16 };

/* Which of the RECENT places begin with the bytes of `want` under `cut`: bit i is slot i. Places at the stream's first byte or before it, and
 * ones too far, do not. */
typedef uint32_t compare_places(const uint32_t *recent, uint32_t base, uint32_t here, const unsigned char *text, uint32_t want, uint32_t cut);

/* The longest match for place p, with `left` bytes from there on, that is longer than `longer`; the nearest of equals; one of NICE bytes ends the
 * search. Returns its length, or `longer`. */
typedef uint32_t search_matches(const deflater *d, const unsigned char *text, uint32_t p, size_t left, uint32_t longer, uint32_t *start);

struct deflater {
    uint32_t recent[HASHES][RECENT];   /* places, the newest at `newest`, older ones behind it, round the end; counted on over all streams */
    uint8_t newest[HASHES];
    uint32_t base;                     /* place of the stream's first byte */
    search_matches *search;
    compare_places *compare;
    deflate_block block;
    unsigned char *text;
    size_t room;
};

deflater *deflater_new(void) {
    deflater *d = aligned_alloc(64, (sizeof *d + 63) / 64 * 64);
    if (!d) fail(EXIT_MACHINE, "out of memory: %zu bytes were asked for", sizeof *d);
    memset(d, 0, sizeof *d);
    d->base = 1 << 16;
    (void)deflater_use(d, NULL);
    return d;
}

void deflater_free(deflater *d) {
    if (!d) return;
    free(d->text);
    free(d);
}

/* Blocks of 16,383 symbols; a stored one has at most 5 bytes and 7 bits beside them; 4 bytes may be written ahead. */
size_t deflater_bound(size_t bytes) { return bytes + bytes / 1000 + 64; }

static inline uint32_t load32(const unsigned char *p) { uint32_t v; memcpy(&v, p, 4); return v; }
static inline uint64_t load64(const unsigned char *p) { uint64_t v; memcpy(&v, p, 8); return v; }
static inline uint32_t hash_of(const unsigned char *p) { return ((uint32_t)p[0] << 10 ^ (uint32_t)p[1] << 5 ^ p[2]) & (HASHES - 1); }

static inline void insert(deflater *d, const unsigned char *p, uint32_t place) {
    uint32_t h = hash_of(p), s = (d->newest[h] - 1u) & (RECENT - 1);
    d->newest[h] = (uint8_t)s;
    d->recent[h][s] = place;
}

static inline size_t equal_bytes(const unsigned char *a, const unsigned char *b, size_t most) {
    size_t n = 0;
    for (; n < most; n += 8) {
        uint64_t x = load64(a + n) ^ load64(b + n);
        if (!x) continue;
        n += (size_t)__builtin_ctzll(x) / 8;
        break;
    }
    return n < most ? n : most;
}

static uint32_t compare_portable(const uint32_t *recent, uint32_t base, uint32_t here, const unsigned char *text, uint32_t want, uint32_t cut) {
    uint32_t found = 0;
    for (uint32_t i = 0; i < RECENT; i++) {
        bool valid = (recent[i] > base) & (here - recent[i] <= MOST_DISTANCE);
        found |= (uint32_t)(valid & ((load32(text + (valid ? recent[i] - base : 0)) & cut) == want)) << i;
    }
    return found;
}

#ifdef __x86_64__
#include <immintrin.h>

__attribute__((target("avx2"))) static uint32_t compare_avx2(const uint32_t *recent, uint32_t base, uint32_t here, const unsigned char *text, uint32_t want,
                                                              uint32_t cut) {
    uint32_t found = 0;
    for (int half = 0; half < 2; half++) {                /* all numbers are below 2^31: signed comparisons will do */
        __m256i q = _mm256_load_si256((const __m256i *)(recent + 8 * half)), at = _mm256_sub_epi32(q, _mm256_set1_epi32((int)base));
        __m256i low = _mm256_set1_epi32((int)(here - base > MOST_DISTANCE ? here - base - MOST_DISTANCE - 1 : 0)), valid = _mm256_cmpgt_epi32(at, low);
        __m256i bytes = _mm256_mask_i32gather_epi32(_mm256_setzero_si256(), (const int *)(const void *)text, at, valid, 1);
        __m256i equal = _mm256_cmpeq_epi32(_mm256_and_si256(bytes, _mm256_set1_epi32((int)cut)), _mm256_set1_epi32((int)want));
        found |= (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_and_si256(equal, valid))) << 8 * half;
    }
    return found;
}

#endif

static uint32_t search_each(const deflater *d, const unsigned char *text, uint32_t p, size_t left, uint32_t longer, uint32_t *start) {
    uint32_t h = hash_of(text + p), here = d->base + p, cut = longer == 2 ? 0xFFFFFF : 0xFFFFFFFF, s = d->newest[h], best = longer;
    const uint32_t *recent = d->recent[h];
    uint32_t found = d->compare(recent, d->base, here, text, load32(text + p) & cut, cut);
    found = (found | found << RECENT) >> s & 0xFFFF;
    size_t most = left < LONGEST_MATCH ? left : LONGEST_MATCH, nice = left < NICE ? left : NICE;
    for (; found; found &= found - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(found), q = recent[(s + i) & (RECENT - 1)];
        const unsigned char *other = text + (q - d->base);
        if (i && here - q >= MOST_DISTANCE) break;
        if (best >= 3 && load32(other + best - 3) != load32(text + p + best - 3)) continue;      /* it cannot be longer */
        uint32_t n = (uint32_t)equal_bytes(other, text + p, most);
        if (n <= best) continue;
        best = n;
        *start = q - d->base;
        if (n >= nice) break;
    }
    return best;
}

#ifdef __x86_64__
/* Of the slots in `found`, in order of age: the longest match above 8 bytes, or one of NICE. */
static inline uint32_t search_long(const uint32_t *recent, uint32_t base, const unsigned char *text, uint32_t p, size_t most, uint32_t s, uint32_t found,
                                   uint32_t *start) {
    uint32_t best = 7;
    for (; found; found &= found - 1) {
        uint32_t at = recent[(s + (uint32_t)__builtin_ctz(found)) & (RECENT - 1)] - base;
        if (load32(text + at + best - 3) != load32(text + p + best - 3)) continue;
        uint32_t n = 8 + (uint32_t)equal_bytes(text + at + 8, text + p + 8, most - 8);
        if (n <= best) continue;
        best = n;
        *start = at;
        if (n >= NICE) break;
    }
    return best;
}

/* The same with the first 8 bytes of all places compared at once: without one that has them all, the first of the longest is known. */
__attribute__((target("avx512f"))) static uint32_t search_avx512(const deflater *d, const unsigned char *text, uint32_t p, size_t left, uint32_t longer,
                                                                 uint32_t *start) {
    if (left < NICE) return search_each(d, text, p, left, longer, start);
    uint32_t h = hash_of(text + p), s = d->newest[h], far = p > MOST_DISTANCE ? p - MOST_DISTANCE : 0;
    const uint32_t *recent = d->recent[h];
    __m512i at = _mm512_sub_epi32(_mm512_load_si512(recent), _mm512_set1_epi32((int)d->base));
    uint32_t valid = _mm512_cmpgt_epi32_mask(at, _mm512_set1_epi32((int)far));           /* a place as far as MOST_DISTANCE counts if it is the newest */
    if (far && recent[s] - d->base == far) valid |= 1u << s;
    __m512i first = _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), (__mmask16)valid, at, text, 1);
    __m512i differ = _mm512_xor_si512(first, _mm512_set1_epi32((int)load32(text + p)));
    uint32_t three = _mm512_mask_testn_epi32_mask((__mmask16)valid, differ, _mm512_set1_epi32(0xFFFFFF)), level[6] = { three };
    level[1] = _mm512_mask_testn_epi32_mask((__mmask16)three, differ, differ);
    uint32_t best = 3, found = three;
    if (level[1]) {
        __m512i second = _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), (__mmask16)level[1], at, text + 4, 1);
        differ = _mm512_xor_si512(second, _mm512_set1_epi32((int)load32(text + p + 4)));
        for (uint32_t n = 1; n <= 4; n++)
            level[1 + n] = _mm512_mask_testn_epi32_mask((__mmask16)level[1], differ, _mm512_set1_epi32(n == 4 ? -1 : (int)((1u << 8 * n) - 1)));
        best = 4u + (level[2] > 0) + (level[3] > 0) + (level[4] > 0) + (level[5] > 0);
        found = level[best - 3];
    }
    if (!found || best <= longer) return longer;
    found = (found | found << RECENT) >> s & 0xFFFF;
    if (best == 8) return search_long(recent, d->base, text, p, left < LONGEST_MATCH ? left : LONGEST_MATCH, s, found, start);
    *start = recent[(s + (uint32_t)__builtin_ctz(found)) & (RECENT - 1)] - d->base;
    return best;
}
#endif

static const struct { const char *name; search_matches *search; compare_places *compare; } kinds[] = {
#ifdef __x86_64__
    { "avx512", search_avx512, compare_avx2 }, { "avx2", search_each, compare_avx2 },
#endif
    { "portable", search_each, compare_portable },
};

bool deflater_use(deflater *d, const char *kind) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (kind && strcmp(kind, kinds[i].name)) continue;
#ifdef __x86_64__
        if (kinds[i].search == search_avx512 && !__builtin_cpu_supports("avx512f")) continue;
        if (kinds[i].compare == compare_avx2 && !__builtin_cpu_supports("avx2")) continue;
#endif
        d->search = kinds[i].search;
        d->compare = kinds[i].compare;
        return true;
    }
    return false;
}

/* zlib's rule: a match is taken unless the next place has a longer one; only after a match shorter than LAZY is that looked for. */
static void pack(deflater *d, const unsigned char *text, uint32_t bytes, bit_writer *w) {
    deflate_block *b = &d->block;
    uint32_t length = 2, start = 0, block_start = 0;
    bool waiting = false;                              /* the byte before p is not told yet */
    deflate_block_start(b);
    for (uint32_t p = 0; p < bytes; ) {
        uint32_t before = length, before_start = start;
        size_t left = bytes - p;
        length = 2;
        if (left >= 3) {
            if (before < LAZY) length = d->search(d, text, p, left, before, &start);
            if (before < LAZY && length == 3 && p - start > FAR_OFF) length = 2;
            insert(d, text + p, d->base + p);
        }
        if (before >= 3 && length <= before) {
            uint32_t end = p - 1 + before;
            deflate_block_match(b, p - 1 - before_start, before);
            for (p++; p < end; p++) if (p + 3 <= bytes) insert(d, text + p, d->base + p);
            waiting = false;
            length = 2;
        } else {
            if (waiting) {
                deflate_block_literal(b, text[p - 1]);
                if (b->symbols == BLOCK_SYMBOLS) deflate_block_end(b, text + block_start, p - block_start, false, w), block_start = p;
            }
            waiting = true;
            p++;
            continue;
        }
        if (b->symbols == BLOCK_SYMBOLS) deflate_block_end(b, text + block_start, p - block_start, false, w), block_start = p;
    }
    if (waiting) deflate_block_literal(b, text[bytes - 1]);
    deflate_block_end(b, text + block_start, bytes - block_start, true, w);
}

size_t deflater_pack(deflater *d, const void *data, size_t bytes, unsigned char *out) {
    if (bytes > (size_t)1 << 30) fail(EXIT_MACHINE, "a chunk of %zu bytes is too large to be packed", bytes);
    if (bytes + PAD > d->room) {
        free(d->text);
        d->text = must_alloc(d->room = bytes + PAD, 1);
    }
    memcpy(d->text, data, bytes);
    memset(d->text + bytes, 0, PAD);
    if (d->base > UINT32_MAX / 4) {
        memset(d->recent, 0, sizeof d->recent);
        d->base = 1 << 16;
    }
    bit_writer w = { .at = out + 2 };
    out[0] = 0x78, out[1] = 0x5E;                      /* window 15, level below 6 */
    pack(d, d->text, (uint32_t)bytes, &w);
    bit_writer_align(&w);
    uint32_t sum = (uint32_t)adler32(1, d->text, (uInt)bytes);
    for (int i = 3; i >= 0; i--) *w.at++ = (unsigned char)(sum >> 8 * i);
    d->base += (uint32_t)bytes + 1;
    return (size_t)(w.at - out);
}
