/* datagen/shard_files.c - rows to finished files: units of a few chunks go to threads and ranks in order; who puts a file's last chunk
 * finishes it. A file whose units are of several ranks is finished by the rank that has most of them, when all have packed theirs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/files.h"
#include "datagen/shard_journal.h"
#include "datagen/shard_rows.h"
#include "datagen/shard_rows_in_order.h"
#include "datagen/shard_stage.h"
#include "datagen/shard_writer.h"
#include "datagen/workers.h"

enum { UNIT_CHUNKS = 8, UNIT_BYTES = 1 << 22 };

typedef struct out_file {
    char name[32];
    enum shard_split split;
    uint64_t first, rows;            /* of the split */
    uint64_t chunks, unit_chunks, units, first_unit;
    uint64_t mine, left;             /* units of this rank; not yet packed */
    int owner;
    bool shared, finished;           /* finished: by an earlier run */
    shard_writer *w;
} out_file;

typedef struct writing {
    stage *g;
    out_file *file;
    size_t files;
    uint64_t units, end, rows_total;
    _Atomic uint64_t next, rows_done;
    shard_writer_settings settings;
    pthread_mutex_t mutex;
} writing;

uint64_t build_first_row(uint64_t rows, uint64_t files, uint64_t i) { return rows / files * i + (i < rows % files ? i : rows % files); }

static uint64_t first_of_rank(const writing *j, int rank) { return j->units * (uint64_t)rank / (uint64_t)j->g->size; }

/* Units [first, end) of a rank that are of file f. */
static uint64_t units_of(const writing *j, const out_file *f, int rank, uint64_t *first) {
    uint64_t from = first_of_rank(j, rank), to = first_of_rank(j, rank + 1), end = f->first_unit + f->units;
    if (from < f->first_unit) from = f->first_unit;
    if (to > end) to = end;
    *first = from - f->first_unit;
    return from < to ? to - from : 0;
}

static void plan_files(writing *j, enum shard_split split, uint64_t rows, uint64_t files) {
    uint32_t S = j->g->s.example.seq_length;
    j->file = must_realloc(j->file, j->files + files, sizeof *j->file);
    for (uint64_t i = 0; i < files; i++) {
        out_file *f = &j->file[j->files++];
        *f = (out_file){ .split = split, .first = build_first_row(rows, files, i), .first_unit = j->units };
        f->rows = build_first_row(rows, files, i + 1) - f->first;
        snprintf(f->name, sizeof f->name, "%s_%05u.hdf5", split == SHARD_TEST ? "test" : "training", (unsigned)i);
        uint64_t chunk_rows = f->rows < SHARD_CHUNK_ROWS ? f->rows : SHARD_CHUNK_ROWS, fit = UNIT_BYTES / (chunk_rows * 4 * S);
        f->chunks = (f->rows + chunk_rows - 1) / chunk_rows;
        f->unit_chunks = fit < 1 ? 1 : fit > UNIT_CHUNKS ? UNIT_CHUNKS : fit;
        f->units = (f->chunks + f->unit_chunks - 1) / f->unit_chunks;
        j->units += f->units;
    }
}

/* Whose a file is: of the rank with most of its units, the lowest of several. */
static void deal_files(writing *j) {
    for (size_t i = 0; i < j->files; i++) {
        out_file *f = &j->file[i];
        uint64_t first, most = 0;
        for (int r = 0; r < j->g->size; r++) {
            uint64_t n = units_of(j, f, r, &first);
            if (n > most) most = n, f->owner = r;
        }
        f->mine = f->left = units_of(j, f, j->g->rank, &first);
        f->shared = most < f->units;
    }
}

static int finish_file(writing *j, out_file *f, error *e) {
    char *path = files_join(j->g->folder, f->name);
    finished_shard record = { .rows = f->rows, .max_id = shard_writer_max_id(f->w), .lengths = (uint16_t *)(uintptr_t)shard_writer_lengths(f->w) };
    int code = shard_writer_finish(f->w, path, record.content, record.sha256, &record.bytes, e);
    if (!code) code = shard_journal_write(j->g->folder, f->name, j->g->identity, &record, e);
    free(path);
    shard_writer_free(f->w);
    f->w = NULL;
    return code;
}

static char *exchange_path(const writing *j, const out_file *f, int rank) { return must_format("%s/%s-%d.chunks", j->g->temp, f->name, rank); }

/* The last unit of this rank is packed. */
static int end_of_mine(writing *j, out_file *f, error *e) {
    uint64_t first, n = units_of(j, f, j->g->rank, &first);
    if (!f->shared) return finish_file(j, f, e);
    if (f->owner == j->g->rank) return 0;
    char *path = exchange_path(j, f, j->g->rank);
    uint64_t end = (first + n) * f->unit_chunks;
    int code = shard_writer_publish(f->w, first * f->unit_chunks, (end < f->chunks ? end : f->chunks) - first * f->unit_chunks, path, e);
    free(path);
    shard_writer_free(f->w);
    f->w = NULL;
    return code;
}

static shard_writer *writer_of(writing *j, out_file *f) {
    pthread_mutex_lock(&j->mutex);
    if (!f->w) {
        f->w = shard_writer_new(&j->settings, f->rows, j->g->chunk_store);
        if (f->shared) shard_writer_keep_raw(f->w);
    }
    shard_writer *w = f->w;
    pthread_mutex_unlock(&j->mutex);
    return w;
}

static int write_unit(writing *j, out_file *f, uint64_t unit, row_run *t, shard_packer *p, shard_rows *rows, error *e) {
    shard_writer *w = writer_of(j, f);
    uint64_t chunk_rows = shard_writer_chunk_rows(w), chunk = unit * f->unit_chunks, last = chunk + f->unit_chunks;
    if (last > f->chunks) last = f->chunks;
    uint64_t end = last * chunk_rows < f->rows ? last * chunk_rows : f->rows;
    if (row_run_load(t, f->split, f->first + chunk * chunk_rows, f->first + end, e)) return e->code;
    for (; chunk < last; chunk++) {
        uint64_t row = chunk * chunk_rows;
        rows->count = (size_t)(f->rows - row < chunk_rows ? f->rows - row : chunk_rows);
        for (size_t i = 0; i < rows->count; i++) row_run_render(t, f->first + row + i, rows, i);
        if (shard_writer_put(w, p, chunk, rows, e)) return e->code;
        live_line_show(j->g->live, atomic_fetch_add(&j->rows_done, rows->count) + rows->count);
    }
    pthread_mutex_lock(&j->mutex);
    bool ended = --f->left == 0;
    pthread_mutex_unlock(&j->mutex);
    return ended ? end_of_mine(j, f, e) : 0;
}

static int write_worker(void *job, int number, error *e) {
    writing *j = job;
    stage *g = j->g;
    row_run *t = row_run_new(g);
    shard_packer *p = shard_packer_new();
    shard_rows *rows = shard_rows_make(g->s.example.seq_length, g->s.example.max_predictions, SHARD_CHUNK_ROWS);
    int code = 0;
    size_t at = 0;
    (void)number;
    while (!code && !*g->stop && !atomic_load(&g->failed)) {
        uint64_t unit = atomic_fetch_add(&j->next, 1);
        if (unit >= j->end) break;
        while (unit >= j->file[at].first_unit + j->file[at].units) at++;
        out_file *f = &j->file[at];
        if (!f->finished) code = write_unit(j, f, unit - f->first_unit, t, p, rows, e);
    }
    if (code) atomic_store(&g->failed, true);
    row_run_free(t);
    shard_packer_free(p);
    shard_rows_free(rows);
    return code;
}

/* Of a shared file that is this rank's: takes the other ranks' chunks in. */
static int finish_shared(writing *j, out_file *f, error *e) {
    for (int r = 0; r < j->g->size; r++) {
        uint64_t first, n = units_of(j, f, r, &first), end = (first + n) * f->unit_chunks;
        if (r == j->g->rank || !n) continue;
        char *path = exchange_path(j, f, r);
        int code = shard_writer_take_in(f->w, first * f->unit_chunks, (end < f->chunks ? end : f->chunks) - first * f->unit_chunks, path, e);
        free(path);
        if (code) return code;
    }
    return finish_file(j, f, e);
}

static int write_files(writing *j, error *e) {
    stage *g = j->g;
    atomic_init(&j->next, first_of_rank(j, g->rank));
    j->end = first_of_rank(j, g->rank + 1);
    live_line_stage(g->live, "writing", "examples", 1, j->rows_total / (uint64_t)g->size);
    if (!workers_run(g->s.threads, write_worker, j, e) && *g->stop) error_set(e, EXIT_MACHINE, "interrupted");
    if (stage_agree(g, e)) return e->code;
    for (size_t i = 0; i < j->files && g->size > 1 && !e->code; i++) {
        out_file *f = &j->file[i];
        if (f->shared && f->owner == g->rank && !f->finished) finish_shared(j, f, e);
    }
    return stage_agree(g, e);
}

/* Shards in the folder that are not of this work, or not whole. */
static void remove_others(const writing *j, const unsigned char *found) {
    char **names;
    size_t count;
    error ignored = {0};
    if (files_list(j->g->folder, &names, &count, &ignored)) return;
    for (size_t n = 0; n < count; n++) {
        size_t bytes = strcspn(names[n], "."), i = 0;
        if (!strstr(names[n], ".hdf5")) continue;
        while (i < j->files && (strncmp(j->file[i].name, names[n], bytes) || !found[i])) i++;
        if (i < j->files) continue;
        char *path = files_join(j->g->folder, names[n]);
        (void)unlink(path);
        free(path);
    }
    files_free_list(names, count);
}

/* What an earlier run finished of the same work; the first rank looks, the others are told. */
static void find_finished(writing *j) {
    stage *g = j->g;
    unsigned char *found = must_zalloc(j->files, 1);
    if (g->rank == 0) {
        for (size_t i = 0; i < j->files; i++) found[i] = shard_journal_holds(g->folder, j->file[i].name, g->identity, j->file[i].rows);
        remove_others(j, found);
    }
    if (g->ranks) comm_broadcast(g->ranks, found, j->files, 0);
    for (size_t i = 0; i < j->files; i++) {
        j->file[i].finished = found[i];
        g->sum->reused += found[i];
        j->rows_total += found[i] ? 0 : j->file[i].rows;
    }
    free(found);
}

static int write_manifest(writing *j, error *e) {
    const char **name = must_alloc(j->files, sizeof *name);
    for (size_t i = 0; i < j->files; i++) name[i] = j->file[i].name;
    int code = stage_manifest(j->g, name, j->files, e);
    free(name);
    return code;
}

int stage_write(stage *g, error *e) {
    const example_settings *x = &g->s.example;
    writing j = { .g = g, .settings = { x->seq_length, x->max_predictions, x->next_sentence, g->s.words.lowercase, g->s.words.strip_accents,
                                        vocab_hash(g->v), x->seed, g->s.threads } };
    uint64_t rows = g->split_rows[SHARD_TRAINING], test = g->split_rows[SHARD_TEST];
    if (g->s.shards > rows) error_set(e, EXIT_USAGE, "--shards: %u files are more than the %llu rows", g->s.shards, (unsigned long long)rows);
    if (stage_agree(g, e)) return e->code;
    plan_files(&j, SHARD_TRAINING, rows, g->s.shards ? g->s.shards : (rows + SHARD_FILE_ROWS - 1) / SHARD_FILE_ROWS);
    plan_files(&j, SHARD_TEST, test, (test + SHARD_FILE_ROWS - 1) / SHARD_FILE_ROWS);
    deal_files(&j);
    pthread_mutex_init(&j.mutex, NULL);
    find_finished(&j);
    g->sum->files = (uint32_t)j.files;
    int code = write_files(&j, e);
    if (!code && g->rank == 0) code = write_manifest(&j, e);
    for (size_t i = 0; i < j.files; i++) shard_writer_free(j.file[i].w);
    pthread_mutex_destroy(&j.mutex);
    free(j.file);
    return code;
}
