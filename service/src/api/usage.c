/*
 * What a process used: dyno-seconds per step of time, how long each number of dynos ran, what
 * scaling itself took; and the price of a dyno, as a person entered it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/resources.h"
#include "store/ledger.h"
#include "store/prices.h"

enum {
    DAY_S = 86400,
    LONGEST_S = 32 * DAY_S,
    USUAL_STEP_S = 3600,
    MOST_POINTS = 3000,
    HOLDS_S = 60, /* the longest that a tick describes, if no other follows */
    FLAP_S = 600, /* a dyno that is removed so soon after it was added was added for nothing */
    MOST_CENTS = 100 * 1000 * 1000,
};

struct span {
    int64_t known_s, dyno_s, booting_s, min_s, max_s, slow_s;
};

struct using {
    struct text *text;
    const struct api_call *call;
    int64_t step_s, to_s;
    int64_t slot_s; /* of `span`; -1: none */
    struct span span;
    bool first;

    int64_t seconds[RULE_DYNOS + 1], slow[RULE_DYNOS + 1]; /* by the number of dynos */
    int most; /* the most that a rule in force allowed; 0: none */
    int64_t ups, downs, flaps, flap_s;
    int64_t up_s; /* when the last dyno was added, unless one was removed since; 0: never */
    int up_by;

    bool has_last;
    struct ledger_tick last;
    struct rule_set *rules;
    int64_t rules_version; /* of `rules` */
};

static const struct rule *rule_of(struct using *using, const struct ledger_tick *tick) {
    if (!using->rules || using->rules_version != tick->rules_version) {
        rule_free(using->rules);
        using->rules =
            api_rules(using->call->store, &using->call->app, tick->rules_version, NULL, NULL);
        using->rules_version = tick->rules_version;
    }
    const struct rule_process *process =
        using->rules ? rule_process(using->rules, tick->process) : NULL;
    bool known = process && tick->rule_number >= 0 && tick->rule_number < process->rule_count;
    return known ? &process->rules[tick->rule_number] : NULL;
}

static void end_slot(struct using *using) {
    const struct span *span = &using->span;
    if (using->slot_s < 0) return;
    text_format(using->text,
                "%s{\"t\":%" PRId64 ",\"known_s\":%" PRId64 ",\"dyno_s\":%" PRId64
                ",\"booting_s\":%" PRId64 ",\"min_s\":%" PRId64 ",\"max_s\":%" PRId64
                ",\"slow_s\":%" PRId64 "}",
                using->first ? "" : ",", using->slot_s, span->known_s, span->dyno_s,
                span->booting_s, span->min_s, span->max_s, span->slow_s);
    using->first = false;
    using->span = (struct span){0};
}

/* Adds the time from the last tick until `until_s`. */
static void add_last(struct using *using, int64_t until_s) {
    const struct situation *then = &using->last.situation;
    int64_t seconds = until_s - then->now;
    if (!using->has_last || then->ordered < 0 || then->ordered > RULE_DYNOS) return;
    if (seconds > HOLDS_S) seconds = HOLDS_S;
    if (seconds <= 0) return;
    int64_t slot_s = then->now - then->now % using->step_s;
    if (slot_s != using->slot_s) end_slot(using);
    using->slot_s = slot_s;

    const struct rule *rule = rule_of(using, &using->last);
    bool slow = rule && then->value_ms > rule->up.threshold_ms;
    struct span *span = &using->span;
    span->known_s += seconds;
    span->dyno_s += seconds * then->ordered;
    if (then->booting > 0) span->booting_s += seconds * then->booting;
    if (rule) span->min_s += seconds * rule->min;
    if (rule) span->max_s += seconds * rule->max;
    if (rule && rule->max > using->most) using->most = rule->max;
    if (slow) span->slow_s += seconds;
    using->seconds[then->ordered] += seconds;
    if (slow) using->slow[then->ordered] += seconds;
}

static void count_scaling(struct using *using, const struct ledger_tick *tick) {
    const struct decision *decision = &tick->decision;
    if (!tick->situation.scaling || decision->action == DECISION_HOLD) return;
    if (decision->action == DECISION_UP) {
        using->ups++;
        using->up_s = tick->situation.now;
        using->up_by = decision->to - decision->from;
        return;
    }
    using->downs++;
    if (using->up_s && tick->situation.now - using->up_s <= FLAP_S) {
        using->flaps++;
        using->flap_s += (tick->situation.now - using->up_s) * using->up_by;
    }
    using->up_s = 0;
}

static bool use_tick(void *context, const struct ledger_tick *tick) {
    struct using *using = context;
    add_last(using, tick->situation.now);
    count_scaling(using, tick);
    using->last = *tick;
    using->has_last = true;
    return !using->text->failed;
}

static void put_by_dynos(struct using *using) {
    bool first = true;
    text_put(using->text, "],\"by_dynos\":[");
    for (int dynos = 0; dynos <= RULE_DYNOS; dynos++) {
        if (!using->seconds[dynos]) continue;
        text_format(using->text, "%s{\"dynos\":%d,\"seconds\":%" PRId64 ",\"slow_s\":%" PRId64 "}",
                    first ? "" : ",", dynos, using->seconds[dynos], using->slow[dynos]);
        first = false;
    }
    text_format(using->text,
                "],\"most\":%d,\"ups\":%" PRId64 ",\"downs\":%" PRId64 ",\"flaps\":%" PRId64
                ",\"flap_s\":%" PRId64 ",\"price\":",
                using->most, using->ups, using->downs, using->flaps, using->flap_s);
}

void api_put_price(struct text *text, const struct price *price) {
    if (price->cents_a_month < 0) {
        text_put(text, "null");
        return;
    }
    text_format(text, "{\"cents_a_month\":%" PRId64 ",\"currency\":", price->cents_a_month);
    text_json(text, price->currency);
    text_char(text, '}');
}

static bool check_range(struct api_call *call, int64_t from_s, int64_t to_s, int64_t step_s) {
    bool good = from_s < to_s && to_s - from_s <= LONGEST_S;
    if (!good)
        api_problem(call, 400, "the field “from” must be before “to”, at most %d days",
                    LONGEST_S / DAY_S);
    else if ((to_s - from_s) / step_s > MOST_POINTS)
        api_problem(call, 400, "the field “step” must be larger: at most %d points are given",
                    MOST_POINTS);
    return !api_failed(call);
}

void usage_show(struct api_call *call) {
    call->packs = true;
    int64_t from_s = call->now_s - DAY_S, to_s = call->now_s, step_s = USUAL_STEP_S;
    const struct field fields[] = {
        {.name = "from", .kind = FIELD_TIME, .to = &from_s},
        {.name = "to", .kind = FIELD_TIME, .to = &to_s},
        {.name = "step", .kind = FIELD_INTEGER, .least = 60, .most = DAY_S, .to = &step_s},
    };
    if (!input_query(call, fields, INPUT_COUNT(fields))) return;
    if (!check_range(call, from_s, to_s, step_s)) return;
    struct price price;
    struct using *using = calloc(1, sizeof *using);
    if (!using || !price_get(call->store, call->app.id, call->parameters[1], &price)) {
        free(using);
        api_store_failed(call);
        return;
    }
    using->text = &call->answer;
    using->call = call;
    using->step_s = step_s;
    using->slot_s = -1;
    using->first = true;
    text_format(&call->answer, "{\"step\":%" PRId64 ",\"points\":[", step_s);
    bool done = ledger_each(call->store, call->app.id, call->parameters[1], from_s, to_s, false,
                            use_tick, using);
    add_last(using, to_s);
    end_slot(using);
    put_by_dynos(using);
    api_put_price(&call->answer, &price);
    text_char(&call->answer, '}');
    rule_free(using->rules);
    free(using);
    if (!done) api_store_failed(call);
}

/* ---- The price ------------------------------------------------------------------------------- */

static bool check_currency(struct api_call *call, const char *currency) {
    if (strlen(currency) == 3 && strspn(currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 3) return true;
    api_problem(call, 400, "the field “currency” must be three capital letters, such as USD");
    return false;
}

static void put_words(struct text *text, const struct price *price) {
    if (price->cents_a_month < 0) text_put(text, "none");
    else
        text_format(text, "%" PRId64 ".%02d %s", price->cents_a_month / 100,
                    (int)(price->cents_a_month % 100), price->currency);
}

static void change_price(struct api_call *call, const struct price *price) {
    struct price before;
    struct rule_set *set;
    struct text difference = TEXT_EMPTY;
    const char *process = call->parameters[1];
    if (!api_process(call, &set)) return;
    rule_free(set);
    if (!price_get(call->store, call->app.id, process, &before) ||
        !price_put(call->store, call->app.id, process, price)) {
        api_store_failed(call);
        return;
    }
    text_put(&difference, "price a month ");
    put_words(&difference, &before);
    text_put(&difference, " → ");
    put_words(&difference, price);
    call->status = 204;
    api_audit(call, call->app.id, difference.bytes, "changed the price of a dyno of %s of %s",
              process, call->app.name);
    text_free(&difference);
}

void price_change(struct api_call *call) {
    struct price price = {.cents_a_month = -1};
    const char *currency = "USD";
    const struct field fields[] = {
        {.name = "cents_a_month",
         .kind = FIELD_INTEGER,
         .needed = true,
         .least = 0,
         .most = MOST_CENTS,
         .to = &price.cents_a_month},
        {.name = "currency", .kind = FIELD_TEXT, .to = &currency},
    };
    if (!input_body(call, fields, INPUT_COUNT(fields)) || !check_currency(call, currency)) return;
    memcpy(price.currency, currency, sizeof price.currency);
    change_price(call, &price);
}

void price_forget(struct api_call *call) {
    if (input_body(call, NULL, 0)) change_price(call, &(struct price){.cents_a_month = -1});
}
