/* base/timer.c - monotonic seconds. */
#include "base/timer.h"
#include <stdio.h>
#include <time.h>

double timer_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void timer_format(char *out, unsigned long size, double seconds) {
    if (!(seconds > 0)) seconds = 0;              /* NaN too */
    if (seconds > 1e15) seconds = 1e15;
    long long s = (long long)(seconds + 0.5), m = (long long)(seconds / 60 + 0.5);
    if (seconds < 59.95) snprintf(out, size, "%.1fs", seconds);
    else if (s < 3600) snprintf(out, size, "%lldm%02llds", s / 60, s % 60);
    else snprintf(out, size, "%lldh%02lldm", m / 60, m % 60);
}
