/* trainer/checkpoint_manifest.c - reading, writing and checking manifest.json. */
#include "trainer/checkpoint_manifest.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/files.h"
#include "base/text.h"

static const char format_name[] = "bert-checkpoint", own_hash[] = "manifest_sha256";
enum { MOST_BYTES = 1 << 20 };

static void hash_without_own(const json *manifest, char hex[SHA256_HEX]) {
    json *rest = json_new_object();
    for (const char *key = json_next_key(manifest, NULL); key; key = json_next_key(manifest, key))
        if (strcmp(key, own_hash)) json_set(rest, key, json_copy(json_get(manifest, key)));
    char *printed = json_print(rest, 2);
    sha256 s;
    sha256_init(&s);
    sha256_add(&s, printed, strlen(printed));
    sha256_end_hex(&s, hex);
    free(printed);
    json_free(rest);
}

void manifest_add_file(json *manifest, const char *name, uint64_t bytes, const char *sha256_hex) {
    const json *old = json_get(manifest, "files");
    json *files = old ? json_copy(old) : json_new_object(), *file = json_new_object();
    json_set_int(file, "bytes", (int64_t)bytes);
    json_set_string(file, "sha256", sha256_hex);
    json_set(files, name, file);
    json_set(manifest, "files", files);
}

char *manifest_print(json *manifest) {
    char hex[SHA256_HEX];
    hash_without_own(manifest, hex);
    json_set_string(manifest, own_hash, hex);
    char *printed = json_print(manifest, 2), *line = must_format("%s\n", printed);
    free(printed);
    return line;
}

const char *manifest_text(const json *manifest, const char *key) {
    const json *v = json_get(manifest, key);
    return v && json_kind_of(v) == JSON_KIND_STRING ? json_string(v) : "";
}

static int check(const json *m, const char *path, error *e) {
    int64_t version, step;
    char hex[SHA256_HEX];
    if (strcmp(manifest_text(m, "format"), format_name)) return error_set(e, EXIT_USAGE, "%s: format is not %s", path, format_name);
    if (json_need_int(m, "format_version", 1, INT64_MAX, path, &version, e)) return e->code;
    if (version > CHECKPOINT_VERSION)
        return error_set(e, EXIT_USAGE, "%s: format version %lld; this program reads up to %d: use a newer one", path, (long long)version, CHECKPOINT_VERSION);
    hash_without_own(m, hex);
    if (strcmp(manifest_text(m, own_hash), hex)) return error_set(e, EXIT_CORRUPT, "%s: its content differs from its own hash", path);
    if (strcmp(manifest_text(m, "endianness"), "little")) return error_set(e, EXIT_USAGE, "%s: byte order is not little-endian", path);
    if (strcmp(manifest_text(m, "dtype"), "float32")) return error_set(e, EXIT_USAGE, "%s: dtype is not float32", path);
    if (json_need_int(m, "step", 0, INT64_MAX, path, &step, e)) return e->code;
    const json *files = json_get(m, "files");
    if (!files || json_kind_of(files) != JSON_KIND_OBJECT) return error_set(e, EXIT_USAGE, "%s: no list of files", path);
    return 0;
}

int manifest_read(json **out, const char *folder, error *e) {
    char *path = files_join(folder, "manifest.json");
    *out = NULL;
    int code = files_exists(path) ? json_read(out, path, MOST_BYTES, e)
                                  : error_set(e, EXIT_USAGE, "%s: no manifest.json in it; not a whole checkpoint", folder);
    if (!code) code = check(*out, path, e);
    if (code && *out) json_free(*out), *out = NULL;
    free(path);
    return code;
}

static int verify_file(const json *files, const char *folder, const char *name, error *e) {
    const json *f = json_get(files, name);
    char hex[SHA256_HEX], *path = files_join(folder, name);
    int64_t bytes = 0;
    const char *wanted = NULL;
    struct stat st;
    int code = !*name || *name == '.' || strchr(name, '/') ? error_set(e, EXIT_USAGE, "%s: manifest.json: not a bare file name: %s", folder, name) : 0;
    if (!code) code = json_need_int(f, "bytes", 0, INT64_MAX, path, &bytes, e);
    if (!code) code = json_need_string(f, "sha256", path, &wanted, e);
    if (!code && (stat(path, &st) || !S_ISREG(st.st_mode))) code = error_set(e, EXIT_CORRUPT, "%s: is missing", path);
    if (!code && st.st_size != bytes)
        code = error_set(e, EXIT_CORRUPT, "%s: %lld bytes, %lld recorded", path, (long long)st.st_size, (long long)bytes);
    if (!code) code = sha256_file(path, hex, NULL, e);
    if (!code && strcmp(hex, wanted)) code = error_set(e, EXIT_CORRUPT, "%s: SHA-256 %.12s..., %.12s... recorded", path, hex, wanted);
    free(path);
    return code;
}

int manifest_verify(const json *manifest, const char *folder, bool with_training, error *e) {
    static const char *const needed[] = {"config.json", "vocab.txt", "model.safetensors", "training.h5"};
    const json *files = json_get(manifest, "files");
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!json_get(files, needed[i])) return error_set(e, EXIT_USAGE, "%s: manifest.json does not list %s", folder, needed[i]);
    int code = 0;
    for (const char *name = json_next_key(files, NULL); name && !code; name = json_next_key(files, name))
        if (with_training || strcmp(name, "training.h5")) code = verify_file(files, folder, name, e);
    return code;
}
