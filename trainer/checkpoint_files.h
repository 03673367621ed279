/* trainer/checkpoint_files.h - the small files of a checkpoint, as texts: each is a pure function of its arguments. Callers free. */
#ifndef TRAINER_CHECKPOINT_FILES_H
#define TRAINER_CHECKPOINT_FILES_H
#include <stdbool.h>
#include <stdint.h>
#include "datagen/tokenizer.h"    /* vocab */
#include "trainer/checkpoint.h"   /* checkpoint_job, checkpoint_state */

/* tokenizer.json byte for byte as `tokenizers` saves a BertTokenizerFast of this vocabulary. */
char *checkpoint_tokenizer_json(const vocab *v, bool lowercase, int strip_accents);
char *checkpoint_tokenizer_config(const vocab *v, bool lowercase, int strip_accents, uint32_t seq_length);
char *checkpoint_special_tokens(void);
/* The model card: YAML front matter as the Hugging Face hub reads it, then what a reader needs to use the weights. */
char *checkpoint_card(const checkpoint_job *j, const checkpoint_state *state);
#endif
