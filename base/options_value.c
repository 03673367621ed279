/* base/options_value.c - one value of each option type: from text, and back. */
#include "base/options_value.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/options_table.h"
#include "base/yaml.h"

size_t options_value_bytes(const option_spec *row) {
    switch (row->type) {
        case OPTION_SWITCH: return sizeof(bool);
        case OPTION_INT: return sizeof(int64_t);
        case OPTION_REAL: case OPTION_DURATION: return sizeof(double);
        case OPTION_TEXT: return sizeof(char *);
        case OPTION_CHOICE: return sizeof(int);
        case OPTION_INTERVAL: return sizeof(option_interval);
    }
    return 0;
}

static bool in_range(const option_spec *row, double v) { return (row->low == 0 && row->high == 0) || (v >= row->low && v <= row->high); }

/* Decimal digits only, perhaps after one minus: strtoll alone would take blanks, a plus, and what follows. */
static bool read_int(const char *value, int64_t *out) {
    const char *digits = value + (*value == '-');
    if (!*digits || strspn(digits, "0123456789") != strlen(digits)) return false;
    errno = 0;
    *out = strtoll(value, NULL, 10);
    return !errno;
}

/* No blanks, no hexadecimal, no "inf" or "nan". */
static bool read_real(const char *value, double *out) {
    char *end;
    if (!*value || strspn(value, "+-.0123456789eE") != strlen(value)) return false;
    *out = strtod(value, &end);
    return !*end && isfinite(*out);
}

/* 3h50m, 90s: whole numbers, each unit at most once, from the largest to the smallest; a bare 0 is 0s. */
static bool read_duration(const char *value, double *out) {
    static const struct { char unit; double seconds; } units[] = {{'h', 3600}, {'m', 60}, {'s', 1}};
    double total = 0;
    size_t next = 0;
    if (!strcmp(value, "0")) return *out = 0, true;
    if (!*value) return false;
    while (*value) {
        size_t digits = strspn(value, "0123456789");
        if (!digits || digits > 9) return false;
        double amount = strtod(value, NULL);
        value += digits;
        while (next < 3 && units[next].unit != *value) next++;
        if (next == 3) return false;
        total += amount * units[next++].seconds;
        value++;
    }
    *out = total;
    return true;
}

static bool read_choice(const char *choices, const char *value, int *out) {
    size_t n = strlen(value);
    for (int i = 0; *choices; i++) {
        size_t bytes = strcspn(choices, "|");
        if (bytes == n && !memcmp(choices, value, n)) return *out = i, true;
        choices += bytes + (choices[bytes] == '|');
    }
    return false;
}

static bool read_interval(const char *value, option_interval *out) {
    option_interval v = {0};
    if (read_int(value, &v.steps) ? v.steps < 0 : !read_duration(value, &v.seconds)) return false;
    *out = v;
    return true;
}

bool options_read_value(const option_spec *row, const char *value, void *field) {
    int64_t whole;
    double number;
    switch (row->type) {
        case OPTION_SWITCH: {
            bool yes = !strcmp(value, "yes") || !strcmp(value, "true");
            if (!yes && strcmp(value, "no") && strcmp(value, "false")) return false;
            return *(bool *)field = yes, true;
        }
        case OPTION_INT: return read_int(value, &whole) && in_range(row, (double)whole) ? (*(int64_t *)field = whole, true) : false;
        case OPTION_REAL: return read_real(value, &number) && in_range(row, number) ? (*(double *)field = number, true) : false;
        case OPTION_DURATION: return read_duration(value, &number) && in_range(row, number) ? (*(double *)field = number, true) : false;
        case OPTION_CHOICE: return read_choice(row->choices, value, field);
        case OPTION_INTERVAL: return read_interval(value, field);
        case OPTION_TEXT: break;
    }
    if (!yaml_can_hold(value)) return false;      /* the saved config could not say it */
    char **held = field;
    char *copy = must_strdup(value);              /* before the free: value may be the old text */
    free(*held);
    *held = copy;
    return true;
}

static void add_duration(text *t, double seconds) {
    long long s = (long long)seconds;
    if (s >= 3600) text_format(t, "%lldh", s / 3600);
    if (s % 3600 >= 60) text_format(t, "%lldm", s % 3600 / 60);
    if (s % 60 || !s) text_format(t, "%llds", s % 60);
}

static void add_choice(text *t, const char *choices, int index) {
    while (index-- > 0) choices += strcspn(choices, "|") + 1;
    text_add(t, choices, strcspn(choices, "|"));
}

void options_add_value(text *t, const option_spec *row, const void *field) {
    switch (row->type) {
        case OPTION_SWITCH: text_format(t, *(const bool *)field ? "yes" : "no"); break;
        case OPTION_INT: text_format(t, "%lld", (long long)*(const int64_t *)field); break;
        case OPTION_REAL: text_real(t, *(const double *)field); break;
        case OPTION_DURATION: add_duration(t, *(const double *)field); break;
        case OPTION_CHOICE: add_choice(t, row->choices, *(const int *)field); break;
        case OPTION_TEXT: if (*(char *const *)field) text_format(t, "%s", *(char *const *)field); break;
        case OPTION_INTERVAL: {
            const option_interval *v = field;
            if (v->seconds > 0) add_duration(t, v->seconds);
            else text_format(t, "%lld", (long long)v->steps);
            break;
        }
    }
}
