#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 128 };

static char *words[MOST];
static int word_count;

void options_read(int count, char **given) {
    for (int i = 1; i < count && word_count < MOST; i++)
        if (strchr(given[i], '=')) words[word_count++] = given[i];
}

const char *option(const char *key, const char *fallback) {
    size_t length = strlen(key);
    for (int i = word_count; i-- > 0;)
        if (strncmp(words[i], key, length) == 0 && words[i][length] == '=')
            return words[i] + length + 1;
    return fallback;
}

double option_number(const char *key, double fallback) {
    const char *value = option(key, NULL);
    return value ? atof(value) : fallback;
}

int option_int(const char *key, int fallback) { return (int)option_number(key, fallback); }
