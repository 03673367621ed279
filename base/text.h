/* base/text.h - a text that grows.
 *
 *     text t = {0};
 *     text_format(&t, "%d rows\n", n);
 *     char *s = text_take(&t);              the caller frees s; t is empty again */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H
#include <stddef.h>

typedef struct text { char *data; size_t bytes, capacity; } text;

void text_add(text *t, const char *data, size_t bytes);
void text_format(text *t, const char *format, ...) __attribute__((format(printf, 2, 3), nonnull(1, 2)));
void text_real(text *t, double v);   /* the fewest digits that read back the same double; v is finite */
char *text_take(text *t);          /* NUL-terminated, never NULL */
#endif
