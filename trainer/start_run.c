/* trainer/start_run.c - the RUN folder at start: whose it is, whether it is finished, what to resume from. See start.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/files.h"      /* files_join, files_list */
#include "trainer/start.h"

typedef struct verdict { char folder[4096], name[64]; int64_t step; bool finished; } verdict;   /* rank 0's, for all */

/* "checkpoint-0001000" and nothing behind it. */
static bool is_checkpoint_name(const char *name) {
    static const char prefix[] = "checkpoint-";
    size_t n = sizeof prefix - 1;
    return !strncmp(name, prefix, n) && name[n] && strspn(name + n, "0123456789") == strlen(name + n);
}

/* The highest numbered checkpoint folder, good or not; false when there is none. */
static bool highest_checkpoint(const char *run, int64_t *step, error *e) {
    char **names;
    size_t count;
    bool found = false;
    if (files_list(run, &names, &count, e)) return false;
    for (size_t i = 0; i < count; i++) {
        if (!is_checkpoint_name(names[i])) continue;
        int64_t number = strtoll(names[i] + strlen("checkpoint-"), NULL, 10);
        if (!found || number > *step) *step = number;
        found = true;
    }
    files_free_list(names, count);
    return found;
}

/* Rank 0: the folder to resume from, or "" for a new run. */
static int choose(const trainer *t, verdict *v, error *e) {
    const settings *s = &t->settings;
    int64_t highest = 0;
    bool any = highest_checkpoint(t->run.path, &highest, e), named = strcmp(s->resume, "auto") && strcmp(s->resume, "no");
    if (e->code) return e->code = EXIT_USAGE;
    if (!strcmp(s->resume, "no") && any)
        return error_set(e, EXIT_USAGE, "%s: holds checkpoints, the newest of step %" PRId64 ", and --resume no would mix two runs; give another "
                         "--output", t->run.path, highest);
    char name[64] = "";
    char *folder = NULL;
    if (named) folder = must_strdup(s->resume);
    else if (any && checkpoint_newest(&t->run, name)) folder = files_join(t->run.path, name);
    else if (any) return error_set(e, EXIT_CORRUPT, "%s: none of its checkpoints verifies; give another --output", t->run.path);
    if (!folder) return 0;
    if (strlen(folder) >= sizeof v->folder) error_set(e, EXIT_USAGE, "%s: the path is too long", folder);
    else memcpy(v->folder, folder, strlen(folder) + 1);
    memcpy(v->name, name, sizeof name);
    free(folder);
    if (!e->code && named) checkpoint_verify(v->folder, e);
    return e->code;
}

/* What a checkpoint was made with against what is asked for now. */
static int check_facts(const trainer *t, verdict *v, const checkpoint_facts *f, error *e) {
    const char *data_hash = shard_folder_info(t->data)->content_hash;
    int64_t highest = 0;
    v->step = f->step;
    if (settings_check_resume(&t->options, f->config_yaml, v->folder, e)) return e->code;
    if (strcmp(f->data_hash, data_hash))
        return error_set(e, EXIT_USAGE, "%s: cannot be resumed with other data: content hash was %s and is now %s; give the old --data, or another "
                         "--output", v->folder, f->data_hash, data_hash);
    if (f->step > t->total)
        return error_set(e, EXIT_USAGE, "%s: is past the %" PRId64 " steps of training; give --steps %" PRId64 " or more", v->folder, t->total,
                         f->step);
    if (!v->name[0] && highest_checkpoint(t->run.path, &highest, e) && highest > f->step)
        return error_set(e, EXIT_USAGE, "%s: holds checkpoints up to step %" PRId64 ", past --resume %s; give another --output", t->run.path, highest,
                         v->folder);
    if (e->code) return e->code = EXIT_USAGE;
    if (strcmp(f->kernel_set, t->kernel_set))
        warn("%s: made with %s, resumed with %s: bits will differ from an unbroken run", v->folder, f->kernel_set, t->kernel_set);
    else if (strcmp(f->program_version, BERT_VERSION))
        warn("%s: made by version %s, resumed by %s: bits may differ from an unbroken run", v->folder, f->program_version, BERT_VERSION);
    return 0;
}

/* Values of config.json that must not change; the model's file may lie elsewhere. */
static int check_same_model(const model_config *is, const char *folder, size_t vocabulary, error *e) {
    char *path = files_join(folder, "config.json");
    model_config was = {0};
    if (!model_config_read(&was, path, e)) model_config_fit_vocab(&was, vocabulary, path, e);
    const struct { const char *key; double was, is; } pair[] = {
        { "vocab_size", (double)was.vocab_size, (double)is->vocab_size },
        { "hidden_size", (double)was.hidden_size, (double)is->hidden_size },
        { "num_hidden_layers", (double)was.num_hidden_layers, (double)is->num_hidden_layers },
        { "num_attention_heads", (double)was.num_attention_heads, (double)is->num_attention_heads },
        { "intermediate_size", (double)was.intermediate_size, (double)is->intermediate_size },
        { "max_position_embeddings", (double)was.max_position_embeddings, (double)is->max_position_embeddings },
        { "type_vocab_size", (double)was.type_vocab_size, (double)is->type_vocab_size },
        { "layer_norm_eps", was.layer_norm_eps, is->layer_norm_eps },
        { "hidden_dropout_prob", was.hidden_dropout_prob, is->hidden_dropout_prob },
        { "attention_probs_dropout_prob", was.attention_probs_dropout_prob, is->attention_probs_dropout_prob },
    };
    for (size_t i = 0; i < sizeof pair / sizeof *pair && !e->code; i++)
        if (pair[i].was < pair[i].is || pair[i].was > pair[i].is)
            error_set(e, EXIT_USAGE, "%s: cannot be resumed with another model: %s was %g and is now %g; give the old --model, or another --output",
                      folder, pair[i].key, pair[i].was, pair[i].is);
    model_config_free(&was);
    free(path);
    return e->code;
}

static int judge(trainer *t, verdict *v, error *e) {
    char name[64];
    if (run_folder_open(&t->run, t->settings.output, e)) return e->code;
    int64_t step;
    v->finished = run_folder_finished(&t->run, &step, name) && step >= t->total;
    if (v->finished) {
        if (!t->options.quiet) fprintf(stderr, "%s: finished at step %" PRId64 "; nothing to do\n", t->run.path, step);
        memcpy(v->name, name, sizeof name);
        return 0;
    }
    if (choose(t, v, e) || !v->folder[0]) return e->code;
    checkpoint_facts facts = {0};
    if (!checkpoint_facts_read(&facts, v->folder, e)) {
        check_facts(t, v, &facts, e);
        checkpoint_facts_free(&facts);
    }
    if (!e->code && t->model) check_same_model(&t->model->config, v->folder, vocab_size(t->vocab), e);
    return e->code;
}

int start_run(trainer *t, bool *finished) {
    error e = {0};
    verdict v = {0};
    if (t->comm->rank == 0) judge(t, &v, &e);
    int code = comm_agree(t->comm, &e);
    if (code) return code;
    comm_broadcast(t->comm, &v, sizeof v, 0);
    *finished = v.finished;
    memcpy(t->resume_from, v.folder, sizeof v.folder);
    memcpy(t->checkpoint_name, v.name, sizeof v.name);
    return 0;
}

int start_weights(trainer *t) {
    error e = {0};
    int code = 0;
    model_init(t->model, t->weights, (uint64_t)t->settings.seed);
    if (t->resume_from[0]) {
        checkpoint_job job = trainer_checkpoint_job(t);
        checkpoint_state state = {0};
        code = checkpoint_resume(&job, t->resume_from, &state, &e);
        t->step = t->first_step = state.next_step;
        if (t->checkpoint_name[0]) t->saved_step = state.step;       /* a checkpoint of another run is not this run's last one */
    } else if (t->settings.init_from) {
        code = checkpoint_init_from(t->comm, t->model, t->weights, t->settings.init_from, &e);
    }
    if (code) return comm_agree(t->comm, &e);
    weights_check(t->comm, t->weights, t->model->weight_elements, t->step, &e);
    return comm_agree(t->comm, &e);
}
