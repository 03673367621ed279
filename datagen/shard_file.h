/* datagen/shard_file.h - one HDF5 file with the NVIDIA keys, read without trust.
 *
 * Promise: nothing is allocated for a size that was not checked, and only what a shard may hold is followed: hard links, integer
 * datasets, the filters deflate, shuffle and fletcher32. Plug-ins, external files, virtual datasets are refused. */
#ifndef DATAGEN_SHARD_FILE_H
#define DATAGEN_SHARD_FILE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "datagen/shard.h"   /* shard_rows */

enum shard_dataset { DATA_INPUT_IDS, DATA_INPUT_MASK, DATA_SEGMENT_IDS, DATA_POSITIONS, DATA_LABELS, DATA_NEXT, SHARD_DATASETS };

typedef struct shard_shape { uint64_t rows; uint32_t seq_length, max_predictions; bool has_nsp; } shard_shape;

const char *shard_dataset_name(enum shard_dataset d);
size_t shard_dataset_width(enum shard_dataset d);                              /* bytes of an element: 4 or 1 */
size_t shard_dataset_columns(enum shard_dataset d, const shard_shape *s);      /* S, P or 1 */

/* Quiets libhdf5's own messages, forbids plug-ins and file locks (shared file systems often have none). Called by the functions below. */
void shard_file_start(void);

typedef struct shard_file shard_file;

/* Opens path and checks its six datasets (five without next_sentence_labels). EXIT_USAGE naming path and dataset. */
int shard_file_open(shard_file **out, const char *path, error *e);
void shard_file_close(shard_file *f);   /* NULL is allowed */
const shard_shape *shard_file_shape(const shard_file *f);

/* Rows [first, first + n) of one dataset into out (n × columns × width bytes; int32 or int8, whatever integer the file holds). Values that do not
 * fit become the nearest that does. EXIT_USAGE when a chunk cannot be read. */
int shard_file_read(shard_file *f, enum shard_dataset d, uint64_t first, size_t n, void *out, error *e);

/* All datasets of n rows into r (its capacity at least n), unchecked; next_sentence is zeroed where the file has none. */
int shard_file_read_rows(shard_file *f, uint64_t first, size_t n, shard_rows *r, error *e);

/* SHA-256 over the datasets in the order above, little-endian, rows in order. */
int shard_file_content_hash(shard_file *f, char hex[65], error *e);
#endif
