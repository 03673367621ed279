/* datagen/shard_manifest.c - see manifest.h. */
#include <stdlib.h>
#include <string.h>
#include "base/files.h"
#include "datagen/shard_manifest.h"

static const char *const strip_names[] = { "auto", "yes", "no" }, *const special_names[] = { "split", "keep" }, *const split_names[] = { "training", "test" };
static const char format_name[] = "bert-shards", own_hash[] = "manifest_sha256";
enum { MOST_FILES = 1 << 20 };
static const size_t largest_manifest = (size_t)256 << 20;

const char *shard_manifest_lengths_name(enum shard_split split) { return split == SHARD_TRAINING ? "lengths.u16" : "lengths-test.u16"; }

uint64_t shard_manifest_rows(const shard_manifest *m, enum shard_split split) {
    uint64_t rows = 0;
    for (size_t i = 0; i < m->files; i++) if (m->file[i].split == split) rows += m->file[i].rows;
    return rows;
}

enum shard_split shard_manifest_split_of(const char *name) {
    return strstr(name, "test") && !strstr(name, "train") ? SHARD_TEST : SHARD_TRAINING;
}

static bool before(const shard_manifest_file *a, const shard_manifest_file *b) {
    return a->split != b->split ? a->split < b->split : strcmp(a->name, b->name) < 0;
}

void shard_manifest_add_file(shard_manifest *m, const char *name, enum shard_split split) {
    shard_manifest_file add = { .name = must_strdup(name), .split = split };
    m->file = must_realloc(m->file, m->files + 1, sizeof *m->file);
    size_t i = m->files++;
    for (; i > 0 && before(&add, &m->file[i - 1]); i--) m->file[i] = m->file[i - 1];
    m->file[i] = add;
}

void shard_manifest_content_hash(const shard_manifest *m, char hex[SHA256_HEX]) {
    sha256 hash;
    sha256_init(&hash);
    for (size_t i = 0; i < m->files; i++) sha256_add(&hash, m->file[i].content, SHA256_HEX - 1);
    sha256_end_hex(&hash, hex);
}

void shard_manifest_free(shard_manifest *m) {
    for (size_t i = 0; i < m->files; i++) free(m->file[i].name);
    free(m->file);
    json_free(m->options);
    json_free(m->summary);
    *m = (shard_manifest){0};
}

bool shard_manifest_is_order(const shard_manifest *m) {
    const json *order = json_get(m->options, "sentence_order");
    return m->has_nsp && order && json_kind_of(order) == JSON_KIND_BOOL && json_bool(order);
}

/* The manifest's own hash: of its text without the line that holds it. */
static void hash_without_own(const json *root, char hex[SHA256_HEX]) {
    json *rest = json_new_object();
    for (const char *key = json_next_key(root, NULL); key; key = json_next_key(root, key))
        if (strcmp(key, own_hash)) json_set(rest, key, json_copy(json_get(root, key)));
    char *printed = json_print(rest, 2);
    sha256 hash;
    sha256_init(&hash);
    sha256_add(&hash, printed, strlen(printed));
    sha256_end_hex(&hash, hex);
    free(printed);
    json_free(rest);
}

static int need_hash(const json *o, const char *key, const char *where, char out[SHA256_HEX], error *e) {
    const char *text;
    if (json_need_string(o, key, where, &text, e)) return e->code;
    if (strlen(text) != SHA256_HEX - 1 || strspn(text, "0123456789abcdef") != SHA256_HEX - 1)
        return error_set(e, EXIT_USAGE, "%s: %s: expected 64 hexadecimal digits", where, key);
    memcpy(out, text, SHA256_HEX);
    return 0;
}

static int need_choice(const json *o, const char *key, const char *const *names, int count, const char *where, int *out, error *e) {
    const char *text;
    if (json_need_string(o, key, where, &text, e)) return e->code;
    for (*out = 0; *out < count; ++*out) if (!strcmp(text, names[*out])) return 0;
    return error_set(e, EXIT_USAGE, "%s: %s: unknown value '%.40s'", where, key, text);
}

static int read_file_entry(shard_manifest *m, const json *o, const char *where, error *e) {
    const char *name;
    int split;
    int64_t rows, bytes;
    char sha[SHA256_HEX], content[SHA256_HEX];
    if (json_need_string(o, "name", where, &name, e) || need_choice(o, "split", split_names, 2, where, &split, e)
        || json_need_int(o, "rows", 1, (int64_t)1 << 40, where, &rows, e) || json_need_int(o, "bytes", 1, (int64_t)1 << 60, where, &bytes, e)
        || need_hash(o, "sha256", where, sha, e) || need_hash(o, "content_sha256", where, content, e)) return e->code;
    if (!*name || *name == '.' || strchr(name, '/') || strlen(name) > 255)
        return error_set(e, EXIT_USAGE, "%s: name: '%.80s' is no bare file name", where, name);
    shard_manifest_file key = { .split = (enum shard_split)split };
    key.name = must_strdup(name);
    bool sorted = !m->files || before(&m->file[m->files - 1], &key);
    free(key.name);
    if (!sorted) return error_set(e, EXIT_USAGE, "%s: files: not in ascending order at '%.80s'", where, name);
    shard_manifest_add_file(m, name, (enum shard_split)split);
    shard_manifest_file *f = &m->file[m->files - 1];
    f->rows = (uint64_t)rows;
    f->bytes = (uint64_t)bytes;
    memcpy(f->sha256, sha, SHA256_HEX);
    memcpy(f->content, content, SHA256_HEX);
    return 0;
}

/* Whether it is a manifest of this format, and whole. */
static int read_head(const json *root, const char *where, error *e) {
    const char *format;
    int64_t version;
    char own[SHA256_HEX], recorded[SHA256_HEX];
    if (json_need_string(root, "format", where, &format, e) || json_need_int(root, "format_version", 1, INT32_MAX, where, &version, e)) return e->code;
    if (strcmp(format, format_name)) return error_set(e, EXIT_USAGE, "%s: describes '%.40s', not shards", where, format);
    if (version != MANIFEST_VERSION)
        return error_set(e, EXIT_USAGE, "%s: format_version is %lld, this program reads %d; use the program that wrote it", where, (long long)version,
                         MANIFEST_VERSION);
    if (need_hash(root, own_hash, where, recorded, e)) return e->code;
    hash_without_own(root, own);
    return strcmp(own, recorded) ? error_set(e, EXIT_CORRUPT, "%s: its content differs from its own hash; copy or make the shards again", where) : 0;
}

static int read_fields(shard_manifest *m, const json *root, const char *where, error *e) {
    int64_t seq, predictions, vocabulary, max_id, seed;
    const json *settings = json_get(root, "tokenizer"), *files = json_get(root, "files");
    if (json_need_int(root, "seq_length", 4, MANIFEST_LONGEST_ROW, where, &seq, e)
        || json_need_int(root, "max_predictions", 1, MANIFEST_LONGEST_ROW, where, &predictions, e)
        || json_need_bool(root, "next_sentence", where, &m->has_nsp, e) || json_need_int(root, "vocab_size", 1, INT32_MAX, where, &vocabulary, e)
        || json_need_int(root, "max_id", 0, vocabulary - 1, where, &max_id, e) || json_need_int(root, "seed", 0, INT64_MAX, where, &seed, e)
        || need_hash(root, "vocab_sha256", where, m->vocab_hash, e)) return e->code;
    m->seq_length = (uint32_t)seq;
    m->max_predictions = (uint32_t)predictions;
    m->vocab_size = (size_t)vocabulary;
    m->max_id = max_id;
    m->seed = (uint64_t)seed;
    if (!settings) return error_set(e, EXIT_USAGE, "%s: tokenizer: missing", where);
    if (json_need_bool(settings, "lowercase", where, &m->lowercase, e) || need_choice(settings, "strip_accents", strip_names, 3, where, &m->strip_accents, e)
        || need_choice(settings, "special_tokens", special_names, 2, where, &m->specials, e)) return e->code;
    if (!files || json_kind_of(files) != JSON_KIND_ARRAY || json_count(files) == 0 || json_count(files) > MOST_FILES)
        return error_set(e, EXIT_USAGE, "%s: files: expected a list of 1 to %d", where, MOST_FILES);
    for (size_t i = 0; i < json_count(files); i++) if (read_file_entry(m, json_at(files, i), where, e)) return e->code;
    for (int s = 0; s < 2; s++) {
        const char *key = s ? "lengths_test_sha256" : "lengths_sha256";
        if (shard_manifest_rows(m, (enum shard_split)s) && need_hash(root, key, where, m->lengths_hash[s], e)) return e->code;
    }
    if (json_get(root, "options")) m->options = json_copy(json_get(root, "options"));
    if (json_get(root, "summary")) m->summary = json_copy(json_get(root, "summary"));
    return 0;
}

int shard_manifest_read(shard_manifest *out, const char *folder, error *e) {
    *out = (shard_manifest){0};
    char *path = files_join(folder, MANIFEST_NAME);
    json *root = NULL;
    int code = 0;
    if (!files_is_folder(folder)) code = error_set(e, EXIT_USAGE, "%s: no such folder; give a folder that bert-shard wrote", folder);
    else if (!files_exists(path))
        code = error_set(e, EXIT_USAGE, "%s: has no %s; let bert-shard finish, or adopt shards made elsewhere with bert-inspect --adopt %s --vocab vocab.txt",
                         folder, MANIFEST_NAME, folder);
    else code = json_read(&root, path, largest_manifest, e);
    if (!code) code = read_head(root, path, e);
    if (!code) code = read_fields(out, root, path, e);
    json_free(root);
    free(path);
    if (code) shard_manifest_free(out);
    return code;
}

static json *file_entries(const shard_manifest *m) {
    json *files = json_new_array();
    for (size_t i = 0; i < m->files; i++) {
        const shard_manifest_file *f = &m->file[i];
        json *o = json_new_object();
        json_set_string(o, "name", f->name);
        json_set_string(o, "split", split_names[f->split]);
        json_set_int(o, "rows", (int64_t)f->rows);
        json_set_int(o, "bytes", (int64_t)f->bytes);
        json_set_string(o, "sha256", f->sha256);
        json_set_string(o, "content_sha256", f->content);
        json_append(files, o);
    }
    return files;
}

int shard_manifest_write(const shard_manifest *m, const char *folder, error *e) {
    json *root = json_new_object(), *settings = json_new_object();
    json_set_string(root, "format", format_name);
    json_set_int(root, "format_version", MANIFEST_VERSION);
    json_set_int(root, "seq_length", m->seq_length);
    json_set_int(root, "max_predictions", m->max_predictions);
    json_set_bool(root, "next_sentence", m->has_nsp);
    json_set_int(root, "vocab_size", (int64_t)m->vocab_size);
    json_set_string(root, "vocab_sha256", m->vocab_hash);
    json_set_int(root, "max_id", m->max_id);
    json_set_int(root, "seed", (int64_t)m->seed);
    json_set_bool(settings, "lowercase", m->lowercase);
    json_set_string(settings, "strip_accents", strip_names[m->strip_accents]);
    json_set_string(settings, "special_tokens", special_names[m->specials]);
    json_set(root, "tokenizer", settings);
    if (m->options) json_set(root, "options", json_copy(m->options));
    if (m->summary) json_set(root, "summary", json_copy(m->summary));
    if (*m->lengths_hash[SHARD_TRAINING]) json_set_string(root, "lengths_sha256", m->lengths_hash[SHARD_TRAINING]);
    if (*m->lengths_hash[SHARD_TEST]) json_set_string(root, "lengths_test_sha256", m->lengths_hash[SHARD_TEST]);
    json_set(root, "files", file_entries(m));
    char hex[SHA256_HEX];
    hash_without_own(root, hex);
    json_set_string(root, own_hash, hex);
    char *printed = json_print(root, 2), *text = must_format("%s\n", printed), *path = files_join(folder, MANIFEST_NAME);
    int code = files_write_atomic(path, text, strlen(text), e);
    json_free(root);
    free(printed);
    free(text);
    free(path);
    return code;
}

static int write_lengths(shard_manifest *m, const char *folder, enum shard_split split, const uint16_t *lengths, error *e) {
    uint64_t rows = shard_manifest_rows(m, split);
    if (!rows) return 0;
    unsigned char *bytes = must_alloc(rows, 2);
    for (uint64_t i = 0; i < rows; i++) {
        bytes[2 * i] = (unsigned char)(lengths[i] & 0xFF);
        bytes[2 * i + 1] = (unsigned char)(lengths[i] >> 8);
    }
    sha256 hash;
    sha256_init(&hash);
    sha256_add(&hash, bytes, 2 * rows);
    sha256_end_hex(&hash, m->lengths_hash[split]);
    char *path = files_join(folder, shard_manifest_lengths_name(split));
    int code = files_write_atomic(path, bytes, 2 * rows, e);
    free(path);
    free(bytes);
    return code;
}

int shard_manifest_write_parts(shard_manifest *m, const char *folder, const uint16_t *const lengths[2], const vocab *v, error *e) {
    for (int s = 0; s < 2; s++) if (lengths[s] && write_lengths(m, folder, (enum shard_split)s, lengths[s], e)) return e->code;
    size_t bytes;
    char *text = vocab_text(v, &bytes), *path = files_join(folder, MANIFEST_VOCAB);
    int code = files_write_atomic(path, text, bytes, e);
    m->vocab_size = vocab_size(v);
    memcpy(m->vocab_hash, vocab_hash(v), SHA256_HEX);
    free(path);
    free(text);
    return code;
}
