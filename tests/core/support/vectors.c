#include "vectors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"

#ifndef VECTORS
#error "give the folder of the vectors: -DVECTORS='\"tests/vectors\"'"
#endif

void vectors_open(vectors *v, const char *name) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", VECTORS, name);
    v->file = fopen(path, "r");
    if (!v->file) fail_msg("can't open %s", path);
}

bool vectors_next(vectors *v) {
    do
        if (!fgets(v->line, sizeof v->line, v->file)) return false;
    while (v->line[0] == '#');
    v->line[strcspn(v->line, "\n")] = '\0';
    v->count = 0;
    for (char *at = v->line; at && v->count < VECTOR_COLUMNS;) {
        v->columns[v->count++] = at;
        at = strchr(at, '\t');
        if (at) *at++ = '\0';
    }
    return true;
}

void vectors_close(vectors *v) { fclose(v->file); }

/* The ns of "-250" or "-0.999999" ms, without a double's rounding. */
static int64_t offset_ns(const char *text) {
    int64_t sign = *text == '-' ? -1 : 1, whole = llabs(strtoll(text, NULL, 10)), part = 0;
    const char *c = strpbrk(text, ".}") + 1;
    for (int64_t unit = 100000; c[-1] != '}' && *c != '}'; c++, unit /= 10)
        part += (*c - '0') * unit;
    return sign * (whole * 1000000 + part);
}

/* "{ms:-250}" → digits; returns the bytes of the column that it read. */
static size_t write_moment(const char *column, int64_t now_ns, char **at) {
    const char *offset = strchr(column, ':') + 1, *end = strchr(column, '}') + 1;
    int64_t ns = now_ns + offset_ns(offset);
    if (strncmp(column, "{s:", 3) == 0)
        *at += sprintf(*at, "%" PRId64 ".%03d", ns / 1000000000, (int)(ns / 1000000 % 1000));
    else if (strncmp(column, "{whole_s:", 9) == 0) *at += sprintf(*at, "%" PRId64, ns / 1000000000);
    else if (strncmp(column, "{ms:", 4) == 0) *at += sprintf(*at, "%" PRId64, ns / 1000000);
    else if (strncmp(column, "{us:", 4) == 0) *at += sprintf(*at, "%" PRId64, ns / 1000);
    else *at += sprintf(*at, "%" PRId64, ns);
    return (size_t)(end - column);
}

static bool is_moment(const char *c) {
    static const char *const units[] = {"{s:", "{whole_s:", "{ms:", "{us:", "{ns:"};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strncmp(c, units[i], strlen(units[i])) == 0) return true;
    return false;
}

static size_t write_escape(const char *c, char **at) {
    switch (c[1]) {
    case 't':
        *(*at)++ = '\t';
        return 2;
    case 'n':
        *(*at)++ = '\n';
        return 2;
    case 'r':
        *(*at)++ = '\r';
        return 2;
    case 'x': {
        char digits[3] = {c[2], c[3], '\0'};
        *(*at)++ = (char)strtol(digits, NULL, 16);
        return 4;
    }
    default:
        *(*at)++ = c[1];
        return 2;
    }
}

size_t vectors_text(const char *column, int64_t now_ns, char text[VECTOR_SIZE]) {
    char *at = text;
    while (*column) {
        if (*column == '\\') column += write_escape(column, &at);
        else if (is_moment(column)) column += write_moment(column, now_ns, &at);
        else *at++ = *column++;
    }
    *at = '\0';
    return (size_t)(at - text);
}
