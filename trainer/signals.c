/* trainer/signals.c - see signals.h. */
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "trainer/signals.h"

static volatile sig_atomic_t asked, interrupts;

static void note(int number) {
    if (number == SIGINT && interrupts++ > 0) _exit(128 + SIGINT);
    asked = 1;
}

void signals_start(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = note;
    action.sa_flags = SA_RESTART;
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGXFSZ, SIG_IGN);       /* a file-size limit is then an error of the write, which a checkpoint survives */
    signal(SIGPIPE, SIG_IGN);       /* so is a reader of our progress that went away */
}

bool signals_stop_asked(void) { return asked != 0; }
