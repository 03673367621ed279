/* trainer/settings.c - see settings.h. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "base/text.h"           /* text */
#include "trainer/metrics.h"     /* PROGRESS_AUTO .. */
#include "trainer/settings.h"

#define AT(field) offsetof(settings, field)
#define FREE OPTION_RESUMABLE    /* free to change when a run is resumed */

static const option_spec table[] = {
    { "data", OPTION_TEXT, AT(data), .unit = "folder",
      .help = "shards made by bert-shard, or taken in by bert-inspect --adopt", .flags = OPTION_REQUIRED, .group = "What" },
    { "model", OPTION_TEXT, AT(model), .unit = "file",
      .help = "config.json of a BERT; without it: that of --init-from, or of the run resumed" },
    { "init-from", OPTION_TEXT, AT(init_from), .unit = "folder",
      .help = "first weights: a Hugging Face BERT or a checkpoint of this program" },
    { "output", OPTION_TEXT, AT(output), .unit = "folder",
      .help = "the run: checkpoints, metrics, status; an unfinished run is resumed", .flags = OPTION_REQUIRED | OPTION_LOCAL },
    { "steps", OPTION_INT, AT(steps), -1, 1e12, "-1", .unit = "steps",
      .help = "length of training; 0 writes the first weights; -1: as epochs says", .flags = FREE, .group = "How long" },
    { "epochs", OPTION_REAL, AT(epochs), 0, 1e6, "0", .unit = "epochs",
      .help = "length of training in passes over the data; 0: as steps says", .flags = FREE },
    { "global-batch", OPTION_INT, AT(global_batch), 1, 1 << 24, "256", .unit = "sequences",
      .help = "sequences of one step, over all ranks", .group = "Batch" },
    { "micro-batch", OPTION_INT, AT(micro_batch), 1, 1 << 16, "4", .unit = "sequences",
      .help = "sequences computed at once; global-batch is a multiple of it" },
    { "optimizer", OPTION_CHOICE, AT(optimizer), .initial = "adamw", .choices = "adamw|lamb",
      .help = "how weights follow gradients; lamb is for batches of thousands", .group = "Optimizer" },
    { "schedule", OPTION_CHOICE, AT(schedule), .initial = "linear", .choices = "linear|polynomial|cosine|constant",
      .help = "learning rate after warm-up" },
    { "decay-from", OPTION_CHOICE, AT(decay_from), .initial = "warmup", .choices = "warmup|zero",
      .help = "where the decay begins; zero is the published recipes' form" },
    { "power", OPTION_REAL, AT(power), -1, 100, "-1",
      .help = "exponent of schedule polynomial; -1: 1 with adamw, 0.5 with lamb" },
    { "learning-rate", OPTION_REAL, AT(learning_rate), 0, 10, "1e-4",
      .help = "highest learning rate" },
    { "warmup-steps", OPTION_INT, AT(warmup_steps), 0, 1e12, "0", .unit = "steps",
      .help = "steps in which the rate climbs" },
    { "weight-decay", OPTION_REAL, AT(weight_decay), 0, 10, "0.01",
      .help = "decoupled decay; none on biases and LayerNorm" },
    { "beta1", OPTION_REAL, AT(beta1), 0, 0.999999, "0.9",
      .help = "decay of the first moment" },
    { "beta2", OPTION_REAL, AT(beta2), 0, 0.99999999, "0.999",
      .help = "decay of the second moment" },
    { "epsilon", OPTION_REAL, AT(epsilon), 1e-20, 1, "1e-6",
      .help = "added to the root of the second moment" },
    { "bias-correction", OPTION_SWITCH, AT(bias_correction), .initial = "yes",
      .help = "divide by 1 - beta^t; off to match Google's optimizer" },
    { "clip-norm", OPTION_REAL, AT(clip_norm), 0, 1e6, "1.0",
      .help = "longest gradient; 0 does not clip" },
    { "dropout", OPTION_REAL, AT(dropout), -1, 0.99, "-1",
      .help = "in place of both dropout values of the model; -1: the model's own" },
    { "seed", OPTION_INT, AT(seed), 0, 9007199254740992.0, "12345",
      .help = "of weights, order and dropout" },
    { "threads", OPTION_INT, AT(threads), 0, 4096, "0", .unit = "threads",
      .help = "of each rank; 0: usable cores of the node / ranks on it", .flags = FREE, .group = "Running" },
    { "recompute", OPTION_SWITCH, AT(recompute),
      .help = "keep little of each layer and compute it again for its gradient: less memory for long sequences, more time, the same weights",
      .flags = FREE },
    { "checkpoint-every", OPTION_INTERVAL, AT(checkpoint_every), .initial = "30m", .unit = "steps or time",
      .help = "between checkpoints; 0: only at the end", .flags = FREE },
    { "keep", OPTION_INT, AT(keep), 1, 1e6, "3", .unit = "checkpoints",
      .help = "newest checkpoints that stay", .flags = FREE },
    { "keep-every", OPTION_INT, AT(keep_every), 0, 1e12, "0", .unit = "steps",
      .help = "checkpoints of every such step stay for ever; 0: none" },
    { "resume", OPTION_TEXT, AT(resume), .initial = "auto",
      .help = "auto: from the run's newest good checkpoint; no: a new run; or a checkpoint folder", .flags = OPTION_LOCAL },
    { "stop-after", OPTION_INTERVAL, AT(stop_after), .initial = "0", .unit = "steps or time",
      .help = "of this job: then save and end with 75; 0: never", .flags = FREE },
    { "log-every", OPTION_INT, AT(log_every), 1, 1e9, "10", .unit = "steps",
      .help = "between lines of metrics.jsonl", .flags = FREE },
    { "check-every", OPTION_INT, AT(check_every), 0, 1e9, "100", .unit = "steps",
      .help = "between comparisons of the ranks' weights; 0: at checkpoints only" },
    { "progress", OPTION_CHOICE, AT(progress), .initial = "auto", .choices = "auto|line|plain",
      .help = "on stderr; auto: a live line on a terminal, else plain lines", .flags = FREE },
    { "comm-progress", OPTION_CHOICE, AT(comm_progress), .initial = "auto", .choices = "auto|poll|thread",
      .help = "who moves messages while gradients are computed: the computing threads, or one more; auto: that one where a core is spare",
      .flags = FREE },
    { "wire", OPTION_CHOICE, AT(wire), .initial = "fp32", .choices = "fp32|bf16",
      .help = "gradients in messages; bf16 halves them, and the weights then depend on the number of ranks" },
    { "precision", OPTION_CHOICE, AT(precision), .initial = "fp32", .choices = "fp32|bf16",
      .help = "operands of matrix products; bf16 needs a CPU with AVX512-BF16 or AMX, weights and sums stay fp32" },
    { "dump-order", OPTION_TEXT, AT(dump_order), .unit = "file",
      .help = "write the row numbers of each step there", .flags = OPTION_LOCAL },
    { "dry-run", OPTION_SWITCH, AT(dry_run),
      .help = "print configuration, sizes and steps, and stop", .flags = OPTION_LOCAL },
};

const option_program pretrain_program = {
    .name = "bert-pretrain",
    .summary = "trains a BERT on shards, on all ranks of an mpirun; resumes by itself",
    .usage = "mpirun -np 2 bert-pretrain --config run.yaml [--model config.json] --data DIR --output RUN",
    .details = "SIGUSR1 or SIGTERM to any rank finishes the step, saves, and ends with 75; the same command goes on from there.\n"
               "RUN/status.json tells how the last job ended (mpirun's own exit code may not): done, stopped or failed.\n"
               "The weights do not depend on the number of ranks (as long as micro-batches / ranks is a power of two) or threads.",
    .table = table,
    .count = sizeof table / sizeof *table,
};

/* Numbers of ranks up to M for which M/np is a power of two give one result; any up to M runs. */
static int check_batch(const settings *s, int ranks, error *e) {
    long long global = s->global_batch, micro = s->micro_batch, below = global / micro * micro;
    if (global % micro != 0 && below == 0)
        return error_set(e, EXIT_USAGE, "global-batch: %lld is smaller than micro-batch %lld; give --global-batch %lld or --micro-batch %lld",
                         global, micro, micro, global);
    if (global % micro != 0)
        return error_set(e, EXIT_USAGE, "global-batch: %lld is not a multiple of micro-batch %lld; %lld or %lld would do", global, micro, below,
                         below + micro);
    long long leaves = global / micro;
    if (ranks <= leaves) return 0;
    if (global >= ranks)
        return error_set(e, EXIT_USAGE, "%d ranks are more than the %lld micro-batches of a step; give at most -np %lld, or --micro-batch 1 "
                         "(up to %lld ranks)", ranks, leaves, leaves, global);
    return error_set(e, EXIT_USAGE, "%d ranks are more than the %lld micro-batches of a step; give at most -np %lld, or --global-batch %lld",
                     ranks, leaves, leaves, ranks * micro);
}

/* Both lengths given: the one nearer to the user wins (command line before file); from the same place they contradict each other. */
static int check_length(settings *s, const options *o, error *e) {
    unsigned char steps = 0, epochs = 0;
    for (size_t i = 0; i < o->program->count; i++) {
        if (!strcmp(o->program->table[i].key, "steps")) steps = o->given[i];
        if (!strcmp(o->program->table[i].key, "epochs")) epochs = o->given[i];
    }
    bool both = s->steps >= 0 && s->epochs > 0;
    if (both && steps == epochs) return error_set(e, EXIT_USAGE, "steps and epochs are both given; give one of them");
    if (both && steps > epochs) s->epochs = 0;
    if (both && epochs > steps) s->steps = -1;
    if (s->steps < 0 && s->epochs <= 0) return error_set(e, EXIT_USAGE, "missing: --steps or --epochs, the length of training");
    return 0;
}

int settings_check(settings *s, const options *o, int ranks, error *e) {
    if (check_length(s, o, e)) return e->code;
    if (check_batch(s, ranks, e)) return e->code;
    if (s->dropout < 0 && s->dropout > -1)
        return error_set(e, EXIT_USAGE, "dropout: %g is not accepted; give 0 to 0.99, or -1 for the model's own", s->dropout);
    if (s->power < 0 && s->power > -1)
        return error_set(e, EXIT_USAGE, "power: %g is not accepted; give 0 to 100, or -1 for the optimizer's own", s->power);
    bool declines = s->schedule == SCHEDULE_LINEAR || s->schedule == SCHEDULE_POLYNOMIAL;
    if (s->decay_from == DECAY_FROM_ZERO && !declines)
        return error_set(e, EXIT_USAGE, "decay-from: zero goes with schedule linear or polynomial only; leave it out or change the schedule");
    return 0;
}

/* What power -1 stands for, as options_yaml() writes it and as a number. */
static const struct { const char *text; double value; } own_power[] = { [OPTIMIZER_ADAMW] = { "1", 1 }, [OPTIMIZER_LAMB] = { "0.5", 0.5 } };

int settings_schedule(const settings *s, int64_t steps, schedule *out, error *e) {
    if (s->warmup_steps > steps && steps > 0)
        return error_set(e, EXIT_USAGE, "warmup-steps: %lld are more than the %lld steps of training; give at most %lld",
                         (long long)s->warmup_steps, (long long)steps, (long long)steps);
    *out = (schedule){ .kind = s->schedule, .decay_from = s->decay_from, .peak = s->learning_rate,
                       .power = s->power >= 0 ? s->power : own_power[s->optimizer].value, .counts_from_one = s->optimizer == OPTIMIZER_LAMB,
                       .warmup_steps = s->warmup_steps, .steps = steps };
    return 0;
}

optimizer_settings settings_optimizer(const settings *s, bool nsp) {
    return (optimizer_settings){ .beta1 = s->beta1, .beta2 = s->beta2, .epsilon = s->epsilon, .weight_decay = s->weight_decay,
                             .clip_norm = s->clip_norm, .bias_correction = s->bias_correction, .nsp = nsp, .kind = s->optimizer };
}

typedef struct yaml_value { const char *at; size_t bytes; } yaml_value;

/* The text after "key: " on its line; NULL when the YAML does not have the key. Both texts come from options_yaml(), so equal values are
 * equal text. */
static yaml_value line_of(const char *yaml, const char *key) {
    size_t n = strlen(key);
    for (const char *at = yaml; *at;) {
        size_t length = strcspn(at, "\n");
        if (length > n && !memcmp(at, key, n) && at[n] == ':') {
            const char *value = at + n + 1;
            value += strspn(value, " ");
            return (yaml_value){ value, (size_t)(at + length - value) };
        }
        at += length + (at[length] == '\n');
    }
    return (yaml_value){0};
}

static bool same_value(yaml_value a, yaml_value b) { return a.bytes == b.bytes && (a.bytes == 0 || !memcmp(a.at, b.at, a.bytes)); }
static yaml_value value_of(const char *s) { return (yaml_value){ s, strlen(s) }; }

/* The value in effect: what "by the optimizer" and the like come to in that configuration. So a default that a later version leaves to another
 * option equals the value that an earlier one wrote out. */
static yaml_value effective(const char *yaml, const char *key) {
    yaml_value v = line_of(yaml, key);
    bool open = !strcmp(key, "power") && same_value(v, value_of("-1"));
    if (open) v = value_of(own_power[same_value(line_of(yaml, "optimizer"), value_of("lamb")) ? OPTIMIZER_LAMB : OPTIMIZER_ADAMW].text);
    return v;
}

int settings_check_resume(const options *o, const char *saved_yaml, const char *checkpoint, error *e) {
    char *now_yaml = options_yaml(o);
    text differs = {0};
    for (size_t i = 0; i < o->program->count; i++) {
        const option_spec *row = &o->program->table[i];
        if ((row->flags & (OPTION_RESUMABLE | OPTION_LOCAL)) || !strcmp(row->key, "data") || !strcmp(row->key, "model")) continue;
        yaml_value was = effective(saved_yaml, row->key), is = effective(now_yaml, row->key);
        if (!was.at && row->type == OPTION_CHOICE) was = value_of(row->initial);         /* the key is younger than the checkpoint */
        if (!was.at && row->type != OPTION_TEXT) continue;
        if (same_value(was, is)) continue;
        if (!was.at) was = value_of("not given");
        if (!is.at) is = value_of("not given");
        text_format(&differs, "%s%s was %.*s and is now %.*s", differs.bytes ? ", " : "", row->key, (int)was.bytes, was.at, (int)is.bytes, is.at);
    }
    if (differs.bytes)
        error_set(e, EXIT_USAGE, "%s: cannot be resumed with other settings: %s; give the old values, or another --output", checkpoint,
                  differs.data);
    free(text_take(&differs));
    free(now_yaml);
    return e->code;
}
