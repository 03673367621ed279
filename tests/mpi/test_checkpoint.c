// np: 1 2 3
/* A checkpoint on any number of ranks: moments gathered and dealt out again, the newest that verifies is found, a failing disk leaves the
 * older ones as they were. */
#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/files.h"
#include "base/sha256.h"
#include "trainer/checkpoint.h"

static const char vocabulary[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\ncat\n##s\n\"\n\\\n\xc3\xa9\n";
static const char config[] = "{\"model_type\":\"bert\",\"hidden_act\":\"gelu\",\"hidden_size\":48,\"num_hidden_layers\":2,\"num_attention_heads\":4,"
                             "\"intermediate_size\":96,\"max_position_embeddings\":64,\"type_vocab_size\":2}";
static int bad;
static comm *world;

#define CHECK(what, ...) \
    do { \
        if (!(what)) { \
            fprintf(stderr, "line %d: " #what ": ", __LINE__); \
            fprintf(stderr, __VA_ARGS__); \
            fprintf(stderr, "\n"); \
            bad++; \
        } \
    } while (0)

typedef struct scene { char *folder; model *m; vocab *v; plan *p; exchange *x; optimizer *o; run_folder run; checkpoint_job job; } scene;

static float pattern(size_t i, int which) { return (float)((i * 2654435761u + (size_t)which * 97u) % 8191u) / 64.0f - 60.005f; }   /* never 0 */

/* Owned slices of m and v and this rank's whole weights, as functions of the flat index, gaps 0. */
static void fill(scene *s, int shift) {
    memset(s->job.weights, 0, s->m->weight_elements * sizeof(float));
    memset(s->job.scratch, 0xff, s->m->gradient_elements * sizeof(float));
    for (size_t t = 0; t < s->m->tensors; t++)
        for (size_t i = s->m->tensor[t].offset; i < s->m->tensor[t].offset + s->m->tensor[t].count; i++) s->job.weights[i] = pattern(i, shift);
    for (int b = 1; b < s->p->buckets; b++) {
        range mine = plan_slice_of(s->p, world->rank, b);
        for (size_t i = mine.begin; i < mine.end; i++) {
            bool gap = s->job.weights[i] == 0.0f;
            s->o->m[s->o->slice_start[b] + i - mine.begin] = gap ? 0 : pattern(i, shift + 1);
            s->o->v[s->o->slice_start[b] + i - mine.begin] = gap ? 0 : pattern(i, shift + 2);
        }
    }
}

static void begin(scene *s) {
    error e = {0};
    char path[4096] = "";
    const char *temp = getenv("TMPDIR");
    *s = (scene){0};
    if (world->rank == 0) {
        (void)snprintf(path, sizeof path, "%s/ckpt-XXXXXX", temp ? temp : "/tmp");
        if (!mkdtemp(path)) fail(EXIT_MACHINE, "no temporary folder");
        char *v = files_join(path, "vocab.txt"), *c = files_join(path, "config.json"), *run = files_join(path, "run");
        if (files_write_synced(v, vocabulary, sizeof vocabulary - 1, &e) || files_write_synced(c, config, sizeof config - 1, &e)) fail(1, "%s", e.text);
        if (run_folder_open(&s->run, run, &e)) fail(1, "%s", e.text);
        free(v), free(c), free(run);
    }
    comm_broadcast(world, path, sizeof path, 0);
    s->folder = must_strdup(path);
    model_config read;
    char *v = files_join(path, "vocab.txt"), *c = files_join(path, "config.json");
    if (vocab_load(&s->v, v, &e) || model_config_read(&read, c, &e) || model_config_fit_vocab(&read, vocab_size(s->v), v, &e)) fail(1, "%s", e.text);
    free(v), free(c);
    s->m = model_new(&read);
    s->p = plan_new(world->size, s->m->gradient_elements, s->m->bucket, s->m->buckets);
    s->x = exchange_new(world, s->p, NULL);
    optimizer_settings settings = {0.9, 0.999, 1e-6, 0.01, 1.0, true, true, OPTIMIZER_ADAMW};
    s->o = optimizer_new(s->m, s->p, world->rank, &settings);
    s->job = (checkpoint_job){world, s->x, s->m, s->o, s->v, true, STRIP_AUTO, 32, world->rank ? NULL : &s->run, "steps: 9\n", "test kernels", "0123abcd",
                              must_zalloc(s->m->weight_elements, sizeof(float)), must_zalloc(s->m->gradient_elements, sizeof(float))};
}

static char *in_run(const scene *s, const char *name) { return must_format("%s/run/%s", s->folder, name); }

static int save(scene *s, int64_t step, int64_t keep, error *e) {
    checkpoint_state state = {step, step, 12345, 1e-4, 8.5};
    char name[64];
    s->o->adam_step = step;
    return checkpoint_save(&s->job, &state, keep, 0, name, e);
}

static void round_trip(scene *s) {
    error e = {0};
    checkpoint_state state;
    fill(s, 3);
    CHECK(save(s, 7, 3, &e) == 0, "%s", e.text);
    size_t owned = 0;
    for (int b = 1; b < s->p->buckets; b++) owned += plan_slice_of(s->p, world->rank, b).end - plan_slice_of(s->p, world->rank, b).begin;
    float *m = must_alloc(owned + 1, sizeof *m), *v = must_alloc(owned + 1, sizeof *v), *w = must_alloc(s->m->weight_elements, sizeof *w);
    memcpy(m, s->o->m, owned * sizeof *m);
    memcpy(v, s->o->v, owned * sizeof *v);
    memcpy(w, s->job.weights, s->m->weight_elements * sizeof *w);
    fill(s, 20);
    s->o->adam_step = 0;
    char *folder = in_run(s, "checkpoint-0000007");
    CHECK(checkpoint_resume(&s->job, folder, &state, &e) == 0, "%s", e.text);
    CHECK(memcmp(m, s->o->m, owned * sizeof *m) == 0, "first moments differ on rank %d", world->rank);
    CHECK(memcmp(v, s->o->v, owned * sizeof *v) == 0, "second moments differ on rank %d", world->rank);
    CHECK(memcmp(w, s->job.weights, s->m->weight_elements * sizeof *w) == 0, "weights differ on rank %d", world->rank);
    CHECK(state.step == 7 && state.next_step == 7 && state.seed == 12345 && state.loss == 8.5 && s->o->adam_step == 7, "state differs on rank %d", world->rank);
    free(m), free(v), free(w), free(folder);
}

static void hash(const scene *s, const char *name, char hex[SHA256_HEX]) {
    char *path = in_run(s, name);
    error e = {0};
    CHECK(sha256_file(path, hex, NULL, &e) == 0, "%s", e.text);
    free(path);
}

/* Saving a step again replaces it; equal weights and moments give equal files. */
static void again(scene *s) {
    static const char *const names[] = {"checkpoint-0000007/model.safetensors", "checkpoint-0000007/training.h5", "checkpoint-0000007/README.md"};
    char before[3][SHA256_HEX], after[SHA256_HEX];
    error e = {0};
    for (int i = 0; i < 3 && world->rank == 0; i++) hash(s, names[i], before[i]);
    fill(s, 3);
    CHECK(save(s, 7, 3, &e) == 0, "%s", e.text);
    for (int i = 0; i < 3 && world->rank == 0; i++) {
        hash(s, names[i], after);
        CHECK(strcmp(before[i], after) == 0, "%s: %s, then %s", names[i], before[i], after);
    }
}

static void break_file(const scene *s, const char *name) {
    char *path = in_run(s, name), *data;
    size_t bytes;
    error e = {0};
    CHECK(files_read(path, 1 << 26, &data, &bytes, &e) == 0, "%s", e.text);
    data[bytes - 1] = (char)(data[bytes - 1] ^ 1);
    CHECK(files_write_synced(path, data, bytes, &e) == 0, "%s", e.text);
    free(path), free(data);
}

static void newest(scene *s) {
    error e = {0};
    char name[64] = "";
    checkpoint_state state;
    CHECK(save(s, 8, 3, &e) == 0 && save(s, 9, 3, &e) == 0, "%s", e.text);
    if (world->rank == 0) {
        CHECK(checkpoint_newest(&s->run, name) && !strcmp(name, "checkpoint-0000009"), "%s", name);
        break_file(s, "checkpoint-0000009/model.safetensors");
        CHECK(checkpoint_newest(&s->run, name) && !strcmp(name, "checkpoint-0000008"), "%s", name);
        break_file(s, "checkpoint-0000008/training.h5");
        CHECK(checkpoint_newest(&s->run, name) && !strcmp(name, "checkpoint-0000007"), "%s", name);
        checkpoint_facts f;
        char *folder = in_run(s, "checkpoint-0000007");
        CHECK(checkpoint_facts_read(&f, folder, &e) == 0, "%s", e.text);
        CHECK(f.step == 7 && !strcmp(f.config_yaml, "steps: 9\n") && !strcmp(f.kernel_set, "test kernels") && !strcmp(f.data_hash, "0123abcd"), "facts");
        checkpoint_facts_free(&f);
        free(folder);
    }
    comm_barrier(world);
    char *folder = in_run(s, "checkpoint-0000009");
    CHECK(checkpoint_resume(&s->job, folder, &state, &e) == EXIT_CORRUPT, "rank %d resumed a damaged checkpoint", world->rank);
    free(folder);
    fill(s, 3);
    CHECK(save(s, 9, 3, &e) == 0, "%s", e.text);          /* replaces the damaged one */
    if (world->rank == 0) CHECK(checkpoint_newest(&s->run, name) && !strcmp(name, "checkpoint-0000009"), "%s", name);
}

static size_t entries(const scene *s) {
    char **names, *path = in_run(s, "");
    size_t count = 0;
    error e = {0};
    CHECK(files_list(path, &names, &count, &e) == 0, "%s", e.text);
    files_free_list(names, count);
    free(path);
    return count;
}

/* The disk is full at ever later bytes of a file: every rank gets EXIT_MACHINE, nothing is left behind, older checkpoints still verify. */
static void full_disk(scene *s) {
    struct rlimit old;
    error e = {0};
    size_t before = world->rank == 0 ? entries(s) : 0;
    char name[64];
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    for (rlim_t limit = 0; limit < 300000; limit = limit ? 3 * limit : 100) {
        struct rlimit low = {limit, old.rlim_max};
        if (world->rank == 0) setrlimit(RLIMIT_FSIZE, &low);
        int code = save(s, 10, 3, &e);
        if (world->rank == 0) setrlimit(RLIMIT_FSIZE, &old);
        CHECK(code == EXIT_MACHINE, "rank %d, limit %lu: code %d", world->rank, (unsigned long)limit, code);
        if (world->rank == 0) {
            CHECK(entries(s) == before, "limit %lu: %zu entries in RUN, %zu before", (unsigned long)limit, entries(s), before);
            CHECK(checkpoint_newest(&s->run, name) && !strcmp(name, "checkpoint-0000009"), "%s", name);
        }
    }
    CHECK(save(s, 10, 2, &e) == 0, "%s", e.text);
    if (world->rank == 0) {
        char *gone = in_run(s, "checkpoint-0000007"), *there = in_run(s, "checkpoint-0000009"), *latest = in_run(s, "latest"), *data;
        size_t bytes;
        CHECK(!files_exists(gone) && files_exists(there), "keep 2 kept the wrong ones");
        CHECK(files_read(latest, 64, &data, &bytes, &e) == 0 && !strcmp(data, "checkpoint-0000010\n"), "latest");
        free(gone), free(there), free(latest), free(data);
    }
}

static void other_model(scene *s) {
    error e = {0};
    checkpoint_state state;
    char *folder = in_run(s, "checkpoint-0000010");
    tensor *t = &s->m->tensor[s->m->pooler_bias];
    t->columns--;
    CHECK(checkpoint_resume(&s->job, folder, &state, &e) == EXIT_USAGE, "another shape was resumed");
    if (world->rank == 0) CHECK(strstr(e.text, "bert.pooler.dense.bias") != NULL, "%s", e.text);
    t->columns++;
    free(folder);
}

int main(int argc, char **argv) {
    scene s;
    fail_init("test_checkpoint");
    world = comm_start(&argc, &argv);
    begin(&s);
    round_trip(&s);
    again(&s);
    newest(&s);
    full_disk(&s);
    other_model(&s);
    error e = {0};
    if (world->rank == 0) {
        run_folder_close(&s.run);
        if (files_remove_tree(s.folder, &e)) error_print(&e);
    }
    optimizer_free(s.o), exchange_free(s.x), plan_free(s.p), model_free(s.m), vocab_free(s.v);
    free(s.job.weights), free(s.job.scratch), free(s.folder);
    int64_t all = bad;
    comm_max_i64(world, &all, 1);
    return comm_finish(world, all != 0);
}
