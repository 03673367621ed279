/* trainer/init_from.c - weights of Hugging Face BERT folders under the names that they come with.
 *
 * A tensor of ours is looked for under, in this order:
 *     bert.encoder.layer.0.output.LayerNorm.weight      BertForPreTraining, BertForMaskedLM
 *     bert.encoder.layer.0.output.LayerNorm.gamma       the same, from the TensorFlow days
 *     encoder.layer.0.output.LayerNorm.weight, .gamma   BertModel
 *     cls.predictions.decoder.bias                      for cls.predictions.bias
 * An explicit cls.predictions.decoder.weight is the tied matrix once more: ignored, as from_pretrained ties it anyway; a warning when it differs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/files.h"
#include "base/text.h"
#include "trainer/checkpoint.h"
#include "trainer/checkpoint_manifest.h"
#include "trainer/safetensors.h"

enum { NAME = 112, SHOWN = 8 };

typedef struct found { const safetensors *file; const safetensors_entry *entry; } found;

static bool ends(const char *name, const char *tail) {
    size_t n = strlen(name), t = strlen(tail);
    return n >= t && !strcmp(name + n - t, tail);
}

static found find_as(const safetensors_folder *f, const char *name) {
    found x = {0};
    char old[NAME];
    x.entry = safetensors_folder_find(f, name, &x.file);
    if (x.entry || (!ends(name, "LayerNorm.weight") && !ends(name, "LayerNorm.bias"))) return x;
    size_t stem = (size_t)(strrchr(name, '.') - name);
    (void)snprintf(old, sizeof old, "%.*s.%s", (int)stem, name, ends(name, "weight") ? "gamma" : "beta");
    x.entry = safetensors_folder_find(f, old, &x.file);
    return x;
}

static found find(const safetensors_folder *f, const char *name) {
    found x = find_as(f, name);
    if (!x.entry && !strncmp(name, "bert.", 5)) x = find_as(f, name + 5);
    if (!x.entry && !strcmp(name, "cls.predictions.bias")) x = find_as(f, "cls.predictions.decoder.bias");
    return x;
}

static bool is_head(const char *name) { return !strncmp(name, "cls.", 4) || !strncmp(name, "bert.pooler.", 12); }

static int check_shape(const found *x, const tensor *t, error *e) {
    const safetensors_entry *s = x->entry;
    if (s->dimensions == (t->vector ? 1 : 2) && s->shape[s->dimensions - 1] == t->columns && (t->vector || s->shape[0] == t->rows)) return 0;
    text shape = {0};
    for (int i = 0; i < s->dimensions; i++) text_format(&shape, "%s%llu", i ? " x " : "", (unsigned long long)s->shape[i]);
    char *has = text_take(&shape);
    if (t->vector) (void)error_set(e, EXIT_USAGE, "%s: %s is %s, the model needs %zu", x->file->path, s->name, has, t->columns);
    else (void)error_set(e, EXIT_USAGE, "%s: %s is %s, the model needs %zu x %zu", x->file->path, s->name, has, t->rows, t->columns);
    free(has);
    return e->code;
}

/* Our own checkpoints carry hashes: they are checked wherever the weights go. */
static int verify_own(const char *folder, error *e) {
    char *path = files_join(folder, "manifest.json");
    json *manifest = NULL;
    error problem = {0};
    int code = 0;
    if (files_exists(path)) {
        json *any = NULL;
        bool ours = !json_read(&any, path, 1 << 20, &problem) && !strcmp(manifest_text(any, "format"), "bert-checkpoint");
        if (any) json_free(any);
        if (ours) code = manifest_read(&manifest, folder, e);
        if (ours && !code) code = manifest_verify(manifest, folder, false, e);
    }
    if (manifest) json_free(manifest);
    free(path);
    return code;
}

static void list(text *t, size_t nth, const char *name) {
    if (nth < SHOWN) text_format(t, "%s%s", nth ? ", " : "", name);
}

static void say(const char *folder, const char *what, text *names, size_t count) {
    char *shown = text_take(names);
    if (count > SHOWN) warn("%s: %s: %s, and %zu more", folder, what, shown, count - SHOWN);
    else if (count) warn("%s: %s: %s", folder, what, shown);
    free(shown);
}

/* What the folder holds beyond the model's tensors, so that nobody believes it was used. */
static void say_unused(const safetensors_folder *f, const safetensors_entry *const *used, size_t tensors, const char *folder) {
    text names = {0};
    size_t count = 0;
    for (size_t i = 0; i < f->files; i++)
        for (size_t k = 0; k < f->file[i].count; k++) {
            const char *name = f->file[i].entry[k].name;
            bool known = ends(name, "embeddings.position_ids") || ends(name, "embeddings.token_type_ids") || !strncmp(name, "cls.predictions.decoder.", 24);
            for (size_t t = 0; t < tensors && !known; t++) known = used[t] == &f->file[i].entry[k];
            if (!known) list(&names, count++, name);
        }
    say(folder, "not used", &names, count);
}

static int check_decoder(const safetensors_folder *f, const model *m, const float *weights, const char *folder, error *e) {
    found x = find_as(f, "cls.predictions.decoder.weight");
    const tensor *word = &m->tensor[m->word];
    if (!x.entry || check_shape(&x, word, e)) return x.entry ? e->code : 0;
    float *decoder = must_alloc(word->count, sizeof *decoder);
    int code = safetensors_read(x.file, x.entry, decoder, e);
    if (!code && memcmp(decoder, weights + word->offset, word->count * sizeof *decoder))
        warn("%s: cls.predictions.decoder.weight differs from the word embeddings; the two are one matrix here, and the embeddings are taken", folder);
    free(decoder);
    return code;
}

/* Fills what the folder has; heads that it lacks keep what `weights` holds. */
static int load(const model *m, float *weights, const char *folder, bool need_mlm, error *e) {
    safetensors_folder f;
    text missing = {0};
    size_t absent = 0;
    int code = verify_own(folder, e);
    if (code || (code = safetensors_folder_open(&f, folder, e))) return code;
    const safetensors_entry **used = must_zalloc(m->tensors, sizeof *used);
    for (size_t i = 0; i < m->tensors && !code; i++) {
        const tensor *t = &m->tensor[i];
        found x = find(&f, t->name);
        used[i] = x.entry;
        if (x.entry) {
            code = check_shape(&x, t, e);
            if (!code) code = safetensors_read(x.file, x.entry, weights + t->offset, e);
        } else if (!is_head(t->name)) code = error_set(e, EXIT_USAGE, "%s: no %s; is it a BERT?", folder, t->name);
        else if (need_mlm && !strncmp(t->name, "cls.predictions.", 16))
            code = error_set(e, EXIT_USAGE, "%s: no %s: it has no masked-language head", folder, t->name);
        else list(&missing, absent++, t->name);
    }
    if (!code) code = check_decoder(&f, m, weights, folder, e);
    if (!code && !need_mlm) {
        say(folder, "missing, initialised anew", &missing, absent);
        missing = (text){0};
        say_unused(&f, used, m->tensors, folder);
    }
    free(missing.data), free(used);
    safetensors_folder_close(&f);
    return code;
}

int checkpoint_init_from(comm *c, const model *m, float *weights, const char *folder, error *e) {
    int64_t code = c->rank == 0 ? load(m, weights, folder, false, e) : 0;
    comm_broadcast(c, &code, sizeof code, 0);
    if (code) return c->rank == 0 ? (int)code : error_set(e, (int)code, "rank 0 gave up; it says why");
    comm_broadcast(c, weights, m->weight_elements * sizeof *weights, 0);
    return 0;
}

int checkpoint_load_weights(const char *folder, model **m, float **weights, error *e) {
    char *path = files_join(folder, "config.json");
    model_config config = {0};
    *m = NULL, *weights = NULL;
    int code = files_is_folder(folder) ? model_config_read(&config, path, e) : error_set(e, EXIT_USAGE, "%s: no such folder", folder);
    if (!code && config.vocab_size < 1) {
        model_config_free(&config);
        code = error_set(e, EXIT_USAGE, "%s: no vocab_size", path);
    }
    free(path);
    if (code) return code;
    *m = model_new(&config);
    *weights = must_zalloc((*m)->weight_elements, sizeof **weights);
    code = load(*m, *weights, folder, true, e);
    if (!code) return 0;
    model_free(*m), free(*weights);
    *m = NULL, *weights = NULL;
    return code;
}
