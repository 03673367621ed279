/* trainer/checkpoint.h - a folder that Hugging Face from_pretrained loads and that this program resumes from, exactly.
 *
 * Promise: at any instant a checkpoint is whole and verified under its name, or not there. Written to checkpoint-N.tmp-<uuid>/, each file
 * fsynced, manifest last, folder fsynced, renamed, parent fsynced, then `latest`. */
#ifndef TRAINER_CHECKPOINT_H
#define TRAINER_CHECKPOINT_H
#include "base/options.h"         /* options */
#include "comm/exchange.h"        /* exchange */
#include "datagen/tokenizer.h"    /* vocab */
#include "trainer/model.h"        /* model */
#include "trainer/optimizer.h"    /* optimizer */
#include "trainer/run_folder.h"   /* run_folder */

typedef struct checkpoint_job {          /* all borrowed */
    comm *comm;
    exchange *exchange;
    const model *model;
    optimizer *optimizer;
    const vocab *vocab;
    bool lowercase;
    int strip_accents;
    uint32_t seq_length;                 /* model_max_length of the tokenizer */
    const run_folder *run;               /* rank 0 only, else NULL */
    const char *config_yaml;             /* effective configuration */
    const char *kernel_set;              /* kernels_name() and gemm_name() */
    const char *data_hash;               /* content hash of the shards */
    float *weights;                      /* (weight_elements) */
    float *scratch;                      /* (gradient_elements) free between steps: moments are gathered through it */
} checkpoint_job;

typedef struct checkpoint_state { int64_t step; int64_t next_step; uint64_t seed; double learning_rate; double loss; } checkpoint_state;

/* Collective. Saves step `state->step`; name[64] gets the bare name. 0, or the agreed code on every rank: EXIT_MACHINE with the cause in rank 0's
 * *e (nothing is printed; training may go on and try again): the temporary folder is removed, older checkpoints are untouched. The
 * moments are gathered through j->scratch. Prunes after the new one verified; a failure to prune is a warning. */
int checkpoint_save(checkpoint_job *j, const checkpoint_state *state, int64_t keep, int64_t keep_every, char name[64], error *e);

/* Rank 0: the newest checkpoint in the run (by number) that verifies; says on stderr which it passed over and why. Returns false when none. */
bool checkpoint_newest(const run_folder *r, char name[64]);
/* Rank 0: hashes of a checkpoint folder against its manifest (checkpoint_manifest.h): EXIT_CORRUPT / EXIT_USAGE. */
int checkpoint_verify(const char *folder, error *e);

/* Rank 0. The effective config (YAML text), kernel set and data hash that a checkpoint was made with; caller frees. */
typedef struct checkpoint_facts { char *config_yaml, *kernel_set, *data_hash, *program_version; int64_t step; } checkpoint_facts;
int checkpoint_facts_read(checkpoint_facts *f, const char *folder, error *e);
void checkpoint_facts_free(checkpoint_facts *f);

/* Collective. Rank 0 reads weights and moments and hands every rank its slices; works on any number of ranks. Verifies all hashes first.
 * The agreed code on every rank, the cause in rank 0's *e (follow with comm_agree()): EXIT_CORRUPT, EXIT_USAGE (another shape or vocabulary). */
int checkpoint_resume(checkpoint_job *j, const char *folder, checkpoint_state *state, error *e);

/* Collective. Weights of a Hugging Face BERT folder (BertModel, BertForMaskedLM, BertForPreTraining; with or without "bert."; gamma/beta;
 * explicit decoder; fp32/fp16/bf16; sharded safetensors). Missing heads keep the initialisation that `weights` holds and are listed on
 * stderr. pytorch_model.bin:
 * EXIT_USAGE with the way to convert it. */
int checkpoint_init_from(comm *c, const model *m, float *weights, const char *folder, error *e);

/* Not collective: weights of a checkpoint or Hugging Face folder, for bert-fill. Opens config.json, makes the model; caller frees all. A folder
 * without an MLM head is EXIT_USAGE; a missing pooler or NSP head is nothing here. */
int checkpoint_load_weights(const char *folder, model **m, float **weights, error *e);
#endif
