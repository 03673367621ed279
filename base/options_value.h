/* base/options_value.h - one value of each option type: from text, and back. */
#ifndef BASE_OPTIONS_VALUE_H
#define BASE_OPTIONS_VALUE_H
#include <stdbool.h>
#include <stddef.h>
#include "base/options.h"
#include "base/text.h"

size_t options_value_bytes(const option_spec *row);                                   /* of the field */
bool options_read_value(const option_spec *row, const char *value, void *field);      /* false: not accepted, field unchanged */
void options_add_value(text *t, const option_spec *row, const void *field);           /* as a user would write it; nothing for a NULL TEXT */
#endif
