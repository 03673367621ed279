/* datagen/inspect.h - what bert-inspect can say about shards and checkpoints. Results go to stdout. */
#ifndef DATAGEN_INSPECT_H
#define DATAGEN_INSPECT_H
#include <stdbool.h>
#include <stdint.h>
#include "datagen/tokenizer.h"

/* A shard folder: manifest, settings, fill. verify: hashes of files and content, every value of every row. */
int inspect_shards(const char *path, bool verify, error *e);
/* One HDF5 file, with or without a manifest beside it: its datasets. verify: every value that needs no vocabulary. */
int inspect_shard_file(const char *path, bool verify, error *e);
/* Row number `row` of the training files (of the test files when there are no others) in words: labels, [MASK]s and what stood there. */
int inspect_example(const char *path, uint64_t row, error *e);
/* Compares by content: rows and what gives them their meaning, not files, seeds or compression. *differ is set and the first difference printed. */
int inspect_diff_shards(const char *a, const char *b, bool *differ, error *e);

/* Checks every *.hdf5 and *.h5 in folder (NVIDIA's keys) against the vocabulary and writes manifest, lengths and vocabulary beside them. */
int inspect_adopt(const char *folder, const vocab *v, tokenizer_settings words, error *e);

/* A checkpoint folder or a safetensors file: tensors, parameters, step. verify: sizes and hashes of the manifest. */
int inspect_checkpoint(const char *path, bool verify, error *e);
/* Compares tensors (name, type, shape, bytes) and the other files that the manifests list, but not the manifests themselves. */
int inspect_diff_checkpoints(const char *a, const char *b, bool *differ, error *e);
#endif
