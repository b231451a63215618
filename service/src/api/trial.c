/* What rules would have done in the last days: takes the call, and runs the past again by replay/.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/trial_inside.h"

enum { DAY_S = 86400, USUAL_DAYS = 7, MOST_DAYS = 31 };
/* Shares of the time that a trial takes. */
static const double READ = .3, CHECKED = .4, IN_FORCE_DONE = .7;

static void free_work(struct api_work *work) {
    struct trial_work *trial = (struct trial_work *)work;
    rule_free(trial->proposed);
    rule_free(trial->in_force);
    free(trial->history.minutes);
    free(trial->jobs.seen);
    free(trial->minutes[0]);
    free(trial->minutes[1]);
    free(trial);
}

/* ---- How far it is --------------------------------------------------------------------------- */

bool trial_goes_on(void *context, double done) {
    struct trial_work *trial = context;
    const struct api_work *work = &trial->work;
    if (!work->progress) return true;
    double share = trial->done_from + (trial->done_to - trial->done_from) * done;
    trial->stopped = trial->stopped || !work->progress(work->context, share);
    return !trial->stopped;
}

static void begin_part(struct trial_work *trial, double from, double to) {
    trial->done_from = from;
    trial->done_to = to;
    trial_goes_on(trial, 0);
}

/* ---- The runs -------------------------------------------------------------------------------- */

static bool run_one(struct trial_work *work, int which, const struct rule_set *set) {
    struct trial *trial = &work->trials[which];
    work->minutes[which] = calloc((size_t)work->history.count, sizeof **work->minutes);
    if (!work->minutes[which]) return false;
    *trial = (struct trial){.history = &work->history,
                            .capacity = &work->capacity,
                            .process = rule_process(set, work->process),
                            .zone = set->zone,
                            .began = work->has_memory ? &work->memory : NULL,
                            .progress = trial_goes_on,
                            .context = work,
                            .minutes = work->minutes[which]};
    trial->tick_s = trial_tick_s(trial->process, work->history.count, work->history.jobs);
    return trial_run(trial);
}

/* Runs the model with the dynos that really ran. */
static bool run_check(struct trial_work *work) {
    const struct rule_process *process = rule_process(work->proposed, work->process);
    struct rule_process off = *process;
    struct trial_minute *minutes = calloc((size_t)work->history.count, sizeof *minutes);
    struct check *check = &work->all.check;
    if (!minutes) return false;
    off.scaling = false;
    struct trial trial = {.history = &work->history,
                          .capacity = &work->capacity,
                          .process = &off,
                          .zone = work->proposed->zone,
                          .tick_s = USUAL_REPORT_S,
                          .progress = trial_goes_on,
                          .context = work,
                          .minutes = minutes};
    bool done = trial_run(&trial);
    for (int i = 0; done && i < work->history.count; i++) {
        if (!minutes[i].known || work->history.minutes[i].up < 0) continue;
        check->done = true;
        check->found += minutes[i].slow;
        check->were += history_is_slow(&work->history, &work->history.minutes[i]);
    }
    free(minutes);
    return done;
}

static bool run_all(struct trial_work *work) {
    struct estimated *all = &work->all;
    begin_part(work, READ, CHECKED);
    if (!work->history.jobs) capacity_fit(&work->capacity, &work->history);
    if (!run_check(work)) return false;
    begin_part(work, CHECKED, IN_FORCE_DONE);
    if (work->in_force && !run_one(work, 1, work->in_force)) return false;
    begin_part(work, IN_FORCE_DONE, 1);
    if (!run_one(work, 0, work->proposed)) return false;
    all->history = &work->history;
    all->capacity = &work->capacity;
    all->same_rules = work->same_rules;
    all->other_queues = work->other_queues;
    all->were_in_force = work->first_version == work->version;
    all->proposed = &work->trials[0];
    all->in_force = work->in_force ? &work->trials[1] : NULL;
    estimate_actual(&work->history, &all->actual);
    estimate_totals(all->proposed, &all->check, &all->proposed_totals);
    if (all->in_force) estimate_totals(all->in_force, &all->check, &all->in_force_totals);
    return true;
}

static void run_work(struct api_work *api_work, struct api_call *call) {
    struct trial_work *work = (struct trial_work *)api_work;
    begin_part(work, 0, READ);
    trial_define_slow(work);
    bool read = trial_read_past(work, call->store);
    if (work->stopped) api_problem(call, 503, "the trial was stopped");
    else if (!read) api_store_failed(call);
    else if (work->not_known)
        api_problem(call, 422,
                    "what other numbers of workers would have done follows from how many jobs wait "
                    "and how many are worked on, and of “%s” the second was not reported in this "
                    "time",
                    work->process);
    else if (work->history.count < 2)
        api_problem(call, 422, "nothing was measured of %s in this time, so nothing can be tried",
                    work->process);
    else if (!run_all(work))
        api_problem(call, 503, "%s",
                    work->stopped ? "the trial was stopped"
                                  : "there is no memory left for the trial");
    else trial_put_answer(&call->answer, work);
}

/* ---- The call -------------------------------------------------------------------------------- */

/* Reads the proposed rules, given as a text or an object. NULL: the call is answered. */
static struct rule_set *read_rules(struct api_call *call, const json_t *given) {
    char error[1024];
    char *written = json_is_object(given) ? json_dumps(given, JSON_COMPACT) : NULL;
    const char *text = written ? written : json_string_value(given);
    if (!text) {
        api_problem(call, 400, "the field “rules” must be a text of YAML or JSON, or an object");
        return NULL;
    }
    struct rule_set *set = api_read_rules(text, strlen(text), call->app.zone, error, sizeof error);
    free(written);
    if (!set) {
        api_problem(call, 422, "the field “rules”: %s", error);
        return NULL;
    }
    if (rule_process(set, call->parameters[1])) return set;
    api_problem(call, 422, "the field “rules”: there is no process “%.64s” in it",
                call->parameters[1]);
    rule_free(set);
    return NULL;
}

static bool read_range(struct api_call *call, int64_t days, int64_t *from_s, int64_t *to_s) {
    if (days > 0 && *from_s >= 0)
        api_problem(call, 400, "the fields “days” and “from” can't be given both");
    if (*to_s > call->now_s) *to_s = call->now_s;
    *to_s -= *to_s % MINUTE_S;
    if (*from_s < 0) *from_s = *to_s - (days > 0 ? days : USUAL_DAYS) * DAY_S;
    if (*from_s < 0) *from_s = 0;
    *from_s -= *from_s % MINUTE_S;
    if (!api_failed(call) &&
        (*to_s - *from_s < 2 * MINUTE_S || *to_s - *from_s > MOST_DAYS * DAY_S))
        api_problem(
            call, 400,
            "the field “from” must be at least two minutes before “to”, and at most %d days",
            MOST_DAYS);
    return !api_failed(call);
}

static bool same_rules(const struct rule_set *one, const struct rule_set *other,
                       const char *process) {
    const struct rule_process *first = rule_process(one, process);
    const struct rule_process *second = rule_process(other, process);
    struct text texts[2] = {TEXT_EMPTY, TEXT_EMPTY};
    bool same = first->rule_count == second->rule_count && first->scaling == second->scaling &&
                one->zone == other->zone;
    for (int i = 0; i < first->rule_count && same; i++) {
        text_clear(&texts[0]);
        text_clear(&texts[1]);
        rule_write_json_one(&texts[0], &first->rules[i]);
        rule_write_json_one(&texts[1], &second->rules[i]);
        same = texts[0].bytes && texts[1].bytes && strcmp(texts[0].bytes, texts[1].bytes) == 0;
    }
    text_free(&texts[0]);
    text_free(&texts[1]);
    return same;
}

/* Whether the last rule of each, which applies most of the time, looks at other queues. */
static bool other_queues(const struct rule_set *one, const struct rule_set *other,
                         const char *process) {
    const struct rule_process *first = rule_process(one, process);
    const struct rule_process *second = rule_process(other, process);
    const struct rule *mine = &first->rules[first->rule_count - 1];
    const struct rule *theirs = &second->rules[second->rule_count - 1];
    bool same = mine->queue_count == theirs->queue_count;
    for (int i = 0; i < mine->queue_count && same; i++)
        same = strcmp(mine->queues[i], theirs->queues[i]) == 0;
    return !same;
}

static bool wants_events(const struct api_call *call) {
    return call->accept && strstr(call->accept, "text/event-stream");
}

static void prepare(struct api_call *call, struct rule_set *proposed, int64_t from_s,
                    int64_t to_s) {
    struct trial_work *work = calloc(1, sizeof *work);
    const char *process = call->parameters[1];
    if (!work) {
        rule_free(proposed);
        api_problem(call, 503, "there is no memory left");
        return;
    }
    work->work = (struct api_work){
        .run = run_work, .free = free_work, .streams = wants_events(call), .app = call->app.id};
    snprintf(work->work.who, sizeof work->work.who, "%s", call->who.name);
    snprintf(work->process, sizeof work->process, "%s", process);
    work->app = call->app.id;
    work->from_s = from_s;
    work->to_s = to_s;
    work->history.jobs = strcmp(process, "web") != 0;
    work->proposed = proposed;
    work->in_force = api_rules(call->store, &call->app, 0, &work->version, NULL);
    if (work->in_force && !rule_process(work->in_force, process)) {
        rule_free(work->in_force);
        work->in_force = NULL;
    }
    work->same_rules = work->in_force && same_rules(proposed, work->in_force, process);
    work->other_queues = work->in_force && other_queues(proposed, work->in_force, process);
    call->work = &work->work;
}

void trial_run_rules(struct api_call *call) {
    json_t *given = NULL;
    int64_t days = 0, from_s = -1, to_s = call->now_s;
    const struct field fields[] = {
        {.name = "rules", .kind = FIELD_ANY, .needed = true, .to = &given},
        {.name = "days", .kind = FIELD_INTEGER, .least = 1, .most = MOST_DAYS, .to = &days},
        {.name = "from", .kind = FIELD_TIME, .to = &from_s},
        {.name = "to", .kind = FIELD_TIME, .to = &to_s},
    };
    if (!input_body(call, fields, INPUT_COUNT(fields)) || !read_range(call, days, &from_s, &to_s))
        return;
    struct rule_set *proposed = read_rules(call, given);
    if (!proposed) return;
    prepare(call, proposed, from_s, to_s);
}
