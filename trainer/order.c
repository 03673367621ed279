/* trainer/order.c - the order of rows as arithmetic. See loader.h; drawn in docs/data-order.md.
 *
 *     rows   0 .................................................. N-1 | 0 ..      the last block is completed from row 0
 *     blocks |   0   |   1   |   2   | ... |  NB-1  |                             K * micro-batch consecutive rows each
 *     one block, its rows sorted by length, dealt to K parts:   part 0: 1st  2K-th  2K+1-st ...   part K-1: K-th  K+1-st ...
 *
 * Consecutive rows make one read of a few chunks; the snake gives every part nearly equal tokens, so no rank waits for another. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include "base/rng.h"         /* rng_open */
#include "trainer/loader.h"

int order_make(order *o, uint64_t rows, const uint16_t *lengths, uint32_t seq_length, int64_t global_batch, int64_t micro_batch,
               uint64_t seed, error *e) {
    assert(global_batch >= 1 && micro_batch >= 1 && seq_length >= 1);
    if (global_batch % micro_batch != 0) {
        int64_t below = global_batch / micro_batch * micro_batch;
        if (below == 0)
            return error_set(e, EXIT_USAGE, "global-batch: %lld is not a multiple of micro-batch %lld; %lld would do, or micro-batch %lld",
                             (long long)global_batch, (long long)micro_batch, (long long)micro_batch, (long long)global_batch);
        return error_set(e, EXIT_USAGE, "global-batch: %lld is not a multiple of micro-batch %lld; %lld or %lld would do",
                         (long long)global_batch, (long long)micro_batch, (long long)below, (long long)(below + micro_batch));
    }
    if (rows < (uint64_t)global_batch)
        return error_set(e, EXIT_USAGE, "data: %llu training examples are fewer than global-batch %lld; make more, or lower global-batch",
                         (unsigned long long)rows, (long long)global_batch);
    uint64_t most = rows / (uint64_t)global_batch;                               /* keeps NB >= M: a batch never spans three epochs */
    uint64_t parts = (uint64_t)((512 + micro_batch) / (2 * micro_batch));        /* round(256 / micro_batch) */
    if (parts > most) parts = most;
    if (parts < 1) parts = 1;
    uint64_t block = parts * (uint64_t)micro_batch;
    *o = (order){ .rows = rows, .global_batch = global_batch, .micro_batch = micro_batch, .leaves = global_batch / micro_batch,
                  .parts = (int64_t)parts, .blocks = (rows + block - 1) / block, .seq_length = seq_length, .seed = seed, .lengths = lengths };
    return 0;
}

int order_init(order *o, const shard_folder *f, int64_t global_batch, int64_t micro_batch, uint64_t seed, error *e) {
    const shard_info *info = shard_folder_info(f);
    return order_make(o, info->rows[SHARD_TRAINING], shard_lengths(f, SHARD_TRAINING), info->seq_length, global_batch, micro_batch, seed, e);
}

int64_t order_steps(const order *o, double epochs) {
    return (int64_t)ceil(epochs * (double)o->blocks * (double)o->parts / (double)o->leaves);
}

/* Fisher-Yates with a draw of its own for every swap. */
void order_permutation(const order *o, uint64_t epoch, uint64_t *permutation) {
    for (uint64_t i = 0; i < o->blocks; i++) permutation[i] = i;
    for (uint64_t i = o->blocks - 1; i >= 1; i--) {
        uint64_t j = rng_u64(rng_open(o->seed, RNG_ORDER, epoch, i, 0), 0) % (i + 1);
        uint64_t swap = permutation[i];
        permutation[i] = permutation[j];
        permutation[j] = swap;
    }
}

static int compare_cards(const void *left, const void *right) {
    const order_card *a = left, *b = right;
    if (a->bucket != b->bucket) return a->bucket < b->bucket ? -1 : 1;
    if (a->tie != b->tie) return a->tie < b->tie ? -1 : 1;
    return (a->row > b->row) - (a->row < b->row);
}

void order_deal(const order *o, uint64_t epoch, uint64_t block, uint64_t *rows, order_card *cards) {
    uint64_t parts = (uint64_t)o->parts, each = (uint64_t)o->micro_batch, count = parts * each;
    uint64_t step_of_length = o->seq_length / 16 > 1 ? o->seq_length / 16 : 1;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t row = (block * count + i) % o->rows;
        cards[i] = (order_card){ .bucket = o->lengths[row] / step_of_length, .row = row,
                                 .tie = rng_u64(rng_open(o->seed, RNG_TIE, epoch, row, 0), 0) };
    }
    qsort(cards, count, sizeof *cards, compare_cards);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t round = i / parts, place = i % parts;
        uint64_t part = round % 2 == 0 ? place : parts - 1 - place;
        rows[part * each + round] = cards[i].row;
    }
}
