/* datagen/inspect.h - what bert-inspect can say about shards and checkpoints. Results go to stdout. */
#ifndef DATAGEN_INSPECT_H
#define DATAGEN_INSPECT_H
#include <stdbool.h>
#include <stdint.h>
#include "base/json.h"
#include "datagen/child.h"       /* child_limits */
#include "datagen/tokenizer.h"

typedef struct inspect_wanted {
    bool verify, stats;
    const vocab *v;              /* for a single HDF5 file; may be NULL */
    child_limits limits;         /* for files without a record */
} inspect_wanted;

/* The three below print to stdout, or with out != NULL fill that JSON object and print nothing; on an error neither.
 * A shard folder: manifest, settings, fill. verify: hashes of files and content, every value of every row, labels, [UNK], repeated rows.
 * stats: lengths and masks. */
int inspect_shards(const char *path, const inspect_wanted *wanted, json *out, error *e);
/* One HDF5 file, with or without a manifest beside it, read by a child process. verify: every value, ids only when there is a vocabulary. */
int inspect_shard_file(const char *path, const inspect_wanted *wanted, json *out, error *e);
/* A checkpoint folder or a safetensors file: tensors, parameters, step. verify: sizes and hashes of the manifest. */
int inspect_checkpoint(const char *path, const inspect_wanted *wanted, json *out, error *e);

/* Row number `row` of the training files (of the test files when there are no others) in words: labels, [MASK]s and what stood there. */
int inspect_example(const char *path, uint64_t row, error *e);
/* Compares by content: rows and what gives them their meaning, not files, seeds or compression. *differ is set and the first difference printed. */
int inspect_diff_shards(const char *a, const char *b, bool *differ, error *e);

/* Checks every *.hdf5 and *.h5 in folder (NVIDIA's keys) against the vocabulary, each in a child process, and writes manifest, lengths and
 * vocabulary beside them. */
int inspect_adopt(const char *folder, const vocab *v, tokenizer_settings words, const child_limits *limits, error *e);

/* Compares tensors (name, type, shape, bytes) and the other files that the manifests list, but not the manifests themselves. */
int inspect_diff_checkpoints(const char *a, const char *b, bool *differ, error *e);
#endif
