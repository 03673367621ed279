/* datagen/shard_build.c - see shard_build.h; the stages are told in shard_stage.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/files.h"
#include "base/timer.h"
#include "datagen/shard_spool.h"
#include "datagen/shard_stage.h"
#include "datagen/shard_writer.h"

enum { MOST_BUCKETS = 4096, FEWEST_BUCKETS = 64, RUN_BUCKETS = 5, GROUP_MOST = 256, PIECE_LEAST = 1 << 12, PIECE_MOST = 1 << 16 };

int stage_agree(stage *g, error *e) {
    if (e->code) atomic_store(&g->failed, true);
    if (g->ranks) e->code = comm_agree(g->ranks, e);
    return e->code;
}

void stage_sum(stage *g, uint64_t *values, size_t count) {
    if (g->ranks) comm_sum_i64(g->ranks, (int64_t *)values, (int)count);
}

/* What the program holds besides stores: itself and the vocabulary; for each thread its word cache, a batch, rows and their packed form. */
static uint64_t fixed_memory(const build_settings *s) {
    uint64_t rows = SHARD_CHUNK_ROWS * (uint64_t)s->example.seq_length * 24;
    return ((uint64_t)40 << 20) + (uint64_t)s->threads * (((uint64_t)24 << 20) + rows);
}

uint64_t build_least_memory(const build_settings *s) { return fixed_memory(s) + ((uint64_t)1 << 20); }

static void add_numbers(stage *g, uint64_t *const *number, size_t count) {
    uint64_t all[16];
    for (size_t i = 0; i < count; i++) all[i] = *number[i];
    stage_sum(g, all, count);
    for (size_t i = 0; i < count; i++) *number[i] = all[i];
}

/* Every rank knows of every block. */
static int exchange_blocks(stage *g, error *e) {
    build_summary *b = g->sum;
    if (g->size > 1) {
        if (!blocks_publish(&g->blocks, e) && g->hashes) spill_publish(g->hashes, e);
        if (stage_agree(g, e)) return e->code;
        if (!blocks_take_in(&g->blocks, g->size, e) && g->hashes) spill_take_in(g->hashes, g->size, e);
        add_numbers(g, (uint64_t *[]){ &b->segments, &b->bytes, &b->unknown, &b->skipped, &b->short_documents, &b->left_out }, 6);
    }
    if (!e->code) blocks_settle(&g->blocks, g->s.min_tokens, e);
    b->documents = g->blocks.documents;
    b->tokens = g->blocks.tokens;
    b->short_documents += g->blocks.short_documents;
    b->left_out += g->blocks.left_out_tokens;
    b->equal_documents = g->blocks.equal_documents;
    return stage_agree(g, e);
}

/* Numbers of documents, of both kinds, must do. */
static int check_documents(stage *g, error *e) {
    example_settings *x = &g->s.example;
    uint64_t all = g->blocks.documents, held = 0, least = x->next_sentence && !x->sentence_order ? 2 : 1;
    bool left_out = g->sum->short_documents || g->sum->equal_documents;
    if (!all && left_out) return error_set(e, EXIT_USAGE, "no document of the text is left; lower --min-tokens");
    if (!all) return error_set(e, EXIT_USAGE, "the text is empty; nothing to make shards of");
    if (all < least)
        return error_set(e, EXIT_USAGE, "the text is a single document, but next-sentence pairs need two; put blank lines between documents, or give --no-nsp");
    if (g->s.eval_fraction > 0) {
        held = (uint64_t)nearbyint(g->s.eval_fraction * (double)all);
        if (held < least || all - held < least)
            return error_set(e, EXIT_USAGE, "--eval-fraction: %g of %llu documents are %llu; %llu at least are needed on either side%s", g->s.eval_fraction,
                             (unsigned long long)all, (unsigned long long)held, (unsigned long long)least, least > 1 ? ", or --no-nsp" : "");
    }
    x->documents = all;
    x->held_out = example_held_out_below(x, held);
    return 0;
}

/* Equal for equal work, whoever does it: then finished shards of an earlier run are of use. */
static void identify(stage *g) {
    const example_settings *x = &g->s.example;
    json *options = build_options(&g->s);
    char *printed = json_print(options, 0);
    char *all = must_format("%d %s %u %u %d %llu %d %d %d %s\n", SHARD_FORMAT_VERSION, vocab_hash(g->v), x->seq_length,
                            x->max_predictions, x->next_sentence, (unsigned long long)x->seed, g->s.words.lowercase, g->s.words.strip_accents,
                            g->s.words.specials, printed);
    sha256 hash;
    sha256_init(&hash);
    sha256_add(&hash, all, strlen(all));
    blocks_digest(&g->blocks, &hash);
    sha256_end_hex(&hash, g->identity);
    json_free(options);
    free(printed);
    free(all);
}

/* As many buckets of rows as bring RUN_BUCKETS of them, for every thread, into a quarter of the budget. */
static int make_buckets(stage *g, error *e) {
    uint64_t tokens = g->blocks.tokens * g->s.duplicates, rows = tokens / (g->s.example.seq_length - 3) + g->blocks.documents * g->s.duplicates;
    uint64_t bytes = tokens * g->blocks.token_bytes * 8 / 5 + rows * 48, fit = g->pool / (4 * RUN_BUCKETS * (uint64_t)g->s.threads), n = bytes / (fit + 1) + 1;
    if (n > MOST_BUCKETS)
        return error_set(e, EXIT_USAGE, "--memory: %llu MiB are too few for so much text; give at least %llu", (unsigned long long)(g->s.memory >> 20),
                         (unsigned long long)((fixed_memory(&g->s) + g->pool * n / MOST_BUCKETS) >> 20) + 1);
    g->buckets = n < FEWEST_BUCKETS ? FEWEST_BUCKETS : (size_t)n;
    g->wish_groups = g->blocks.count < GROUP_MOST ? g->blocks.count : GROUP_MOST;
    uint64_t each = g->pool / 8 / (2 * g->buckets);
    size_t size = each < PIECE_LEAST ? PIECE_LEAST : each > PIECE_MOST ? PIECE_MOST : (size_t)each;
    g->wish_store = store_new(g->temp, "wishes", g->rank, &g->budget);
    g->row_store = store_new(g->temp, "rows", g->rank, &g->budget);
    g->chunk_store = store_new(g->temp, "chunks", g->rank, &g->budget);
    g->wishes = spill_new(g->wish_store, g->wish_groups, size);
    g->rows = spill_new(g->row_store, 2 * g->buckets, size);
    g->bucket_rows = must_zalloc(2 * g->buckets, sizeof *g->bucket_rows);
    return 0;
}

static int share(stage *g, spill *s, error *e) {
    if (stage_agree(g, e) || g->size == 1) return e->code;
    spill_publish(s, e);
    if (stage_agree(g, e)) return e->code;
    spill_take_in(s, g->size, e);
    return stage_agree(g, e);
}

static int interrupted(const stage *g, error *e) { return *g->stop && !e->code ? error_set(e, EXIT_MACHINE, "interrupted") : e->code; }

/* Blocks to rows in buckets. */
static int make_rows(stage *g, error *e) {
    build_summary *b = g->sum;
    check_documents(g, e);
    if (stage_agree(g, e)) return e->code;
    identify(g);
    make_buckets(g, e);
    if (stage_agree(g, e)) return e->code;
    stage_pair(g, e);
    interrupted(g, e);
    if (share(g, g->wishes, e)) return e->code;
    stage_find(g, e);
    interrupted(g, e);
    if (share(g, g->rows, e)) return e->code;
    stage_sum(g, g->bucket_rows, 2 * g->buckets);
    for (size_t i = 0; i < 2 * g->buckets; i++) g->split_rows[i / g->buckets] += g->bucket_rows[i];
    add_numbers(g, (uint64_t *[]){ &b->random_next, &b->used, &b->filled, &b->test_documents }, 4);
    b->rows = g->split_rows[SHARD_TRAINING];
    b->test_rows = g->split_rows[SHARD_TEST];
    if (!b->rows) error_set(e, EXIT_USAGE, "the text gives no rows; its documents are too short for --sentence-order");
    return stage_agree(g, e);
}

static void release_text(stage *g) {
    spill_free(g->wishes);
    spill_free(g->hashes);
    blocks_free(&g->blocks);
    store_free(g->wish_store);
    store_free(g->hash_store);
    store_free(g->token_store);
    g->wishes = g->hashes = NULL;
    g->wish_store = g->hash_store = g->token_store = NULL;
}

int build_shards(const build_settings *s, const vocab *v, char *const *paths, size_t count, shard_output *out, comm *ranks,
                 const volatile sig_atomic_t *stop, build_summary *sum, error *e) {
    double began = timer_now();
    stage g = { .s = *s, .v = v, .continues = corpus_continuations(v), .ranks = ranks, .rank = ranks ? ranks->rank : 0, .size = ranks ? ranks->size : 1,
                .temp = out->temp, .folder = out->work, .stop = stop, .sum = sum };
    *sum = (build_summary){0};
    g.pool = (s->memory - fixed_memory(s)) / 4 * 3;               /* the rest: what malloc() loses between the pieces */
    memory_budget_init(&g.budget, g.size > 1 ? 0 : g.pool);        /* ranks pass everything on through files */
    g.live = live_line_new(s->quiet || g.rank);
    g.token_store = store_new(g.temp, "tokens", g.rank, &g.budget);
    if (s->deduplicate) {
        g.hash_store = store_new(g.temp, "hashes", g.rank, &g.budget);
        g.hashes = spill_new(g.hash_store, BLOCKS_HASHES, PIECE_MOST);
    }
    blocks_init(&g.blocks, g.token_store, g.hashes, vocab_size(v));
    char **text = shard_spool(&g, paths, count, e);
    if (!e->code) stage_read(&g, text, count, e);
    interrupted(&g, e);
    if (!stage_agree(&g, e) && !exchange_blocks(&g, e)) make_rows(&g, e);
    size_t token_bytes = g.blocks.token_bytes;
    release_text(&g);
    g.blocks.token_bytes = token_bytes;
    if (!e->code) stage_write(&g, e);
    spill_free(g.rows);
    store_free(g.row_store);
    store_free(g.chunk_store);
    shard_spool_free(text, count);
    live_line_free(g.live);
    free(g.bucket_rows);
    free(g.continues);
    sum->seconds = timer_now() - began;
    return e->code;
}
