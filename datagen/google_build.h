/* datagen/google_build.h - from a text to a folder of shards that hold what google-research/bert's create_pretraining_data.py makes of it.
 *
 * Promise: rows in the order of file names are the examples of that script with one output file, in its order. */
#ifndef DATAGEN_GOOGLE_BUILD_H
#define DATAGEN_GOOGLE_BUILD_H
#include "datagen/shard_build.h"

/* As build_shards(). The text and its examples are held in memory: EXIT_USAGE when they need more than s->memory. A file's end ends no
 * document, only a blank line does; JSON lines are refused (EXIT_USAGE). A text of one document is taken, with a warning: its random pairs
 * are from itself. */
int google_build(const build_settings *s, const vocab *v, char *const *paths, size_t count, const char *folder, const volatile sig_atomic_t *stop,
                 build_summary *out, error *e);
#endif
