/* trainer/threads.h - how many OpenMP threads a rank gets, and a warning when the launcher gave it fewer cores than that. */
#ifndef TRAINER_THREADS_H
#define TRAINER_THREADS_H
#include <stdbool.h>
#include <stdint.h>
#include "comm/comm.h"   /* comm */

/* Collective. wanted 0: cores of this node that the job may use / ranks on the node, at least 1 (hardware threads of one core count once).
 * Sets OpenMP's number; call it after kernels_start(), since OpenBLAS sets OpenMP's number together with its own. Returns it. Rank 0 warns once
 * when some rank is bound to fewer cores than it has threads. *spare: this rank may use one core more than it has threads, as all ranks of the
 * node could. */
int threads_start(comm *c, int64_t wanted, bool *spare);

/* Cores in a list of hardware threads: one of each set of siblings. `present` is one bit per hardware thread. */
enum { CPU_WORDS = 16 };            /* 1,024 hardware threads: what glibc's cpu_set_t holds */
int threads_count_cores(const uint64_t present[CPU_WORDS]);
#endif
