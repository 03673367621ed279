/* base/yaml.c - one flat mapping, read from libyaml's events so that every refusal knows its line. */
#include "base/yaml.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>
#include "base/files.h"
#include "base/text.h"

enum { LIMIT = 64 * 1024 };

typedef struct reader {
    yaml_parser_t parser;
    yaml_event_t event;
    const char *path;
    const char *data;       /* the whole file */
    size_t bytes;
    yaml_map *map;
    char *key;              /* read, waiting for its value */
    bool inside, ended;     /* of the mapping; after the document */
} reader;

static int refuse(reader *r, error *e, const char *what) {
    return error_set(e, EXIT_USAGE, "%s:%zu: %s", r->path, r->event.start_mark.line + 1, what);
}

static int check_scalar(reader *r, error *e) {
    const char *value = (const char *)r->event.data.scalar.value;
    if (r->event.data.scalar.anchor) return refuse(r, e, "anchors are not read; write the value where it is needed");
    if (r->event.data.scalar.tag) return refuse(r, e, "tags are not read; leave the tag out");
    if (strlen(value) != r->event.data.scalar.length) return refuse(r, e, "the value holds a NUL character");
    if (!r->inside) return refuse(r, e, "expected \"key: value\"");
    return 0;
}

static int take_scalar(reader *r, error *e) {
    if (check_scalar(r, e)) return e->code;
    const char *value = (const char *)r->event.data.scalar.value;
    size_t line = r->event.start_mark.line + 1;
    yaml_map *m = r->map;
    if (r->key) {
        m->pair[m->count - 1].value = must_strdup(value);
        r->key = NULL;
        return 0;
    }
    if (!*value) return refuse(r, e, "the key is empty");
    for (size_t i = 0; i < m->count; i++)
        if (!strcmp(m->pair[i].key, value))
            return error_set(e, EXIT_USAGE, "%s:%zu: \"%s\" is given twice; line %zu has it too", r->path, line, value, m->pair[i].line);
    m->pair = must_realloc(m->pair, m->count + 1, sizeof *m->pair);
    r->key = must_strdup(value);
    m->pair[m->count++] = (yaml_pair){r->key, NULL, line};
    return 0;
}

static int take_event(reader *r, error *e) {
    switch (r->event.type) {
        case YAML_SCALAR_EVENT: return take_scalar(r, e);
        case YAML_ALIAS_EVENT: return refuse(r, e, "aliases are not read; write the value where it is needed");
        case YAML_SEQUENCE_START_EVENT: return refuse(r, e, "lists are not read; the file is one flat \"key: value\" mapping");
        case YAML_MAPPING_START_EVENT:
            if (r->inside) return refuse(r, e, "nesting is not read; the file is one flat \"key: value\" mapping");
            if (r->event.data.mapping_start.anchor) return refuse(r, e, "anchors are not read; leave the anchor out");
            if (r->event.data.mapping_start.tag) return refuse(r, e, "tags are not read; leave the tag out");
            r->inside = true;
            return 0;
        case YAML_DOCUMENT_START_EVENT:
            if (r->ended) return refuse(r, e, "a second document begins; one file holds one mapping");
            if (r->event.data.document_start.tag_directives.start != r->event.data.document_start.tag_directives.end)
                return refuse(r, e, "tags are not read; leave the %TAG line out");
            return 0;
        case YAML_DOCUMENT_END_EVENT: r->ended = true; return 0;
        default: return 0;
    }
}

static int walk(reader *r, error *e) {
    for (bool done = false; !done;) {
        if (!yaml_parser_parse(&r->parser, &r->event)) {
            const yaml_parser_t *p = &r->parser;
            if (p->error == YAML_MEMORY_ERROR) fail(EXIT_MACHINE, "%s: out of memory while reading", r->path);
            size_t line = p->problem_mark.line;
            if (p->error == YAML_READER_ERROR) {      /* knows its byte only */
                line = 0;
                for (size_t i = 0; i < p->problem_offset && i < r->bytes; i++) line += r->data[i] == '\n';
            }
            return error_set(e, EXIT_USAGE, "%s:%zu: not YAML as expected: %s", r->path, line + 1, p->problem ? p->problem : "no reason known");
        }
        done = r->event.type == YAML_STREAM_END_EVENT;
        int code = take_event(r, e);
        yaml_event_delete(&r->event);
        if (code) return code;
    }
    return 0;
}

int yaml_read(yaml_map *out, const char *path, error *e) {
    char *data;
    size_t bytes;
    *out = (yaml_map){0};
    if (files_read(path, LIMIT, &data, &bytes, e)) return e->code;
    reader r = {.path = path, .data = data, .bytes = bytes, .map = out};
    if (!yaml_parser_initialize(&r.parser)) fail(EXIT_MACHINE, "%s: out of memory while reading", path);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)data, bytes);
    int code = walk(&r, e);
    yaml_parser_delete(&r.parser);
    free(data);
    if (code) yaml_free(out);
    return code;
}

void yaml_free(yaml_map *m) {
    for (size_t i = 0; i < m->count; i++) free(m->pair[i].key), free(m->pair[i].value);
    free(m->pair);
    *m = (yaml_map){0};
}

/* One code point of UTF-8 (RFC 3629). Its bytes, 0 when there is none. */
static size_t decode(const char *at, uint32_t *code) {
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *p = (const unsigned char *)at;
    size_t n = *p < 0x80 ? 1 : *p < 0xc0 ? 0 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : *p < 0xf8 ? 4 : 0;
    uint32_t c = n == 1 ? *p : *p & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    if (!n || c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return 0;
    *code = c;
    return n;
}

bool yaml_can_hold(const char *value) {
    uint32_t code;
    for (size_t n; *value; value += n) if (!(n = decode(value, &code))) return false;
    return true;
}

/* What YAML 1.1 takes as a line break, or does not take unescaped. */
static bool needs_escape(uint32_t c) {
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == 0xfeff || c == 0xfffe || c == 0xffff;
}

/* Plain where YAML allows it, more strictly than it must. */
static bool is_plain(const char *v) {
    size_t n = strlen(v);
    bool negative = v[0] == '-' && v[1] >= '0' && v[1] <= '9';
    if (!n || (strchr("-?:,[]{}#&*!|>'\"%@`~= ", v[0]) && !negative) || v[n - 1] == ' ' || v[n - 1] == ':' || !strcmp(v, "...")) return false;
    for (const char *p = v; *p;) {
        uint32_t c = 0;
        size_t bytes = decode(p, &c);
        if (!bytes || needs_escape(c) || (c == ':' && p[1] == ' ') || (c == '#' && p[-1] == ' ')) return false;
        p += bytes;
    }
    return true;
}

static void print_scalar(text *t, const char *v) {
    if (is_plain(v)) { text_format(t, "%s", v); return; }
    text_format(t, "\"");
    for (size_t n; *v; v += n) {
        uint32_t c = '?';
        n = decode(v, &c);
        if (c == '"' || c == '\\') text_format(t, "\\%c", (int)c);
        else if (needs_escape(c)) text_format(t, c < 0x100 ? "\\x%02X" : "\\u%04X", c);
        else text_add(t, n ? v : "?", n ? n : 1);
        if (!n) n = 1;
    }
    text_format(t, "\"");
}

char *yaml_print(const yaml_map *m) {
    text t = {0};
    for (size_t i = 0; i < m->count; i++) {
        print_scalar(&t, m->pair[i].key);
        text_format(&t, ": ");
        print_scalar(&t, m->pair[i].value);
        text_format(&t, "\n");
    }
    return text_take(&t);
}
