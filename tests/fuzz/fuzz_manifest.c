/* tests/fuzz/fuzz_manifest.c - manifest.json of a shard folder. Its own hash is made right first, else no mutation would come past it. */
#include <string.h>
#include "base/json.h"
#include "datagen/shard_manifest.h"
#include "tests/fuzz/fuzz.h"

const char *const fuzz_words[] = {
    "\"files\": ", "\"rows\": ", "\"name\": ", "\"split\": ", "\"seq_length\": ", "\"tokenizer\": ", "null", "true", "[]", "{}", "-1",
    "1e999", "18446744073709551616", "\"..\"", "\"a/b\"", NULL
};

/* The manifest with manifest_sha256 as its writer would have put it, or NULL when it is no object. */
static char *with_own_hash(const uint8_t *data, size_t size) {
    error e = {0};
    json *root, *rest;
    char hex[SHA256_HEX], *printed;
    if (json_parse(&root, (const char *)data, size, "manifest", &e)) return NULL;
    if (json_kind_of(root) != JSON_KIND_OBJECT) {
        json_free(root);
        return NULL;
    }
    rest = json_new_object();
    for (const char *key = json_next_key(root, NULL); key; key = json_next_key(root, key))
        if (strcmp(key, "manifest_sha256")) json_set(rest, key, json_copy(json_get(root, key)));
    printed = json_print(rest, 2);
    sha256 hash;
    sha256_init(&hash);
    sha256_add(&hash, printed, strlen(printed));
    sha256_end_hex(&hash, hex);
    free(printed);
    json_set_string(rest, "manifest_sha256", hex);
    printed = json_print(rest, 2);
    json_free(rest);
    json_free(root);
    return printed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    error e = {0};
    shard_manifest m;
    shard_folder *f = NULL;
    char *right = with_own_hash(data, size);
    if (right) fuzz_file(MANIFEST_NAME, right, strlen(right));
    else fuzz_file(MANIFEST_NAME, data, size);
    int code = shard_manifest_read(&m, fuzz_folder(), &e);
    FUZZ_CHECK(code ? (code == EXIT_USAGE || code == EXIT_CORRUPT) && e.text[0] : m.files > 0 && m.seq_length > 0);
    FUZZ_CHECK(!right || code != EXIT_CORRUPT);
    if (!code) {
        for (size_t i = 0; i < m.files; i++) FUZZ_CHECK(!strchr(m.file[i].name, '/') && m.file[i].name[0] != '.' && m.file[i].rows > 0);
        shard_manifest_free(&m);
    }
    code = shard_folder_open(&f, fuzz_folder(), &e);
    FUZZ_CHECK(code != 0);                       /* the files that it names are not there */
    shard_folder_free(f);
    free(right);
    return 0;
}
