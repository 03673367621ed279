/* base/options_print.c - the option table in words: --help, and what error messages say of a row. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/options_table.h"

enum { COLUMNS = 100, LEFT = 34 };   /* width of --help; of its left column at most */

const char options_exit_codes[] =
    "  0   done\n"
    "  1   the machine failed in mid-run: I/O, memory, a rank died\n"
    "  2   usage, configuration, data or an unwritable output, found at start\n"
    "  3   training diverged\n"
    "  4   checkpoints could not be saved\n"
    "  5   content differs from its recorded hash\n"
    "  75  stopped on request after saving: run again to go on\n";

static void add_limit(text *t, const option_spec *row, double v) {
    if (row->type == OPTION_INT && fabs(v) < 1e15) text_format(t, "%.0f", v);
    else text_real(t, v);
    if (row->type == OPTION_DURATION) text_format(t, "s");
}

void options_add_range(text *t, const option_spec *row) {
    bool ranged = row->type == OPTION_INT || row->type == OPTION_REAL || row->type == OPTION_DURATION;
    if (!ranged || (row->low == 0 && row->high == 0) || (isinf(row->low) && isinf(row->high))) return;
    if (isinf(row->high)) text_format(t, "at least "), add_limit(t, row, row->low);
    else if (isinf(row->low)) text_format(t, "at most "), add_limit(t, row, row->high);
    else add_limit(t, row, row->low), text_format(t, " to "), add_limit(t, row, row->high);
}

void options_add_expected(text *t, const option_spec *row) {
    text range = {0};
    options_add_range(&range, row);
    switch (row->type) {
        case OPTION_SWITCH: text_format(t, "yes or no"); break;
        case OPTION_INT: text_format(t, "a whole number"); break;
        case OPTION_REAL: text_format(t, "a number"); break;
        case OPTION_TEXT: text_format(t, "UTF-8 text"); break;
        case OPTION_CHOICE: text_format(t, "one of %s", row->choices); break;
        case OPTION_DURATION: text_format(t, "a duration such as 30s, 50m or 3h50m"); break;
        case OPTION_INTERVAL: text_format(t, "a number of steps, or a duration such as 30s, 50m or 3h50m"); break;
    }
    if (range.bytes) text_format(t, strncmp(range.data, "at ", 3) ? " from %s" : ", %s", range.data);
    free(text_take(&range));
}

void options_add_placeholder(text *t, const option_spec *row) {
    static const struct { const char *unit, *placeholder; } names[] = {{"file", "FILE"}, {"folder", "DIR"}, {"path", "PATH"}};
    const char *unit = row->unit ? row->unit : "";
    switch (row->type) {
        case OPTION_SWITCH: break;
        case OPTION_INT: text_format(t, "N"); break;
        case OPTION_REAL: text_format(t, "X"); break;
        case OPTION_DURATION: text_format(t, "TIME"); break;
        case OPTION_INTERVAL: text_format(t, "N|TIME"); break;
        case OPTION_CHOICE: text_format(t, "%s", row->choices); break;
        case OPTION_TEXT:
            for (size_t i = 0; i < 3; i++) if (!strcmp(unit, names[i].unit)) { text_format(t, "%s", names[i].placeholder); return; }
            text_format(t, "TEXT");
            break;
    }
}

/* Edit distance with swaps of neighbours (Damerau-Levenshtein, restricted), for keys of up to 63 bytes. */
static size_t distance(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b), d[3][64];
    if (n > 63 || m > 63) return 64;
    for (size_t j = 0; j <= m; j++) d[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *now = d[i % 3], *before = d[(i - 1) % 3], *earlier = d[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = before[j - 1] + (a[i - 1] != b[j - 1]);
            if (before[j] + 1 < best) best = before[j] + 1;
            if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && earlier[j - 2] + 1 < best) best = earlier[j - 2] + 1;
            now[j] = best;
        }
    }
    return d[n % 3][m];
}

/* Near: a third of the letters differ at most, or the key begins with what was typed. */
const option_spec *options_nearest(const option_program *p, const char *key) {
    const option_spec *nearest = NULL, *row;
    size_t n = strlen(key), best = n / 3 + 1;
    for (size_t i = 0; (row = options_row(p, i)); i++) {
        size_t d = distance(key, row->key);
        if (d < best || (d == best && !nearest && n >= 3)) nearest = row, best = d;
    }
    for (size_t i = 0; !nearest && n >= 3 && (row = options_row(p, i)); i++) if (!strncmp(row->key, key, n)) nearest = row;
    return nearest;
}

/* Appends words from column `at` on, broken before COLUMNS, further lines indented by `indent`. */
static void add_wrapped(text *t, const char *words, size_t at, size_t indent) {
    bool first = true;
    while (*words) {
        size_t n = strcspn(words, " ");
        if (!first && at + 1 + n > COLUMNS) text_format(t, "\n%*s", (int)indent, ""), at = indent;
        else if (!first) text_format(t, " "), at++;
        text_add(t, words, n);
        at += n, words += n, first = false;
        words += strspn(words, " ");
    }
    text_format(t, "\n");
}

/* "training steps (steps; 1 to 10; default 5)" */
static void add_meaning(text *t, const option_spec *row) {
    text notes = {0};
    bool shown = row->type == OPTION_TEXT;        /* the placeholder says file or folder */
    if (row->unit && !shown) text_format(&notes, "; %s", row->unit);
    size_t before = notes.bytes;
    text_format(&notes, "; ");
    options_add_range(&notes, row);
    if (notes.bytes == before + 2) notes.bytes = before, notes.data[before] = 0;
    if (row->flags & OPTION_REQUIRED) text_format(&notes, "; required");
    else if (row->initial && *row->initial) text_format(&notes, "; default %s", row->initial);
    text_format(t, "%s", row->help ? row->help : "");
    if (notes.bytes) text_format(t, " (%s)", notes.data + 2);
    free(text_take(&notes));
}

static void add_left(text *t, const option_spec *row) {
    text_format(t, "  --%s", row->key);
    if (row->type != OPTION_SWITCH) text_format(t, " ");
    options_add_placeholder(t, row);
}

static size_t left_width(const option_program *p) {
    size_t widest = 0;
    const option_spec *row;
    for (size_t i = 0; (row = options_row(p, i)); i++) {
        text t = {0};
        add_left(&t, row);
        if (t.bytes > widest && t.bytes <= LEFT) widest = t.bytes;
        free(text_take(&t));
    }
    return widest + 2;
}

static void add_options(text *t, const option_program *p) {
    size_t left = left_width(p);
    const option_spec *row;
    for (size_t i = 0; (row = options_row(p, i)); i++) {
        if (row->group || !i) text_format(t, "\n%s:\n", row->group ? row->group : "Options");
        size_t from = t->bytes;
        add_left(t, row);
        size_t used = t->bytes - from;
        if (used + 2 > left) text_format(t, "\n%*s", (int)left, "");
        else text_format(t, "%*s", (int)(left - used), "");
        text meaning = {0};
        add_meaning(&meaning, row);
        add_wrapped(t, meaning.data, left, left);
        free(text_take(&meaning));
    }
}

char *options_help(const option_program *p) {
    text t = {0};
    text_format(&t, "%s: ", p->name);
    add_wrapped(&t, p->summary, strlen(p->name) + 2, 0);
    const char *lead = "\nUsage: ";
    for (const char *line = p->usage; *line; lead = "       ") {
        size_t n = strcspn(line, "\n");
        text_format(&t, "%s%.*s\n", lead, (int)n, line);
        line += n + (line[n] == '\n');
    }
    add_options(&t, p);
    for (const char *line = p->details ? p->details : ""; *line;) {   /* lines as they are, long ones broken */
        size_t n = strcspn(line, "\n"), indent = strspn(line, " ");
        if (line == p->details) text_format(&t, "\n");
        if (n <= COLUMNS) text_format(&t, "%.*s\n", (int)n, line);
        else {
            char *words = must_format("%.*s", (int)(n - indent), line + indent);
            text_format(&t, "%*s", (int)indent, "");
            add_wrapped(&t, words, indent, indent);
            free(words);
        }
        line += n + (line[n] == '\n');
    }
    if (!p->details || !strstr(p->details, "Exit codes")) text_format(&t, "\nExit codes:\n%s", options_exit_codes);
    return text_take(&t);
}
