/* trainer/tfevents.c - see tfevents.h. */
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "trainer/tfevents.h"

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };                      /* protobuf wire types */
enum { EVENT_WALL_TIME = 1, EVENT_STEP = 2, EVENT_FILE_VERSION = 3, EVENT_SUMMARY = 5, EVENT_SESSION_LOG = 7 };
enum { SUMMARY_VALUE = 1, VALUE_TAG = 1, VALUE_SIMPLE = 2, SESSION_STATUS = 1, SESSION_START = 1 };
enum { MESSAGE_BYTES = 2048, SCALARS = 16, TAG_BYTES = 64 };

typedef struct message { unsigned char byte[MESSAGE_BYTES]; size_t bytes; } message;

struct tfevents { FILE *file; char *path; };

uint32_t crc32c(const void *data, size_t bytes) {
    const unsigned char *p = data;
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

static uint32_t masked_crc(const void *data, size_t bytes) {
    uint32_t crc = crc32c(data, bytes);
    return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

static void put(message *m, const void *data, size_t bytes) {
    assert(m->bytes + bytes <= sizeof m->byte);
    memcpy(m->byte + m->bytes, data, bytes);
    m->bytes += bytes;
}

static void put_little(message *m, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) {
        unsigned char byte = (unsigned char)(value >> (8 * i));
        put(m, &byte, 1);
    }
}

static void put_varint(message *m, uint64_t value) {
    while (value >= 128) {
        put_little(m, (value & 127) | 128, 1);
        value >>= 7;
    }
    put_little(m, value, 1);
}

static void put_tag(message *m, int field, int wire) { put_varint(m, (uint64_t)(field << 3 | wire)); }

static void put_bytes(message *m, int field, const void *data, size_t bytes) {
    put_tag(m, field, WIRE_BYTES);
    put_varint(m, bytes);
    put(m, data, bytes);
}

static void begin_event(message *m, int64_t step) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);          /* TensorBoard shows it as a date */
    double wall = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    uint64_t bits;
    memcpy(&bits, &wall, sizeof bits);
    m->bytes = 0;
    put_tag(m, EVENT_WALL_TIME, WIRE_64);
    put_little(m, bits, 8);
    put_tag(m, EVENT_STEP, WIRE_VARINT);
    put_varint(m, (uint64_t)step);
}

static int write_record(tfevents *t, const message *m, error *e) {
    message length = {0}, end = {0};
    put_little(&length, m->bytes, 8);
    put_little(&length, masked_crc(length.byte, 8), 4);
    put_little(&end, masked_crc(m->byte, m->bytes), 4);
    bool whole = fwrite(length.byte, length.bytes, 1, t->file) == 1 && fwrite(m->byte, m->bytes, 1, t->file) == 1 &&
                 fwrite(end.byte, end.bytes, 1, t->file) == 1 && fflush(t->file) == 0;
    return whole ? 0 : error_set(e, EXIT_MACHINE, "%s: %s", t->path, strerror(errno));
}

tfevents *tfevents_open(const char *folder, int64_t resumed_step, error *e) {
    char host[256] = "host";
    gethostname(host, sizeof host - 1);
    tfevents *t = must_zalloc(1, sizeof *t);
    t->path = must_format("%s/events.out.tfevents.%lld.%s.%ld", folder, (long long)time(NULL), host, (long)getpid());
    t->file = fopen(t->path, "wb");
    if (!t->file) {
        error_set(e, EXIT_MACHINE, "%s: %s", t->path, strerror(errno));
        free(t->path);
        free(t);
        return NULL;
    }
    message m;
    begin_event(&m, 0);
    put_bytes(&m, EVENT_FILE_VERSION, "brain.Event:2", 13);
    int code = write_record(t, &m, e);
    if (!code && resumed_step > 0) {              /* a session that starts at step s voids what earlier files hold from s on */
        message session = {0};
        put_tag(&session, SESSION_STATUS, WIRE_VARINT);
        put_varint(&session, SESSION_START);
        begin_event(&m, resumed_step + 1);
        put_bytes(&m, EVENT_SESSION_LOG, session.byte, session.bytes);
        code = write_record(t, &m, e);
    }
    if (!code) return t;
    tfevents_close(t);
    return NULL;
}

int tfevents_add(tfevents *t, int64_t step, const tfevents_scalar *scalar, int count, error *e) {
    assert(count <= SCALARS);
    message event, summary = {0};
    for (int i = 0; i < count; i++) {
        message value = {0};
        float single = (float)scalar[i].value;
        uint32_t bits;
        memcpy(&bits, &single, sizeof bits);
        assert(strlen(scalar[i].tag) < TAG_BYTES);
        put_bytes(&value, VALUE_TAG, scalar[i].tag, strlen(scalar[i].tag));
        put_tag(&value, VALUE_SIMPLE, WIRE_32);
        put_little(&value, bits, 4);
        put_bytes(&summary, SUMMARY_VALUE, value.byte, value.bytes);
    }
    begin_event(&event, step);
    put_bytes(&event, EVENT_SUMMARY, summary.byte, summary.bytes);
    return write_record(t, &event, e);
}

void tfevents_close(tfevents *t) {
    if (!t) return;
    fclose(t->file);
    free(t->path);
    free(t);
}
