/* trainer/pretrain_main.c - bert-pretrain: shards in, a checkpoint that Hugging Face loads out. */
#include <stdio.h>
#include "trainer/start.h"   /* start, train */

/* The result, for scripts: where the newest checkpoint is. */
static void print_result(const trainer *t) {
    if (t->comm->rank == 0 && t->checkpoint_name[0]) printf("%s/%s\n", t->settings.output, t->checkpoint_name);
    fflush(stdout);
}

int main(int argc, char **argv) {
    static trainer t;
    bool done = false;
    fail_init("bert-pretrain");
    comm *c = comm_start(&argc, &argv);
    if (c->rank != 0 && !freopen("/dev/null", "w", stdout)) fail(EXIT_MACHINE, "/dev/null: cannot be opened");   /* rank 0 speaks for all */
    int code = start(&t, c, argc, argv, &done);
    if (!code && !done) code = train(&t);
    if (code == EXIT_DONE || code == EXIT_STOPPED) print_result(&t);
    trainer_free(&t);
    return comm_finish(c, code);
}
