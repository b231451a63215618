#include "stored.h"

#include <stdio.h>
#include <stdlib.h>

#include "replay/history.h"

enum { TICK_S = 10, RESTART_S = 300 };

static struct history_minute *minutes;
static int count, last_up = -1, last_restart = -RESTART_S, last_release = -1, last_scalings;

void stored_begin(int seconds) {
    count = seconds / 60;
    minutes = calloc((size_t)count + 1, sizeof *minutes);
    if (!minutes) abort();
}

/* An agent counts a request when it begins. */
void stored_request(double arrival, double wait) {
    int at = (int)((arrival + wait) / 60);
    if (at >= count) return;
    struct history_minute *minute = &minutes[at];
    minute->requests++;
    minute->wait_s += wait;
    for (int i = 0; i < HISTORY_SLOW; i++) minute->above[i] += wait * 1000 > history_marks_ms[i];
    minute->above[HISTORY_SLOW] += wait > .1;
}

void stored_second(int second, int ordered, int up, int busy, int release, int scalings) {
    if (second / 60 >= count) return;
    struct history_minute *minute = &minutes[second / 60];
    minute->ordered += ordered / 60.;
    minute->up += up / 60.;
    minute->busy_s += busy < 0 ? -1. / 60 : busy;
    minute->scalings += scalings - last_scalings;
    last_scalings = scalings;
    if (release != last_release) minute->releasing = true;
    last_release = release;
    if (second % TICK_S != 0) return;
    if (2 * up < last_up && 2 * up < ordered && second - last_restart > RESTART_S) {
        minute->restart = true;
        last_restart = second;
    }
    last_up = up;
}

bool stored_write(const char *name, double boot_s) {
    FILE *file = fopen(name, "w");
    if (!file) return false;
    fprintf(file, "%d %.3f\n", count, boot_s);
    for (int i = 0; i < count; i++) {
        const struct history_minute *minute = &minutes[i];
        fprintf(file, "%d %d %.0f %.4f", minute->restart, minute->releasing, minute->requests,
                minute->wait_s);
        for (int j = 0; j < HISTORY_MARKS; j++) fprintf(file, " %.0f", minute->above[j]);
        fprintf(file, " %.3f %.3f %.3f %.0f\n", minute->busy_s, minute->ordered, minute->up,
                minute->scalings);
    }
    return fclose(file) == 0;
}
