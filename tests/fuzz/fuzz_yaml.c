/* tests/fuzz/fuzz_yaml.c - the door to libyaml: pairs that were read come back from what is printed of them. */
#include <string.h>
#include "base/yaml.h"
#include "tests/fuzz/fuzz.h"

const char *const fuzz_words[] = {
    "key: ", "\n", "&a ", "*a", "!!str ", "---\n", "...\n", "? ", "- ", "'", "\"\\x41\"", "|\n  ", ">-\n  ", "# ", "{a: 1}", "%YAML 1.1\n",
    NULL
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    error e = {0};
    yaml_map a, b;
    if (yaml_read(&a, fuzz_file("a.yaml", data, size), &e)) {
        FUZZ_CHECK(e.code == EXIT_USAGE && e.text[0]);
        return 0;
    }
    bool fits = true;
    for (size_t i = 0; i < a.count; i++) fits = fits && yaml_can_hold(a.pair[i].key) && yaml_can_hold(a.pair[i].value);
    FUZZ_CHECK(fits);
    char *text = yaml_print(&a);
    if (strlen(text) <= 64 << 10) {               /* quoting makes it longer; the reader takes 64 KiB */
        FUZZ_CHECK(yaml_read(&b, fuzz_file("b.yaml", text, strlen(text)), &e) == 0);
        FUZZ_CHECK(a.count == b.count);
        for (size_t i = 0; i < a.count; i++) FUZZ_CHECK(!strcmp(a.pair[i].key, b.pair[i].key) && !strcmp(a.pair[i].value, b.pair[i].value));
        yaml_free(&b);
    }
    free(text);
    yaml_free(&a);
    return 0;
}
