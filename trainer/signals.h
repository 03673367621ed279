/* trainer/signals.h - a polite request to stop: SIGUSR1, SIGTERM or SIGINT to any rank.
 *
 * The handler only notes it; train.c adds the note into the sum that every step makes, so all ranks stop after the same step. */
#ifndef TRAINER_SIGNALS_H
#define TRAINER_SIGNALS_H
#include <stdbool.h>

void signals_start(void);           /* a second SIGINT ends the program at once */
bool signals_stop_asked(void);
#endif
