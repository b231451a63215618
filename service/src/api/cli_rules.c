/* dynoscaled rules ... */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/cli_inside.h"

static void print_changes(const json_t *answer, const char *before) {
    size_t i;
    json_t *line;
    json_array_foreach(json_object_get(answer, "changes"), i, line)
        printf("%s%s\n", before, json_string_value(line));
}

int cli_rules_get(struct cli *cli) {
    struct cli_reply reply = {0};
    struct text query = TEXT_EMPTY;
    cli_query(&query, "version", cli_value(cli, "version"));
    char *path = cli_path("/api/v1/apps/%s/rules", cli->arguments[0]);
    const struct cli_request request = {.method = HTTP_GET,
                                        .path = path,
                                        .query = query.bytes,
                                        .accept =
                                            cli->json ? "application/json" : "application/yaml"};
    bool done = path && cli_call(cli, &request, &reply);
    if (done && reply.body.length > 0) {
        fputs(reply.body.bytes, stdout);
        if (reply.body.bytes[reply.body.length - 1] != '\n') putchar('\n');
    }
    free(path);
    text_free(&query);
    cli_reply_free(&reply);
    return done ? CLI_DONE : CLI_REFUSED;
}

/* Runs in this process: it needs neither a service nor data. */
int cli_rules_check(struct cli *cli) {
    char error[1024];
    const char *zone = cli_value(cli, "zone");
    size_t length;
    char *text = cli_read_file(cli->arguments[0], &length);
    if (!text) return CLI_REFUSED;
    struct rule_set *set = rule_read(text, length, zone ? zone : "UTC", error, sizeof error);
    free(text);
    if (!set) return cli_fail(CLI_REFUSED, "%s: %s", cli->arguments[0], error);
    if (cli->json) {
        struct text json = TEXT_EMPTY;
        rule_write_json(&json, set);
        puts(json.bytes ? json.bytes : "");
        text_free(&json);
    } else {
        int rules = 0;
        for (int i = 0; i < set->process_count; i++) rules += set->processes[i].rule_count;
        printf("%s is right: %d process%s, %d rule%s, in the time zone %s.\n", cli->arguments[0],
               set->process_count, set->process_count == 1 ? "" : "es", rules,
               rules == 1 ? "" : "s", set->zone_name);
    }
    rule_free(set);
    return CLI_DONE;
}

/* Sends a file of rules. */
static bool send_rules(struct cli *cli, enum http_method method, char *path, const char *if_match,
                       struct cli_reply *reply) {
    size_t length;
    char *text = cli_read_file(cli->arguments[1], &length);
    const struct cli_request request = {.method = method,
                                        .path = path,
                                        .type = "application/yaml",
                                        .body = text,
                                        .body_length = length,
                                        .if_match = if_match};
    bool done = text && path && cli_call(cli, &request, reply);
    free(text);
    free(path);
    if (done && cli->json) puts(reply->body.bytes);
    return done;
}

static void print_planned(const char *when, const json_t *planned) {
    char wanted[64];
    if (!json_is_object(planned)) {
        printf("  %-5s no rules\n", when);
        return;
    }
    const char *sentence = cli_string(planned, "sentence");
    printf("  %-5s rule %s, scaling %s: %s", when, cli_string(planned, "rule"),
           json_is_true(json_object_get(planned, "scaling")) ? "on" : "off",
           *sentence ? sentence : "nothing is known yet");
    if (*sentence) printf(" (%s wanted)", cli_cell(wanted, planned, "wanted"));
    putchar('\n');
}

int cli_rules_plan(struct cli *cli) {
    struct cli_reply reply = {0};
    size_t i;
    json_t *process;
    bool done = send_rules(cli, HTTP_POST,
                           cli_path("/api/v1/apps/%s/rules/plan", cli->arguments[0]), NULL, &reply);
    if (done && !cli->json) {
        if (json_array_size(json_object_get(reply.json, "changes")) == 0)
            puts("Nothing would change.");
        print_changes(reply.json, "");
        json_array_foreach(json_object_get(reply.json, "processes"), i, process) {
            printf("\n%s\n", cli_string(process, "process"));
            print_planned("now", json_object_get(process, "now"));
            print_planned("then", json_object_get(process, "then"));
            if (json_is_false(json_object_get(process, "same_measure")))
                puts("  The new rule looks at another statistic, window or queues: what it will "
                     "see is not known yet.");
        }
    }
    cli_reply_free(&reply);
    return done ? CLI_DONE : CLI_REFUSED;
}

int cli_rules_put(struct cli *cli) {
    struct cli_reply reply = {0};
    const char *version = cli_value(cli, "if-version");
    char tag[40], number[64];
    if (version) snprintf(tag, sizeof tag, "\"%.30s\"", version);
    bool done = send_rules(cli, HTTP_PUT, cli_path("/api/v1/apps/%s/rules", cli->arguments[0]),
                           version ? tag : NULL, &reply);
    if (done && !cli->json) {
        printf("Version %s is in force.\n", cli_cell(number, reply.json, "version"));
        print_changes(reply.json, "  ");
    }
    cli_reply_free(&reply);
    return done ? CLI_DONE : CLI_REFUSED;
}

int cli_rules_history(struct cli *cli) {
    struct cli_reply reply = {0};
    size_t i;
    json_t *version;
    char *path = cli_path("/api/v1/apps/%s/rules/history", cli->arguments[0]);
    const struct cli_request request = {.method = HTTP_GET, .path = path};
    bool done = path && cli_call(cli, &request, &reply);
    if (done && cli->json) puts(reply.body.bytes);
    else if (done) json_array_foreach(json_object_get(reply.json, "versions"), i, version) {
            char number[64], moment[32];
            printf("%s  %s UTC  %s\n", cli_cell(number, version, "version"),
                   cli_moment(moment, json_object_get(version, "at"), "UTC"),
                   cli_string(version, "who"));
            print_changes(version, "    ");
        }
    free(path);
    cli_reply_free(&reply);
    return done ? CLI_DONE : CLI_REFUSED;
}

int cli_rules_rollback(struct cli *cli) {
    struct cli_reply reply = {0};
    char body[64], number[64], *end;
    long version = strtol(cli->arguments[1], &end, 10);
    if (*end || version < 1) return cli_fail(CLI_USAGE, "VERSION must be a number of the history");
    snprintf(body, sizeof body, "{\"version\":%ld}", version);
    char *path = cli_path("/api/v1/apps/%s/rules/rollback", cli->arguments[0]);
    const struct cli_request request = {
        .method = HTTP_POST, .path = path, .type = "application/json", .body = body};
    bool done = path && cli_call(cli, &request, &reply);
    if (done && cli->json) puts(reply.body.bytes);
    else if (done) {
        printf("Version %s is in force, which is version %ld again.\n",
               cli_cell(number, reply.json, "version"), version);
        print_changes(reply.json, "  ");
    }
    free(path);
    cli_reply_free(&reply);
    return done ? CLI_DONE : CLI_REFUSED;
}
