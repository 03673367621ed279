/* trainer/safetensors.c - header checks, reading and writing of one file. */
#include "trainer/safetensors.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/files.h"
#include "base/json.h"
#include "base/text.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "safetensors data is little-endian and is copied as it stands"
#endif

static const uint64_t LARGEST_HEADER = 100000000;   /* the format's own limit, decimal */
enum { PIECE = 65536 };                             /* elements converted at a time */

/* Writing. */

typedef struct sink { const char *path; int fd; sha256 hash; } sink;

static int put(sink *s, const void *data, size_t bytes, error *e) {
    const char *p = data;
    sha256_add(&s->hash, data, bytes);
    for (size_t done = 0; done < bytes;) {
        size_t left = bytes - done;
        ssize_t n = write(s->fd, p + done, left < (1u << 24) ? left : 1u << 24);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return error_set(e, EXIT_MACHINE, "%s: cannot be written: %s", s->path, n ? strerror(errno) : "no bytes taken");
        done += (size_t)n;
    }
    return 0;
}

static int by_name(const void *a, const void *b) { return strcmp((*(const tensor *const *)a)->name, (*(const tensor *const *)b)->name); }

static const tensor **name_order(const model *m) {
    const tensor **order = must_alloc(m->tensors, sizeof *order);
    for (size_t i = 0; i < m->tensors; i++) order[i] = &m->tensor[i];
    qsort(order, m->tensors, sizeof *order, by_name);
    return order;
}

static char *header_of(const tensor *const *order, size_t count, size_t *bytes) {
    text t = {0};
    uint64_t at = 0;
    text_format(&t, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < count; i++) {
        const tensor *x = order[i];
        text_format(&t, ",\"%s\":{\"dtype\":\"F32\",\"shape\":[", x->name);
        if (!x->vector) text_format(&t, "%zu,", x->rows);
        text_format(&t, "%zu],\"data_offsets\":[%llu,", x->columns, (unsigned long long)at);
        at += 4 * (uint64_t)x->count;
        text_format(&t, "%llu]}", (unsigned long long)at);
    }
    text_add(&t, "}", 1);
    while (t.bytes % 8) text_add(&t, " ", 1);
    *bytes = t.bytes;
    return text_take(&t);
}

int safetensors_write(const char *path, const model *m, const float *weights, char hex[SHA256_HEX], error *e) {
    sink s = {.path = path, .fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)};
    if (s.fd < 0) return error_set(e, EXIT_MACHINE, "%s: cannot be made: %s", path, strerror(errno));
    sha256_init(&s.hash);
    size_t bytes;
    const tensor **order = name_order(m);
    char *header = header_of(order, m->tensors, &bytes);
    uint64_t length = bytes;
    int code = put(&s, &length, 8, e);
    if (!code) code = put(&s, header, bytes, e);
    for (size_t i = 0; !code && i < m->tensors; i++) code = put(&s, weights + order[i]->offset, 4 * order[i]->count, e);
    if (!code && fsync(s.fd)) code = error_set(e, EXIT_MACHINE, "%s: cannot be made durable: %s", path, strerror(errno));
    if (close(s.fd) && !code) code = error_set(e, EXIT_MACHINE, "%s: cannot be closed: %s", path, strerror(errno));
    sha256_end_hex(&s.hash, hex);
    free(header);
    free(order);
    return code;
}

/* Reading. */

static int read_at(const char *path, int fd, void *out, size_t bytes, uint64_t offset, error *e) {
    char *p = out;
    for (size_t done = 0; done < bytes;) {
        ssize_t n = pread(fd, p + done, bytes - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return error_set(e, EXIT_MACHINE, "%s: cannot be read: %s", path, strerror(errno));
        if (n == 0) return error_set(e, EXIT_USAGE, "%s: ends early", path);
        done += (size_t)n;
    }
    return 0;
}

static unsigned bits_of(const char *dtype) {   /* 0: no such type */
    static const struct { const char *name; unsigned bits; } known[] = {
        {"F32", 32}, {"F16", 16}, {"BF16", 16}, {"I64", 64}, {"U64", 64}, {"F64", 64}, {"C64", 64}, {"I32", 32}, {"U32", 32}, {"I16", 16},
        {"U16", 16}, {"I8", 8}, {"U8", 8}, {"BOOL", 8}, {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F4", 4},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(dtype, known[i].name)) return known[i].bits;
    return 0;
}

static bool natural(const json *j, uint64_t *out) {
    if (!j || json_kind_of(j) != JSON_KIND_INTEGER || json_int(j) < 0) return false;
    *out = (uint64_t)json_int(j);
    return true;
}

static int read_entry(safetensors_entry *t, const char *path, const char *name, const json *j, error *e) {
    *t = (safetensors_entry){.name = must_strdup(name), .count = 1};
    if (json_kind_of(j) != JSON_KIND_OBJECT || json_count(j) != 3)
        return error_set(e, EXIT_USAGE, "%s: %s: expected dtype, shape and data_offsets, nothing else", path, name);
    const json *dtype = json_get(j, "dtype"), *shape = json_get(j, "shape"), *offsets = json_get(j, "data_offsets");
    unsigned bits = dtype && json_kind_of(dtype) == JSON_KIND_STRING ? bits_of(json_string(dtype)) : 0;
    if (!bits) return error_set(e, EXIT_USAGE, "%s: %s: unknown dtype", path, name);
    for (size_t i = 0; i + 1 < sizeof t->dtype && json_string(dtype)[i]; i++) t->dtype[i] = json_string(dtype)[i];
    if (!shape || json_kind_of(shape) != JSON_KIND_ARRAY || json_count(shape) > SAFETENSORS_DIMENSIONS)
        return error_set(e, EXIT_USAGE, "%s: %s: shape is not a list of at most %d sizes", path, name, SAFETENSORS_DIMENSIONS);
    t->dimensions = (int)json_count(shape);
    for (int i = 0; i < t->dimensions; i++) {
        if (!natural(json_at(shape, (size_t)i), &t->shape[i])) return error_set(e, EXIT_USAGE, "%s: %s: a size is not a whole number", path, name);
        if (__builtin_mul_overflow(t->count, t->shape[i], &t->count)) return error_set(e, EXIT_USAGE, "%s: %s: shape overflows", path, name);
    }
    if (!offsets || json_kind_of(offsets) != JSON_KIND_ARRAY || json_count(offsets) != 2 || !natural(json_at(offsets, 0), &t->begin) ||
        !natural(json_at(offsets, 1), &t->end) || t->end < t->begin)
        return error_set(e, EXIT_USAGE, "%s: %s: data_offsets is not [begin, end]", path, name);
    uint64_t total;
    if (__builtin_mul_overflow(t->count, (uint64_t)bits, &total)) return error_set(e, EXIT_USAGE, "%s: %s: shape overflows", path, name);
    if (total % 8 || total / 8 != t->end - t->begin)
        return error_set(e, EXIT_USAGE, "%s: %s: shape and dtype need %llu bytes, data_offsets hold %llu", path, name,
                         (unsigned long long)(total / 8), (unsigned long long)(t->end - t->begin));
    return 0;
}

static int by_offset(const void *a, const void *b) {
    const safetensors_entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

static int check_layout(const safetensors *s, uint64_t data_bytes, error *e) {
    uint64_t at = 0;
    for (size_t i = 0; i < s->count; i++) {
        const safetensors_entry *t = &s->entry[i];
        if (t->begin != at)
            return error_set(e, EXIT_USAGE, "%s: %s begins at %llu, the tensor before it ends at %llu (%s)", s->path, t->name,
                             (unsigned long long)t->begin, (unsigned long long)at, t->begin < at ? "overlap" : "hole");
        at = t->end;
    }
    if (at == data_bytes) return 0;
    return error_set(e, EXIT_USAGE, "%s: tensors end at %llu, the file's data at %llu (%s)", s->path, (unsigned long long)at,
                     (unsigned long long)data_bytes, at > data_bytes ? "truncated" : "trailing bytes");
}

static int read_header(safetensors *s, const json *root, uint64_t data_bytes, error *e) {
    const json *metadata = json_get(root, "__metadata__");
    if (json_kind_of(root) != JSON_KIND_OBJECT) return error_set(e, EXIT_USAGE, "%s: header is not a JSON object", s->path);
    if (metadata) {
        if (json_kind_of(metadata) != JSON_KIND_OBJECT) return error_set(e, EXIT_USAGE, "%s: __metadata__ is not an object", s->path);
        for (const char *key = json_next_key(metadata, NULL); key; key = json_next_key(metadata, key))
            if (json_kind_of(json_get(metadata, key)) != JSON_KIND_STRING)
                return error_set(e, EXIT_USAGE, "%s: __metadata__: %s is not a string", s->path, key);
    }
    size_t count = json_count(root) - (metadata ? 1 : 0);
    if (count > SAFETENSORS_MOST) return error_set(e, EXIT_USAGE, "%s: %zu tensors; at most %d are read", s->path, count, SAFETENSORS_MOST);
    s->entry = must_zalloc(count + 1, sizeof *s->entry);
    for (const char *key = json_next_key(root, NULL); key; key = json_next_key(root, key)) {
        if (!strcmp(key, "__metadata__")) continue;
        int code = read_entry(&s->entry[s->count++], s->path, key, json_get(root, key), e);
        if (code) return code;
    }
    qsort(s->entry, s->count, sizeof *s->entry, by_offset);
    return check_layout(s, data_bytes, e);
}

static int open_checked(safetensors *s, error *e) {
    struct stat st;
    uint64_t length;
    if (fstat(s->fd, &st)) return error_set(e, EXIT_USAGE, "%s: cannot be examined: %s", s->path, strerror(errno));
    if (!S_ISREG(st.st_mode)) return error_set(e, EXIT_USAGE, "%s: not a regular file", s->path);
    uint64_t size = (uint64_t)st.st_size;
    if (size < 8) return error_set(e, EXIT_USAGE, "%s: %llu bytes; not a safetensors file", s->path, (unsigned long long)size);
    int code = read_at(s->path, s->fd, &length, 8, 0, e);
    if (code) return code;
    if (length < 2 || length > LARGEST_HEADER || length > size - 8)
        return error_set(e, EXIT_USAGE, "%s: a header of %llu bytes in a file of %llu; not a safetensors file, or truncated", s->path,
                         (unsigned long long)length, (unsigned long long)size);
    char *header = must_alloc(length + 1, 1);
    json *root = NULL;
    code = read_at(s->path, s->fd, header, length, 8, e);
    if (!code && header[0] != '{') code = error_set(e, EXIT_USAGE, "%s: header does not begin with '{'", s->path);
    if (!code) code = json_parse(&root, header, length, s->path, e);
    s->data_start = 8 + length;
    if (!code) code = read_header(s, root, size - s->data_start, e);
    if (root) json_free(root);
    free(header);
    return code;
}

int safetensors_open(safetensors *s, const char *path, error *e) {
    *s = (safetensors){.path = must_strdup(path), .fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    int code = s->fd < 0 ? error_set(e, EXIT_USAGE, "%s: cannot be opened: %s", path, strerror(errno)) : open_checked(s, e);
    if (code) safetensors_close(s);
    return code;
}

void safetensors_close(safetensors *s) {
    for (size_t i = 0; i < s->count; i++) free(s->entry[i].name);
    free(s->entry);
    free(s->path);
    if (s->fd >= 0) close(s->fd);
    *s = (safetensors){.fd = -1};
}

const safetensors_entry *safetensors_find(const safetensors *s, const char *name) {
    for (size_t i = 0; i < s->count; i++)
        if (!strcmp(s->entry[i].name, name)) return &s->entry[i];
    return NULL;
}

static float float_of(uint32_t bits) {
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

float safetensors_half(uint16_t bits) {
    uint32_t sign = (uint32_t)(bits & 0x8000) << 16, exponent = (bits >> 10) & 31, mantissa = bits & 1023;
    if (exponent == 31) return float_of(sign | 0x7f800000u | mantissa << 13);
    if (exponent) return float_of(sign | (exponent + 112) << 23 | mantissa << 13);
    float f = (float)mantissa / 16777216.0f;        /* subnormal: mantissa * 2^-24 */
    return sign ? -f : f;
}

int safetensors_read(const safetensors *s, const safetensors_entry *t, float *out, error *e) {
    uint64_t at = s->data_start + t->begin;
    if (!strcmp(t->dtype, "F32")) return read_at(s->path, s->fd, out, 4 * t->count, at, e);
    bool half = !strcmp(t->dtype, "F16");
    if (!half && strcmp(t->dtype, "BF16"))
        return error_set(e, EXIT_USAGE, "%s: %s is %s; F32, F16 and BF16 are read", s->path, t->name, t->dtype);
    uint16_t *piece = must_alloc(PIECE, sizeof *piece);
    int code = 0;
    for (uint64_t done = 0; !code && done < t->count;) {
        size_t n = t->count - done < PIECE ? t->count - done : PIECE;
        code = read_at(s->path, s->fd, piece, 2 * n, at + 2 * done, e);
        for (size_t i = 0; !code && i < n; i++) out[done + i] = half ? safetensors_half(piece[i]) : float_of((uint32_t)piece[i] << 16);
        done += n;
    }
    free(piece);
    return code;
}
