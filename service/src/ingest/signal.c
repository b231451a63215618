#include "ingest/signal.h"

#include <string.h>

static const struct {
    const char *name;
    bool level;
} table[] = {
#define X(name, text, level) {text, level},
    SIGNALS_TABLE(X)
#undef X
};

const char *signal_name(enum signal signal) { return table[signal].name; }

bool signal_is_level(enum signal signal) { return table[signal].level; }

enum signal signal_by_name(const char *name, size_t length) {
    for (int i = 0; i < SIGNALS; i++)
        if (strlen(table[i].name) == length && memcmp(table[i].name, name, length) == 0)
            return (enum signal)i;
    return SIGNAL_UNKNOWN;
}

enum signal signal_of_metadata(const char *metadata, size_t length) {
    if (length == 0) return SIGNAL_WAIT;
    enum signal signal = signal_by_name(metadata, length);
    return signal == SIGNAL_WAIT ? SIGNAL_UNKNOWN : signal;
}
