/* base/timer.h - monotonic seconds. The wall clock may jump; rates, intervals and durations never use it. */
#ifndef BASE_TIMER_H
#define BASE_TIMER_H
double timer_now(void);                                   /* seconds since an arbitrary start, monotonic */
void timer_format(char *out, unsigned long size, double seconds);   /* "3h50m", "4m05s", "12.3s" */
#endif
