/* trainer/safetensors.h - the container of Hugging Face weights: written as save_pretrained writes it, read without trust.
 *
 *     u64 header bytes | JSON header, padded with spaces to a multiple of 8 | data, tensor after tensor, no gap
 *
 * Promise: the bytes written are a pure function of the weights; a file that breaks a rule of the format is refused before anything of
 * its claimed size is allocated.
 *
 * Rules (huggingface/safetensors, safetensors/src/tensor.rs): header at most 100,000,000 bytes, begins with '{', UTF-8, no key twice; metadata
 * values are strings; every tensor's end - begin equals its shape times its type, without overflow; sorted by offset, each begins where
 * the one before it ended, the first at 0, the last at the file's end. Ours: at most SAFETENSORS_MOST tensors
 * of SAFETENSORS_DIMENSIONS (a large BERT has 398 of at most 2), so that a hostile file costs little time. */
#ifndef TRAINER_SAFETENSORS_H
#define TRAINER_SAFETENSORS_H
#include <stddef.h>
#include <stdint.h>
#include "base/fail.h"       /* error */
#include "base/sha256.h"     /* SHA256_HEX */
#include "trainer/model.h"   /* model */

enum { SAFETENSORS_MOST = 4096, SAFETENSORS_DIMENSIONS = 8 };

typedef struct safetensors_entry {
    char *name;
    char dtype[16];                                 /* "F32", "BF16", ... */
    int dimensions;
    uint64_t shape[SAFETENSORS_DIMENSIONS];
    uint64_t count;                                 /* elements */
    uint64_t begin, end;                            /* bytes, from the start of the data */
} safetensors_entry;

typedef struct safetensors {
    char *path;
    int fd;
    uint64_t data_start;                            /* offset in the file */
    safetensors_entry *entry;                       /* sorted by offset */
    size_t count;
} safetensors;

/* Writes and fsyncs a new file: the tensors of the model's table in order of name, gaps of the flat array left out. hex gets the SHA-256 of
 * what was meant to be written, so that reading the file back proves the disk. EXIT_MACHINE on failure. */
int safetensors_write(const char *path, const model *m, const float *weights, char hex[SHA256_HEX], error *e);

/* Not collective. Reads and checks the header. EXIT_USAGE naming the file and the rule or tensor. */
int safetensors_open(safetensors *s, const char *path, error *e);
void safetensors_close(safetensors *s);
const safetensors_entry *safetensors_find(const safetensors *s, const char *name);   /* NULL when absent */

/* The tensor as float32 into out (entry->count): F32, F16 and BF16 only (EXIT_USAGE naming another type). No memory of the tensor's size is needed. */
int safetensors_read(const safetensors *s, const safetensors_entry *t, float *out, error *e);

/* The weights of a Hugging Face folder: model.safetensors, or the files that model.safetensors.index.json names (bare names inside the folder,
 * no tensor in two files, every tensor where the index says). pytorch_model.bin alone: EXIT_USAGE with the way to convert it. */
typedef struct safetensors_folder { safetensors *file; size_t files; } safetensors_folder;
int safetensors_folder_open(safetensors_folder *f, const char *folder, error *e);
void safetensors_folder_close(safetensors_folder *f);
const safetensors_entry *safetensors_folder_find(const safetensors_folder *f, const char *name, const safetensors **file);

float safetensors_half(uint16_t bits);              /* IEEE binary16 to float32, exact; NaN stays NaN */
#endif
