/* trainer/checkpoint_manifest.h - manifest.json of a checkpoint: what was written, by whom, with which hashes. Written last.
 *
 *     {"format": "bert-checkpoint", "format_version": 1, "step": 1000, "run": UUID, "checkpoint": UUID, "program_version": "0.1.0",
 *      "kernel_set": "...", "data_hash": HEX, "vocab_hash": HEX, "dtype": "float32", "endianness": "little", "config": "key: value\n...",
 *      "files": {"model.safetensors": {"bytes": N, "sha256": HEX}, ...}, "manifest_sha256": HEX}
 *
 * manifest_sha256 is the hash of the manifest as json_print(..., 2) writes it without that last key. Hashes find corruption, not forgery. */
#ifndef TRAINER_CHECKPOINT_MANIFEST_H
#define TRAINER_CHECKPOINT_MANIFEST_H
#include "base/json.h"       /* json, error */
#include "base/sha256.h"     /* SHA256_HEX */

enum { CHECKPOINT_VERSION = 1 };

void manifest_add_file(json *manifest, const char *name, uint64_t bytes, const char *sha256_hex);   /* into its "files", made when absent */
char *manifest_print(json *manifest);                                    /* adds manifest_sha256; caller frees */

/* EXIT_USAGE: absent, malformed, not ours, a newer version, another byte order; EXIT_CORRUPT: its own hash differs. Caller frees with json_free(). */
int manifest_read(json **out, const char *folder, error *e);
const char *manifest_text(const json *manifest, const char *key);        /* "" when absent; borrowed */

/* Sizes and hashes of the files listed; all of them, or without training.h5 (which a copy for fine-tuning may leave out). EXIT_CORRUPT naming
 * the file that differs or is missing. */
int manifest_verify(const json *manifest, const char *folder, bool with_training, error *e);
#endif
