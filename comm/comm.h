/* comm/comm.h - the only MPI code: start, agreement, abort, small exchanges. (The gradient sum: comm/exchange.h.)
 *
 * Promise: either every rank goes on, or every rank ends with the same documented exit code and one line was printed.
 *
 *     comm *c = comm_start(&argc, &argv);
 *     error e = {0};
 *     (void)load_config(..., &e);
 *     int code = comm_agree(c, &e);                 collective vote; the lowest failing rank printed its line
 *     if (code) return comm_finish(c, code); */
#ifndef COMM_COMM_H
#define COMM_COMM_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/fail.h"   /* error */

typedef struct comm {
    int rank, size;              /* of all ranks, node after node: nodes by their lowest rank in the world, ranks of a node in the world's order */
    int node_rank, node_size;    /* ranks that share this host's memory */
    int nodes;
    bool serialized;             /* any one thread at a time may call MPI, not only the main one */
    char host[256];
    size_t chunk_bytes;          /* most bytes of one MPI broadcast: MPI 3 counts in int. Same on all ranks; tests make it small */
    double *scratch;             /* of comm_tree_sum_f64(), grown at need, so that a step allocates nothing */
    size_t scratch_count;
} comm;

/* Collective. MPI_Init_thread(SERIALIZED; less is accepted), names the place of error lines when size > 1, sets fail()'s hook
 * to MPI_Abort. Without a launcher: one rank, still through MPI (singleton); fail() then just exits, its line stands alone. */
comm *comm_start(int *argc, char ***argv);

/* True when a launcher's environment variables are present (Open MPI, MPICH/Hydra, PMIx, Slurm step with PMI): decides, before any MPI
 * call, whether a program that also runs alone should start MPI. */
bool comm_launched(void);

/* Collective. 0 when no rank has an error; else the lowest failing rank prints its e, and every rank gets its code. */
int comm_agree(comm *c, const error *e);

/* Collective. All ranks must hold equal text (below 4 KiB). Else *e on the lowest odd rank, against the value that most ranks hold (rank
 * 0's when even): "what differs: rank R (host) has X, rank 0 has Y"; of a text of lines, the first differing line. EXIT_USAGE.
 * An error that is in *e already stays. Follow with comm_agree(). */
void comm_check_equal(comm *c, const char *what, const char *value, error *e);

/* Collective. */
void comm_barrier(comm *c);
void comm_broadcast(comm *c, void *data, size_t bytes, int root);               /* any size */
void comm_sum_i64(comm *c, int64_t *values, int count);                         /* exact, in place */
void comm_max_i64(comm *c, int64_t *values, int count);
void comm_min_i64(comm *c, int64_t *values, int count);
void comm_gather_f64(comm *c, const double *mine, int count, double *all);      /* all: (size, count), on every rank */
void comm_gather_u64(comm *c, const uint64_t *mine, int count, uint64_t *all);

/* Collective. values[count] of each rank are partial sums over its own leaves; every rank gets T(size) over ranks in rank order
 * (DESIGN section 6: T(n) = T(p) + T(n-p), p the largest power of two below n). Same bits on every rank. */
void comm_tree_sum_f64(comm *c, double *values, int count);

/* Collective. Everything on disk must be there before: a last barrier, MPI_Finalize, frees c, returns code. */
int comm_finish(comm *c, int code);
#endif
