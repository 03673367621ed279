/* tests/fuzz/files.c - files for parsers that read paths; see fuzz.h. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "base/files.h"
#include "tests/fuzz/fuzz.h"

static char folder[512];

static void remove_folder(void) {
    error e = {0};
    files_remove_tree(folder, &e);
}

const char *fuzz_folder(void) {
    if (*folder) return folder;
    const char *where = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/fuzz.XXXXXX", where && *where ? where : "/tmp");
    if (!mkdtemp(folder)) fail(EXIT_MACHINE, "%s: cannot be made", folder);
    atexit(remove_folder);
    return folder;
}

const char *fuzz_file(const char *name, const void *data, size_t size) {
    static struct { char path[600]; int fd; } known[8];
    size_t i = 0;
    while (i < 8 && known[i].path[0] && strcmp(strrchr(known[i].path, '/') + 1, name)) i++;
    FUZZ_CHECK(i < 8);
    if (!known[i].path[0]) {
        snprintf(known[i].path, sizeof known[i].path, "%s/%s", fuzz_folder(), name);
        known[i].fd = open(known[i].path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    }
    FUZZ_CHECK(known[i].fd >= 0 && !ftruncate(known[i].fd, 0) && pwrite(known[i].fd, data, size, 0) == (ssize_t)size);
    return known[i].path;
}
