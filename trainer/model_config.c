/* trainer/model_config.c - config.json of a Hugging Face BERT: read, refused by name where this program would compute something else,
 * written again. Absent keys have the defaults of transformers' BertConfig. */
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include "trainer/model.h"

enum { CONFIG_LIMIT = 1 << 20 };

/* Upper limits keep every product of two sizes far below 2^63, so that sizes can be multiplied before anything is allocated. */
static const struct { const char *key; size_t offset; int64_t low, high, initial; } integer[] = {
    {"vocab_size", offsetof(model_config, vocab_size), 5, 1 << 24, 0},
    {"hidden_size", offsetof(model_config, hidden_size), 1, 1 << 16, 768},
    {"num_hidden_layers", offsetof(model_config, num_hidden_layers), 1, 254, 12},
    {"num_attention_heads", offsetof(model_config, num_attention_heads), 1, 1 << 16, 12},
    {"intermediate_size", offsetof(model_config, intermediate_size), 1, 1 << 18, 3072},
    {"max_position_embeddings", offsetof(model_config, max_position_embeddings), 3, 1 << 16, 512},
    {"type_vocab_size", offsetof(model_config, type_vocab_size), 2, 1 << 16, 2},
    {"pad_token_id", offsetof(model_config, pad_token_id), 0, 0, 0},
};

static const struct { const char *key; size_t offset; double low, high, initial; } real[] = {
    {"layer_norm_eps", offsetof(model_config, layer_norm_eps), 0, 1, 1e-12},
    {"initializer_range", offsetof(model_config, initializer_range), 0, 10, 0.02},
    {"hidden_dropout_prob", offsetof(model_config, hidden_dropout_prob), 0, 0.99, 0.1},
    {"attention_probs_dropout_prob", offsetof(model_config, attention_probs_dropout_prob), 0, 0.99, 0.1},
};

enum { INTEGERS = sizeof integer / sizeof *integer, REALS = sizeof real / sizeof *real };

/* An absent key is fine. */
static int must_be_text(const json *j, const char *key, const char *value, const char *path, error *e) {
    const json *v = json_get(j, key);
    if (!v) return 0;
    if (json_kind_of(v) != JSON_KIND_STRING) return error_set(e, EXIT_USAGE, "%s: %s: expected \"%s\"", path, key, value);
    if (strcmp(json_string(v), value) == 0) return 0;
    return error_set(e, EXIT_USAGE, "%s: %s \"%.60s\" is not supported; only \"%s\" is", path, key, json_string(v), value);
}

static int must_be_bool(const json *j, const char *key, bool value, const char *path, error *e) {
    const json *v = json_get(j, key);
    if (!v || (json_kind_of(v) == JSON_KIND_BOOL && json_bool(v) == value)) return 0;
    return error_set(e, EXIT_USAGE, "%s: %s must be %s: other architectures are not supported", path, key, value ? "true" : "false");
}

static int check_architecture(const json *j, const char *path, error *e) {
    int code;
    if ((code = must_be_text(j, "model_type", "bert", path, e))) return code;
    if ((code = must_be_text(j, "hidden_act", "gelu", path, e))) return code;
    if ((code = must_be_text(j, "position_embedding_type", "absolute", path, e))) return code;
    if ((code = must_be_bool(j, "is_decoder", false, path, e))) return code;
    if ((code = must_be_bool(j, "add_cross_attention", false, path, e))) return code;
    if ((code = must_be_bool(j, "tie_word_embeddings", true, path, e))) return code;
    const json *pruned = json_get(j, "pruned_heads");
    if (pruned && json_count(pruned)) return error_set(e, EXIT_USAGE, "%s: pruned_heads is not empty: not supported", path);
    return 0;
}

static int read_sizes(model_config *c, const char *path, error *e) {
    for (int i = 0; i < INTEGERS; i++) {
        int64_t *field = (int64_t *)((char *)c + integer[i].offset);
        *field = integer[i].initial;
        if (!json_get(c->source, integer[i].key)) continue;
        int code = json_need_int(c->source, integer[i].key, integer[i].low, integer[i].high, path, field, e);
        if (code) return code;
    }
    for (int i = 0; i < REALS; i++) {
        double *field = (double *)((char *)c + real[i].offset);
        *field = real[i].initial;
        if (!json_get(c->source, real[i].key)) continue;
        int code = json_need_real(c->source, real[i].key, real[i].low, real[i].high, path, field, e);
        if (code) return code;
    }
    return 0;
}

int model_config_read(model_config *c, const char *path, error *e) {
    memset(c, 0, sizeof *c);
    int code = json_read(&c->source, path, CONFIG_LIMIT, e);
    if (code) return code;
    if (json_kind_of(c->source) != JSON_KIND_OBJECT) code = error_set(e, EXIT_USAGE, "%s: not a JSON object; give a config.json", path);
    if (!code) code = check_architecture(c->source, path, e);
    if (!code) code = read_sizes(c, path, e);
    if (!code && c->hidden_size % c->num_attention_heads != 0)
        code = error_set(e, EXIT_USAGE, "%s: hidden_size %" PRId64 " is not divisible by num_attention_heads %" PRId64, path, c->hidden_size,
                         c->num_attention_heads);
    if (code) model_config_free(c);
    return code;
}

int model_config_fit_vocab(model_config *c, size_t vocab_entries, const char *where, error *e) {
    if (c->vocab_size == 0) c->vocab_size = (int64_t)vocab_entries;
    if (c->vocab_size < (int64_t)vocab_entries)
        return error_set(e, EXIT_USAGE, "%s: vocab_size %" PRId64 " is smaller than the vocabulary of %zu entries; raise it or leave it out", where,
                         c->vocab_size, vocab_entries);
    return 0;
}

void model_config_free(model_config *c) {
    json_free(c->source);
    c->source = NULL;
}

char *model_config_print(const model_config *c) {
    json *j = c->source ? json_copy(c->source) : json_new_object(), *architectures = json_new_array();
    json_append(architectures, json_new_string("BertForPreTraining"));
    json_set(j, "architectures", architectures);
    json_set_string(j, "model_type", "bert");
    json_set_string(j, "hidden_act", "gelu");
    for (int i = 0; i < INTEGERS; i++) json_set_int(j, integer[i].key, *(const int64_t *)((const char *)c + integer[i].offset));
    for (int i = 0; i < REALS; i++) json_set_real(j, real[i].key, *(const double *)((const char *)c + real[i].offset));
    char *text = json_print(j, 2);
    json_free(j);
    return text;
}
