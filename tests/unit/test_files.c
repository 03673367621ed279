/* Files and folders: whole or not there, and refusals that name the path. */
#define _XOPEN_SOURCE 700   /* mkdtemp, symlink */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/files.h"
#include "tests/check.h"

static char *folder;

static char *in(const char *name) { return files_join(folder, name); }

static void expect_content(const char *path, const char *want) {
    char *data;
    size_t bytes;
    error e = {0};
    if (files_read(path, 1 << 20, &data, &bytes, &e)) fail_msg("%s", e.text);
    assert_int_equal(bytes, strlen(want));
    assert_string_equal(data, want);              /* NUL-terminated, too */
    free(data);
}

static size_t names_in(const char *path) {
    char **names;
    size_t count;
    error e = {0};
    assert_int_equal(files_list(path, &names, &count, &e), 0);
    files_free_list(names, count);
    return count;
}

static void read_and_limits(void **state) {
    (void)state;
    char *path = in("read.txt"), *data, *fifo = in("fifo");
    size_t bytes;
    error e = {0};
    assert_int_equal(files_write_synced(path, "12345", 5, &e), 0);
    expect_content(path, "12345");
    assert_int_equal(files_read(path, 5, &data, &bytes, &e), 0);
    free(data);
    assert_int_equal(files_read(path, 4, &data, &bytes, &e), EXIT_USAGE);
    assert_null(data);
    assert_non_null(strstr(e.text, path));
    assert_int_equal(files_read("/nowhere/x", 5, &data, &bytes, &e), EXIT_USAGE);
    assert_string_equal(e.text, "/nowhere/x: cannot be opened: No such file or directory");
    assert_int_equal(files_read(folder, 5, &data, &bytes, &e), EXIT_USAGE);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(files_read(fifo, 5, &data, &bytes, &e), EXIT_USAGE);   /* and does not wait for a writer */
    assert_int_equal(files_read("/proc/self/status", 1 << 20, &data, &bytes, &e), 0);   /* a size of 0 that is none */
    assert_true(bytes > 100 && bytes == strlen(data));
    free(data);
    assert_int_equal(files_read("/proc/self/status", 10, &data, &bytes, &e), EXIT_USAGE);
    unlink(fifo), unlink(path), free(fifo), free(path);
}

static void atomic_write(void **state) {
    (void)state;
    char *path = in("a.txt"), *link = in("link"), *dangling = in("dangling");
    error e = {0};
    size_t before = names_in(folder);
    assert_int_equal(files_write_atomic(path, "one", 3, &e), 0);
    expect_content(path, "one");
    assert_int_equal(files_write_atomic(path, "", 0, &e), 0);
    expect_content(path, "");
    assert_int_equal(symlink("a.txt", link), 0);
    assert_int_equal(files_write_atomic(link, "two", 3, &e), 0);
    expect_content(path, "two");
    struct stat st;
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(symlink("nothing", dangling), 0);
    assert_int_equal(files_write_atomic(dangling, "x", 1, &e), EXIT_MACHINE);
    unlink(dangling), unlink(link);
    assert_int_equal(names_in(folder), before + 1);   /* no temporary is left */
    unlink(path), free(path), free(link), free(dangling);
    assert_int_equal(chdir(folder), 0);               /* a bare name */
    assert_int_equal(files_write_atomic("bare", "x", 1, &e), 0);
    expect_content("bare", "x");
    unlink("bare");
    assert_int_equal(chdir("/"), 0);
}

/* What is no regular file is written straight, never renamed over. A FIFO of our own stands for all devices: were the code wrong
 * and the test run by root, /dev/full itself would be replaced. */
static void device_is_written_straight(void **state) {
    (void)state;
    error e = {0};
    char *path = in("pipe"), got[3] = "";
    assert_int_equal(mkfifo(path, 0600), 0);
    int fd = open(path, O_RDWR | O_NONBLOCK);
    assert_true(fd >= 0);
    size_t before = names_in(folder);
    assert_int_equal(files_write_atomic(path, "ab", 2, &e), 0);
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISFIFO(st.st_mode));
    assert_int_equal(read(fd, got, 3), 2);
    assert_memory_equal(got, "ab", 2);
    assert_int_equal(names_in(folder), before);
    close(fd), unlink(path), free(path);
}

/* A disk without room: /dev/full, and for the atomic write a limit on file size. The old file stays as it was. */
static void no_room_leaves_the_old_file(void **state) {
    (void)state;
    error e = {0};
    assert_int_equal(files_write_synced("/dev/full", "x", 1, &e), EXIT_MACHINE);   /* has no rename in it */
    assert_string_equal(e.text, "/dev/full: cannot be written: No space left on device");
    char *path = in("old.txt");
    assert_int_equal(files_write_atomic(path, "old", 3, &e), 0);
    size_t before = names_in(folder);
    char *command = must_format("trap '' XFSZ; ulimit -f 1; exec /proc/%ld/exe write-big '%s'", (long)getpid(), path);
    int status = system(command);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EXIT_MACHINE);
    expect_content(path, "old");
    assert_int_equal(names_in(folder), before);
    unlink(path), free(command), free(path);
}

/* Root may write anywhere, so the unwritable folder is one of /proc. */
static void unwritable_folder(void **state) {
    (void)state;
    error e = {0};
    assert_int_equal(files_write_atomic("/proc/self/x", "x", 1, &e), EXIT_MACHINE);
    assert_memory_equal(e.text, "/proc/self/x: cannot be made: ", 30);
    assert_int_equal(files_write_synced("/proc/self/x", "x", 1, &e), EXIT_MACHINE);
    assert_int_equal(files_write_atomic("/nowhere/x", "x", 1, &e), EXIT_MACHINE);
    assert_int_equal(files_write_atomic(folder, "x", 1, &e), EXIT_MACHINE);
    assert_int_equal(files_make_folders("/proc/self/new/one", &e), EXIT_USAGE);
    assert_non_null(strstr(e.text, "/proc/self/new"));
    assert_int_equal(files_sync("/nowhere", &e), EXIT_MACHINE);
}

static void folders(void **state) {
    (void)state;
    error e = {0};
    char *deep = in("x/y//z/"), *top = in("x"), *file = in("x/y/file"), *through = in("x/y/file/z"), *outside = in("outside"), *link = in("x/y/link");
    assert_int_equal(files_make_folders(deep, &e), 0);
    assert_int_equal(files_make_folders(deep, &e), 0);
    assert_true(files_is_folder(deep));
    assert_int_equal(files_write_synced(file, "1", 1, &e), 0);
    assert_false(files_is_folder(file));
    assert_true(files_exists(file));
    assert_int_equal(files_make_folders(file, &e), EXIT_USAGE);
    assert_int_equal(files_make_folders(through, &e), EXIT_USAGE);
    assert_int_equal(files_sync(deep, &e), 0);
    assert_int_equal(files_make_folders(outside, &e), 0);
    assert_int_equal(symlink(outside, link), 0);
    assert_int_equal(files_remove_tree(top, &e), 0);
    assert_false(files_exists(top));
    assert_true(files_is_folder(outside));        /* the link went, not what it names */
    assert_int_equal(files_remove_tree(top, &e), 0);
    assert_int_equal(files_remove_tree(outside, &e), 0);
    assert_int_equal(files_remove_tree("/proc/self/status", &e), EXIT_MACHINE);
    free(deep), free(top), free(file), free(through), free(outside), free(link);
}

static void listing(void **state) {
    (void)state;
    static const char *const names[] = {"b", "a10", "a2", "B", ".hidden", "\xc3\xa9"}, *const sorted[] = {".hidden", "B", "a10", "a2", "b", "\xc3\xa9"};
    error e = {0};
    char *path = in("list"), **got;
    size_t count;
    assert_int_equal(files_make_folders(path, &e), 0);
    for (int i = 0; i < 6; i++) {
        char *file = files_join(path, names[i]);
        assert_int_equal(files_write_synced(file, "", 0, &e), 0);
        free(file);
    }
    assert_int_equal(files_list(path, &got, &count, &e), 0);
    assert_int_equal(count, 6);
    for (int i = 0; i < 6; i++) assert_string_equal(got[i], sorted[i]);
    files_free_list(got, count);
    assert_int_equal(files_list("/nowhere", &got, &count, &e), EXIT_USAGE);
    assert_int_equal(files_remove_tree(path, &e), 0);
    free(path);
    char *joined = files_join("a/", "b");
    assert_string_equal(joined, "a/b");
    free(joined);
    joined = files_join("", "b");
    assert_string_equal(joined, "b");
    free(joined);
}

int main(int argc, char **argv) {
    error e = {0};
    if (argc == 3) {                              /* the child of no_room_leaves_the_old_file() */
        static char big[100000];
        return files_write_atomic(argv[2], big, sizeof big, &e);
    }
    const char *base = getenv("TMPDIR");
    folder = must_format("%s/test_files.XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(folder)) return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(read_and_limits), cmocka_unit_test(atomic_write), cmocka_unit_test(device_is_written_straight),
                                       cmocka_unit_test(no_room_leaves_the_old_file),
                                       cmocka_unit_test(unwritable_folder), cmocka_unit_test(folders), cmocka_unit_test(listing)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    files_remove_tree(folder, &e);
    free(folder);
    return failed;
}
