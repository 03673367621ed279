/* trainer/memory.h - how much memory this rank takes from its node. */
#ifndef TRAINER_MEMORY_H
#define TRAINER_MEMORY_H
#include <stdint.h>

/* Not collective. Most bytes that were resident at one time, less what is counted for several processes: a page in a shared window that n ranks
 * read counts as 1/n of a page for each, so that the ranks of a node sum up to what they take. Linux; elsewhere pages count in full. Walks
 * the page table (about 10 ms for each GiB): for logged steps. */
int64_t memory_peak_bytes(void);
#endif
