#include "notify/week.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "store/ledger.h"
#include "store/prices.h"
#include "text.h"

enum {
    DAY_S = 86400,
    TOLD_AT_S = 8 * 3600,
    HOLDS_S = 60, /* the longest that a tick describes, if no other follows */
    HOURS_A_MONTH = 730,
};

int64_t week_end(const char *zone_name, int64_t now_s) {
    const struct zone *zone = zone_find(zone_name);
    if (!zone) return 0;
    struct zone_time now = zone_time(zone, now_s);
    int64_t into = (int64_t)now.weekday * DAY_S + now.second - TOLD_AT_S;
    if (into < 0) into += 7 * DAY_S;
    int64_t end_s = now_s - into;
    /* After a change of the clock in between, the wall clock showed another time. */
    end_s += now.offset - zone_time(zone, end_s).offset;
    return end_s <= now_s ? end_s : end_s - 7 * DAY_S;
}

struct sum {
    const struct rule_process *process;
    struct ledger_tick last;
    bool has_last;
    int64_t known_s, dyno_s, slow_s, ups, downs;
    int most;
};

/* By today's rules: using the rules of that time would mean reading every version. */
static int64_t goal_of(const struct sum *sum) {
    int number = sum->last.rule_number;
    if (number < 0 || number >= sum->process->rule_count) number = sum->process->rule_count - 1;
    const struct rule *rule = &sum->process->rules[number];
    return rule->method == RULE_AUTOMATIC ? rule->goal_ms : rule->up.threshold_ms;
}

static void add_last(struct sum *sum, int64_t until_s) {
    const struct situation *then = &sum->last.situation;
    int64_t seconds = until_s - then->now;
    if (!sum->has_last || then->ordered < 0) return;
    if (seconds > HOLDS_S) seconds = HOLDS_S;
    if (seconds <= 0) return;
    sum->known_s += seconds;
    sum->dyno_s += seconds * then->ordered;
    if (then->value_ms > goal_of(sum)) sum->slow_s += seconds;
    if (then->ordered > sum->most) sum->most = (int)then->ordered;
}

static bool add_tick(void *context, const struct ledger_tick *tick) {
    struct sum *sum = context;
    add_last(sum, tick->situation.now);
    sum->ups += tick->situation.scaling && tick->decision.action == DECISION_UP;
    sum->downs += tick->situation.scaling && tick->decision.action == DECISION_DOWN;
    sum->last = *tick;
    sum->has_last = true;
    return true;
}

static void put_process(struct text *text, const struct sum *sum, const struct price *price) {
    double hours = (double)sum->dyno_s / 3600;
    text_format(text, "%s: %" PRId64 " slow minutes, %.0f dyno-hours", sum->process->name,
                (sum->slow_s + 30) / 60, hours);
    if (price->cents_a_month >= 0)
        text_format(text, " (%.2f %s)", hours * (double)price->cents_a_month / 100 / HOURS_A_MONTH,
                    price->currency);
    text_format(text, ", at most %d dynos, %" PRId64 " scalings up and %" PRId64 " down", sum->most,
                sum->ups, sum->downs);
    if (sum->known_s < 7 * DAY_S * 9 / 10)
        text_format(text, "; known of %" PRId64 " hours of the week", sum->known_s / 3600);
    text_put(text, ".\n");
}

bool week_write(struct store *store, const struct app *app, const struct rule_set *rules,
                int64_t end_s, struct notice *notice) {
    struct text text = TEXT_EMPTY;
    int64_t slow_s = 0;
    bool ok = true;
    for (int i = 0; i < rules->process_count && ok; i++) {
        struct sum sum = {.process = &rules->processes[i]};
        struct price price;
        ok = ledger_each(store, app->id, sum.process->name, end_s - 7 * DAY_S, end_s, false,
                         add_tick, &sum) &&
             price_get(store, app->id, sum.process->name, &price);
        if (!ok || !sum.has_last) continue;
        add_last(&sum, end_s);
        put_process(&text, &sum, &price);
        slow_s += sum.slow_s;
    }
    ok = ok && text.length > 0 && !text.failed;
    if (ok) {
        snprintf(notice->title, sizeof notice->title, "%s: the week had %" PRId64 " slow minutes",
                 app->name, (slow_s + 30) / 60);
        snprintf(notice->body, sizeof notice->body, "%.*s", (int)sizeof notice->body - 1,
                 text.bytes);
    }
    text_free(&text);
    return ok;
}
