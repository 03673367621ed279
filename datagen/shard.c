/* datagen/shard.c - see shard.h. The manifest is the authority: a file is hashed before it is opened, and looked at again (size, time,
 * inode) whenever rows are read from it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/files.h"
#include "datagen/shard_manifest.h"
#include "datagen/shard_file.h"
#include "datagen/shard_rows.h"

typedef struct seen { bool verified; off_t bytes; struct timespec changed; ino_t inode; } seen;

struct shard_folder {
    char *path;
    shard_manifest m;
    shard_info info;
    char content[SHA256_HEX];
    seen *seen;                        /* by file */
    uint16_t *lengths[2];
    shard_file *open;                  /* the file read last */
    size_t open_index;
};

static int look(const shard_folder *f, size_t i, seen *now, error *e) {
    char *path = files_join(f->path, f->m.file[i].name);
    struct stat s;
    int code = 0;
    if (stat(path, &s)) code = error_set(e, EXIT_USAGE, "%s: %s; the manifest lists it: copy the folder again", path, strerror(errno));
    else if (!S_ISREG(s.st_mode)) code = error_set(e, EXIT_USAGE, "%s: not a regular file", path);
    else if ((uint64_t)s.st_size != f->m.file[i].bytes)
        code = error_set(e, EXIT_CORRUPT, "%s: has %llu bytes, its manifest says %llu; copy or make it again", path, (unsigned long long)s.st_size,
                         (unsigned long long)f->m.file[i].bytes);
    else *now = (seen){ false, s.st_size, s.st_mtim, s.st_ino };
    free(path);
    return code;
}

static bool same(const seen *a, const seen *b) {
    return a->bytes == b->bytes && a->inode == b->inode && a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

static int differs(const char *path, const char *got, const char *want, error *e) {
    return error_set(e, EXIT_CORRUPT, "%s: SHA-256 is %.12s..., its manifest says %.12s...; copy or make it again", path, got, want);
}

static int check_hash(const char *path, const char *want, error *e) {
    char hex[SHA256_HEX];
    if (sha256_file(path, hex, NULL, e)) return e->code;
    return strcmp(hex, want) ? differs(path, hex, want, e) : 0;
}

static int load_lengths(shard_folder *f, enum shard_split split, error *e) {
    uint64_t rows = shard_manifest_rows(&f->m, split);
    if (!rows) return 0;
    char *path = files_join(f->path, shard_manifest_lengths_name(split)), *data = NULL;
    size_t bytes = 0;
    int code = check_hash(path, f->m.lengths_hash[split], e);
    if (!code) code = files_read(path, rows * 2, &data, &bytes, e);
    if (!code && bytes != rows * 2) code = error_set(e, EXIT_USAGE, "%s: has %zu bytes for %llu rows", path, bytes, (unsigned long long)rows);
    if (!code) f->lengths[split] = must_alloc(rows, sizeof **f->lengths);
    for (uint64_t i = 0; i < rows && !code; i++) {
        f->lengths[split][i] = (uint16_t)((unsigned char)data[2 * i] | (unsigned char)data[2 * i + 1] << 8);
        if (f->lengths[split][i] > f->m.seq_length || !f->lengths[split][i])
            code = error_set(e, EXIT_USAGE, "%s: row %llu: a length outside 1..%u", path, (unsigned long long)i, f->m.seq_length);
    }
    free(data);
    free(path);
    return code;
}

int shard_folder_open(shard_folder **out, const char *path, error *e) {
    *out = NULL;
    shard_folder *f = must_zalloc(1, sizeof *f);
    f->path = must_strdup(path);
    int code = shard_manifest_read(&f->m, path, e);
    if (!code) {
        f->seen = must_zalloc(f->m.files, sizeof *f->seen);
        shard_manifest_content_hash(&f->m, f->content);
    }
    seen now;
    for (size_t i = 0; i < f->m.files && !code; i++) code = look(f, i, &now, e);
    if (!code) {
        char *name = files_join(path, MANIFEST_VOCAB);
        code = check_hash(name, f->m.vocab_hash, e);
        free(name);
    }
    for (int s = 0; s < 2 && !code; s++) code = load_lengths(f, (enum shard_split)s, e);
    if (code) {
        shard_folder_free(f);
        return code;
    }
    const shard_manifest *m = &f->m;
    f->info = (shard_info){ .path = f->path, .seq_length = m->seq_length, .max_predictions = m->max_predictions,
        .rows = { shard_manifest_rows(m, SHARD_TRAINING), shard_manifest_rows(m, SHARD_TEST) }, .vocab_size = m->vocab_size, .max_id = m->max_id,
        .vocab_hash = m->vocab_hash, .content_hash = f->content, .lowercase = m->lowercase, .strip_accents = m->strip_accents,
        .has_nsp = m->has_nsp, .seed = m->seed };
    *out = f;
    return 0;
}

void shard_folder_free(shard_folder *f) {
    if (!f) return;
    shard_file_close(f->open);
    shard_manifest_free(&f->m);
    free(f->seen);
    free(f->lengths[0]);
    free(f->lengths[1]);
    free(f->path);
    free(f);
}

const shard_info *shard_folder_info(const shard_folder *f) { return &f->info; }
size_t shard_folder_files(const shard_folder *f) { return f->m.files; }
const char *shard_folder_file(const shard_folder *f, size_t i) { return f->m.file[i].name; }
const uint16_t *shard_lengths(const shard_folder *f, enum shard_split split) { return f->lengths[split]; }

int shard_folder_verify(shard_folder *f, size_t i, error *e) {
    seen now;
    if (look(f, i, &now, e)) return e->code;
    if (f->seen[i].verified && same(&f->seen[i], &now)) return 0;
    char *path = files_join(f->path, f->m.file[i].name);
    int code = check_hash(path, f->m.file[i].sha256, e);
    free(path);
    if (code) return code;
    f->seen[i] = now;
    f->seen[i].verified = true;
    return 0;
}

void shard_folder_trust(shard_folder *f, size_t i) {
    error ignored = {0};
    seen now;
    if (look(f, i, &now, &ignored)) return;      /* gone meanwhile: reading will say so */
    f->seen[i] = now;
    f->seen[i].verified = true;
}

/* Makes file i the open one, verified and as the manifest describes it. */
static int use_file(shard_folder *f, size_t i, error *e) {
    seen now;
    if (look(f, i, &now, e)) return e->code;
    if (!f->seen[i].verified) {
        if (shard_folder_verify(f, i, e)) return e->code;
    } else if (!same(&f->seen[i], &now)) {
        return error_set(e, EXIT_CORRUPT, "%s/%s: changed since it was verified; leave the data alone while it is read", f->path, f->m.file[i].name);
    }
    if (f->open && f->open_index == i) return 0;
    shard_file_close(f->open);
    f->open = NULL;
    char *path = files_join(f->path, f->m.file[i].name);
    int code = shard_file_open(&f->open, path, e);
    if (!code) {
        const shard_shape *s = shard_file_shape(f->open);
        f->open_index = i;
        if (s->rows != f->m.file[i].rows || s->seq_length != f->m.seq_length || s->max_predictions != f->m.max_predictions || s->has_nsp != f->m.has_nsp)
            code = error_set(e, EXIT_USAGE, "%s: its datasets are not of the size that the manifest says", path);
    }
    free(path);
    return code;
}

shard_rows *shard_rows_new(const shard_folder *f, size_t capacity) { return shard_rows_make(f->m.seq_length, f->m.max_predictions, capacity); }

static int read_part(shard_folder *f, size_t file, uint64_t in_file, uint64_t in_split, size_t n, shard_rows *r, error *e) {
    size_t S = f->m.seq_length, P = f->m.max_predictions, at = r->count;
    shard_rows part = { n, n, r->input_ids + at * S, r->input_mask + at * S, r->segment_ids + at * S, r->positions + at * P, r->labels + at * P,
                        r->next_sentence + at };
    if (use_file(f, file, e) || shard_file_read_rows(f->open, in_file, n, &part, e)) return e->code;
    shard_rows_limits limits = { f->m.seq_length, f->m.max_predictions, MANIFEST_LONGEST_ROW, (int64_t)f->m.vocab_size,
                                 f->lengths[f->m.file[file].split] + in_split };
    char *path = files_join(f->path, f->m.file[file].name);
    int code = shard_rows_check(&part, &limits, NULL, path, in_file, e);
    free(path);
    if (!code) r->count += n;
    return code;
}

int shard_read_rows(shard_folder *f, enum shard_split split, uint64_t first, size_t n, shard_rows *r, error *e) {
    r->count = 0;
    if (n > r->capacity || first > f->info.rows[split] || n > f->info.rows[split] - first)
        return error_set(e, EXIT_USAGE, "%s: rows %llu to %llu are not in it", f->path, (unsigned long long)first, (unsigned long long)(first + n));
    uint64_t start = 0;                                       /* of file i within the split */
    for (size_t i = 0; i < f->m.files && r->count < n; i++) {
        if (f->m.file[i].split != split) continue;
        uint64_t rows = f->m.file[i].rows, want = first + r->count;
        if (want < start + rows) {
            size_t left = n - r->count, here = start + rows - want < left ? (size_t)(start + rows - want) : left;
            if (read_part(f, i, want - start, want, here, r, e)) return e->code;
        }
        start += rows;
    }
    return 0;
}
