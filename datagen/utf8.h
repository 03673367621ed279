/* datagen/utf8.h - one code point after the other, bad bytes as Python's errors="replace" sees them. */
#ifndef DATAGEN_UTF8_H
#define DATAGEN_UTF8_H
#include <stddef.h>
#include <stdint.h>

enum { UTF8_BAD = 0x7fffffff };   /* not a code point */

/* The code point at *p (*p < end), which moves behind it. A bad sequence moves *p over its maximal part that could have begun a valid one
 * (Unicode 3.9, table 3-8; at least one byte) and gives UTF8_BAD. */
static inline uint32_t utf8_next(const unsigned char **p, const unsigned char *end) {
    const unsigned char *s = *p;
    uint32_t c = *s++;
    unsigned more, low = 0x80, high = 0xbf;
    if (c < 0x80) { *p = s; return c; }
    if (c >= 0xc2 && c <= 0xdf) more = 1, c &= 0x1f;
    else if (c >= 0xe0 && c <= 0xef) {
        if (c == 0xe0) low = 0xa0;          /* overlong */
        if (c == 0xed) high = 0x9f;         /* surrogates */
        more = 2, c &= 0x0f;
    } else if (c >= 0xf0 && c <= 0xf4) {
        if (c == 0xf0) low = 0x90;          /* overlong */
        if (c == 0xf4) high = 0x8f;         /* above U+10FFFF */
        more = 3, c &= 0x07;
    } else { *p = s; return UTF8_BAD; }
    for (; more; more--, low = 0x80, high = 0xbf) {
        if (s == end || *s < low || *s > high) { *p = s; return UTF8_BAD; }
        c = c << 6 | (*s++ & 0x3fu);
    }
    *p = s;
    return c;
}

/* Writes c (a code point) as 1 to 4 bytes; returns their number. */
static inline size_t utf8_put(char *out, uint32_t c) {
    if (c < 0x80) return out[0] = (char)c, 1;
    if (c < 0x800) return out[0] = (char)(0xc0 | c >> 6), out[1] = (char)(0x80 | (c & 0x3f)), 2;
    if (c < 0x10000) return out[0] = (char)(0xe0 | c >> 12), out[1] = (char)(0x80 | (c >> 6 & 0x3f)), out[2] = (char)(0x80 | (c & 0x3f)), 3;
    out[0] = (char)(0xf0 | c >> 18), out[1] = (char)(0x80 | (c >> 12 & 0x3f)), out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    return out[3] = (char)(0x80 | (c & 0x3f)), 4;
}
#endif
