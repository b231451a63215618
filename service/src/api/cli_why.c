/* dynoscaled status, explain, ledger, replay, pause, boost, resume, switch */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/cli_inside.h"

static bool get(struct cli *cli, char *path, const struct text *query, struct cli_reply *reply) {
    const struct cli_request request = {
        .method = HTTP_GET, .path = path, .query = query ? query->bytes : NULL};
    bool done = path && cli_call(cli, &request, reply);
    if (done && cli->json) puts(reply->body.bytes);
    free(path);
    return done;
}

/* ---- status ---------------------------------------------------------------------------------- */

static void put_dynos(char text[64], const json_t *process) {
    const json_t *dynos = json_object_get(process, "dynos"),
                 *rule = json_object_get(process, "rule");
    const json_t *limits = json_object_get(rule, "dynos");
    char ordered[64], wanted[64], least[64], most[64];
    cli_cell(ordered, dynos, "ordered");
    snprintf(text, 64, "%.10s of %.6s to %.6s",
             json_is_integer(json_object_get(dynos, "ordered")) ? ordered : "?",
             cli_cell(least, limits, "min"), cli_cell(most, limits, "max"));
    const json_t *want = json_object_get(dynos, "wanted");
    if (json_is_integer(want) && !json_equal(want, json_object_get(dynos, "ordered")))
        snprintf(text + strlen(text), 64 - strlen(text), ", %.10s wanted",
                 cli_cell(wanted, dynos, "wanted"));
}

static void put_wait(char text[64], const json_t *process) {
    const json_t *wait = json_object_get(process, "queue_time");
    const json_t *ms = json_object_get(wait, "ms");
    if (json_is_integer(ms))
        snprintf(text, 64, "%.8s %" PRId64 " ms", cli_string(wait, "statistic"),
                 (int64_t)json_integer_value(ms));
    else snprintf(text, 64, "-");
}

static void print_app(const json_t *app) {
    static const char *const head[] = {"PROCESS", "SCALING", "DYNOS", "QUEUE TIME",
                                       "RULE",    "UNTIL",   "STATE"};
    struct cli_table table = {.columns = 7};
    const json_t *processes = json_object_get(app, "processes");
    const char *zone = cli_string(app, "zone");
    size_t i;
    json_t *process;
    printf("%s (%s): %s\n", cli_string(app, "name"), zone, cli_string(app, "words"));
    if (json_is_null(json_object_get(app, "platform")))
        printf("No platform is set: dynoscaled platform set %s ...\n", cli_string(app, "name"));
    cli_row(&table, head);
    json_array_foreach(processes, i, process) {
        char dynos[64], wait[64], until[32];
        put_dynos(dynos, process);
        put_wait(wait, process);
        const char *const cells[] = {
            cli_string(process, "process"),
            json_is_true(json_object_get(process, "scaling")) ? "on" : "off",
            dynos,
            wait,
            cli_string(json_object_get(process, "rule"), "name"),
            cli_moment(until, json_object_get(process, "rule_until"), zone),
            cli_string(process, "words")};
        cli_row(&table, cells);
    }
    cli_print_table(&table);
    json_array_foreach(processes, i, process) {
        char moment[32];
        const char *sentence = cli_string(process, "sentence"), *next = cli_string(process, "next");
        if (*sentence)
            printf("%s, %s: %s\n", cli_string(process, "process"),
                   cli_moment(moment, json_object_get(process, "decided"), zone), sentence);
        if (*next) printf("    next: %s\n", next);
    }
}

int cli_status(struct cli *cli) {
    struct cli_reply reply = {0};
    size_t i;
    json_t *app;
    bool one = cli->count == 1;
    bool done =
        get(cli, one ? cli_path("/api/v1/apps/%s", cli->arguments[0]) : cli_path("/api/v1/apps"),
            NULL, &reply);
    if (done && !cli->json && one) {
        print_app(reply.json);
    } else if (done && !cli->json) {
        const json_t *apps = json_object_get(reply.json, "apps");
        if (json_array_size(apps) == 0) puts("There is no app yet: dynoscaled app add NAME");
        json_array_foreach(apps, i, app) {
            if (i > 0) putchar('\n');
            print_app(app);
        }
    }
    cli_reply_free(&reply);
    return done ? CLI_DONE : CLI_REFUSED;
}

/* ---- explain, ledger, replay ----------------------------------------------------------------- */

/* The app's time zone, in which times are printed. */
static void find_zone(struct cli *cli, char zone[64]) {
    struct cli_reply reply = {0};
    char *path = cli_path("/api/v1/apps/%s", cli->arguments[0]);
    const struct cli_request request = {.method = HTTP_GET, .path = path};
    strcpy(zone, "UTC");
    if (path && cli_call(cli, &request, &reply))
        snprintf(zone, 64, "%s", cli_string(reply.json, "zone"));
    free(path);
    cli_reply_free(&reply);
}

static void print_inputs(const char *title, const json_t *inputs) {
    struct cli_table table = {.columns = 3};
    size_t i;
    json_t *input;
    printf("\n%s\n", title);
    json_array_foreach(inputs, i, input) {
        char name[64], indented[72], value[64];
        snprintf(indented, sizeof indented, "  %s", cli_cell(name, input, "name"));
        const char *const cells[] = {indented, cli_cell(value, input, "value"),
                                     cli_string(input, "meaning")};
        cli_row(&table, cells);
    }
    cli_print_table(&table);
}

int cli_explain(struct cli *cli) {
    struct cli_reply reply = {0};
    struct text query = TEXT_EMPTY;
    char zone[64], moment[32], version[64];
    cli_query(&query, "at", cli_value(cli, "at"));
    bool done = get(
        cli, cli_path("/api/v1/apps/%s/processes/%s/explain", cli->arguments[0], cli->arguments[1]),
        &query, &reply);
    text_free(&query);
    if (done && !cli->json) {
        find_zone(cli, zone);
        printf("%s (%s), %s of %s\n%s\n",
               cli_moment(moment, json_object_get(reply.json, "t"), zone), zone, cli->arguments[1],
               cli->arguments[0], cli_string(reply.json, "sentence"));
        if (*cli_string(reply.json, "next")) printf("next: %s\n", cli_string(reply.json, "next"));
        char *rule = json_dumps(json_object_get(reply.json, "rule_in_force"), JSON_COMPACT);
        printf("\nrule “%s” of version %s\n  %s\n", cli_string(reply.json, "rule"),
               cli_cell(version, reply.json, "rules_version"), rule ? rule : "-");
        free(rule);
        print_inputs("what was known", json_object_get(reply.json, "situation"));
        if (*cli_string(reply.json, "queue"))
            printf("  queue: %s\n", cli_string(reply.json, "queue"));
        if (*cli_string(reply.json, "trouble"))
            printf("  trouble: %s\n", cli_string(reply.json, "trouble"));
        print_inputs("what was remembered", json_object_get(reply.json, "memory"));
    }
    cli_reply_free(&reply);
    return done ? CLI_DONE : CLI_REFUSED;
}

int cli_ledger(struct cli *cli) {
    struct cli_reply reply = {0};
    struct text query = TEXT_EMPTY;
    struct cli_table table = {.columns = 3};
    char zone[64], moment[32];
    size_t i;
    json_t *tick;
    cli_query(&query, "from", cli_value(cli, "from"));
    cli_query(&query, "to", cli_value(cli, "to"));
    cli_query(&query, "changes", cli_given(cli, "changes") ? "true" : NULL);
    cli_query(&query, "limit", "10000");
    bool done = get(
        cli, cli_path("/api/v1/apps/%s/processes/%s/ledger", cli->arguments[0], cli->arguments[1]),
        &query, &reply);
    text_free(&query);
    if (done && !cli->json) {
        find_zone(cli, zone);
        json_array_foreach(json_object_get(reply.json, "ticks"), i, tick) {
            const char *const cells[] = {cli_moment(moment, json_object_get(tick, "t"), zone),
                                         json_is_true(json_object_get(tick, "scaling")) ? "on"
                                                                                        : "off",
                                         cli_string(tick, "sentence")};
            cli_row(&table, cells);
        }
        cli_print_table(&table);
        const json_t *next = json_object_get(reply.json, "next_from");
        if (json_is_integer(next))
            fprintf(stderr, "There are more: --from %" PRId64 "\n",
                    (int64_t)json_integer_value(next));
    }
    cli_reply_free(&reply);
    return done ? CLI_DONE : CLI_REFUSED;
}

int cli_replay(struct cli *cli) {
    struct cli_reply reply = {0};
    struct text query = TEXT_EMPTY;
    char zone[64], moment[32], ticks[64], different[64];
    size_t i;
    json_t *one;
    cli_query(&query, "from", cli_value(cli, "from"));
    cli_query(&query, "to", cli_value(cli, "to"));
    bool done = get(
        cli, cli_path("/api/v1/apps/%s/processes/%s/replay", cli->arguments[0], cli->arguments[1]),
        &query, &reply);
    text_free(&query);
    bool same = json_is_true(json_object_get(reply.json, "same"));
    if (done && !cli->json) {
        find_zone(cli, zone);
        json_array_foreach(json_object_get(reply.json, "differences"), i, one)
            printf("%s: %s differs\n  was: %s\n  now: %s\n",
                   cli_moment(moment, json_object_get(one, "t"), zone), cli_string(one, "what"),
                   cli_string(one, "was"), cli_string(one, "now"));
        printf("%s ticks decided again, %s of them differently.\n",
               cli_cell(ticks, reply.json, "ticks"), cli_cell(different, reply.json, "different"));
    }
    cli_reply_free(&reply);
    return done && same ? CLI_DONE : CLI_REFUSED;
}

/* ---- Orders ---------------------------------------------------------------------------------- */

/* Makes a call that changes something about a process. `body` begins with { and is closed here. */
static bool order(struct cli *cli, enum http_method method, const char *what, struct text *body,
                  struct cli_reply *reply) {
    char *path = cli_path("/api/v1/apps/%s/processes/%s/", cli->arguments[0], cli->arguments[1]);
    struct text whole = TEXT_EMPTY;
    text_put(&whole, path ? path : "");
    text_put(&whole, what);
    text_put(body, body->length ? "}" : "{}");
    const struct cli_request request = {
        .method = method, .path = whole.bytes, .type = "application/json", .body = body->bytes};
    bool done = path && cli_call(cli, &request, reply);
    if (done && cli->json && reply->body.length > 0) puts(reply->body.bytes);
    free(path);
    text_free(&whole);
    text_free(body);
    return done;
}

int cli_pause(struct cli *cli) {
    struct cli_reply reply = {0};
    struct text body = TEXT_EMPTY;
    char zone[64], moment[32];
    text_char(&body, '{');
    cli_member(&body, "until", cli_value(cli, "until"));
    cli_member(&body, "direction", cli_given(cli, "down") ? "down" : "both");
    bool done = order(cli, HTTP_POST, "pause", &body, &reply);
    if (done && !cli->json) {
        find_zone(cli, zone);
        printf("%s of %s: %s paused until %s (%s).\n", cli->arguments[1], cli->arguments[0],
               cli_given(cli, "down") ? "scaling down is" : "scaling is",
               cli_moment(moment, json_object_get(reply.json, "until"), zone), zone);
    }
    cli_reply_free(&reply);
    return done ? CLI_DONE : CLI_REFUSED;
}

int cli_boost(struct cli *cli) {
    struct cli_reply reply = {0};
    struct text body = TEXT_EMPTY;
    char zone[64], moment[32], *end;
    long dynos = strtol(cli->arguments[2], &end, 10);
    if (*end || dynos < 1) return cli_fail(CLI_USAGE, "DYNOS must be a number from 1");
    text_format(&body, "{\"dynos\":%ld", dynos);
    cli_member(&body, "until", cli_value(cli, "until"));
    bool done = order(cli, HTTP_POST, "boost", &body, &reply);
    if (done && !cli->json) {
        find_zone(cli, zone);
        printf("%s of %s: at least %ld dynos until %s (%s).\n", cli->arguments[1],
               cli->arguments[0], dynos,
               cli_moment(moment, json_object_get(reply.json, "until"), zone), zone);
    }
    cli_reply_free(&reply);
    return done ? CLI_DONE : CLI_REFUSED;
}

int cli_resume(struct cli *cli) {
    struct cli_reply pause = {0}, boost = {0};
    struct text first = TEXT_EMPTY, second = TEXT_EMPTY;
    bool done = order(cli, HTTP_DELETE, "pause", &first, &pause) &&
                order(cli, HTTP_DELETE, "boost", &second, &boost);
    if (done && !cli->json)
        printf("%s of %s: neither paused nor boosted.\n", cli->arguments[1], cli->arguments[0]);
    cli_reply_free(&pause);
    cli_reply_free(&boost);
    return done ? CLI_DONE : CLI_REFUSED;
}

int cli_switch(struct cli *cli) {
    struct cli_reply reply = {0};
    struct text body = TEXT_EMPTY;
    bool on = strcmp(cli->arguments[2], "on") == 0;
    if (!on && strcmp(cli->arguments[2], "off") != 0)
        return cli_fail(CLI_USAGE, "switch %s %s on, or off", cli->arguments[0], cli->arguments[1]);
    text_format(&body, "{\"scaling\":%s", on ? "true" : "false");
    bool done = order(cli, HTTP_PUT, "switch", &body, &reply);
    if (done && !cli->json)
        printf("%s of %s: scaling is %s.\n", cli->arguments[1], cli->arguments[0],
               on ? "on" : "off: decided and shown, not done");
    cli_reply_free(&reply);
    return done ? CLI_DONE : CLI_REFUSED;
}
