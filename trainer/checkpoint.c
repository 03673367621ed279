/* trainer/checkpoint.c - saving and resuming.
 *
 * Moments live in slices over the ranks. They pass through j->scratch, which is free between steps, so no rank needs more memory:
 *
 *     save:    for m, then v: my slices -> scratch; exchange_gather() bucket by bucket; rank 0: scratch -> training.h5
 *     resume:  for m, then v: rank 0: training.h5 -> scratch; comm_broadcast() bucket by bucket; scratch -> my slices
 *
 * Only rank 0 touches the disk. Whatever fails there, it takes part in every collective and shares its verdict after them. */
#define _GNU_SOURCE   /* renameat2 */
#include "trainer/checkpoint.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/files.h"
#include "base/json.h"
#include "trainer/checkpoint_files.h"
#include "trainer/checkpoint_manifest.h"
#include "trainer/safetensors.h"
#include "trainer/training_state.h"

enum { DECODER_BUCKET = 0 };   /* of gradients only: has no weights and no moments of its own */

/* Collective. Rank 0's code on every rank; the text stays with rank 0. */
static int share(comm *c, int code, error *e) {
    int64_t agreed = code;
    comm_broadcast(c, &agreed, sizeof agreed, 0);
    return c->rank == 0 || !agreed ? (int)agreed : error_set(e, (int)agreed, "rank 0 gave up; it says why");
}

static void copy_slices(const checkpoint_job *j, float *slices, bool out_of_scratch) {
    const plan *p = j->optimizer->plan;
    for (int b = DECODER_BUCKET + 1; b < p->buckets; b++) {
        range mine = plan_slice_of(p, j->comm->rank, b);
        float *here = slices + j->optimizer->slice_start[b], *there = j->scratch + mine.begin;
        size_t bytes = (mine.end - mine.begin) * sizeof(float);
        if (out_of_scratch) memcpy(here, there, bytes);
        else memcpy(there, here, bytes);
    }
}

/* Collective. */
static void gather_moments(const checkpoint_job *j, float *slices) {
    copy_slices(j, slices, false);
    for (int b = DECODER_BUCKET + 1; b < j->optimizer->plan->buckets; b++) exchange_gather(j->exchange, b, j->scratch);
}

/* Collective. */
static void broadcast_buckets(const checkpoint_job *j, float *flat) {
    const plan *p = j->optimizer->plan;
    for (int b = DECODER_BUCKET + 1; b < p->buckets; b++)
        comm_broadcast(j->comm, flat + p->bucket[b].begin, (p->bucket[b].end - p->bucket[b].begin) * sizeof(float), 0);
}

/* Saving. */

typedef struct saving { char *temp; json *manifest; training_file *training; } saving;

/* Takes text. The hash is of what was meant to be written: reading the file back later proves the disk. */
static int put_text(saving *s, const char *name, char *data, size_t bytes, error *e) {
    char hex[SHA256_HEX], *path = files_join(s->temp, name);
    sha256 hash;
    sha256_init(&hash);
    sha256_add(&hash, data, bytes);
    sha256_end_hex(&hash, hex);
    int code = files_write_synced(path, data, bytes, e);
    if (!code) manifest_add_file(s->manifest, name, bytes, hex);
    free(path), free(data);
    return code;
}

static int put_string(saving *s, const char *name, char *data, error *e) { return put_text(s, name, data, strlen(data), e); }

static int put_small_files(saving *s, const checkpoint_job *j, const checkpoint_state *state, error *e) {
    size_t bytes;
    char *tokens = vocab_text(j->vocab, &bytes);
    int code = put_text(s, "vocab.txt", tokens, bytes, e);
    if (!code) code = put_string(s, "config.json", model_config_print(&j->model->config), e);
    if (!code) code = put_string(s, "tokenizer.json", checkpoint_tokenizer_json(j->vocab, j->lowercase, j->strip_accents), e);
    if (!code) code = put_string(s, "tokenizer_config.json", checkpoint_tokenizer_config(j->vocab, j->lowercase, j->strip_accents, j->seq_length), e);
    if (!code) code = put_string(s, "special_tokens_map.json", checkpoint_special_tokens(), e);
    return code ? code : put_string(s, "README.md", checkpoint_card(j, state), e);
}

static int put_weights(saving *s, const checkpoint_job *j, error *e) {
    char hex[SHA256_HEX], *path = files_join(s->temp, "model.safetensors");
    struct stat st;
    int code = safetensors_write(path, j->model, j->weights, hex, e);
    if (!code && stat(path, &st)) code = error_set(e, EXIT_MACHINE, "%s: cannot be examined: %s", path, strerror(errno));
    if (!code) manifest_add_file(s->manifest, "model.safetensors", (uint64_t)st.st_size, hex);
    free(path);
    return code;
}

static json *new_manifest(const checkpoint_job *j, const checkpoint_state *state) {
    char uuid[UUID_TEXT];
    json *m = json_new_object();
    run_folder_new_uuid(uuid);
    json_set_string(m, "format", "bert-checkpoint");
    json_set_int(m, "format_version", CHECKPOINT_VERSION);
    json_set_int(m, "step", state->step);
    json_set_string(m, "run", j->run->uuid);
    json_set_string(m, "checkpoint", uuid);
    json_set_string(m, "program_version", BERT_VERSION);
    json_set_string(m, "kernel_set", j->kernel_set);
    json_set_string(m, "data_hash", j->data_hash);
    json_set_string(m, "vocab_hash", vocab_hash(j->vocab));
    json_set_string(m, "dtype", "float32");
    json_set_string(m, "endianness", "little");
    json_set_string(m, "config", j->config_yaml);
    return m;
}

/* Rank 0: everything but the moments. */
static int begin_save(saving *s, const checkpoint_job *j, const checkpoint_state *state, const char *name, error *e) {
    const optimizer *o = j->optimizer;
    training_state t = {state->step, state->next_step, o->adam_step, state->seed, state->learning_rate, state->loss, o->settings, j->config_yaml};
    s->temp = must_format("%s/%s.tmp-%s", j->run->path, name, j->run->uuid);
    s->manifest = new_manifest(j, state);
    int code = run_folder_held(j->run) ? 0 : error_set(e, EXIT_MACHINE, "%s: another job took this run over; nothing more is written", j->run->path);
    if (!code) code = files_remove_tree(s->temp, e);
    if (!code && mkdir(s->temp, 0777)) code = error_set(e, EXIT_MACHINE, "%s: cannot be made: %s", s->temp, strerror(errno));
    if (!code) code = put_small_files(s, j, state, e);
    if (!code) code = put_weights(s, j, e);
    char *path = files_join(s->temp, "training.h5");
    if (!code) code = training_file_create(&s->training, path, &t, e);
    free(path);
    return code;
}

/* A checkpoint of this step may stand there: one that did not verify, or of a run resumed from further back. Exchanged in one step where the
 * file system can, so that there is no instant without one. The old one is removed when it is this run's, else kept aside. */
static int rename_into_place(const char *temp, const char *folder, const run_folder *run, error *e) {
    struct stat st;
    if (lstat(folder, &st)) return rename(temp, folder) ? error_set(e, EXIT_MACHINE, "%s: cannot be renamed into place: %s", temp, strerror(errno)) : 0;
    json *old = NULL;
    error ignored = {0};
    bool ours = manifest_read(&old, folder, &ignored) || !strcmp(manifest_text(old, "run"), run->uuid);
    char id[UUID_TEXT];
    run_folder_new_uuid(id);
    char *aside = must_format("%s.replaced-%s", folder, id);
    if (old) json_free(old);
    int code = 0;
    if (!renameat2(AT_FDCWD, temp, AT_FDCWD, folder, RENAME_EXCHANGE)) {
        if (ours) code = files_remove_tree(temp, e);
        else if (rename(temp, aside)) code = error_set(e, EXIT_MACHINE, "%s: cannot be renamed: %s", temp, strerror(errno));
    } else if (rename(folder, aside) || rename(temp, folder)) {
        code = error_set(e, EXIT_MACHINE, "%s: cannot be replaced: %s", folder, strerror(errno));
        (void)rename(aside, folder);
    } else if (ours) code = files_remove_tree(aside, e);
    free(aside);
    return code;
}

/* Rank 0, after the moments: manifest, fsync, verification by reading back, rename, fsync, latest. */
static int end_save(saving *s, const checkpoint_job *j, const char *name, error *e) {
    char hex[SHA256_HEX], *path = files_join(s->temp, "training.h5"), *folder = files_join(j->run->path, name);
    char *latest = files_join(j->run->path, "latest"), *line = must_format("%s\n", name);
    uint64_t bytes = 0;
    int code = sha256_file(path, hex, &bytes, e);
    if (!code) manifest_add_file(s->manifest, "training.h5", bytes, hex);
    char *printed = manifest_print(s->manifest), *manifest = files_join(s->temp, "manifest.json");
    if (!code) code = files_write_synced(manifest, printed, strlen(printed), e);
    if (!code) code = files_sync(s->temp, e);
    if (!code) code = checkpoint_verify(s->temp, e);
    if (!code) code = rename_into_place(s->temp, folder, j->run, e);
    if (!code) code = files_sync(j->run->path, e);
    if (!code) code = files_write_atomic(latest, line, strlen(line), e);
    free(path), free(folder), free(latest), free(line), free(printed), free(manifest);
    return code;
}

int checkpoint_save(checkpoint_job *j, const checkpoint_state *state, int64_t keep, int64_t keep_every, char name[64], error *e) {
    bool first = j->comm->rank == 0;
    saving s = {0};
    checkpoint_name(name, state->step);
    int code = first ? begin_save(&s, j, state, name, e) : 0;
    for (int i = 0; i < 2; i++) {
        gather_moments(j, i ? j->optimizer->v : j->optimizer->m);
        if (first && !code) code = training_file_put(s.training, j->model, i ? "v" : "m", j->scratch, e);
    }
    if (first) {
        error late = {0};
        if (training_file_close(s.training, &late) && !code) *e = late, code = late.code;
        if (!code) code = end_save(&s, j, name, e);
        if (code) {
            error ignored = {0};
            (void)files_remove_tree(s.temp, &ignored);
            e->code = code = EXIT_MACHINE;   /* whatever it was: what we wrote is not what is there */
        } else if (run_folder_prune(j->run, keep, keep_every, &late)) warn("older checkpoints were not removed: %s", late.text);
        free(s.temp);
        json_free(s.manifest);
    }
    return share(j->comm, code, e);
}

/* Resuming. */

static int read_weights(const checkpoint_job *j, const char *folder, error *e) {
    char *path = files_join(folder, "model.safetensors");
    safetensors s;
    int code = safetensors_open(&s, path, e);
    for (size_t i = 0; i < j->model->tensors && !code; i++) {
        const tensor *t = &j->model->tensor[i];
        const safetensors_entry *x = safetensors_find(&s, t->name);
        bool fits = x && x->dimensions == (t->vector ? 1 : 2) && x->shape[x->dimensions - 1] == t->columns && (t->vector || x->shape[0] == t->rows);
        if (!fits) code = error_set(e, EXIT_USAGE, "%s: %s %s", path, t->name, x ? "has another shape than the model's" : "is missing");
        else code = safetensors_read(&s, x, j->weights + t->offset, e);
    }
    if (s.path) safetensors_close(&s);
    free(path);
    return code;
}

static int check_vocabulary(const checkpoint_job *j, const char *folder, error *e) {
    json *manifest = NULL;
    int code = manifest_read(&manifest, folder, e);
    if (!code && strcmp(manifest_text(manifest, "vocab_hash"), vocab_hash(j->vocab)))
        code = error_set(e, EXIT_USAGE, "%s: was trained with another vocabulary than the data's; use that data, or a new --output", folder);
    if (manifest) json_free(manifest);
    return code;
}

static int begin_resume(const checkpoint_job *j, const char *folder, training_file **training, training_state *t, error *e) {
    int code = checkpoint_verify(folder, e);
    if (!code) code = check_vocabulary(j, folder, e);
    if (!code) code = read_weights(j, folder, e);
    char *path = files_join(folder, "training.h5");
    if (!code) code = training_file_open(training, path, t, e);
    free(path);
    return code;
}

int checkpoint_resume(checkpoint_job *j, const char *folder, checkpoint_state *state, error *e) {
    bool first = j->comm->rank == 0;
    training_file *training = NULL;
    training_state t = {0};
    int code = share(j->comm, first ? begin_resume(j, folder, &training, &t, e) : 0, e);
    if (!code) broadcast_buckets(j, j->weights);
    for (int i = 0; i < 2 && !code; i++) {
        memset(j->scratch, 0, j->model->weight_elements * sizeof(float));   /* gaps between tensors have moments too: 0 */
        code = share(j->comm, first ? training_file_get(training, j->model, i ? "v" : "m", j->scratch, e) : 0, e);
        if (code) break;
        broadcast_buckets(j, j->scratch);
        copy_slices(j, i ? j->optimizer->v : j->optimizer->m, true);
    }
    if (first) {
        error ignored = {0};
        (void)training_file_close(training, &ignored);
    }
    t.config_yaml = NULL;
    comm_broadcast(j->comm, &t, sizeof t, 0);
    if (code) return code;
    j->optimizer->adam_step = t.adam_step;
    *state = (checkpoint_state){t.step, t.next_step, t.seed, t.learning_rate, t.loss};
    return 0;
}
