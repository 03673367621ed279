/* datagen/google_tokenizer.c - see google_tokenizer.h. A word (what stands between white space) is gathered as code points, then lowered,
 * decomposed, stripped and split, in Google's order. */
#include "datagen/google_tokenizer.h"
#include <stdlib.h>
#include <string.h>
#include "datagen/unicode_tables.h"
#include "datagen/utf8.h"
#include "datagen/wordpiece.h"

enum { CAPITAL_SIGMA = 0x3a3, FINAL_SIGMA = 0x3c2 };

typedef struct points { uint32_t *c; size_t count, capacity; } points;

struct google_tokenizer {
    const vocab *vocab;
    bool lowercase;
    points word, lowered;
    struct { uint64_t *key; size_t count, capacity; } waiting;   /* combining characters until the next starter: class, order, code point */
    char piece[4 * WORDPIECE_LONGEST];                           /* of the word: what stands between punctuation */
    size_t bytes, characters;
    token_list *out;                                             /* of the call under way */
};

google_tokenizer *google_tokenizer_new(const vocab *v, bool lowercase) {
    google_tokenizer *t = must_zalloc(1, sizeof *t);
    t->vocab = v;
    t->lowercase = lowercase;
    return t;
}

void google_tokenizer_free(google_tokenizer *t) {
    if (!t) return;
    free(t->word.c);
    free(t->lowered.c);
    free(t->waiting.key);
    free(t);
}

static inline void push(points *p, uint32_t c) {
    if (p->count == p->capacity) p->c = must_realloc(p->c, p->capacity = p->capacity ? 2 * p->capacity : 256, sizeof *p->c);
    p->c[p->count++] = c;
}

/* WordPiece of the piece gathered, if there is one. */
static void end_piece(google_tokenizer *t) {
    token_list *out = t->out;
    if (!t->characters) return;
    if (out->count + WORDPIECE_LONGEST > out->capacity)
        out->id = must_realloc(out->id, out->capacity = 2 * out->capacity + WORDPIECE_LONGEST, sizeof *out->id);
    if (t->characters > WORDPIECE_LONGEST) out->id[out->count++] = vocab_unk(t->vocab);
    else out->count += wordpiece_split(t->vocab, t->piece, t->bytes, out->id + out->count);
    t->bytes = t->characters = 0;
}

/* A character in its final form: punctuation is a piece of its own. */
static inline void place(google_tokenizer *t, uint32_t c, const unicode_record *r) {
    bool alone = r->flags & UNICODE_PUNCT;
    if (alone) end_piece(t);
    if (t->characters < WORDPIECE_LONGEST) t->bytes += utf8_put(t->piece + t->bytes, c);
    t->characters++;
    if (alone) end_piece(t);
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Canonical ordering: what waits, by class, equal classes in the order they came; Mn is dropped. */
static void settle(google_tokenizer *t) {
    if (t->waiting.count > 1) qsort(t->waiting.key, t->waiting.count, sizeof *t->waiting.key, by_value);
    for (size_t i = 0; i < t->waiting.count; i++) {
        uint32_t c = t->waiting.key[i] & 0x1fffff;
        const unicode_record *r = google_unicode_of(c);
        if (!(r->flags & UNICODE_MARK)) place(t, c, r);
    }
    t->waiting.count = 0;
}

/* One character of the decomposition. */
static void reorder(google_tokenizer *t, uint32_t c) {
    const unicode_record *r = google_unicode_of(c);
    if (!r->combining) {
        if (t->waiting.count) settle(t);
        if (!(r->flags & UNICODE_MARK)) place(t, c, r);
        return;
    }
    if (t->waiting.count == t->waiting.capacity)
        t->waiting.key = must_realloc(t->waiting.key, t->waiting.capacity = t->waiting.capacity ? 2 * t->waiting.capacity : 16, sizeof *t->waiting.key);
    t->waiting.key[t->waiting.count] = (uint64_t)r->combining << 56 | (uint64_t)t->waiting.count << 21 | c;
    t->waiting.count++;
}

static void decompose(google_tokenizer *t, uint32_t c) {
    const unicode_record *r = google_unicode_of(c);
    if (r->flags & UNICODE_HANGUL) {                     /* Unicode 3.12 */
        uint32_t i = c - 0xac00;
        reorder(t, 0x1100 + i / 588);
        reorder(t, 0x1161 + i % 588 / 28);
        if (i % 28) reorder(t, 0x11a7 + i % 28);
    } else if (!r->sequence) reorder(t, c);
    else for (const uint32_t *s = google_unicode_sequences + r->sequence; *s; s++) reorder(t, *s);
}

/* True when the capital sigma at `at` ends a word of letters with case (Unicode 3.13, Final_Sigma), looking past ignorable characters. */
static bool sigma_is_final(const points *w, size_t at) {
    size_t i = at;
    while (i > 0 && google_unicode_of(w->c[i - 1])->flags & UNICODE_IGNORABLE) i--;
    if (!i || !(google_unicode_of(w->c[i - 1])->flags & UNICODE_CASED)) return false;
    i = at + 1;
    while (i < w->count && google_unicode_of(w->c[i])->flags & UNICODE_IGNORABLE) i++;
    return i == w->count || !(google_unicode_of(w->c[i])->flags & UNICODE_CASED);
}

static void lower(google_tokenizer *t) {
    t->lowered.count = 0;
    for (size_t i = 0; i < t->word.count; i++) {
        uint32_t c = t->word.c[i];
        if (c == CAPITAL_SIGMA && sigma_is_final(&t->word, i)) push(&t->lowered, FINAL_SIGMA);
        else if (c == UNICODE_DOTTED_I) {
            push(&t->lowered, 'i');
            push(&t->lowered, UNICODE_DOT_ABOVE);
        } else push(&t->lowered, c + (uint32_t)google_unicode_of(c)->lower);
    }
}

static void end_word(google_tokenizer *t) {
    if (!t->word.count) return;
    if (t->lowercase) {
        lower(t);
        for (size_t i = 0; i < t->lowered.count; i++) decompose(t, t->lowered.c[i]);
        settle(t);
    } else for (size_t i = 0; i < t->word.count; i++) place(t, t->word.c[i], google_unicode_of(t->word.c[i]));
    end_piece(t);
    t->word.count = 0;
}

void google_tokenizer_encode(google_tokenizer *t, const char *text, size_t bytes, token_list *out) {
    const unsigned char *p = (const unsigned char *)text, *end = p + bytes;
    t->out = out;
    while (p < end) {
        uint32_t c = utf8_next(&p, end);
        if (c == UTF8_BAD) continue;
        unsigned flags = google_unicode_of(c)->flags;
        if (flags & UNICODE_DROP) continue;
        if (flags & (UNICODE_SPACE | UNICODE_CJK)) end_word(t);
        if (flags & UNICODE_SPACE) continue;
        push(&t->word, c);
        if (flags & UNICODE_CJK) end_word(t);
    }
    end_word(t);
}

bool google_blank(const char *line, size_t bytes) {
    const unsigned char *p = (const unsigned char *)line, *end = p + bytes;
    while (p < end) {
        uint32_t c = utf8_next(&p, end);
        bool control = (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x1f) || c == 0x85;   /* dropped by cleaning, yet white space to strip() */
        if (!control && (c == UTF8_BAD || !(google_unicode_of(c)->flags & UNICODE_SPACE))) return false;
    }
    return true;
}
