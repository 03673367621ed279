/* datagen/inspect_safetensors.c - see safetensors.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/json.h"
#include "datagen/inspect_safetensors.h"

static const uint64_t largest_header = (uint64_t)100 << 20;   /* that of the reference implementation */

static unsigned width_of(const char *dtype) {
    static const struct { const char *name; unsigned bytes; } known[] = { { "F64", 8 }, { "F32", 4 }, { "F16", 2 }, { "BF16", 2 }, { "I64", 8 }, { "I32", 4 },
        { "I16", 2 }, { "I8", 1 }, { "U64", 8 }, { "U32", 4 }, { "U16", 2 }, { "U8", 1 }, { "BOOL", 1 }, { "F8_E4M3", 1 }, { "F8_E5M2", 1 } };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) if (!strcmp(dtype, known[i].name)) return known[i].bytes;
    return 0;
}

static int malformed(const char *path, const char *tensor, const char *what, error *e) {
    return error_set(e, EXIT_USAGE, "%s: tensor '%.100s': %s", path, tensor, what);
}

/* A whole number of at most 2^53 at index i of a list. */
static bool number_at(const json *list, size_t i, uint64_t *out) {
    const json *n = json_at(list, i);
    if (!n || json_kind_of(n) != JSON_KIND_INTEGER || json_int(n) < 0 || json_int(n) > (int64_t)1 << 53) return false;
    *out = (uint64_t)json_int(n);
    return true;
}

static int read_tensor(inspect_tensor *t, const char *name, const json *o, uint64_t data, uint64_t end, const char *path, error *e) {
    const char *dtype;
    const json *shape = json_get(o, "shape"), *offsets = json_get(o, "data_offsets");
    uint64_t from, to;
    if (json_need_string(o, "dtype", path, &dtype, e)) return e->code;
    unsigned width = width_of(dtype);
    if (!width) return malformed(path, name, "unknown dtype", e);
    if (!shape || json_kind_of(shape) != JSON_KIND_ARRAY || json_count(shape) > SAFETENSORS_RANK)
        return malformed(path, name, "no shape, or too many dimensions", e);
    if (!offsets || json_kind_of(offsets) != JSON_KIND_ARRAY || json_count(offsets) != 2 || !number_at(offsets, 0, &from) || !number_at(offsets, 1, &to))
        return malformed(path, name, "no data_offsets", e);
    t->rank = (int)json_count(shape);
    t->elements = 1;
    for (int i = 0; i < t->rank; i++) {
        if (!number_at(shape, (size_t)i, &t->shape[i])) return malformed(path, name, "its shape is not of whole numbers", e);
        if (t->shape[i] && t->elements > ((uint64_t)1 << 53) / t->shape[i]) return malformed(path, name, "its shape is too large", e);
        t->elements *= t->shape[i];
    }
    if (from > to || to > end - data || to - from != t->elements * width)
        return malformed(path, name, "its bytes are not in the file, or not as many as its shape says", e);
    snprintf(t->dtype, sizeof t->dtype, "%s", dtype);
    t->name = must_strdup(name);
    t->offset = data + from;
    t->bytes = to - from;
    return 0;
}

static int by_name(const void *a, const void *b) { return strcmp(((const inspect_tensor *)a)->name, ((const inspect_tensor *)b)->name); }

static int read_header(FILE *f, const char *path, uint64_t bytes, json **root, uint64_t *data, error *e) {
    unsigned char head[8];
    uint64_t n = 0;
    if (bytes < 8 || fread(head, 1, 8, f) != 8) return error_set(e, EXIT_USAGE, "%s: too short for a safetensors file", path);
    for (int i = 0; i < 8; i++) n |= (uint64_t)head[i] << 8 * i;
    if (n > bytes - 8 || n > largest_header || n < 2)
        return error_set(e, EXIT_USAGE, "%s: its header of %llu bytes is not in the file", path, (unsigned long long)n);
    char *text = must_alloc((size_t)n, 1);
    int code = fread(text, 1, (size_t)n, f) == n ? 0 : error_set(e, EXIT_MACHINE, "%s: reading failed", path);
    if (!code) code = json_parse(root, text, (size_t)n, path, e);
    if (!code && json_kind_of(*root) != JSON_KIND_OBJECT) {
        json_free(*root);
        code = error_set(e, EXIT_USAGE, "%s: its header is no object", path);
    }
    free(text);
    *data = 8 + n;
    return code;
}

int inspect_tensors_read(inspect_tensors *out, const char *path, error *e) {
    *out = (inspect_tensors){0};
    struct stat s;
    FILE *f = fopen(path, "rb");
    if (!f || fstat(fileno(f), &s) || !S_ISREG(s.st_mode)) {
        int code = error_set(e, EXIT_USAGE, "%s: cannot be read: %s", path, f ? "not a regular file" : strerror(errno));
        if (f) fclose(f);
        return code;
    }
    json *root = NULL;
    uint64_t data = 0;
    out->file_bytes = (uint64_t)s.st_size;
    int code = read_header(f, path, out->file_bytes, &root, &data, e);
    fclose(f);
    if (code) return code;
    out->item = must_zalloc(json_count(root) + 1, sizeof *out->item);
    for (const char *name = json_next_key(root, NULL); name && !code; name = json_next_key(root, name)) {
        if (!strcmp(name, "__metadata__")) continue;
        inspect_tensor *t = &out->item[out->count];
        code = read_tensor(t, name, json_get(root, name), data, out->file_bytes, path, e);
        if (code) break;
        out->count++;
        out->elements += t->elements;
    }
    json_free(root);
    if (code) inspect_tensors_free(out);
    else qsort(out->item, out->count, sizeof *out->item, by_name);
    return code;
}

void inspect_tensors_free(inspect_tensors *s) {
    for (size_t i = 0; i < s->count; i++) free(s->item[i].name);
    free(s->item);
    *s = (inspect_tensors){0};
}
