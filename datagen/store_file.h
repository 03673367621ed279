/* datagen/store_file.h - inside of a store, for store.c and spill.c. */
#ifndef DATAGEN_STORE_FILE_H
#define DATAGEN_STORE_FILE_H
#include <pthread.h>
#include "datagen/store.h"

struct store {
    char *folder, *name;
    uint32_t rank;               /* whose file is written */
    memory_budget *budget;
    _Atomic uint64_t end;        /* of this rank's file */
    pthread_mutex_t mutex;       /* of fd */
    int *fd;                     /* by rank; -1: not open */
    uint32_t files;
};

char *store_path(const store *s, uint32_t rank, const char *ending);   /* caller frees */
#endif
