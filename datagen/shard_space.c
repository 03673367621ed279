/* datagen/shard_space.c - room on disk, looked for before the work begins: shares of the text's bytes as English and Korean books show them. */
#include <sys/stat.h>
#include <sys/statvfs.h>
#include "datagen/shard_stage.h"

static uint64_t free_bytes(const char *folder) {
    struct statvfs s;
    return statvfs(folder, &s) ? UINT64_MAX : (uint64_t)s.f_bavail * (uint64_t)s.f_frsize;
}

static bool same_disk(const char *a, const char *b) {
    struct stat x, y;
    return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev;
}

static int short_of(const char *folder, uint64_t is_free, uint64_t needed, const char *what, const char *option, error *e) {
    return error_set(e, EXIT_USAGE, "%s: %.2f GB are free, but %s will take about %.2f GB; make room, or give another %s", folder, (double)is_free / 1e9, what,
                     (double)needed / 1e9, option);
}

int stage_check_space(const stage *g, uint64_t text_bytes, error *e) {
    double width = (double)g->blocks.token_bytes / 2, copies = (double)g->s.duplicates, bytes = (double)text_bytes;
    double held = bytes * (0.55 + copies * 1.2) * width + bytes * copies;              /* blocks and rows; packed chunks before they are placed */
    double spare = g->size > 1 ? 0 : (double)g->pool;
    uint64_t temp = held > spare ? (uint64_t)(held - spare) : 0, shards = (uint64_t)(bytes * copies * 0.75);
    bool one = same_disk(g->temp, g->folder);
    uint64_t in_temp = free_bytes(g->temp), in_folder = free_bytes(g->folder), there = shards + (one ? temp : 0);
    if (in_folder < there) return short_of(g->folder, in_folder, there, one && temp ? "the shards and temporary files" : "the shards", "--output", e);
    return !one && in_temp < temp ? short_of(g->temp, in_temp, temp, "temporary files", "--temp", e) : 0;
}
