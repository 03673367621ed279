/* base/json.c - reading and building JSON through jansson; json_print.c writes it. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Taken before base/json.h gives this name to a function of ours. */
static json_t *jansson_real(double v) { return json_real(v); }

#include "base/files.h"
#include "base/json.h"

enum { DEEPEST = 64 };

/* Ends at the closing quote (or the text's end). */
static const char *skip_string(const char *p, const char *end, size_t *line) {
    for (p++; p < end && *p != '"'; p++) {
        if (*p == '\\' && p + 1 < end) p++;
        if (*p == '\n') ++*line;
    }
    return p;
}

/* jansson recurses: the depth is limited before it starts. 0, or the line that goes too deep. */
static size_t too_deep(const char *text, size_t bytes) {
    size_t line = 1, depth = 0;
    for (const char *p = text, *end = text + bytes; p < end; p++) {
        if (*p == '"') p = skip_string(p, end, &line);
        else if (*p == '\n') line++;
        else if (*p == '[' || *p == '{') { if (++depth > DEEPEST) return line; }
        else if ((*p == ']' || *p == '}') && depth) depth--;
    }
    return 0;
}

/* Hugging Face writes model_max_length 1000000000000000019884624838656: integers of 19 digits and more get an "e0", which makes them reals. */
static char *widen_integers(const char *text, size_t bytes, size_t *out_bytes) {
    char *out = must_alloc(bytes + bytes / 8 + 16, 1);
    size_t n = 0, line = 0;
    for (const char *p = text, *end = text + bytes; p < end;) {
        const char *from = p;
        if (*p == '"') {
            p = skip_string(p, end, &line);
            p += p < end;
        } else if (*p == '-' || (*p >= '0' && *p <= '9')) {
            bool whole = true;
            for (p++; p < end && (memchr("+-.eE", *p, 5) || (*p >= '0' && *p <= '9')); p++) whole = whole && *p >= '0' && *p <= '9';
            memcpy(out + n, from, (size_t)(p - from));
            n += (size_t)(p - from);
            if (whole && p - from >= 19) out[n++] = 'e', out[n++] = '0';
            continue;
        } else p++;
        memcpy(out + n, from, (size_t)(p - from));
        n += (size_t)(p - from);
    }
    *out_bytes = n;
    return out;
}

int json_parse(json **out, const char *text, size_t bytes, const char *where, error *e) {
    *out = NULL;
    size_t line = too_deep(text, bytes);
    if (line) return error_set(e, EXIT_USAGE, "%s:%zu: nested deeper than %d", where, line, DEEPEST);
    json_error_t problem;
    *out = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &problem);
    if (!*out && json_error_code(&problem) == json_error_numeric_overflow) {
        char *wide = widen_integers(text, bytes, &bytes);
        *out = json_loadb(wide, bytes, JSON_REJECT_DUPLICATES, &problem);
        free(wide);
    }
    if (*out) return 0;
    return error_set(e, EXIT_USAGE, "%s:%d: column %d: not JSON as expected: %s", where, problem.line, problem.column, problem.text);
}

int json_read(json **out, const char *path, size_t limit_bytes, error *e) {
    char *text;
    size_t bytes;
    *out = NULL;
    if (files_read(path, limit_bytes, &text, &bytes, e)) return e->code;
    int code = json_parse(out, text, bytes, path, e);
    free(text);
    return code;
}

void json_free(json *j) { json_decref(j); }

enum json_kind json_kind_of(const json *j) {
    switch (json_typeof(j)) {
        case JSON_OBJECT: return JSON_KIND_OBJECT;
        case JSON_ARRAY: return JSON_KIND_ARRAY;
        case JSON_STRING: return JSON_KIND_STRING;
        case JSON_INTEGER: return JSON_KIND_INTEGER;
        case JSON_REAL: return JSON_KIND_REAL;
        case JSON_TRUE: case JSON_FALSE: return JSON_KIND_BOOL;
        case JSON_NULL: break;
    }
    return JSON_KIND_NULL;
}

const json *json_get(const json *object, const char *key) { return json_object_get(object, key); }
size_t json_count(const json *j) { return json_is_array(j) ? json_array_size(j) : json_object_size(j); }
const json *json_at(const json *array, size_t i) { return json_array_get(array, i); }

/* jansson's iterators want a mutable object but do not change it. */
static json_t *mutable(const json *j) { return (json_t *)(uintptr_t)j; }

const char *json_next_key(const json *object, const char *key) {
    void *at = key ? json_object_iter_next(mutable(object), json_object_key_to_iter(key)) : json_object_iter(mutable(object));
    return at ? json_object_iter_key(at) : NULL;
}

const char *json_key_at(const json *object, size_t i) {
    const char *key = json_next_key(object, NULL);
    while (key && i--) key = json_next_key(object, key);
    return key;
}

int64_t json_int(const json *j) { return json_integer_value(j); }
double json_real(const json *j) { return json_number_value(j); }
const char *json_string(const json *j) { return json_string_value(j); }
bool json_bool(const json *j) { return json_is_true(j); }

/* Fills *found, or says what was expected instead. */
static int need(const json *o, const char *key, bool fits(const json *), const char *kind, const char *where, const json **found, error *e) {
    *found = json_get(o, key);
    if (!*found) return error_set(e, EXIT_USAGE, "%s: %s: missing; expected %s", where, key, kind);
    return fits(*found) ? 0 : error_set(e, EXIT_USAGE, "%s: %s: expected %s", where, key, kind);
}

static bool is_int(const json *j) { return json_is_integer(j); }
static bool is_number(const json *j) { return json_is_number(j); }
static bool is_string(const json *j) { return json_is_string(j); }
static bool is_bool(const json *j) { return json_is_boolean(j); }

int json_need_int(const json *o, const char *key, int64_t low, int64_t high, const char *where, int64_t *out, error *e) {
    const json *j;
    if (need(o, key, is_int, "an integer", where, &j, e)) return e->code;
    int64_t v = json_integer_value(j);
    if (v < low || v > high)
        return error_set(e, EXIT_USAGE, "%s: %s: %lld is outside %lld..%lld", where, key, (long long)v, (long long)low, (long long)high);
    *out = v;
    return 0;
}

int json_need_real(const json *o, const char *key, double low, double high, const char *where, double *out, error *e) {
    const json *j;
    if (need(o, key, is_number, "a number", where, &j, e)) return e->code;
    double v = json_number_value(j);
    if (!(v >= low && v <= high)) return error_set(e, EXIT_USAGE, "%s: %s: %g is outside %g..%g", where, key, v, low, high);
    *out = v;
    return 0;
}

int json_need_string(const json *o, const char *key, const char *where, const char **out, error *e) {
    const json *j;
    if (need(o, key, is_string, "a string", where, &j, e)) return e->code;
    *out = json_string_value(j);
    return 0;
}

int json_need_bool(const json *o, const char *key, const char *where, bool *out, error *e) {
    const json *j;
    if (need(o, key, is_bool, "true or false", where, &j, e)) return e->code;
    *out = json_is_true(j);
    return 0;
}

static json *checked(json_t *j) {
    if (!j) fail(EXIT_MACHINE, "out of memory while building JSON");
    return j;
}

json *json_new_object(void) { return checked(json_object()); }
json *json_new_array(void) { return checked(json_array()); }
json *json_new_int(int64_t v) { return checked(json_integer(v)); }
json *json_new_string(const char *v) { return json_new_string_n(v, strlen(v)); }

/* Text that is no UTF-8 (a path may be so) is kept readable: its bytes above 127 become '?'. */
json *json_new_string_n(const char *v, size_t bytes) {
    json_t *j = json_stringn(v, bytes);
    if (j) return j;
    char *plain = must_alloc(bytes + 1, 1);
    for (size_t i = 0; i < bytes; i++) plain[i] = (signed char)v[i] < 0 ? '?' : v[i];
    j = json_stringn(plain, bytes);
    free(plain);
    return checked(j);
}

json *json_new_real(double v) { return checked(isfinite(v) ? jansson_real(v) : json_null()); }

void json_set(json *o, const char *key, json *child) {
    if (json_object_set_new(o, key, child)) fail(EXIT_MACHINE, "JSON: key \"%s\" cannot be stored", key);
}

void json_append(json *array, json *child) {
    if (json_array_append_new(array, child)) fail(EXIT_MACHINE, "JSON: an array cannot grow");
}

void json_set_string(json *o, const char *key, const char *v) { json_set(o, key, v ? json_new_string(v) : json_null()); }
void json_set_string_n(json *o, const char *key, const char *v, size_t bytes) { json_set(o, key, json_new_string_n(v, bytes)); }
void json_set_int(json *o, const char *key, int64_t v) { json_set(o, key, json_new_int(v)); }
void json_set_real(json *o, const char *key, double v) { json_set(o, key, json_new_real(v)); }
void json_set_bool(json *o, const char *key, bool v) { json_set(o, key, json_boolean(v)); }
void json_set_null(json *o, const char *key) { json_set(o, key, json_null()); }
size_t json_string_bytes(const json *j) { return json_string_length(j); }
json *json_copy(const json *j) { return checked(json_deep_copy(j)); }
