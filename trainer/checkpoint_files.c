/* trainer/checkpoint_files.c - tokenizer files and model card. Layout source: huggingface/tokenizers, save() of BertTokenizerFast. */
#include "trainer/checkpoint_files.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/text.h"

static const char *const special_names[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
enum { SPECIALS = 5 };

typedef struct special { int32_t id; const char *name; } special;

static int by_id(const void *a, const void *b) { return ((const special *)a)->id - ((const special *)b)->id; }

static void list_specials(const vocab *v, special s[SPECIALS]) {
    for (int i = 0; i < SPECIALS; i++) s[i] = (special){vocab_id(v, special_names[i], strlen(special_names[i])), special_names[i]};
    qsort(s, SPECIALS, sizeof *s, by_id);
}

static json *object_of_type(const char *type) {
    json *j = json_new_object();
    json_set_string(j, "type", type);
    return j;
}

static void set_strip_accents(json *j, int strip_accents) {
    if (strip_accents == STRIP_AUTO) json_set_null(j, "strip_accents");
    else json_set_bool(j, "strip_accents", strip_accents == STRIP_YES);
}

static json *added_tokens(const vocab *v) {
    special s[SPECIALS];
    json *all = json_new_array();
    list_specials(v, s);
    for (int i = 0; i < SPECIALS; i++) {
        json *t = json_new_object();
        json_set_int(t, "id", s[i].id);
        json_set_string(t, "content", s[i].name);
        json_set_bool(t, "single_word", false);
        json_set_bool(t, "lstrip", false);
        json_set_bool(t, "rstrip", false);
        json_set_bool(t, "normalized", false);
        json_set_bool(t, "special", true);
        json_append(all, t);
    }
    return all;
}

static void add_piece(json *sequence, const char *kind, const char *id, int type_id) {
    json *outer = json_new_object(), *inner = json_new_object();
    json_set_string(inner, "id", id);
    json_set_int(inner, "type_id", type_id);
    json_set(outer, kind, inner);
    json_append(sequence, outer);
}

static json *template_token(const char *name, int32_t id) {
    json *t = json_new_object(), *ids = json_new_array(), *tokens = json_new_array();
    json_set_string(t, "id", name);
    json_append(ids, json_new_int(id));
    json_append(tokens, json_new_string(name));
    json_set(t, "ids", ids);
    json_set(t, "tokens", tokens);
    return t;
}

static json *post_processor(const vocab *v) {
    json *p = object_of_type("TemplateProcessing"), *single = json_new_array(), *pair = json_new_array(), *tokens = json_new_object();
    for (int i = 0; i < 2; i++) {
        json *sequence = i ? pair : single;
        add_piece(sequence, "SpecialToken", "[CLS]", 0);
        add_piece(sequence, "Sequence", "A", 0);
        add_piece(sequence, "SpecialToken", "[SEP]", 0);
    }
    add_piece(pair, "Sequence", "B", 1);
    add_piece(pair, "SpecialToken", "[SEP]", 1);
    json_set(tokens, "[CLS]", template_token("[CLS]", vocab_cls(v)));
    json_set(tokens, "[SEP]", template_token("[SEP]", vocab_sep(v)));
    json_set(p, "single", single);
    json_set(p, "pair", pair);
    json_set(p, "special_tokens", tokens);
    return p;
}

static json *wordpiece(const vocab *v) {
    json *w = object_of_type("WordPiece"), *entries = json_new_object();
    json_set_string(w, "unk_token", "[UNK]");
    json_set_string(w, "continuing_subword_prefix", "##");
    json_set_int(w, "max_input_chars_per_word", 100);
    for (int32_t id = 0; (size_t)id < vocab_size(v); id++) json_set_int(entries, vocab_token(v, id), id);
    json_set(w, "vocab", entries);
    return w;
}

char *checkpoint_tokenizer_json(const vocab *v, bool lowercase, int strip_accents) {
    json *j = json_new_object(), *normalizer = object_of_type("BertNormalizer"), *decoder = object_of_type("WordPiece");
    json_set_string(j, "version", "1.0");
    json_set_null(j, "truncation");
    json_set_null(j, "padding");
    json_set(j, "added_tokens", added_tokens(v));
    json_set_bool(normalizer, "clean_text", true);
    json_set_bool(normalizer, "handle_chinese_chars", true);
    set_strip_accents(normalizer, strip_accents);
    json_set_bool(normalizer, "lowercase", lowercase);
    json_set(j, "normalizer", normalizer);
    json_set(j, "pre_tokenizer", object_of_type("BertPreTokenizer"));
    json_set(j, "post_processor", post_processor(v));
    json_set_string(decoder, "prefix", "##");
    json_set_bool(decoder, "cleanup", true);
    json_set(j, "decoder", decoder);
    json_set(j, "model", wordpiece(v));
    char *printed = json_print(j, 2);
    json_free(j);
    return printed;
}

static void set_special_names(json *j) {
    json_set_string(j, "cls_token", "[CLS]");
    json_set_string(j, "mask_token", "[MASK]");
    json_set_string(j, "pad_token", "[PAD]");
    json_set_string(j, "sep_token", "[SEP]");
    json_set_string(j, "unk_token", "[UNK]");
}

static char *print_line(json *j) {
    char *printed = json_print(j, 2), *line = must_format("%s\n", printed);
    free(printed);
    json_free(j);
    return line;
}

char *checkpoint_tokenizer_config(const vocab *v, bool lowercase, int strip_accents, uint32_t seq_length) {
    json *j = json_new_object(), *added = json_new_object();
    special s[SPECIALS];
    list_specials(v, s);
    for (int i = 0; i < SPECIALS; i++) {
        json *t = json_new_object();
        char id[16];
        (void)snprintf(id, sizeof id, "%d", (int)s[i].id);
        json_set_string(t, "content", s[i].name);
        json_set_bool(t, "lstrip", false);
        json_set_bool(t, "normalized", false);
        json_set_bool(t, "rstrip", false);
        json_set_bool(t, "single_word", false);
        json_set_bool(t, "special", true);
        json_set(added, id, t);
    }
    json_set(j, "added_tokens_decoder", added);
    json_set_bool(j, "clean_up_tokenization_spaces", true);
    json_set_bool(j, "do_basic_tokenize", true);
    json_set_bool(j, "do_lower_case", lowercase);
    json_set_int(j, "model_max_length", seq_length);
    json_set_null(j, "never_split");
    set_special_names(j);
    set_strip_accents(j, strip_accents);
    json_set_bool(j, "tokenize_chinese_chars", true);
    json_set_string(j, "tokenizer_class", "BertTokenizer");
    return print_line(j);
}

char *checkpoint_special_tokens(void) {
    json *j = json_new_object();
    set_special_names(j);
    return print_line(j);
}

char *checkpoint_card(const checkpoint_job *j, const checkpoint_state *state) {
    const model_config *c = &j->model->config;
    text t = {0};
    text_format(&t, "---\nlibrary_name: transformers\npipeline_tag: fill-mask\nmask_token: \"[MASK]\"\ntags:\n- bert\n- fill-mask\n- pretraining\n---\n\n");
    text_format(&t, "# BERT, %s, %lld layers of %lld\n\n", j->lowercase ? "uncased" : "cased", (long long)c->num_hidden_layers, (long long)c->hidden_size);
    text_format(&t, "Pretrained from text with masked-language modelling by bert-pretrain %s: step %lld, %zu parameters, vocabulary of %zu entries.\n",
                BERT_VERSION, (long long)state->step, j->model->parameters, vocab_size(j->vocab));
    if (isfinite(state->loss)) text_format(&t, "Training loss at this step: %.4f.\n", state->loss);
    text_format(&t, "\n## Use\n\n```python\nfrom transformers import AutoTokenizer, BertForPreTraining\n\n"
                    "tokenizer = AutoTokenizer.from_pretrained(\"this-folder\")\nmodel = BertForPreTraining.from_pretrained(\"this-folder\")\n```\n\n"
                    "`AutoModelForMaskedLM`, `AutoModelForSequenceClassification` and the other BERT classes load it too. `training.h5` and\n"
                    "`manifest.json` serve to go on training; a copy for fine-tuning needs neither.\n");
    text_format(&t, "\n## Training\n\nSequences of %u tokens; data %s; kernels %s.\n\n```yaml\n%s%s```\n", j->seq_length, j->data_hash, j->kernel_set,
                j->config_yaml, *j->config_yaml && j->config_yaml[strlen(j->config_yaml) - 1] == '\n' ? "" : "\n");
    return text_take(&t);
}
