/* datagen/inspect_adopt.c - see inspect.h. Files made elsewhere are looked through whole before anything is written. */
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <unistd.h>
#include "base/files.h"
#include "datagen/inspect.h"
#include "datagen/shard_foreign.h"
#include "datagen/shard_manifest.h"

static bool is_hdf5(const char *name) {
    const char *dot = strrchr(name, '.');
    return name[0] != '.' && dot && (!strcmp(dot, ".hdf5") || !strcmp(dot, ".h5"));
}

/* Reads file i through in a child process: shape, values, lengths (appended), hashes. */
static int adopt_file(shard_manifest *m, size_t i, const char *folder, const vocab *v, const child_limits *limits, uint16_t **lengths, uint64_t *rows,
                      error *e) {
    shard_manifest_file *entry = &m->file[i];
    foreign_shard f;
    char *path = files_join(folder, entry->name);
    int code = shard_foreign_read(&f, path, v, false, limits, lengths, *rows, e);
    const shard_shape *s = &f.shape;
    if (!code && i == 0) {
        m->seq_length = s->seq_length;
        m->max_predictions = s->max_predictions;
        m->has_nsp = s->has_nsp;
    } else if (!code && (s->seq_length != m->seq_length || s->max_predictions != m->max_predictions || s->has_nsp != m->has_nsp)) {
        code = error_set(e, EXIT_USAGE, "%s: its sequence length, predictions or labels are not those of %s; keep them in folders of their own", path,
                         m->file[0].name);
    }
    if (!code) {
        entry->rows = s->rows;
        *rows += s->rows;
        if (f.max_id > m->max_id) m->max_id = f.max_id;
        memcpy(entry->content, f.content, SHA256_HEX);
        code = sha256_file(path, entry->sha256, &entry->bytes, e);
    }
    free(path);
    return code;
}

/* Nothing of a user's is overwritten: a manifest, or another vocabulary. */
static int check_place(const char *folder, const vocab *v, error *e) {
    char *name = files_join(folder, MANIFEST_NAME), *words = files_join(folder, MANIFEST_VOCAB);
    vocab *other = NULL;
    int code = 0;
    if (!files_is_folder(folder)) code = error_set(e, EXIT_USAGE, "%s: no such folder", folder);
    else if (files_exists(name)) code = error_set(e, EXIT_USAGE, "%s: has a manifest already; nothing to adopt", folder);
    else if (access(folder, W_OK)) code = error_set(e, EXIT_USAGE, "%s: not writable; manifest, lengths and vocabulary go beside the shards", folder);
    else if (files_exists(words) && !(code = vocab_load(&other, words, e)) && strcmp(vocab_hash(other), vocab_hash(v)))
        code = error_set(e, EXIT_USAGE, "%s: is not the vocabulary given with --vocab", words);
    vocab_free(other);
    free(words);
    free(name);
    return code;
}

static int find_files(shard_manifest *m, const char *folder, error *e) {
    char **names;
    size_t count;
    if (files_list(folder, &names, &count, e)) return e->code;
    for (size_t i = 0; i < count; i++) if (is_hdf5(names[i])) shard_manifest_add_file(m, names[i], shard_manifest_split_of(names[i]));
    files_free_list(names, count);
    return m->files ? 0 : error_set(e, EXIT_USAGE, "%s: holds no .hdf5 or .h5 file", folder);
}

/* What a failed adoption wrote. The manifest comes last, so it is not among it. */
static void take_back(const char *folder) {
    for (int s = 0; s < 2; s++) {
        char *path = files_join(folder, shard_manifest_lengths_name((enum shard_split)s));
        unlink(path);
        free(path);
    }
}

int inspect_adopt(const char *folder, const vocab *v, tokenizer_settings words, const child_limits *limits, error *e) {
    shard_manifest m = { .lowercase = words.lowercase, .strip_accents = words.strip_accents, .specials = words.specials };
    uint16_t *lengths[2] = {0};
    uint64_t rows[2] = {0};
    int code = check_place(folder, v, e);
    if (!code) code = find_files(&m, folder, e);
    for (size_t i = 0; i < m.files && !code; i++)
        code = adopt_file(&m, i, folder, v, limits, &lengths[m.file[i].split], &rows[m.file[i].split], e);
    if (!code) {
        m.options = json_new_object();
        json_set_bool(m.options, "adopted", true);
        code = shard_manifest_write_parts(&m, folder, (const uint16_t *const[2]){ lengths[0], lengths[1] }, v, e);
        if (!code) code = shard_manifest_write(&m, folder, e);
        if (code) take_back(folder);
    }
    if (!code) printf("%s: adopted %zu file%s, %llu training rows, %llu test rows\n", folder, m.files, m.files == 1 ? "" : "s",
                      (unsigned long long)rows[0], (unsigned long long)rows[1]);
    free(lengths[0]);
    free(lengths[1]);
    shard_manifest_free(&m);
    return code;
}
