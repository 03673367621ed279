/* datagen/inspect_checkpoint.c - see inspect.h. Reads manifest.json and the table of contents of model.safetensors, no tensor but to compare. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/files.h"
#include "base/json.h"
#include "base/sha256.h"
#include "datagen/inspect.h"
#include "datagen/inspect_safetensors.h"

static const char weights_name[] = "model.safetensors", manifest_name[] = "manifest.json";
static const size_t largest_manifest = (size_t)16 << 20;
enum { COMPARE_BYTES = 1 << 18 };

/* The manifest of a checkpoint, NULL where there is none (a Hugging Face folder, a bare file). */
static int read_manifest(const char *folder, json **out, error *e) {
    char *path = files_join(folder, manifest_name);
    int code = 0;
    *out = NULL;
    if (files_exists(path)) {
        code = json_read(out, path, largest_manifest, e);
        if (!code && (json_kind_of(*out) != JSON_KIND_OBJECT || !json_get(*out, "files") || json_kind_of(json_get(*out, "files")) != JSON_KIND_OBJECT))
            code = error_set(e, EXIT_USAGE, "%s: not the manifest of a checkpoint: no files in it", path);
        if (code) {
            json_free(*out);
            *out = NULL;
        }
    }
    free(path);
    return code;
}

static char *weights_path(const char *path) { return files_is_folder(path) ? files_join(path, weights_name) : must_strdup(path); }

static int verify_file(const char *folder, const char *name, const json *entry, error *e) {
    const char *want;
    char hex[SHA256_HEX], *path = files_join(folder, name);
    int64_t bytes;
    uint64_t got = 0;
    int code = 0;
    if (!*name || *name == '.' || strchr(name, '/'))
        code = error_set(e, EXIT_USAGE, "%s: its manifest names '%.80s', which is no bare file name", folder, name);
    if (!code) code = json_need_int(entry, "bytes", 0, INT64_MAX, path, &bytes, e);
    if (!code) code = json_need_string(entry, "sha256", path, &want, e);
    if (!code && !files_exists(path)) code = error_set(e, EXIT_CORRUPT, "%s: is missing; the manifest lists it", path);
    if (!code) code = sha256_file(path, hex, &got, e);
    if (!code && (got != (uint64_t)bytes || strcmp(hex, want))) code = error_set(e, EXIT_CORRUPT, "%s: differs from what its manifest recorded", path);
    free(path);
    return code;
}

static int verify(const char *folder, const json *manifest, error *e) {
    const json *files = json_get(manifest, "files");
    if (!manifest) return error_set(e, EXIT_USAGE, "%s: has no %s, so there is nothing to verify it against", folder, manifest_name);
    for (const char *name = json_next_key(files, NULL); name; name = json_next_key(files, name))
        if (verify_file(folder, name, json_get(files, name), e)) return e->code;
    return 0;
}

static void print_scalars(const json *manifest) {
    for (const char *key = json_next_key(manifest, NULL); key; key = json_next_key(manifest, key)) {
        const json *v = json_get(manifest, key);
        enum json_kind kind = json_kind_of(v);
        if (kind == JSON_KIND_STRING && !strchr(json_string(v), '\n') && strlen(json_string(v)) <= 100) printf("  %-20s %s\n", key, json_string(v));
        if (kind == JSON_KIND_INTEGER) printf("  %-20s %lld\n", key, (long long)json_int(v));
        if (kind == JSON_KIND_REAL) printf("  %-20s %.9g\n", key, json_real(v));
    }
}

static void print_tensor(const inspect_tensor *t) {
    printf("  %-72s %s ", t->name, t->dtype);
    for (int i = 0; i < t->rank; i++) printf("%s%llu", i ? " x " : "", (unsigned long long)t->shape[i]);
    printf("\n");
}

static void print_checkpoint(const char *path, const char *kind, const inspect_tensors *s, const json *manifest, bool verified) {
    printf("%s: %s, %zu tensors, %llu parameters\n", path, kind, s->count, (unsigned long long)s->elements);
    if (manifest) print_scalars(manifest);
    for (size_t i = 0; i < s->count; i++) print_tensor(&s->item[i]);
    if (verified) printf("  verified     sizes and hashes of %zu files\n", json_count(json_get(manifest, "files")));
}

static void give_checkpoint(json *out, const char *path, const char *kind, const inspect_tensors *s, const json *manifest, bool verified) {
    json *tensors = json_new_array();
    json_set_string(out, "path", path);
    json_set_string(out, "kind", kind);
    json_set_int(out, "parameters", (int64_t)s->elements);
    for (size_t i = 0; i < s->count; i++) {
        const inspect_tensor *t = &s->item[i];
        json *o = json_new_object(), *shape = json_new_array();
        json_set_string(o, "name", t->name);
        json_set_string(o, "dtype", t->dtype);
        for (int k = 0; k < t->rank; k++) json_append(shape, json_new_int((int64_t)t->shape[k]));
        json_set(o, "shape", shape);
        json_append(tensors, o);
    }
    json_set(out, "tensors", tensors);
    if (manifest) json_set(out, "manifest", json_copy(manifest));
    json_set_bool(out, "verified", verified);
}

int inspect_checkpoint(const char *path, const inspect_wanted *wanted, json *out, error *e) {
    inspect_tensors s;
    json *manifest = NULL;
    bool folder = files_is_folder(path);
    if (folder && read_manifest(path, &manifest, e)) return e->code;
    const char *kind = manifest ? "checkpoint" : folder ? "model without manifest" : "weights";
    char *weights = weights_path(path);
    int code = inspect_tensors_read(&s, weights, e);
    if (!code) {
        if (wanted->verify) code = verify(path, manifest, e);
        if (!code && out) give_checkpoint(out, path, kind, &s, manifest, wanted->verify);
        else if (!code) print_checkpoint(path, kind, &s, manifest, wanted->verify);
        inspect_tensors_free(&s);
    }
    free(weights);
    json_free(manifest);
    return code;
}

/* Bytes of two tensors of equal length; false also when one cannot be read to its end (*bad). */
static bool same_bytes(FILE *x, const inspect_tensor *a, FILE *y, const inspect_tensor *b, bool *bad) {
    static char p[COMPARE_BYTES], q[COMPARE_BYTES];
    *bad = fseeko(x, (off_t)a->offset, SEEK_SET) || fseeko(y, (off_t)b->offset, SEEK_SET);
    for (uint64_t left = a->bytes; left > 0 && !*bad; ) {
        size_t n = left < COMPARE_BYTES ? (size_t)left : COMPARE_BYTES;
        *bad = fread(p, 1, n, x) != n || fread(q, 1, n, y) != n;
        if (*bad || memcmp(p, q, n)) return false;
        left -= n;
    }
    return !*bad;
}

static const char *tensor_difference(FILE *x, const inspect_tensor *a, FILE *y, const inspect_tensor *b, bool *bad) {
    *bad = false;
    if (strcmp(a->dtype, b->dtype)) return "type";
    if (a->rank != b->rank || memcmp(a->shape, b->shape, sizeof a->shape)) return "shape";
    return same_bytes(x, a, y, b, bad) ? NULL : "values";
}

/* Both lists are sorted by name: one walk finds what is missing and what differs. */
static int compare_tensors(const char *pa, const char *pb, bool *differ, error *e) {
    inspect_tensors a, b = {0};
    if (inspect_tensors_read(&a, pa, e)) return e->code;
    int code = inspect_tensors_read(&b, pb, e);
    FILE *x = fopen(pa, "rb"), *y = fopen(pb, "rb");
    if (!code && (!x || !y)) code = error_set(e, EXIT_MACHINE, "%s: cannot be opened again: %s", x ? pb : pa, strerror(errno));
    for (size_t i = 0, j = 0; !code && (i < a.count || j < b.count); ) {
        int order = i == a.count ? 1 : j == b.count ? -1 : strcmp(a.item[i].name, b.item[j].name);
        bool bad = false;
        const char *what = order ? NULL : tensor_difference(x, &a.item[i], y, &b.item[j], &bad);
        if (bad) code = error_set(e, EXIT_MACHINE, "%s, %s: tensor '%s' cannot be read", pa, pb, a.item[i].name);
        else if (order) printf("different: %s is in %s only\n", order < 0 ? a.item[i].name : b.item[j].name, order < 0 ? pa : pb);
        else if (what) printf("different: %s: %s\n", a.item[i].name, what);
        *differ = *differ || order || what;
        i += order <= 0;
        j += order >= 0;
    }
    if (!code && !*differ) printf("equal: %zu tensors\n", a.count);
    if (x) fclose(x);
    if (y) fclose(y);
    inspect_tensors_free(&a);
    inspect_tensors_free(&b);
    return code;
}

/* Files that the manifests list, by their hashes; each once, whichever manifest has it. */
static void compare_files(const json *a, const json *b, const char *only, bool second, bool *differ) {
    const json *fa = json_get(a, "files"), *fb = json_get(b, "files");
    for (const char *name = json_next_key(fa, NULL); name; name = json_next_key(fa, name)) {
        const json *x = json_get(json_get(fa, name), "sha256"), *y = json_get(json_get(fb, name), "sha256");
        if (!strcmp(name, weights_name) || (second && y)) continue;
        if (!y) printf("different: %s is in %s only\n", name, only);
        else if (!x || json_kind_of(x) != JSON_KIND_STRING || json_kind_of(y) != JSON_KIND_STRING || strcmp(json_string(x), json_string(y)))
            printf("different: %s\n", name);
        else continue;
        *differ = true;
    }
}

int inspect_diff_checkpoints(const char *a, const char *b, bool *differ, error *e) {
    json *ma = NULL, *mb = NULL;
    char *wa = weights_path(a), *wb = weights_path(b);
    *differ = false;
    int code = compare_tensors(wa, wb, differ, e);
    if (!code && files_is_folder(a)) code = read_manifest(a, &ma, e);
    if (!code && files_is_folder(b)) code = read_manifest(b, &mb, e);
    if (!code && ma && mb) {
        compare_files(ma, mb, a, false, differ);
        compare_files(mb, ma, b, true, differ);
    }
    json_free(ma);
    json_free(mb);
    free(wa);
    free(wb);
    return code;
}
