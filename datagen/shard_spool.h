/* datagen/shard_spool.h - text that only one rank can read, or that can be read once (standard input, pipes), for all ranks. */
#ifndef DATAGEN_SHARD_SPOOL_H
#define DATAGEN_SHARD_SPOOL_H
#include "datagen/shard_stage.h"

/* Collective. The paths, with files in temp in place of those. Alone: the paths themselves. shard_spool_free(). */
char **shard_spool(stage *g, char *const *paths, size_t count, error *e);
void shard_spool_free(char **paths, size_t count);
#endif
