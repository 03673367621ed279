/* trainer/pace.c - see pace.h. */
#include "trainer/pace.h"
#include <stdlib.h>
#include <string.h>

void pace_add(pace *p, double step_seconds, double wait_seconds) {
    p->wait += wait_seconds;
    p->busy += step_seconds - wait_seconds;
    p->steps++;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int pace_judge(pace *p, const double *busy, double *sorted, int ranks, double now, double *ratio) {
    int slowest = 0;
    for (int r = 1; r < ranks; r++) if (busy[r] > busy[slowest]) slowest = r;
    memcpy(sorted, busy, (size_t)ranks * sizeof *sorted);
    qsort(sorted, (size_t)ranks, sizeof *sorted, by_size);
    double median = sorted[(ranks - 1) / 2];         /* of two ranks: the faster */
    bool slow = busy[slowest] > PACE_RATIO * median;
    if (!slow || p->intervals == 0 || p->slowest != slowest) {
        p->intervals = 0;
        p->since = now;
    }
    if (!slow) return -1;
    p->slowest = slowest;
    p->intervals++;
    bool long_enough = p->intervals >= PACE_INTERVALS && now - p->since >= PACE_SECONDS;
    if (!long_enough || (p->said > 0 && now - p->said < PACE_QUIET_SECONDS)) return -1;
    p->said = now;
    *ratio = median > 0 ? busy[slowest] / median : 0;
    return slowest;
}
