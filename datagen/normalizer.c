/* datagen/normalizer.c - see normalizer.h. ASCII has a path of its own; what it does comes from the same tables. */
#include "datagen/normalizer.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/fail.h"
#include "datagen/tokenizer.h"
#include "datagen/unicode_tables.h"
#include "datagen/utf8.h"
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { PUNCTUATION = 0x80, AT_ONCE = WORD_SLACK };

static bool alphanumeric(uint32_t c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }

void normalizer_init(normalizer *n, bool lowercase, bool strip_accents, word_sink *sink, void *context) {
    *n = (normalizer){.lowercase = lowercase, .strip_accents = strip_accents, .sink = sink, .context = context};
    for (uint32_t c = 0; c < 128; c++) {
        const unicode_record *r = unicode_of(c);
        assert(!r->sequence && !r->combining);
        uint32_t letter = lowercase ? c + (uint32_t)r->lower : c;
        assert(!alphanumeric(c) == !!(r->flags & (UNICODE_DROP | UNICODE_SPACE | UNICODE_PUNCT)) && (uint32_t)r->lower == (c >= 'A' && c <= 'Z' ? 32 : 0));
        n->ascii[c] = (unsigned char)(r->flags & UNICODE_DROP ? 0 : r->flags & UNICODE_SPACE ? ' ' : r->flags & UNICODE_PUNCT ? PUNCTUATION | c : letter);
    }
}

void normalizer_free(normalizer *n) {
    free(n->waiting);
    *n = (normalizer){0};
}

static inline void end_word(normalizer *n) {
    if (!n->characters) return;
    n->sink(n->context, n->word, n->characters > WORD_CHARACTERS ? 0 : n->bytes, n->characters);
    n->bytes = n->characters = 0;
}

static inline void append(normalizer *n, uint32_t c) {
    if (n->characters < WORD_CHARACTERS) n->bytes += utf8_put(n->word + n->bytes, c);
    n->characters++;
}

static void append_or_split(normalizer *n, uint32_t c, const unicode_record *r) {
    bool alone = r->flags & UNICODE_PUNCT;
    if (alone) end_word(n);
    append(n, c);
    if (alone) end_word(n);
}

/* A character in its final place: lower case, then punctuation. */
static void place(normalizer *n, uint32_t c, const unicode_record *r) {
    if (n->lowercase && r->lower) {
        if (c == UNICODE_DOTTED_I) {
            append_or_split(n, 'i', unicode_of('i'));
            c = UNICODE_DOT_ABOVE;
        } else c += (uint32_t)r->lower;
        r = unicode_of(c);
    }
    append_or_split(n, c, r);
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Canonical ordering: what waits is sorted by class, equal classes in the order they came. */
static void settle(normalizer *n) {
    if (n->waiting_count > 1) qsort(n->waiting, n->waiting_count, sizeof *n->waiting, by_value);
    for (size_t i = 0; i < n->waiting_count; i++) {
        uint32_t c = n->waiting[i] & 0x1fffff;
        place(n, c, unicode_of(c));
    }
    n->waiting_count = 0;
}

/* One character of the decomposition. Mn characters go at once: dropped before or after the sorting, the rest sorts alike. */
static void reorder(normalizer *n, uint32_t c, const unicode_record *r) {
    if (!r->combining) {
        if (n->waiting_count) settle(n);
        if (!(r->flags & UNICODE_MARK)) place(n, c, r);
    } else if (!(r->flags & UNICODE_MARK)) {
        if (n->waiting_count == n->waiting_room) {
            n->waiting_room = n->waiting_room ? 2 * n->waiting_room : 16;
            n->waiting = must_realloc(n->waiting, n->waiting_room, sizeof *n->waiting);
        }
        n->waiting[n->waiting_count] = (uint64_t)r->combining << 56 | (uint64_t)n->waiting_count << 21 | c;
        n->waiting_count++;
    }
}

/* Unicode 3.12: a Hangul syllable is a leading, a vowel and perhaps a trailing letter. */
static void decompose_hangul(normalizer *n, uint32_t c) {
    uint32_t i = c - 0xac00, part[3] = {0x1100 + i / 588, 0x1161 + i % 588 / 28, 0x11a7 + i % 28};
    for (int k = 0; k < (i % 28 ? 3 : 2); k++) reorder(n, part[k], unicode_of(part[k]));
}

static void decompose(normalizer *n, uint32_t c, const unicode_record *r) {
    if (!n->strip_accents) place(n, c, r);
    else if (r->flags & UNICODE_HANGUL) decompose_hangul(n, c);
    else if (!r->sequence) reorder(n, c, r);
    else for (const uint32_t *s = unicode_sequences + r->sequence; *s; s++) reorder(n, *s, unicode_of(*s));
}

static void boundary(normalizer *n) {
    if (n->waiting_count) settle(n);
    end_word(n);
}

static void take(normalizer *n, uint32_t c) {
    const unicode_record *r = unicode_of(c);
    if (r->flags & UNICODE_DROP) return;
    if (r->flags & UNICODE_SPACE) { boundary(n); return; }
    if (r->flags & UNICODE_CJK) boundary(n);
    decompose(n, c, r);
    if (r->flags & UNICODE_CJK) boundary(n);
}

#ifdef __SSE2__
/* Each byte that is one of the `count` from `first` on. */
static inline __m128i among(__m128i v, char first, char count) {
    __m128i from = _mm_sub_epi8(v, _mm_set1_epi8(first));
    return _mm_cmpeq_epi8(_mm_min_epu8(from, _mm_set1_epi8((char)(count - 1))), from);
}

/* AT_ONCE bytes of p in lower case; returns how many from the first on are letters and digits: where a word ends is no branch for each. */
static inline size_t copy_letters(char *word, const unsigned char *p, bool lowercase) {
    __m128i v = _mm_loadu_si128((const __m128i *)p), low = _mm_or_si128(v, _mm_set1_epi8(32)), letters = among(low, 'a', 26), digits = among(v, '0', 10);
    _mm_storeu_si128((__m128i *)word, lowercase ? _mm_or_si128(v, _mm_and_si128(letters, _mm_set1_epi8(32))) : v);
    return (size_t)__builtin_ctz(~(unsigned)_mm_movemask_epi8(_mm_or_si128(letters, digits)));
}
#else
static inline size_t copy_letters(char *word, const unsigned char *p, bool lowercase) {
    size_t n = 0;
    for (; n < AT_ONCE && alphanumeric(p[n]); n++) word[n] = (char)(lowercase && p[n] >= 'A' && p[n] <= 'Z' ? p[n] + 32 : p[n]);
    return n;
}
#endif

/* The letter of ASCII at p, and those that follow it. */
static inline const unsigned char *append_letters(normalizer *n, const unsigned char *p, const unsigned char *end) {
    char *word = n->word + n->bytes;
    size_t count = 0, room = n->characters < WORD_CHARACTERS ? WORD_CHARACTERS - n->characters : 0, more;
    if (!room) return n->characters++, p + 1;
    if ((size_t)(end - p) > room) end = p + room;
    do {
        unsigned char k;
        more = 0;
        if (end - p < AT_ONCE) for (; p < end && *p < 0x80 && (k = n->ascii[*p]) > ' ' && k < PUNCTUATION; p++) word[count++] = (char)k;
        else more = copy_letters(word + count, p, n->lowercase);
        count += more;
        p += more;
    } while (more == AT_ONCE);
    n->bytes += count;
    n->characters += count;
    return p;
}

void normalizer_text(normalizer *n, const char *text, size_t bytes) {
    const unsigned char *p = (const unsigned char *)text, *end = p + bytes;
    while (p < end) {
        if (*p >= 0x80) {
            uint32_t c = utf8_next(&p, end);
            if (c != UTF8_BAD) take(n, c);      /* U+FFFD, which it stands for, is dropped too */
            continue;
        }
        unsigned char k = n->ascii[*p++];
        if (!k) continue;
        if (n->waiting_count) settle(n);
        if (k == ' ') end_word(n);
        else if (k < PUNCTUATION) p = append_letters(n, p - 1, end);
        else {
            end_word(n);
            append(n, k ^ PUNCTUATION);
            end_word(n);
        }
    }
    boundary(n);
}

bool utf8_valid(const char *text, size_t bytes, size_t *bad) {
    const unsigned char *begin = (const unsigned char *)text, *p = begin, *end = begin + bytes;
    while (p < end) {
        uint64_t eight;
        while (end - p >= 8 && !(memcpy(&eight, p, 8), eight & UINT64_C(0x8080808080808080))) p += 8;
        if (p == end) break;
        const unsigned char *at = p;
        if (utf8_next(&p, end) != UTF8_BAD) continue;
        *bad = (size_t)(at - begin);
        return false;
    }
    return true;
}
