/* datagen/json_text.c - see json_text.h. */
#include "datagen/json_text.h"
#include <stdlib.h>
#include <string.h>
#include "base/fail.h"
#include "datagen/tokenizer.h"
#include "datagen/utf8.h"

/* The code unit of \uXXXX at p, or -1. */
static int unit_at(const char *p, const char *end) {
    int unit = 0;
    if (end - p < 6 || p[0] != '\\' || p[1] != 'u') return -1;
    for (int i = 2; i < 6; i++) {
        const char *digits = "0123456789abcdef0123456789ABCDEF", *at = p[i] ? strchr(digits, p[i]) : NULL;
        if (!at) return -1;
        unit = unit * 16 + (int)((at - digits) % 16);
    }
    return unit;
}

/* The next escape from p on that stands for no character; NULL when there is none. */
static const char *bad_escape(const char *p, const char *end) {
    while (p < end && (p = memchr(p, '\\', (size_t)(end - p)))) {
        int unit = unit_at(p, end), next = unit_at(p + 6 < end ? p + 6 : end, end);
        if (unit >= 0xD800 && unit < 0xDC00 && next >= 0xDC00 && next < 0xE000) p += 12;
        else if (unit == 0 || (unit >= 0xD800 && unit < 0xE000)) return p;
        else p += unit < 0 ? 2 : 6;                       /* \\ is one escape: what follows it is none */
    }
    return NULL;
}

bool json_text_valid(const char *line, size_t bytes, size_t *bad) {
    if (!utf8_valid(line, bytes, bad)) return false;
    const char *escape = bad_escape(line, line + bytes);
    if (escape) *bad = (size_t)(escape - line);
    return !escape;
}

char *json_text_repair(const char *line, size_t bytes, size_t *copy_bytes) {
    char *copy = must_alloc(3 * bytes + 1, 1);
    const unsigned char *p = (const unsigned char *)line, *end = p + bytes;
    size_t n = 0;
    while (p < end) {
        const unsigned char *from = p;
        bool bad = utf8_next(&p, end) == UTF8_BAD;
        memcpy(copy + n, bad ? "\xEF\xBF\xBD" : (const char *)from, bad ? 3 : (size_t)(p - from));
        n += bad ? 3 : (size_t)(p - from);
    }
    for (char *e = copy; (e = (char *)(uintptr_t)bad_escape(e, copy + n)); e += 6) memcpy(e, "\\uFFFD", 6);
    *copy_bytes = n;
    return copy;
}
