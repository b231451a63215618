/* How resources answer: small parts that several of them share. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/resources.h"

bool api_begin(struct api_call *call) {
    if (!store_begin(call->store)) {
        api_store_failed(call);
        return false;
    }
    if (api_may_still(call)) return true;
    store_rollback(call->store);
    return false;
}

bool api_end(struct api_call *call) {
    if (!api_failed(call) && api_finish(call)) {
        if (store_commit(call->store)) return true;
        text_free(&call->headers);
        api_store_failed(call);
    }
    store_rollback(call->store);
    call->config_changed = call->tokens_changed = false;
    return false;
}

void api_put_time(struct text *text, int64_t epoch_s) {
    if (epoch_s > 0) text_int(text, epoch_s);
    else text_put(text, "null");
}

void api_put_known(struct text *text, int64_t number) {
    if (number >= 0) text_int(text, number);
    else text_put(text, "null");
}

void api_put_lines(struct text *text, const char *lines) {
    bool first = true;
    text_char(text, '[');
    while (lines && *lines) {
        size_t length = strcspn(lines, "\n");
        if (length > 0) {
            if (!first) text_char(text, ',');
            text_json_bytes(text, lines, length);
            first = false;
        }
        lines += length + (lines[length] == '\n');
    }
    text_char(text, ']');
}

struct rule_set *api_read_rules(const char *text, size_t length, const char *zone, char *error,
                                size_t size) {
    struct rule_set *set = rule_read(text, length, zone, error, size);
    if (!set && strcmp(error, rule_no_memory) == 0) api_no_memory();
    return set;
}

struct rule_set *api_rules(struct store *store, const struct app *app, int64_t version,
                           int64_t *found, char **text) {
    char error[512];
    int64_t number = 0;
    char *body = rules_get(store, app->id, version, &number);
    struct rule_set *set =
        body ? api_read_rules(body, strlen(body), app->zone, error, sizeof error) : NULL;
    if (found) *found = number;
    if (text && set) *text = body;
    else free(body);
    return set;
}

const struct rule_process *api_process(struct api_call *call, struct rule_set **set) {
    const char *name = call->parameters[1];
    *set = api_rules(call->store, &call->app, 0, NULL, NULL);
    const struct rule_process *process = *set ? rule_process(*set, name) : NULL;
    if (process) return process;
    rule_free(*set);
    *set = NULL;
    api_problem(call, 404, "the rules of %s have no process “%.64s”", call->app.name, name);
    return NULL;
}

void api_put_report_url(struct text *text, const struct api_call *call, const char *token) {
    const char *url = call->public_url ? call->public_url : "http://127.0.0.1:8080";
    size_t length = strlen(url);
    while (length > 0 && url[length - 1] == '/') length--;
    text_add(text, url, length);
    text_format(text, "/api/v1/report/%s", token);
}

void api_put_rule(struct text *text, const struct rule *rule, int number) {
    struct text one = TEXT_EMPTY;
    rule_write_json_one(&one, rule);
    if (one.length > 0 && !one.failed)
        text_format(text, "{\"number\":%d,%s", number, one.bytes + 1);
    else api_no_memory();
    text_free(&one);
}
