/* trainer/memory.c - see memory.h. */
#include "trainer/memory.h"
#include <stdio.h>
#include <sys/resource.h>

/* Bytes that the kernel counts for this process and that belong to others: resident less proportional set size. */
static int64_t counted_twice(void) {
    long long resident = -1, proportional = -1;
    char line[256];
    FILE *in = fopen("/proc/self/smaps_rollup", "r");
    if (!in) return 0;
    while (fgets(line, sizeof line, in)) {
        (void)sscanf(line, "Rss: %lld kB", &resident);
        (void)sscanf(line, "Pss: %lld kB", &proportional);
    }
    fclose(in);
    return resident >= proportional && proportional >= 0 ? (int64_t)(resident - proportional) * 1024 : 0;
}

int64_t memory_peak_bytes(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (int64_t)usage.ru_maxrss * 1024 - counted_twice();
}
