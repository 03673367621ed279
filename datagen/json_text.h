/* datagen/json_text.h - a JSON line with text that no one can read: bytes that are no UTF-8, \u0000, half a surrogate pair.
 *
 * Python's json writes the last two for texts that hold such characters; jansson refuses all three. */
#ifndef DATAGEN_JSON_TEXT_H
#define DATAGEN_JSON_TEXT_H
#include <stdbool.h>
#include <stddef.h>

/* True when nothing of the kind is there; else *bad is where the first begins (a backslash or a byte above 0x7F). */
bool json_text_valid(const char *line, size_t bytes, size_t *bad);
/* A copy with U+FFFD for each; caller frees. */
char *json_text_repair(const char *line, size_t bytes, size_t *copy_bytes);
#endif
