/* datagen/sentences.c - see sentences.h for the rules. */
#include <stdbool.h>
#include <string.h>
#include "datagen/sentences.h"

/* Never the end of a sentence when a full stop follows. Compared without regard to case of the first letter. */
static const char *const abbreviations[] = {
    "mr", "mrs", "ms", "messrs", "mme", "mlle", "dr", "prof", "rev", "hon", "st", "sr", "jr", "capt", "col", "gen", "lieut", "lt", "maj", "sgt",
    "adm", "gov", "sen", "rep", "pres", "supt", "esq", "mt", "ft", "vs", "viz", "cf", "al", "ibid", "approx", "dept", "univ", "bros", "ltd", "inc",
    "corp", "e.g", "i.e", "a.m", "p.m", "jan", "feb", "aug", "sept", "oct", "nov", "dec",
};
/* Only before a number. */
static const char *const before_numbers[] = { "no", "nos", "p", "pp", "vol", "vols", "ch", "chap", "fig", "figs", "sec", "art", "ver", "op", "lib" };

/* Korean, one syllable each: verbs end in these at a sentence's end; paragraphs are numbered with those. */
static const char *const endings[] = { "다", "요", "죠", "까", "네", "군", "음", "임", "함", "됨" };
static const char *const labels[] = { "가", "나", "다", "라", "마", "바", "사" };
enum { NEAR = 200 };   /* bytes on both sides in which Hangul makes a text Korean */

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80; }
static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }
static bool starts(const char *p, const char *end, const char *what) {
    size_t n = strlen(what);
    return (size_t)(end - p) >= n && !memcmp(p, what, n);
}

/* Bytes of a full stop of any kind at p, 0 if there is none. *hard: needs no white space after it. */
static size_t stop_at(const char *p, const char *end, bool *hard) {
    *hard = false;
    if (p >= end) return 0;
    if (*p == '.' || *p == '!' || *p == '?') return 1;
    if (starts(p, end, "\xE2\x80\xA6")) return 3;                                  /* ellipsis */
    if (starts(p, end, "\xE3\x80\x82") || starts(p, end, "\xEF\xBC\x81") || starts(p, end, "\xEF\xBC\x9F")) { *hard = true; return 3; }
    return 0;
}

/* Closing quotes and brackets; " and ' and the right quotation marks. */
static size_t closer_at(const char *p, const char *end) {
    if (p < end && strchr("\"')]}*_", *p) && *p) return 1;
    if (starts(p, end, "\xE2\x80\x9D") || starts(p, end, "\xE2\x80\x99") || starts(p, end, "\xE3\x80\x8D")) return 3;
    if (starts(p, end, "\xE3\x80\x8F") || starts(p, end, "\xE3\x80\x8B") || starts(p, end, "\xE3\x80\x89")) return 3;
    return starts(p, end, "\xC2\xBB") ? 2 : 0;
}

/* A Hangul syllable, U+AC00 to U+D7A3. */
static bool hangul_at(const char *p, const char *end) {
    if (end - p < 3) return false;
    unsigned c = (unsigned char)p[0] << 16 | (unsigned char)p[1] << 8 | (unsigned char)p[2];
    return c >= 0xEAB080 && c <= 0xED9EA3;
}

static bool hangul_near(const char *text, const char *at, const char *end) {
    const char *from = at - text > NEAR ? at - NEAR : text, *to = end - at > NEAR ? at + NEAR : end;
    for (const char *p = from; p < to; p++) if (hangul_at(p, to)) return true;
    return false;
}

static bool is_one_of(const char *syllable, const char *const *list, size_t count) {
    for (size_t i = 0; i < count; i++) if (!memcmp(syllable, list[i], 3)) return true;
    return false;
}

/* A stop with Hangul right behind it, no space between: the end of a sentence if a verb ends before it. */
static bool ends_korean(const char *text, const char *stop, const char *next, const char *end) {
    return hangul_at(next, end) && stop - text >= 3 && is_one_of(stop - 3, endings, sizeof endings / sizeof *endings);
}

/* Korean dates and numbered paragraphs, where the single full stop at `stop` ends nothing: 2002. 7. 1. or 3. before Hangul; a label at the start. */
static bool numbers_korean(const char *text, const char *stop, const char *next, const char *end) {
    const char *word = stop;
    while (word > text && word[-1] >= '0' && word[-1] <= '9') word--;
    if (word == stop) return stop - text == 3 && is_one_of(text, labels, sizeof labels / sizeof *labels);
    if (stop - word > 4 || (word > text && (is_letter(word[-1]) || word[-1] == '.'))) return false;
    return hangul_at(next, end) || (next < end && *next >= '0' && *next <= '9' && hangul_near(text, stop, end));
}

static size_t opener_at(const char *p, const char *end) {
    if (p < end && strchr("\"'([{*_-", *p) && *p) return 1;
    if (starts(p, end, "\xE2\x80\x9C") || starts(p, end, "\xE2\x80\x98") || starts(p, end, "\xE2\x80\x94")) return 3;
    return starts(p, end, "\xC2\xAB") ? 2 : 0;
}

static bool listed(const char *word, size_t bytes, const char *const *list, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (strlen(list[i]) == bytes && lower(word[0]) == list[i][0] && !memcmp(word + 1, list[i] + 1, bytes - 1)) return true;
    }
    return false;
}

/* True when the single full stop at `stop` only abbreviates; next is the first byte after the white space (or end). */
static bool abbreviates(const char *text, const char *stop, const char *next, const char *end) {
    const char *word = stop;
    while (word > text && (is_letter(word[-1]) || word[-1] == '.')) word--;
    while (word < stop && *word == '.') word++;
    size_t bytes = (size_t)(stop - word);
    if (!bytes) return false;
    if (bytes == 1 && *word >= 'A' && *word <= 'Z') return *word != 'I';           /* "and so did I. Then" */
    if (listed(word, bytes, abbreviations, sizeof abbreviations / sizeof *abbreviations)) return true;
    bool number = next < end && *next >= '0' && *next <= '9';
    if (number && listed(word, bytes, before_numbers, sizeof before_numbers / sizeof *before_numbers)) return true;
    return memchr(word, '.', bytes) && bytes <= 7 && word[1] == '.';               /* U.S.  p.m. */
}

size_t sentence_bytes(const char *text, size_t bytes) {
    const char *end = text + bytes, *p = text;
    while (p < end) {
        bool hard, any_hard = false;
        const char *run = p;
        for (size_t n; (n = stop_at(p, end, &hard)) > 0; p += n) any_hard |= hard;
        if (p == run) { p++; continue; }
        bool lone = p == run + 1 && *run == '.';
        for (size_t n; (n = closer_at(p, end)) > 0; p += n) { }
        const char *next = p, *first;
        while (next < end && is_space(*next)) next++;
        if (next == end) break;
        if (any_hard) return (size_t)(p - text);
        if (next == p) {
            if (ends_korean(text, run, next, end)) return (size_t)(p - text);
            continue;
        }
        first = next;
        for (size_t n; (n = opener_at(first, end)) > 0; first += n) { }
        if (first < end && *first >= 'a' && *first <= 'z') continue;
        if (lone && (abbreviates(text, run, next, end) || numbers_korean(text, run, next, end))) continue;
        return (size_t)(p - text);
    }
    while (bytes > 1 && is_space(text[bytes - 1])) bytes--;
    return bytes;
}
