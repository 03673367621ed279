/* base/text.c - a text that grows. */
#include "base/text.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/fail.h"

static void reserve(text *t, size_t more) {
    if (t->bytes + more < t->capacity) return;
    t->capacity = 2 * t->capacity + more + 64;
    t->data = must_realloc(t->data, t->capacity, 1);
}

void text_add(text *t, const char *data, size_t bytes) {
    reserve(t, bytes);
    memcpy(t->data + t->bytes, data, bytes);
    t->data[t->bytes += bytes] = 0;
}

void text_format(text *t, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    if (n < 0) fail(EXIT_MACHINE, "a text cannot be formatted: \"%s\"", format);
    reserve(t, (size_t)n);
    vsnprintf(t->data + t->bytes, (size_t)n + 1, format, again);
    t->bytes += (size_t)n;
    va_end(again);
    va_end(args);
}

void text_real(text *t, double v) {
    char number[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(number, sizeof number, "%.*g", digits, v);
        if (strtod(number, NULL) == v) break;
    }
    text_add(t, number, strlen(number));
}

char *text_take(text *t) {
    text_add(t, "", 0);
    char *data = t->data;
    *t = (text){0};
    return data;
}
