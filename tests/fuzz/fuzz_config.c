/* tests/fuzz/fuzz_config.c - config.json of a model: what is read is printed, and read again with the same sizes. */
#include <string.h>
#include "tests/fuzz/fuzz.h"
#include "trainer/model.h"

const char *const fuzz_words[] = {
    "\"hidden_size\": ", "\"num_attention_heads\": ", "\"vocab_size\": ", "\"hidden_act\": ", "\"gelu\"", "\"model_type\": ", "\"bert\"",
    "null", "-1", "1e9", "0.5", "\"is_decoder\": ", "\"position_embedding_type\": ", "\"layer_norm_eps\": ", NULL
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    error e = {0};
    model_config a, b;
    if (model_config_read(&a, fuzz_file("config.json", data, size), &e)) {
        FUZZ_CHECK(e.code == EXIT_USAGE && e.text[0]);
        return 0;
    }
    FUZZ_CHECK(a.hidden_size > 0 && a.num_attention_heads > 0 && a.hidden_size % a.num_attention_heads == 0 && a.num_hidden_layers > 0);
    if (!model_config_fit_vocab(&a, 100, "vocabulary", &e)) {
        char *text = model_config_print(&a);
        FUZZ_CHECK(model_config_read(&b, fuzz_file("again.json", text, strlen(text)), &e) == 0);
        FUZZ_CHECK(a.hidden_size == b.hidden_size && a.vocab_size == b.vocab_size && a.num_hidden_layers == b.num_hidden_layers
                   && a.intermediate_size == b.intermediate_size && a.max_position_embeddings == b.max_position_embeddings
                   && a.layer_norm_eps == b.layer_norm_eps && a.hidden_dropout_prob == b.hidden_dropout_prob);
        model_config_free(&b);
        free(text);
    }
    model_config_free(&a);
    return 0;
}
