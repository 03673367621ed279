/* datagen/inspect_shards.c - see inspect.h: what is in a shard folder or file, gathered into a report. */
#include <stdlib.h>
#include <string.h>
#include "base/files.h"
#include "datagen/inspect.h"
#include "datagen/inspect_report.h"
#include "datagen/shard_file.h"
#include "datagen/shard_foreign.h"
#include "datagen/shard_manifest.h"

enum { BLOCK_ROWS = 1024 };

static int verify_content(const shard_manifest *m, size_t i, const char *folder, error *e) {
    shard_file *file;
    char hex[SHA256_HEX], *path = files_join(folder, m->file[i].name);
    int code = shard_file_open(&file, path, e);
    if (!code) {
        code = shard_file_content_hash(file, hex, e);
        if (!code && strcmp(hex, m->file[i].content)) code = error_set(e, EXIT_CORRUPT, "%s: its content's SHA-256 is not the recorded one", path);
        shard_file_close(file);
    }
    free(path);
    return code;
}

static int read_rows(shard_report *to, shard_folder *f, row_repeats *repeats, error *e) {
    const shard_info *info = shard_folder_info(f);
    shard_rows *r = shard_rows_new(f, BLOCK_ROWS);
    int code = 0;
    for (int s = 0; s < 2 && !code; s++) {
        for (uint64_t at = 0; at < info->rows[s] && !code; at += BLOCK_ROWS) {
            size_t n = info->rows[s] - at < BLOCK_ROWS ? (size_t)(info->rows[s] - at) : BLOCK_ROWS;
            code = shard_read_rows(f, (enum shard_split)s, at, n, r, e);
            if (!code) row_stats_add(&to->stats[s], r, info->seq_length, info->max_predictions, &to->words);
            if (!code && to->verified) code = row_repeats_add(repeats, r, info->seq_length, info->max_predictions, (enum shard_split)s, e);
        }
    }
    shard_rows_free(r);
    return code;
}

/* All hashes first; then every row is read, which checks its values. */
static int read_folder(shard_report *to, shard_folder *f, error *e) {
    vocab *v;
    row_repeats repeats;
    char *name = files_join(to->path, MANIFEST_VOCAB);
    int code = vocab_load(&v, name, e);
    free(name);
    if (code) return code;
    to->words = row_words_of(v);
    vocab_free(v);
    for (size_t i = 0; i < to->m->files && to->verified; i++)
        if (shard_folder_verify(f, i, e) || verify_content(to->m, i, to->path, e)) return e->code;
    if (to->verified) row_repeats_init(&repeats);
    code = read_rows(to, f, &repeats, e);
    if (!code && to->verified) code = row_repeats_count(&repeats, &to->repeats, e);
    if (to->verified) row_repeats_free(&repeats);
    return code;
}

int inspect_shards(const char *path, const inspect_wanted *wanted, json *out, error *e) {
    shard_manifest m;
    shard_folder *f = NULL;
    if (shard_manifest_read(&m, path, e)) return e->code;
    int code = shard_folder_open(&f, path, e);
    if (!code) {
        shard_report to = { .path = path, .m = &m, .content = shard_folder_info(f)->content_hash, .verified = wanted->verify, .detailed = wanted->stats,
                            .shape = { 0, m.seq_length, m.max_predictions, m.has_nsp }, .words = row_words_of(NULL) };
        for (int s = 0; s < 2; s++) {
            to.rows[s] = shard_folder_info(f)->rows[s];
            to.lengths[s] = shard_lengths(f, (enum shard_split)s);
        }
        if (wanted->verify || wanted->stats) code = read_folder(&to, f, e);
        if (!code) shard_report_give(&to, out);
    }
    shard_folder_free(f);
    shard_manifest_free(&m);
    return code;
}

int inspect_shard_file(const char *path, const inspect_wanted *wanted, json *out, error *e) {
    shard_report to = { .path = path, .verified = wanted->verify, .detailed = wanted->stats, .words = row_words_of(wanted->v) };
    uint16_t *lengths = NULL;
    int code;
    if (wanted->verify || wanted->stats) {
        foreign_shard f = {0};
        code = shard_foreign_read(&f, path, wanted->v, wanted->verify, &wanted->limits, &lengths, 0, e);
        to.shape = f.shape;
        to.stats[0] = f.stats;
        to.repeats = f.repeats;
        to.lengths[0] = lengths;
    } else {
        code = shard_foreign_shape(&to.shape, path, &wanted->limits, e);
    }
    to.rows[0] = to.shape.rows;
    if (!code) shard_report_give(&to, out);
    free(lengths);
    return code;
}
