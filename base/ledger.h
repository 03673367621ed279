/* base/ledger.h - which kind of work takes the time of a step; off unless BERT_LEDGER names a file.
 *
 * Promise: at any instant one part is open, so that the parts of a step add up to it. Only the thread that began the ledger is asked; work
 * of its team inside a parallel region belongs to the part that is open then. Off, a call is one test of a variable.
 *
 *     int before = ledger_enter(LEDGER_ATTENTION);
 *     ...
 *     ledger_leave(before);
 *     ledger_line("{\"step\": 3, ", ...);       one JSON object a step: what the caller has to say, then the seconds of every part
 */
#ifndef BASE_LEDGER_H
#define BASE_LEDGER_H
#include <stdbool.h>

enum ledger_part {
    LEDGER_OTHER,
    LEDGER_GEMM,         /* with what is fused there: bias, GELU, dropout, residual, LayerNorm */
    LEDGER_ATTENTION,
    LEDGER_ELEMENTS,     /* all else of forward and backward */
    LEDGER_HEAD,         /* all of both heads and the losses: what it calls counts here too */
    LEDGER_OPTIMIZER,
    LEDGER_EXCHANGE,     /* gradient sums on this rank, messages, waiting for others */
    LEDGER_DATA,
    LEDGER_PARTS
};

extern bool ledger_on;

void ledger_begin(const char *path);     /* BERT_LEDGER; fail()s when it cannot be written. Rank 0, before the first step */
void ledger_end(void);

int ledger_switch(int part);             /* opens `part`, returns the one before; inside LEDGER_HEAD nothing else opens */
void ledger_back(int before);

static inline int ledger_enter(int part) { return ledger_on ? ledger_switch(part) : LEDGER_OTHER; }
static inline void ledger_leave(int before) {
    if (ledger_on) ledger_back(before);
}

void ledger_reset(void);                 /* a step begins */
/* A step ends: writes { FIELDS, "seconds": since ledger_reset(), "gemm": ..., ... }. fields: JSON members without braces. */
void ledger_line(const char *fields);
#endif
