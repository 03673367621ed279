/* base/options_docs.c - the option table as a page of docs/options.md, a man page, a bash completion. */
#include <stdlib.h>
#include <string.h>
#include "base/options_table.h"

/* Markdown tables end a cell at '|', also inside code. */
static void add_cell(text *t, const char *words) {
    for (; *words; words++) text_format(t, *words == '|' ? "\\|" : *words == '\n' ? " " : "%c", *words);
}

static void add_markdown_row(text *t, const option_spec *row) {
    text type = {0}, range = {0};
    options_add_placeholder(&type, row);
    options_add_range(&range, row);
    text_format(t, "| `%s` | ", row->key);
    bool bare = row == &options_builtin[BUILTIN_HELP] || row == &options_builtin[BUILTIN_VERSION];
    add_cell(t, bare ? "" : row->type == OPTION_SWITCH ? "yes|no" : type.data);
    text_format(t, " | %s | ", row->flags & OPTION_REQUIRED ? "required" : row->initial ? row->initial : "");
    if (row->unit && row->type != OPTION_TEXT) text_format(t, "%s%s", row->unit, range.bytes ? ", " : "");
    text_format(t, "%s | ", range.bytes ? range.data : "");
    add_cell(t, row->help ? row->help : "");
    text_format(t, "%s |\n", row->flags & OPTION_RESUMABLE ? " (may change on resume)" : "");
    free(text_take(&type)), free(text_take(&range));
}

static char *markdown(const option_program *p) {
    static const char head[] = "| key | value | default | unit, range | meaning |\n|---|---|---|---|---|\n";
    text t = {0};
    const option_spec *row;
    text_format(&t, "## %s\n\n%s\n\n```\n%s\n```\n", p->name, p->summary, p->usage);
    for (size_t i = 0; (row = options_row(p, i)); i++) {
        if (row->group || !i) text_format(&t, "\n### %s\n\n%s", row->group ? row->group : "Options", head);
        add_markdown_row(&t, row);
    }
    if (p->details) text_format(&t, "\n```\n%s%s```\n", p->details, p->details[strlen(p->details) - 1] == '\n' ? "" : "\n");
    return text_take(&t);
}

/* roff: a leading '.' or '\'' is a request, '-' may become a hyphen, '\\' begins an escape. */
static void add_roff(text *t, const char *words) {
    for (bool start = true; *words; start = *words++ == '\n') {
        if (start && (*words == '.' || *words == '\'')) text_format(t, "\\&");
        if (*words == '\\') text_format(t, "\\e");
        else if (*words == '-') text_format(t, "\\-");
        else text_add(t, words, 1);
    }
}

static void add_man_row(text *t, const option_spec *row) {
    text type = {0}, range = {0};
    options_add_placeholder(&type, row);
    options_add_range(&range, row);
    text_format(t, ".TP\n.B ");
    add_roff(t, "--"), add_roff(t, row->key);
    if (type.bytes) text_format(t, " "), add_roff(t, type.data);
    text_format(t, "\n");
    add_roff(t, row->help ? row->help : "");
    if (row->unit && row->type != OPTION_TEXT) text_format(t, "; "), add_roff(t, row->unit);
    if (range.bytes) text_format(t, "; "), add_roff(t, range.data);
    if (row->flags & OPTION_REQUIRED) text_format(t, "; required");
    else if (row->initial) text_format(t, "; default "), add_roff(t, row->initial);
    text_format(t, ".\n");
    free(text_take(&type)), free(text_take(&range));
}

static char *man(const option_program *p) {
    text t = {0};
    const option_spec *row;
    text_format(&t, ".TH \"%s\" 1 \"\" \"%s\" \"User Commands\"\n.SH NAME\n", p->name, BERT_VERSION);
    add_roff(&t, p->name), text_format(&t, " \\- "), add_roff(&t, p->summary);
    text_format(&t, "\n.SH SYNOPSIS\n.nf\n"), add_roff(&t, p->usage);
    text_format(&t, "\n.fi\n.SH OPTIONS\n");
    for (size_t i = 0; (row = options_row(p, i)); i++) {
        if (row->group) text_format(&t, ".SS \"%s\"\n", row->group);
        add_man_row(&t, row);
    }
    if (p->details) text_format(&t, ".SH NOTES\n.nf\n"), add_roff(&t, p->details), text_format(&t, "\n.fi\n");
    if (!p->details || !strstr(p->details, "Exit codes")) text_format(&t, ".SH EXIT STATUS\n.nf\n%s.fi\n", options_exit_codes);
    return text_take(&t);
}

/* A case for each option with known words; files for the others that take a value. */
static char *bash(const option_program *p) {
    text t = {0}, keys = {0};
    const option_spec *row;
    char *name = must_strdup(p->name);
    for (char *c = name; *c; c++) if (*c == '-') *c = '_';
    text_format(&t, "_%s() {\n    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n    COMPREPLY=()\n    case $before in\n", name);
    for (size_t i = 0; (row = options_row(p, i)); i++) {
        text_format(&keys, "%s--%s", i ? " " : "", row->key);
        if (row->type == OPTION_CHOICE) {
            char *words = must_strdup(row->choices);
            for (char *c = words; *c; c++) if (*c == '|') *c = ' ';
            text_format(&t, "        --%s) mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$word\"); return ;;\n", row->key, words);
            free(words);
        } else if (row->type == OPTION_INT || row->type == OPTION_REAL || row->type == OPTION_DURATION || row->type == OPTION_INTERVAL)
            text_format(&t, "        --%s) return ;;\n", row->key);
    }
    text_format(&t, "    esac\n    if [[ $word == -* ]]; then mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$word\")\n", keys.data);
    text_format(&t, "    else mapfile -t COMPREPLY < <(compgen -f -- \"$word\"); fi\n}\ncomplete -o filenames -F _%s %s\n", name, p->name);
    free(name), free(text_take(&keys));
    return text_take(&t);
}

char *options_document(const option_program *program, const char *kind) {
    if (!strcmp(kind, "markdown")) return markdown(program);
    if (!strcmp(kind, "man")) return man(program);
    return !strcmp(kind, "bash") ? bash(program) : NULL;
}
