/* What a trial of rules answers: numbers beside those in force and beside what happened, points for
 * charts, and how sure all of it is. */
#include <inttypes.h>
#include <math.h>

#include "api/trial_inside.h"

enum { MOST_POINTS = 720 };
static const double HOURS_A_MONTH = 730;

static void put_number(struct text *text, double value) {
    text_format(text, "%.*f", value == floor(value) ? 0 : 2, value);
}

static void put_known(struct text *text, double value) {
    if (value < 0) text_put(text, "null");
    else put_number(text, value);
}

static void put_estimate(struct text *text, const char *name, const struct estimate *estimate,
                         double times) {
    text_format(text, ",\"%s\":{\"value\":", name);
    put_number(text, floor(estimate->value * times * 100 + .5) / 100);
    text_put(text, ",\"low\":");
    put_number(text, floor(estimate->low * times * 100 + .5) / 100);
    text_put(text, ",\"high\":");
    put_number(text, floor(estimate->high * times * 100 + .5) / 100);
    text_char(text, '}');
}

/* The sum of a point's minutes. */
struct point {
    double requests, wanted, ordered, up, p95_ms;
    int minutes, slow;
};

static void add_tried(struct point *point, const struct trial_minute *minute) {
    point->minutes++;
    point->requests += minute->requests;
    point->wanted += minute->wanted;
    point->ordered += minute->ordered;
    point->up += minute->up;
    point->slow += minute->slow;
    if (minute->p95_ms > point->p95_ms) point->p95_ms = minute->p95_ms;
}

static void add_actual(struct point *point, const struct history *history,
                       const struct history_minute *minute) {
    point->requests += minute->requests;
    point->slow += minute->known && history_is_slow(history, minute);
    if (minute->p95_ms > point->p95_ms) point->p95_ms = minute->p95_ms;
    if (minute->ordered < 0) return;
    point->minutes++;
    point->ordered += minute->ordered;
    point->up += minute->up;
}

static void put_point(struct text *text, int64_t at_s, const struct point *point, bool tried) {
    int minutes = point->minutes;
    text_format(text, "{\"t\":%" PRId64 ",\"requests\":%.0f,\"wanted\":", at_s, point->requests);
    put_known(text, minutes && tried ? point->wanted / minutes : -1);
    text_put(text, ",\"ordered\":");
    put_known(text, minutes ? point->ordered / minutes : -1);
    text_put(text, ",\"up\":");
    put_known(text, minutes ? point->up / minutes : -1);
    text_put(text, ",\"p95\":");
    put_known(text, point->p95_ms < 0 ? -1 : floor(point->p95_ms + .5));
    text_format(text, ",\"slow\":%d}", point->slow);
}

static int minutes_a_point(const struct trial_work *work) {
    return (work->history.count + MOST_POINTS - 1) / MOST_POINTS;
}

/* `tried` NULL: what really happened. */
static void put_points(struct text *text, const struct trial_work *work,
                       const struct trial_minute *tried) {
    int step = minutes_a_point(work);
    text_put(text, ",\"points\":[");
    for (int i = 0; i < work->history.count; i += step) {
        struct point point = {.p95_ms = -1};
        for (int j = i; j < i + step && j < work->history.count; j++) {
            if (tried) add_tried(&point, &tried[j]);
            else add_actual(&point, &work->history, &work->history.minutes[j]);
        }
        if (i > 0) text_char(text, ',');
        put_point(text, work->history.from_s + (int64_t)i * MINUTE_S, &point, tried != NULL);
    }
    text_char(text, ']');
}

static double cents_an_hour(const struct trial_work *work) {
    return (double)work->price.cents_a_month / HOURS_A_MONTH;
}

static void put_side(struct text *text, const struct trial_work *work, const struct trial *trial,
                     const struct totals *totals, int64_t version) {
    text_put(text, "{\"version\":");
    api_put_time(text, version);
    text_format(text, ",\"scaling\":%s", trial->process->scaling ? "true" : "false");
    put_estimate(text, "dyno_hours", &totals->dyno_hours, 1);
    if (work->capacity.any) put_estimate(text, "slow_minutes", &totals->slow_minutes, 1);
    else text_put(text, ",\"slow_minutes\":null");
    if (work->history.jobs) put_estimate(text, "late_jobs", &totals->late_jobs, 1);
    else text_put(text, ",\"late_jobs\":null");
    put_estimate(text, "scalings", &totals->scalings, 1);
    if (work->price.cents_a_month < 0) text_put(text, ",\"cost_cents\":null");
    else put_estimate(text, "cost_cents", &totals->dyno_hours, cents_an_hour(work));
    text_format(text, ",\"most_dynos\":%d,\"at_maximum_minutes\":", trial->most);
    put_number(text, floor(trial->cut_minutes * 10 + .5) / 10);
    put_points(text, work, trial->minutes);
    text_char(text, '}');
}

static void put_actual(struct text *text, const struct trial_work *work) {
    const struct actual *actual = &work->all.actual;
    double cents = -1;
    if (actual->dyno_hours >= 0 && work->price.cents_a_month >= 0)
        cents = floor(actual->dyno_hours * cents_an_hour(work) + .5);
    text_put(text, "{\"dyno_hours\":");
    put_known(text, actual->dyno_hours);
    text_format(text, ",\"slow_minutes\":%.0f,\"late_jobs\":", actual->slow_minutes);
    put_known(text, work->history.jobs ? floor(actual->late + .5) : -1);
    text_put(text, ",\"scalings\":");
    put_known(text, actual->scalings);
    text_put(text, ",\"cost_cents\":");
    put_known(text, cents);
    put_points(text, work, NULL);
    text_char(text, '}');
}

struct sentences {
    struct text *text;
    bool first;
};

static void put_sentence(void *context, const char *sentence) {
    struct sentences *sentences = context;
    if (!sentences->first) text_char(sentences->text, ',');
    sentences->first = false;
    text_json(sentences->text, sentence);
}

static void put_sureness(struct text *text, const struct trial_work *work) {
    struct sentences sentences = {text, true};
    struct text verdict = TEXT_EMPTY;
    estimate_verdict(&work->all, &verdict);
    text_put(text, ",\"verdict\":");
    text_json(text, verdict.bytes ? verdict.bytes : "");
    text_free(&verdict);
    text_format(text, ",\"sureness\":{\"level\":\"%s\",\"sentences\":[",
                sureness_names[estimate_sureness(&work->all)]);
    estimate_sentences(&work->all, put_sentence, &sentences);
    text_put(text, "]}");
}

void trial_put_answer(struct text *text, const struct trial_work *work) {
    const struct history *history = &work->history;
    text_format(text,
                "{\"jobs\":%s,\"from\":%" PRId64 ",\"to\":%" PRId64 ",\"step\":%d,\"minutes\":%d,"
                "\"known_minutes\":%d,\"slow\":{\"ms\":%d,\"per_mille\":%d},\"same_rules\":%s,"
                "\"price\":",
                history->jobs ? "true" : "false", history->from_s,
                history->from_s + (int64_t)history->count * MINUTE_S,
                minutes_a_point(work) * MINUTE_S, history->count, work->all.actual.known_minutes,
                history->slow_ms, history->slow_per_mille, work->same_rules ? "true" : "false");
    api_put_price(text, &work->price);
    put_sureness(text, work);
    text_put(text, ",\"proposed\":");
    put_side(text, work, &work->trials[0], &work->all.proposed_totals, 0);
    text_put(text, ",\"in_force\":");
    if (work->in_force)
        put_side(text, work, &work->trials[1], &work->all.in_force_totals, work->version);
    else text_put(text, "null");
    text_put(text, ",\"actual\":");
    put_actual(text, work);
    text_char(text, '}');
}
