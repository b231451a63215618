#include "replay/history.h"

const int history_marks_ms[HISTORY_MARKS - 1] = {20, 50, 100, 200, 400, 1000};

bool history_is_slow(const struct history *history, const struct history_minute *minute) {
    return minute->requests > 0 &&
           1000 * minute->above[HISTORY_SLOW] > history->slow_per_mille * minute->requests;
}
