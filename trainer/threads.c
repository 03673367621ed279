/* trainer/threads.c - see threads.h. */
#define _GNU_SOURCE              /* sched_getaffinity */
#include <omp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "trainer/threads.h"

enum { ROW_WORDS = CPU_WORDS + 1, ROW_HOST = CPU_WORDS };

static bool has(const uint64_t present[CPU_WORDS], int cpu) { return present[cpu / 64] >> (cpu % 64) & 1; }

static void read_affinity(pid_t process, uint64_t present[CPU_WORDS]) {
    cpu_set_t set;
    memset(present, 0, CPU_WORDS * sizeof *present);
    if (sched_getaffinity(process, sizeof set, &set) != 0) return;
    for (size_t cpu = 0; cpu < 64 * CPU_WORDS; cpu++) if (CPU_ISSET(cpu, &set)) present[cpu / 64] |= 1ull << (cpu % 64);
}

/* The lowest hardware thread of this one's core that is present: "0,4" or "0-1" in thread_siblings_list. */
static int first_sibling(const uint64_t present[CPU_WORDS], int cpu) {
    char path[96], line[256];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    FILE *in = fopen(path, "r");
    if (!in) return cpu;
    bool read = fgets(line, sizeof line, in) != NULL;
    fclose(in);
    for (char *at = line; read && *at;) {
        long low = strtol(at, &at, 10), high = low;
        if (*at == '-') high = strtol(at + 1, &at, 10);
        for (long i = low; i <= high && i >= 0 && i < cpu; i++) if (has(present, (int)i)) return (int)i;
        if (*at != ',') break;
        at++;
    }
    return cpu;
}

int threads_count_cores(const uint64_t present[CPU_WORDS]) {
    int cores = 0;
    for (int cpu = 0; cpu < 64 * CPU_WORDS; cpu++) cores += has(present, cpu) && first_sibling(present, cpu) == cpu;
    return cores;
}

/* Cores that ranks on this host may run on, together. Under Open MPI a rank is bound to its part, but its daemon, the parent, keeps all that
 * the job was given. */
static int cores_of_node(const uint64_t *all, int ranks, uint64_t host) {
    uint64_t present[CPU_WORDS] = {0};
    if (getenv("OMPI_COMM_WORLD_SIZE")) read_affinity(getppid(), present);
    for (int r = 0; r < ranks; r++)
        for (int w = 0; all[r * ROW_WORDS + ROW_HOST] == host && w < CPU_WORDS; w++) present[w] |= all[r * ROW_WORDS + w];
    return threads_count_cores(present);
}

static uint64_t hash_text(const char *s) {       /* FNV-1a */
    uint64_t h = 0xcbf29ce484222325ull;
    for (; *s; s++) h = (h ^ (unsigned char)*s) * 0x100000001b3ull;
    return h;
}

int threads_start(comm *c, int64_t wanted, bool *spare) {
    uint64_t mine[ROW_WORDS], *all = must_alloc((size_t)c->size * ROW_WORDS, sizeof *all);
    read_affinity(0, mine);
    mine[ROW_HOST] = hash_text(c->host);
    comm_gather_u64(c, mine, ROW_WORDS, all);
    int node = cores_of_node(all, c->size, mine[ROW_HOST]), bound = threads_count_cores(mine);
    free(all);
    int threads = wanted > 0 ? (int)wanted : node / c->node_size;
    if (threads < 1) threads = 1;
    *spare = bound > threads && node >= c->node_size * (threads + 1);
    omp_set_dynamic(0);
    omp_set_num_threads(threads);
    /* Fewer cores than the node could give this rank: more threads than the node has cores are the user's own choice. */
    int64_t lacking[2] = { bound > 0 && bound < threads && bound < node ? threads - bound : 0, threads };
    comm_max_i64(c, lacking, 2);
    if (c->rank == 0 && lacking[0] > 0)
        warn("ranks are bound to fewer cores (%lld) than they have threads (%lld); start with mpirun --map-by slot:PE=%lld --bind-to core, or "
             "--bind-to none", (long long)(lacking[1] - lacking[0]), (long long)lacking[1], (long long)lacking[1]);
    return threads;
}
