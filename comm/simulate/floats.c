/* comm/simulate/floats.c - comm/floats.h for the simulation: nothing is computed, time passes instead.
 *
 * Memory is asked for and never touched, so that 1,024 ranks of 440 MB fit one machine. Every operation takes the bytes that it would read
 * and write, divided by simulate_bytes_per_second: the share of one rank when all ranks of its node move memory at once. */
#include "comm/floats.h"
#include <smpi/smpi.h>
#include <sys/mman.h>
#include "base/fail.h"

double simulate_bytes_per_second;
static const double SHORTEST = 10e-6;

/* A sleep and not smpi_execute(): SimGrid 3.32 keeps a list of all messages that MPI_Testall() saw arrive, and walks it at each computation. */
void simulate_pass(double seconds) {
    struct timespec t = {.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
    if (seconds > 0) smpi_nanosleep(&t, NULL);
}

int simulate_wait(void) {
    simulate_pass(SIMULATE_WAIT);
    return 0;
}

/* Short ones, rows of the word matrix, are put together: an event of the simulator costs more than they do. */
static void pass(size_t bytes) {
    static double owed;                                        /* by this rank: smpirun gives each its own variables */
    if (simulate_bytes_per_second <= 0) return;
    owed += (double)bytes / simulate_bytes_per_second;
    if (owed < SHORTEST) return;
    simulate_pass(owed);
    owed = 0;
}

float *floats_new(size_t count) {
    size_t bytes = (count ? count : 1) * sizeof(float);
    void *a = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (a == MAP_FAILED) fail(EXIT_MACHINE, "memory: %zu bytes of addresses are not there", bytes);
    return a;
}

void floats_tree_pairs(add_pair *pairs, int n, int home) {
    for (int i = 0; i < n - 1; i++) pairs[i] = (add_pair){home, home};
}

/* A block stays in cache through the chain: each part is read once, one is written. */
void floats_add_pairs(float *const *part, const add_pair *pairs, int pair_count, size_t count) {
    (void)part, (void)pairs;
    pass((size_t)(pair_count + 2) * count * sizeof(float));
}

void floats_sum(float *out, const float *const *part, int n, size_t count) {
    size_t there = 0;
    (void)out;
    for (int i = 0; i < n; i++) there += part[i] != NULL;
    pass((there + 1) * count * sizeof(float));
}

void floats_clear(float *out, size_t count) { (void)out, (void)count; }    /* at start only: no step waits for it */

void floats_copy(float *out, const float *in, size_t count) {
    (void)out, (void)in;
    pass(2 * count * sizeof(float));
}

void floats_to_bf16(uint16_t *out, const float *in, size_t count) {
    (void)out, (void)in;
    pass(6 * count);
}

void floats_from_bf16(float *out, const uint16_t *in, size_t count) {
    (void)out, (void)in;
    pass(6 * count);
}
