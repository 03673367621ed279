/* tests/tools/toy.h - a program's option table with every type and flag, for the tests of options. */
#ifndef TESTS_TOY_H
#define TESTS_TOY_H
#include <math.h>
#include "base/options.h"

typedef struct toy {
    char *data, *output, *title;
    int64_t steps, seed;
    double learning_rate, watchdog;
    int optimizer;
    option_interval every;
    bool correction, force;
} toy;

static const option_spec toy_table[] = {
    {"data", OPTION_TEXT, offsetof(toy, data), .unit = "folder", .help = "folder of shards", .flags = OPTION_REQUIRED, .group = "Files"},
    {"output", OPTION_TEXT, offsetof(toy, output), .unit = "folder", .help = "where results go", .flags = OPTION_REQUIRED | OPTION_LOCAL},
    {"title", OPTION_TEXT, offsetof(toy, title), .initial = "a run", .help = "what the report says", .flags = OPTION_VALUE_OPTIONAL},
    {"steps", OPTION_INT, offsetof(toy, steps), .low = 1, .high = 1e12, .initial = "1000", .unit = "steps",
     .help = "training steps; this help is long on purpose, longer than one line of the terminal can hold", .flags = OPTION_RESUMABLE, .group = "Training"},
    {"seed", OPTION_INT, offsetof(toy, seed), .initial = "12345", .help = "of all random numbers"},
    {"learning-rate", OPTION_REAL, offsetof(toy, learning_rate), .low = 0, .high = 10, .initial = "1e-4", .help = "peak of the schedule"},
    {"optimizer", OPTION_CHOICE, offsetof(toy, optimizer), .choices = "adamw|lamb", .initial = "adamw", .help = "rule of the update"},
    {"watchdog", OPTION_DURATION, offsetof(toy, watchdog), .low = 1, .high = INFINITY, .initial = "10m", .help = "longest silence of a rank"},
    {"checkpoint-every", OPTION_INTERVAL, offsetof(toy, every), .help = "between checkpoints"},
    {"bias-correction", OPTION_SWITCH, offsetof(toy, correction), .initial = "yes", .help = "as the paper has it; off to match Google"},
    {"force", OPTION_SWITCH, offsetof(toy, force), .help = "replace finished output", .flags = OPTION_LOCAL},
};

static const option_program toy_program = {
    .name = "bert-toy", .summary = "tests the options of all programs", .usage = "bert-toy --data DIR --output DIR TEXT...\nbert-toy --help",
    .details = "Examples:\n  bert-toy --data shards --output run\n", .table = toy_table, .count = sizeof toy_table / sizeof *toy_table, .positionals = true,
};
#endif
