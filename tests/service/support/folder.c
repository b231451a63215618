#define _GNU_SOURCE /* nftw, mkdtemp */
#include "folder.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A schema of a test's own in $TEST_DATABASE, where that is set. */
static void sql(const char *format, const char *path) {
    const char *url = getenv("TEST_DATABASE");
    char command[1024], name[64];
    snprintf(name, sizeof name, "t%s", strrchr(path, '-') + 1);
    int length = snprintf(command, sizeof command, "psql -X -q -d '%s' -c '", url);
    length += snprintf(command + length, sizeof command - (size_t)length, format, name);
    snprintf(command + length, sizeof command - (size_t)length, "' 2>/dev/null");
    if (system(command) != 0) {
        fprintf(stderr, "failed: %s\n", command);
        abort();
    }
}

static void use_database(const char *path) {
    const char *url = getenv("TEST_DATABASE");
    char file[600];
    if (!url) return;
    sql("CREATE SCHEMA \"%s\"", path);
    snprintf(file, sizeof file, "%s/database", path);
    FILE *out = fopen(file, "w");
    if (!out) abort();
    fprintf(out, "%s?options=-csearch_path%%3D%%22t%s%%22\n", url, strrchr(path, '-') + 1);
    fclose(out);
}

bool folder_is_database(void) { return getenv("TEST_DATABASE") != NULL; }

char *folder_make(void) {
    const char *under = getenv("TMPDIR");
    char path[512];
    snprintf(path, sizeof path, "%s/dynoscaled-XXXXXX", under ? under : "/tmp");
    if (!mkdtemp(path)) {
        perror(path);
        abort();
    }
    use_database(path);
    return strdup(path);
}

static int remove_one(const char *path, const struct stat *found, int kind, struct FTW *place) {
    (void)found;
    (void)kind;
    (void)place;
    return remove(path);
}

void folder_remove(char *path) {
    if (folder_is_database()) sql("DROP SCHEMA \"%s\" CASCADE", path);
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(path);
}

const char *folder_path(const char *folder, const char *name) {
    static char path[4][600];
    static int next;
    char *out = path[next++ % 4];
    snprintf(out, sizeof path[0], "%s/%s", folder, name);
    return out;
}

void folder_write(const char *folder, const char *name, const char *text) {
    FILE *file = fopen(folder_path(folder, name), "w");
    if (!file) {
        perror(folder_path(folder, name));
        abort();
    }
    fputs(text, file);
    fclose(file);
}

const char *folder_read(const char *folder, const char *name) {
    static char text[4096];
    text[0] = '\0';
    FILE *file = fopen(folder_path(folder, name), "r");
    if (!file) return text;
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}
