/* datagen/shard_foreign.c - see shard_foreign.h. The child writes the tokens of each block of rows, then the rest in one struct. */
#include "datagen/shard_foreign.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "datagen/shard_manifest.h"
#include "datagen/shard_rows.h"

enum { BLOCK_ROWS = 1024 };

typedef struct job { const char *path; const vocab *v; row_words words; bool repeats; } job;

/* A row begins with [CLS] and ends with [SEP] of this vocabulary: another vocabulary would be seen here, if its ids fit at all. */
static int check_vocabulary(const shard_rows *r, uint32_t S, const uint16_t *lengths, const job *j, uint64_t first, error *e) {
    for (size_t i = 0; i < r->count; i++) {
        if (r->input_ids[i * S] == j->words.cls && r->input_ids[i * S + lengths[i] - 1] == j->words.sep) continue;
        return error_set(e, EXIT_USAGE, "%s: row %llu: does not begin with [CLS] and end with [SEP]; is --vocab the vocabulary that it was made with?",
                         j->path, (unsigned long long)(first + i));
    }
    return 0;
}

static int read_rows(foreign_shard *f, shard_file *file, row_repeats *repeats, const job *j, int out, error *e) {
    const shard_shape *s = &f->shape;
    uint32_t S = s->seq_length, P = s->max_predictions;
    shard_rows *r = shard_rows_make(S, P, BLOCK_ROWS);
    shard_rows_limits limits = { S, P, MANIFEST_LONGEST_ROW, j->v ? (int64_t)vocab_size(j->v) : INT32_MAX, NULL };
    int code = 0;
    for (uint64_t at = 0; at < s->rows && !code; at += r->count) {
        uint16_t lengths[BLOCK_ROWS];
        size_t n = s->rows - at < BLOCK_ROWS ? (size_t)(s->rows - at) : BLOCK_ROWS;
        if ((code = shard_file_read_rows(file, at, n, r, e)) || (code = shard_rows_check(r, &limits, lengths, j->path, at, e))) break;
        if (j->v && (code = check_vocabulary(r, S, lengths, j, at, e))) break;
        for (size_t k = 0; k < n * S; k++) if (r->input_ids[k] > f->max_id) f->max_id = r->input_ids[k];
        for (size_t k = 0; k < n * P; k++) if (r->labels[k] > f->max_id) f->max_id = r->labels[k];
        row_stats_add(&f->stats, r, S, P, &j->words);
        if (j->repeats) code = row_repeats_add(repeats, r, S, P, SHARD_TRAINING, e);
        child_write(out, lengths, n * sizeof *lengths);
    }
    shard_rows_free(r);
    return code;
}

static int read_through(void *context, int out, error *e) {
    const job *j = context;
    foreign_shard *f = must_zalloc(1, sizeof *f);
    shard_file *file;
    row_repeats repeats;
    if (shard_file_open(&file, j->path, e)) return e->code;
    f->shape = *shard_file_shape(file);
    if (j->repeats) row_repeats_init(&repeats);
    int code = read_rows(f, file, &repeats, j, out, e);
    if (!code && j->repeats) code = row_repeats_count(&repeats, &f->repeats, e);
    if (!code) code = shard_file_content_hash(file, f->content, e);
    if (!code) child_write(out, f, sizeof *f);
    return code;
}

static int read_shape(void *context, int out, error *e) {
    const job *j = context;
    shard_file *file;
    if (shard_file_open(&file, j->path, e)) return e->code;
    child_write(out, shard_file_shape(file), sizeof(shard_shape));
    return 0;
}

/* A pipe or device would keep the child waiting. */
static int run(child_work *work, job *j, const child_limits *limits, text *told, error *e) {
    struct stat s;
    if (stat(j->path, &s) || !S_ISREG(s.st_mode)) return error_set(e, EXIT_USAGE, "%s: not a regular file", j->path);
    return child_run(work, j, limits, j->path, told, e);
}

/* The struct at the end of what the child wrote. */
static int take_struct(text *told, void *out, size_t bytes, const char *path, error *e) {
    if (told->bytes < bytes) return error_set(e, EXIT_USAGE, "%s: reading it ended too early", path);
    told->bytes -= bytes;
    memcpy(out, told->data + told->bytes, bytes);
    return 0;
}

int shard_foreign_read(foreign_shard *out, const char *path, const vocab *v, bool repeats, const child_limits *limits, uint16_t **lengths,
                       uint64_t have, error *e) {
    job j = { path, v, row_words_of(v), repeats };
    text told = {0};
    int code = run(read_through, &j, limits, &told, e);
    if (!code) code = take_struct(&told, out, sizeof *out, path, e);
    if (!code && told.bytes != out->shape.rows * sizeof **lengths) code = error_set(e, EXIT_USAGE, "%s: reading it ended too early", path);
    if (!code) {
        *lengths = must_realloc(*lengths, have + out->shape.rows, sizeof **lengths);
        memcpy(*lengths + have, told.data, told.bytes);
    }
    free(told.data);
    return code;
}

int shard_foreign_shape(shard_shape *out, const char *path, const child_limits *limits, error *e) {
    job j = { .path = path };
    text told = {0};
    int code = run(read_shape, &j, limits, &told, e);
    if (!code) code = take_struct(&told, out, sizeof *out, path, e);
    free(told.data);
    return code;
}
