/* trainer/pace.h - notices a rank that holds up all others for long.
 *
 * A step ends for all ranks together; what differs is how much of it a rank computed and how much it waited for the others. */
#ifndef TRAINER_PACE_H
#define TRAINER_PACE_H
#include <stdbool.h>
#include <stdint.h>

enum { PACE_INTERVALS = 3, PACE_SECONDS = 60, PACE_QUIET_SECONDS = 1800 };
#define PACE_RATIO 1.15          /* slow: computes so much longer than the median rank */

typedef struct pace {
    double wait, busy;           /* seconds of this rank since the last judgement */
    int64_t steps;
    int slowest, intervals;      /* the rank that was slow in the last judgements, and in how many in a row */
    double since, said;          /* time of the first of them; of the last warning, 0: none */
} pace;

void pace_add(pace *p, double step_seconds, double wait_seconds);

/* busy[ranks]: seconds that each rank computed since the last judgement. The rank that has been slow in the last PACE_INTERVALS judgements
 * and for PACE_SECONDS, *ratio = how much slower than the median; -1 when there is none, or it was said less than PACE_QUIET_SECONDS ago.
 * sorted[ranks] is scratch. now: any clock in seconds, above 0. */
int pace_judge(pace *p, const double *busy, double *sorted, int ranks, double now, double *ratio);
#endif
