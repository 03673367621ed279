/* datagen/text_paths.h - which files a list of paths means, in which order. */
#ifndef DATAGEN_TEXT_PATHS_H
#define DATAGEN_TEXT_PATHS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/fail.h"   /* error */

typedef struct text_paths { char **name; size_t count, capacity; uint64_t bytes; } text_paths;   /* bytes of all; 0 when one is no regular file */

/* Files and folders, recursively, as text_stream.h says. EXIT_USAGE naming the path that is missing, unreadable or an empty folder. */
int text_paths_find(text_paths *out, char *const *paths, size_t count, error *e);
void text_paths_free(text_paths *p);
#endif
