/* base/options.c - from the table, the file and the command line to a filled settings struct. */
#include "base/options.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/options_table.h"
#include "base/options_value.h"
#include "base/yaml.h"

#ifndef BERT_VERSION
#error "BERT_VERSION comes from the Makefile"
#endif

const option_spec options_builtin[BUILTINS] = {
    [BUILTIN_CONFIG] = {"config", OPTION_TEXT, .unit = "file", .help = "YAML file with keys of this list; the command line wins", .group = "General"},
    [BUILTIN_QUIET] = {"quiet", OPTION_SWITCH, .help = "no progress on stderr; errors and warnings remain"},
    [BUILTIN_VERSION] = {"version", OPTION_SWITCH, .help = "print the version and stop"},
    [BUILTIN_HELP] = {"help", OPTION_SWITCH, .help = "print this text and stop"},
};

const option_spec *options_row(const option_program *p, size_t i) {
    if (i < p->count) return &p->table[i];
    return i - p->count < BUILTINS ? &options_builtin[i - p->count] : NULL;
}

static size_t find(const option_program *p, const char *key, size_t bytes) {
    size_t i = 0;
    for (const option_spec *row; (row = options_row(p, i)); i++) if (strlen(row->key) == bytes && !memcmp(row->key, key, bytes)) break;
    return i;                                     /* p->count + BUILTINS: there is none */
}

static void *field(const options *o, const option_spec *row) { return (char *)o->settings + row->offset; }

static int set_row(options *o, const option_spec *row, const char *value, const char *where, error *e) {
    if (!*value && (row->flags & OPTION_VALUE_OPTIONAL)) return 0;
    if (!*value) return error_set(e, EXIT_USAGE, "%s: the value is empty; give one or leave the option out", where);
    if (options_read_value(row, value, field(o, row))) return 0;
    text expected = {0};
    options_add_expected(&expected, row);
    error_set(e, EXIT_USAGE, "%s: \"%s\" is not accepted; give %s", where, value, expected.data);
    free(text_take(&expected));
    return e->code;
}

/* quote: "" for the command line, where a key has dashes instead. */
static int unknown(const option_program *p, const char *where, const char *kind, const char *quote, const char *key, error *e) {
    const option_spec *near = options_nearest(p, key);
    const char *dashes = *quote ? "" : "--";
    bool elsewhere = false;                       /* in a file, a key of the command line only */
    for (size_t i = 0; i < BUILTINS; i++) if (*quote && i != BUILTIN_QUIET && near == &options_builtin[i]) elsewhere = true;
    if (elsewhere && !strcmp(near->key, key)) return error_set(e, EXIT_USAGE, "%sunknown key \"%s\"; it belongs to the command line", where, key);
    if (!near || elsewhere)
        return error_set(e, EXIT_USAGE, "%sunknown %s %s%s%s%s; --help lists them", where, kind, quote, dashes, key, quote);
    char *guess = must_format("%s%s%s%s", quote, dashes, near->key, quote);
    error_set(e, EXIT_USAGE, "%sunknown %s %s%s%s%s; did you mean %s?", where, kind, quote, dashes, key, quote, guess);
    free(guess);
    return e->code;
}

int options_set(options *o, const char *key, const char *value, const char *where, error *e) {
    size_t i = find(o->program, key, strlen(key));
    bool known = i < o->program->count;
    char *place = must_format("%s: %s", where, known ? key : "");
    int code = known ? set_row(o, &o->program->table[i], value, place, e) : unknown(o->program, place, "key", "\"", key, e);
    free(place);
    return code;
}

static int read_config(options *o, const char *path, error *e) {
    yaml_map m;
    int code = yaml_read(&m, path, e);
    for (size_t n = 0; n < m.count && !code; n++) {
        const yaml_pair *pair = &m.pair[n];
        char *where = must_format("%s:%zu", path, pair->line);
        if (!strcmp(pair->key, "quiet")) {
            if (!options_read_value(&options_builtin[BUILTIN_QUIET], pair->value, &o->quiet))
                code = error_set(e, EXIT_USAGE, "%s: quiet: \"%s\" is not accepted; give yes or no", where, pair->value);
        } else {
            code = options_set(o, pair->key, pair->value, where, e);
            if (!code && *pair->value) o->given[find(o->program, pair->key, strlen(pair->key))] = 1;
        }
        free(where);
    }
    yaml_free(&m);
    return code;
}

/* What one argument (with the one after it, perhaps) says. */
typedef struct said { size_t row; const char *value; int used; } said;   /* value NULL: none was given; used: arguments taken */

static int read_argument(const option_program *p, char **at, const char *next, said *s, error *e) {
    const char *key = *at + 2, *equals = strchr(key, '=');
    size_t bytes = equals ? (size_t)(equals - key) : strlen(key);
    *s = (said){find(p, key, bytes), equals ? equals + 1 : NULL, 1};
    const option_spec *row = options_row(p, s->row);
    if (!row) {
        char *name = must_format("%.*s", (int)bytes, key);
        int code = unknown(p, "", "option", "", name, e);
        return free(name), code;
    }
    bool bare = s->row == p->count + BUILTIN_HELP || s->row == p->count + BUILTIN_VERSION;
    if (bare && equals) return error_set(e, EXIT_USAGE, "--%s: takes no value", row->key);
    if (bare || equals) return 0;
    if (row->type == OPTION_SWITCH) {
        s->value = next && (!strcmp(next, "yes") || !strcmp(next, "no")) ? next : NULL;
    } else if (next && strncmp(next, "--", 2)) s->value = next;
    else if (!(row->flags & OPTION_VALUE_OPTIONAL)) {
        text t = {0};
        options_add_placeholder(&t, row);
        error_set(e, EXIT_USAGE, "--%s: a value is missing; give --%s %s", row->key, row->key, t.data);
        free(text_take(&t));
        return e->code;
    }
    s->used += s->value != NULL;
    if (row->type == OPTION_SWITCH && !s->value) s->value = "yes";
    return 0;
}

/* The arguments, one after the other. First call (apply false): finds --help, --version, --config; second: sets the table's rows. */
static int walk(options *o, int argc, char **argv, bool apply, const char **config, size_t *wanted, error *e) {
    const option_program *p = o->program;
    bool open = true;                             /* no "--" yet */
    for (int i = 1; i < argc && !e->code;) {
        said s;
        if (open && !strcmp(argv[i], "--")) { open = false, i++; continue; }
        if (!open || argv[i][0] != '-' || !argv[i][1]) {
            if (!p->positionals) return error_set(e, EXIT_USAGE, "\"%s\" is not expected; --help lists the options", argv[i]);
            if (apply) o->arguments[o->argument_count++] = argv[i];
            i++;
            continue;
        }
        if (argv[i][1] != '-') return error_set(e, EXIT_USAGE, "unknown option %s; options begin with --, and --help lists them", argv[i]);
        if (read_argument(p, argv + i, i + 1 < argc ? argv[i + 1] : NULL, &s, e)) return e->code;
        i += s.used;
        const option_spec *row = options_row(p, s.row);
        if (s.row >= p->count + BUILTIN_VERSION) { *wanted = s.row - p->count; return 0; }
        char *where = must_format("--%s", row->key);
        if (s.row == p->count + BUILTIN_CONFIG) {
            *config = s.value;
            if (!*s.value) error_set(e, EXIT_USAGE, "--config: the value is empty; give a file");
        } else if (s.row == p->count + BUILTIN_QUIET) {
            if (apply && !options_read_value(row, s.value, &o->quiet)) error_set(e, EXIT_USAGE, "--quiet: \"%s\" is not accepted; give yes or no", s.value);
        } else if (apply && s.value && !set_row(o, row, s.value, where, e) && *s.value) o->given[s.row] = 2;
        free(where);
    }
    return e->code;
}

static int print_out(char *what, error *e) {
    bool good = fputs(what, stdout) >= 0 && !fflush(stdout);
    free(what);
    return good ? 0 : error_set(e, EXIT_MACHINE, "standard output: cannot be written");
}

static int check_required(const options *o, error *e) {
    text missing = {0};
    const option_program *p = o->program;
    for (size_t i = 0; i < p->count; i++)
        if ((p->table[i].flags & OPTION_REQUIRED) && !o->given[i]) text_format(&missing, "%s--%s", missing.bytes ? ", " : "", p->table[i].key);
    if (missing.bytes) error_set(e, EXIT_USAGE, "missing: %s; --help tells what they are", missing.data);
    free(text_take(&missing));
    return e->code;
}

static void set_defaults(options *o) {
    for (size_t i = 0; i < o->program->count; i++) {
        const option_spec *row = &o->program->table[i];
        if (row->type == OPTION_TEXT) *(char **)field(o, row) = NULL;
        else memset(field(o, row), 0, options_value_bytes(row));
        bool accepted = !row->initial || !*row->initial || options_read_value(row, row->initial, field(o, row));
        assert(accepted);                         /* else the table's default breaks the table's own limits */
        (void)accepted;
    }
}

int options_parse(options *o, const option_program *program, void *settings, int argc, char **argv, bool *done, error *e) {
    *o = (options){.program = program, .settings = settings};
    *e = (error){0};
    *done = false;
    o->given = must_zalloc(program->count, 1);
    o->arguments = must_alloc((size_t)argc + 1, sizeof *o->arguments);
    set_defaults(o);
    if (argc >= 2 && !strcmp(argv[1], "--print-docs")) {      /* for the Makefile; in no list */
        char *document = argc == 3 ? options_document(program, argv[2]) : NULL;
        *done = true;
        return document ? print_out(document, e) : error_set(e, EXIT_USAGE, "--print-docs: give markdown, man or bash");
    }
    const char *config = NULL;
    size_t wanted = BUILTINS;
    if (walk(o, argc, argv, false, &config, &wanted, e)) return e->code;
    if (wanted != BUILTINS) {
        *done = true;
        return print_out(wanted == BUILTIN_HELP ? options_help(program) : must_format("%s %s\n", program->name, BERT_VERSION), e);
    }
    if (config && read_config(o, config, e)) return e->code;
    if (walk(o, argc, argv, true, &config, &wanted, e)) return e->code;
    return check_required(o, e);
}

void options_free(options *o) {
    if (!o->program) return;
    for (size_t i = 0; i < o->program->count; i++) {
        const option_spec *row = &o->program->table[i];
        if (row->type != OPTION_TEXT) continue;
        char **held = field(o, row);
        free(*held);
        *held = NULL;
    }
    free(o->given);
    free(o->arguments);
    *o = (options){0};
}

bool options_given(const options *o, const char *key) {
    size_t i = find(o->program, key, strlen(key));
    assert(i < o->program->count);
    return o->given[i] != 0;
}

char *options_value(const options *o, size_t i) {
    text t = {0};
    options_add_value(&t, &o->program->table[i], field(o, &o->program->table[i]));
    return text_take(&t);
}

char *options_yaml(const options *o) {
    yaml_map m = {.pair = must_alloc(o->program->count, sizeof *m.pair)};
    for (size_t i = 0; i < o->program->count; i++) {
        const option_spec *row = &o->program->table[i];
        if (row->flags & OPTION_LOCAL) continue;
        char *value = options_value(o, i);
        if (*value) m.pair[m.count++] = (yaml_pair){must_strdup(row->key), value, 0};
        else free(value);                         /* a TEXT that was not given: the file leaves it out, too */
    }
    char *out = yaml_print(&m);
    yaml_free(&m);
    return out;
}
