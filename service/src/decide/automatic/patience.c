/* Gives a surplus back once keeping it has cost as much as several starts of a dyno. */
#include "decide/automatic/automatic.h"

enum { AFTER_UP_S = 60, STALE_S = 60 };

void patience_taken(struct learned *learned) {
    learned->surplus = 0;
    learned->floor = 0;
    learned->surplus_since = 0;
}

/* Goes down to the largest need since the surplus began. */
int patience_wanted(struct learned *learned, const struct moment *moment, int need) {
    if (need >= moment->ordered) {
        patience_taken(learned);
        return need;
    }
    if (learned->surplus_since == 0) learned->surplus_since = moment->now;
    learned->surplus += (moment->ordered - need) * (double)moment->tick_s;
    if (need > learned->floor) learned->floor = need;
    int64_t added = moment->last_added == 0 ? INT64_MAX / 2 : moment->now - moment->last_added;
    bool calm = moment->slow_share <= 2 * moment->goal && moment->up >= moment->ordered &&
                added >= AFTER_UP_S && moment->known_age < STALE_S;
    bool paid = learned->surplus >= AUTOMATIC_PATIENCE * moment->boot;
    if (!calm || !paid) return moment->ordered;
    return learned->floor < moment->ordered ? (int)learned->floor : moment->ordered;
}
