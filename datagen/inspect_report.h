/* datagen/inspect_report.h - what bert-inspect found in shards, as text for people or as JSON for programs. */
#ifndef DATAGEN_INSPECT_REPORT_H
#define DATAGEN_INSPECT_REPORT_H
#include <stdbool.h>
#include <stdint.h>
#include "base/json.h"
#include "datagen/row_stats.h"
#include "datagen/shard_file.h"      /* shard_shape */
#include "datagen/shard_manifest.h"

typedef struct shard_report {
    const char *path;
    const shard_manifest *m;         /* NULL: one file without a record */
    const char *content;             /* hash of the folder's content; NULL with m */
    shard_shape shape;               /* rows: of a single file */
    uint64_t rows[2];                /* by split; a single file's are "training" */
    const uint16_t *lengths[2];      /* NULL where rows were not read */
    bool verified, detailed;         /* --verify, --stats: what follows is filled */
    row_words words;                 /* unk -1: vocabulary not known */
    row_stats stats[2];
    row_repeat_counts repeats;
} shard_report;

/* Prints to stdout, at most 80 columns but for options, summary and long names; or fills `out` when that is not NULL. */
void shard_report_give(const shard_report *r, json *out);

/* The parts: inspect_report.c and inspect_report_json.c. */
void shard_report_print(const shard_report *r);
void shard_report_json(const shard_report *r, json *out);

enum { REPORT_BINS = 16 };
/* How long rows are. Bins are of equal width (the last one may be shorter); bin i holds lengths i * width + 1 to (i + 1) * width. */
typedef struct length_summary { uint64_t rows, tokens, bin[REPORT_BINS]; uint32_t width, bins, shortest, longest, median; } length_summary;
void length_summarize(length_summary *out, const uint16_t *lengths, uint64_t rows, uint32_t seq_length);
#endif
