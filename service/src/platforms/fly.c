/*
 * Fly.io: a process group of an app is a process type, its machines that run are the dynos. They
 * are started and stopped, never made or destroyed: as many as `fly scale count` made is the limit.
 *
 *     GET  /v1/apps/APP/machines                     [{"id", "name", "state", "config", ...}]
 *     POST /v1/apps/APP/machines/ID/start
 *     POST /v1/apps/APP/machines/ID/stop  {}
 *
 * From https://fly.io/docs/machines/api/machines-resource/, .../working-with-machines-api/ and
 * https://fly.io/docs/machines/machine-states/. Which machine is idle the API does not say: stopped
 * first is one that still starts, then one whose check fails, then the one that was changed last.
 * The group stands in config.metadata.fly_process_group; standbys are left alone.
 *
 * A number is reached by the difference to what runs, so each order lists the machines first, and a
 * repeat finds nothing to do. One that fails halfway is gone on with at once, 3 times. FAILED: 408,
 * 5xx, no answer, a machine that went away meanwhile (404). BUSY: 429; Fly allows 1 request a
 * second of a kind for each machine. LOCKED: 409 (a lease, as deploys take) and 412 (its state just
 * changed). LIMITED: more than there are; all are started. REFUSED: 401, 403, 404 of the app, any
 * other 4xx, and a group without machines.
 *
 * Settings: `app` at Fly, else the name here; `processes`, else the process type is the group;
 * `api` in place of https://api.machines.dev. Secret: a deploy token, `fly tokens create deploy`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platforms/rest.h"

enum { MOST = 1000, TRIES = 3 };

static bool fly_check(const json_t *settings, const char *secret, char *error, size_t size) {
    static const char *const known[] = {"app", "api", NULL};
    if (!rest_check(settings, known, error, size)) return false;
    /* "FlyV1 fm2_...": as flyctl prints it. */
    bool scheme = secret && strncmp(secret, "FlyV1 ", 6) == 0;
    return rest_check_secret(scheme ? secret + 6 : secret, "a token of Fly", error, size);
}

/* ---- The machines -----------------------------------------------------------------------------
 */

enum state { OTHER, STARTING, UP, STOPPING, AT_REST };

struct machine {
    const char *id, *changed; /* of the answer */
    enum state state;
    bool failing;
};

struct group {
    const char *name;
    char base[REST_URL], what[400];
    struct rest_answer list;
    struct machine machines[MOST];
    int count, running, up, starting, stopping;
    bool releasing;
    int acted;   /* machines that were started or stopped */
    bool unsure; /* a call had no answer, so it may have been carried out */
};

static enum state state_of(const char *name) {
    static const struct {
        const char *name;
        enum state state;
    } names[] = {{"started", UP},          {"starting", STARTING},   {"replacing", STARTING},
                 {"updating", STARTING},   {"restarting", STARTING}, {"stopping", STOPPING},
                 {"suspending", STOPPING}, {"stopped", AT_REST},     {"suspended", AT_REST},
                 {"created", AT_REST}};
    for (size_t i = 0; name && i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i].name, name) == 0) return names[i].state;
    return OTHER;
}

static bool is_failing(const json_t *machine) {
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(machine, "checks"), i, one) {
        const char *status = json_string_value(json_object_get(one, "status"));
        if (status && strcmp(status, "critical") == 0) return true;
    }
    return false;
}

static bool is_of(const json_t *machine, const char *group) {
    const json_t *config = json_object_get(machine, "config");
    const char *name = json_string_value(
        json_object_get(json_object_get(config, "metadata"), "fly_process_group"));
    return name && strcmp(name, group) == 0 &&
           json_array_size(json_object_get(config, "standbys")) == 0;
}

/* False where it can't be told whether the machine counts: the number is not known then. */
static bool take_machine(struct group *group, const json_t *json) {
    const char *id = json_string_value(json_object_get(json, "id"));
    const char *changed = json_string_value(json_object_get(json, "updated_at"));
    const char *name = json_string_value(json_object_get(json, "state"));
    struct machine machine = {.id = id,
                              .changed = changed ? changed : "",
                              .state = state_of(name),
                              .failing = is_failing(json)};
    if (!rest_is_name(id) || !name) return false;
    if (machine.state == OTHER) return true; /* it is gone, or goes */
    if (!json_is_object(json_object_get(json, "config"))) return false;
    if (!is_of(json, group->name) || group->count == MOST) return true;
    group->machines[group->count++] = machine;
    group->up += machine.state == UP;
    group->starting += machine.state == STARTING;
    group->stopping += machine.state == STOPPING;
    group->running += machine.state == UP || machine.state == STARTING;
    group->releasing |= strcmp(name, "replacing") == 0 || strcmp(name, "updating") == 0;
    return true;
}

/* free_group releases the group. */
static struct platform_answer list_group(struct group **made, struct rest_call *call,
                                         const struct platform_app *app, const char *process) {
    struct group *group = *made = calloc(1, sizeof **made);
    *call = rest_begin(app, "Fly");
    if (!group) return platform_trouble(PLATFORM_FAILED, "no memory to ask Fly");
    group->name = rest_process(app, process, process);
    const char *name = rest_setting(app, "app", app->app);
    if (!group->name || !rest_is_name(name)) return rest_no_process(app, process, "the group");
    snprintf(group->base, sizeof group->base, "%s/v1/apps/%s/machines",
             rest_setting(app, "api", "https://api.machines.dev"), name);
    snprintf(group->what, sizeof group->what, "the machines of %.100s in %.100s", group->name,
             name);
    call->what = group->what, call->method = "GET", call->url = group->base;
    call->bearer = app->secret;
    if (app->secret && strncmp(app->secret, "FlyV1 ", 6) == 0) call->bearer = app->secret + 6;
    rest_call(call, &group->list);
    struct platform_answer answer = group->list.answer;
    if (answer.result != PLATFORM_OK) return answer;
    if (!json_is_array(group->list.json)) return rest_not_understood(call);
    size_t i;
    json_t *one;
    json_array_foreach(group->list.json, i, one) {
        if (!take_machine(group, one)) return rest_not_understood(call);
    }
    if (group->count > 0) return answer;
    return platform_trouble(PLATFORM_REFUSED, "Fly has no %s: make some with `fly scale count`",
                            group->what + 4);
}

static void free_group(struct group *group) {
    if (group) rest_free(&group->list);
    free(group);
}

static struct platform_answer fly_read(const struct platform_app *app, const char *process,
                                       struct platform_formation *formation) {
    struct group *group;
    struct rest_call call;
    *formation = platform_unknown;
    struct platform_answer answer = list_group(&group, &call, app, process);
    if (answer.result == PLATFORM_OK) {
        formation->ordered = group->running;
        formation->up = group->up;
        formation->booting = group->starting;
        formation->stopping = group->stopping;
        formation->releasing = group->releasing;
        answer.limit = group->count;
    }
    free_group(group);
    return answer;
}

/* ---- Starting and stopping ---------------------------------------------------------------------
 */

static struct platform_answer act(struct rest_call *call, struct group *group,
                                  const struct machine *machine, const char *what) {
    struct rest_answer got;
    char url[REST_URL];
    snprintf(url, sizeof url, "%.700s/%.253s/%s", group->base, machine->id, what);
    call->method = "POST", call->url = url, call->body = "{}";
    rest_call(call, &got);
    rest_free(&got);
    group->acted += got.answer.result == PLATFORM_OK;
    group->unsure |= got.status == 0;
    if (got.status == 404)
        return platform_trouble(PLATFORM_FAILED, "machine %.60s of %s went away meanwhile",
                                machine->id, group->what);
    if (got.status == 412)
        return platform_trouble(PLATFORM_LOCKED, "the state of machine %.60s just changed (412)",
                                machine->id);
    return got.answer;
}

/* Stopped machines before those that are stopping, the longest unchanged first. */
static int by_rest(const void *a, const void *b) {
    const struct machine *one = a, *other = b;
    if (one->state != other->state) return (int)other->state - (int)one->state;
    return strcmp(one->changed, other->changed);
}

/* The least useful first: still starting, then failing, then changed last. */
static int by_idleness(const void *a, const void *b) {
    const struct machine *one = a, *other = b;
    if (one->state != other->state) return (int)one->state - (int)other->state;
    if (one->failing != other->failing) return one->failing ? -1 : 1;
    return strcmp(other->changed, one->changed);
}

static struct platform_answer start_some(struct rest_call *call, struct group *group, int some) {
    struct platform_answer answer = platform_ok();
    qsort(group->machines, (size_t)group->count, sizeof *group->machines, by_rest);
    for (int i = 0; i < group->count && some > 0 && answer.result == PLATFORM_OK; i++) {
        if (group->machines[i].state != AT_REST) break;
        answer = act(call, group, &group->machines[i], "start");
        some--;
    }
    if (answer.result == PLATFORM_OK && some > 0 && group->stopping > 0)
        return platform_trouble(PLATFORM_LOCKED, "%d of %s are just stopping", group->stopping,
                                group->what);
    return answer;
}

static struct platform_answer stop_some(struct rest_call *call, struct group *group, int some) {
    struct platform_answer answer = platform_ok();
    qsort(group->machines, (size_t)group->count, sizeof *group->machines, by_idleness);
    for (int i = 0; i < group->count && some > 0 && answer.result == PLATFORM_OK; i++) {
        if (group->machines[i].state > UP) break;
        answer = act(call, group, &group->machines[i], "stop");
        some--;
    }
    return answer;
}

/* Lists the machines once and starts or stops what is missing or too much. *halfway: when it
 * failed, something had been done, or may have been. */
static struct platform_answer approach(const struct platform_app *app, const char *process,
                                       int dynos, bool *halfway) {
    struct group *group;
    struct rest_call call;
    struct platform_answer answer = list_group(&group, &call, app, process);
    *halfway = false;
    if (answer.result == PLATFORM_OK) {
        int most = dynos < group->count ? dynos : group->count;
        answer = most > group->running ? start_some(&call, group, most - group->running)
                                       : stop_some(&call, group, group->running - most);
        *halfway = answer.result == PLATFORM_FAILED && (group->acted > 0 || group->unsure);
        if (answer.result == PLATFORM_OK && dynos > group->count) {
            answer = platform_trouble(PLATFORM_LIMITED,
                                      "%s are %d: more are made with `fly scale count`",
                                      group->what, group->count);
            answer.limit = group->count;
        }
    }
    free_group(group);
    return answer;
}

/* A half-done change would look like a number that somebody else set, so it goes on at once. */
static struct platform_answer fly_set(const struct platform_app *app, const char *process,
                                      int dynos, const char *reason) {
    bool halfway = true;
    struct platform_answer answer = platform_ok();
    struct platform_app part = *app;
    (void)reason;
    part.deadline_ms = app->deadline_ms / TRIES;
    for (int i = 0; i < TRIES && halfway; i++) answer = approach(&part, process, dynos, &halfway);
    /* cppcheck-suppress returnDanglingLifetime ; the answer is a value, it points to nothing */
    return answer;
}

const struct platform platform_fly = {.kind = "fly",
                                      .local_only = false,
                                      .read_every_s = 10,
                                      .check = fly_check,
                                      .read = fly_read,
                                      .set = fly_set};
