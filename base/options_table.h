/* base/options_table.h - what the files of options share: the rows that every program has, and rows in words. */
#ifndef BASE_OPTIONS_TABLE_H
#define BASE_OPTIONS_TABLE_H
#include <stdio.h>
#include "base/options.h"
#include "base/text.h"

enum { BUILTIN_CONFIG, BUILTIN_QUIET, BUILTIN_VERSION, BUILTIN_HELP, BUILTINS };
extern const option_spec options_builtin[BUILTINS];

/* Row i of the program's table, then the built-in ones; NULL at the end. */
const option_spec *options_row(const option_program *p, size_t i);

/* Which of the program's rows (or built-in ones) is the nearest to a mistyped key; NULL when none is near. */
const option_spec *options_nearest(const option_program *p, const char *key);

void options_add_placeholder(text *t, const option_spec *row);        /* "N", "FILE", "a|b"; nothing for a switch */
void options_add_expected(text *t, const option_spec *row);           /* "a whole number from 1 to 10" */
void options_add_range(text *t, const option_spec *row);              /* "1 to 10", "at least 1", or nothing */

/* --help. */
char *options_help(const option_program *p);
extern const char options_exit_codes[];                               /* lines "  N  meaning\n" */
#endif
