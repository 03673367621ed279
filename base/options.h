/* base/options.h - one table of options drives parsing, --help, the config file, docs/options.md, man pages, completion and the saved config.
 *
 * Promise: what the table does not list does not exist, and an unknown key names the nearest one.
 *
 *     struct settings { int64_t steps; double learning_rate; char *data; };
 *     static const option_spec table[] = {
 *         {"steps", OPTION_INT, offsetof(struct settings, steps), .low = 1, .high = 1e12, .unit = "steps", .help = "training steps"},
 *         {"learning-rate", OPTION_REAL, offsetof(struct settings, learning_rate), .low = 0, .high = 10, .initial = "1e-4", .help = "..."},
 *     };
 *
 * Order: defaults < --config FILE < command line, the last one given wins. --help, --version, --quiet and --config are added to every
 * program. --key value and --key=value are the same; a value that begins with -- needs the second form; -- ends the options. */
#ifndef BASE_OPTIONS_H
#define BASE_OPTIONS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/fail.h"   /* error */

typedef enum {
    OPTION_SWITCH,     /* bool: --key, --key yes|no, YAML yes/no */
    OPTION_INT,        /* int64_t in [low, high] */
    OPTION_REAL,       /* double in [low, high]; NaN and infinities are refused */
    OPTION_TEXT,       /* char *, NULL when not given */
    OPTION_CHOICE,     /* int: index into choices "a|b|c" */
    OPTION_DURATION,   /* double seconds: 30s, 50m, 3h50m */
    OPTION_INTERVAL    /* option_interval: a bare number is steps, else a duration */
} option_type;

typedef struct option_interval { int64_t steps; double seconds; } option_interval;   /* at most one is non-zero */

enum {
    OPTION_REQUIRED = 1,     /* must be given; the error lists what is missing */
    OPTION_RESUMABLE = 2,    /* may change when a run is resumed */
    OPTION_LOCAL = 4,        /* not part of the effective config (paths of output, --force, --dry-run) */
    OPTION_VALUE_OPTIONAL = 8 /* an empty or missing value keeps the default; for other rows it is an error */
};

typedef struct option_spec {
    const char *key;
    option_type type;
    size_t offset;           /* of the field in the settings struct */
    double low, high;        /* INT, REAL, DURATION (seconds); both 0 = no limits; an infinity = no limit on that side */
    const char *initial;     /* default as a user would write it; NULL = zero / NULL */
    const char *choices;     /* CHOICE only */
    const char *unit;        /* "steps", "sequences", "file", "folder", ... or NULL */
    const char *help;        /* one line */
    unsigned flags;
    const char *group;       /* heading that begins at this row in --help and the documents, or NULL */
} option_spec;

typedef struct option_program {
    const char *name;        /* bert-shard */
    const char *summary;     /* one line: what it does */
    const char *usage;       /* "bert-shard --vocab vocab.txt --output DIR TEXT..." */
    const char *details;     /* paragraphs under the option list in --help and in the man page: examples; may be NULL. The exit codes
                                of the house follow, unless details has a line "Exit codes..." of its own */
    const option_spec *table;
    size_t count;
    bool positionals;        /* TEXT... allowed */
} option_program;

typedef struct options {
    const option_program *program;
    void *settings;          /* borrowed */
    char **arguments;        /* positionals, borrowed from argv */
    size_t argument_count;
    bool quiet;
    unsigned char *given;    /* per table row: 0 default, 1 config file, 2 command line */
} options;

/* Fills settings with the defaults, then the file, then argv. Returns 0, or the code with *e set (all missing required keys in one line).
 * --help and --version print to stdout and set *done, the caller then returns 0. Strings are owned by options_free(). */
int options_parse(options *o, const option_program *program, void *settings, int argc, char **argv, bool *done, error *e);
void options_free(options *o);

bool options_given(const options *o, const char *key);
/* The value of row i as a user would write it; caller frees. "" when a TEXT is NULL. */
char *options_value(const options *o, size_t i);
/* Effective config as YAML, table order, without OPTION_LOCAL rows; caller frees. */
char *options_yaml(const options *o);
/* Sets one value from text, with the same checks; where names the source in the message. */
int options_set(options *o, const char *key, const char *value, const char *where, error *e);
/* Writes documentation: "markdown", "man", "bash". Caller frees. Reached through the hidden `--print-docs KIND`. */
char *options_document(const option_program *program, const char *kind);
#endif
