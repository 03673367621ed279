/* A program that does nothing but read its options: prints the effective configuration and the arguments. */
#include <stdio.h>
#include <stdlib.h>
#include "tests/tools/toy.h"

int main(int argc, char **argv) {
    toy settings;
    options o;
    error e;
    bool done;
    fail_init(toy_program.name);
    int code = options_parse(&o, &toy_program, &settings, argc, argv, &done, &e);
    if (code) error_print(&e);
    else if (!done) {
        char *yaml = options_yaml(&o);
        fputs(yaml, stdout);
        free(yaml);
        for (size_t i = 0; i < o.argument_count; i++) printf("# %s\n", o.arguments[i]);
    }
    options_free(&o);
    return code;
}
