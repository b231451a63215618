/* dynoscaled trial: what other rules would have done, compared with those in force and with what
 * happened. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/cli_inside.h"

enum { CELL = 96 };

static char *body_of(struct cli *cli) {
    struct text body = TEXT_EMPTY;
    size_t length;
    char *rules = cli_read_file(cli->arguments[1], &length), *end;
    const char *days = cli_value(cli, "days");
    long number = days ? strtol(days, &end, 10) : 0;
    if (!rules) return NULL;
    if (days && (*end || number < 1)) {
        cli_fail(0, "--days must be a number of days");
        free(rules);
        return NULL;
    }
    text_put(&body, "{\"rules\":");
    text_json_bytes(&body, rules, length);
    free(rules);
    if (days) text_format(&body, ",\"days\":%ld", number);
    cli_member(&body, "from", cli_value(cli, "from"));
    cli_member(&body, "to", cli_value(cli, "to"));
    text_char(&body, '}');
    return text_take(&body);
}

static void put_number(char *cell, double value, double times) {
    value *= times;
    snprintf(cell, CELL, value < 100 && times != 1 ? "%.2f" : "%.0f", value);
}

/* "412 (400 to 424)", or one number if it is known exactly; NULL: there is none. */
static const char *estimate(char *cell, const json_t *side, const char *name, double times) {
    const json_t *value = json_object_get(side, name);
    char low[CELL], high[CELL], middle[CELL];
    if (json_is_number(value)) {
        put_number(cell, json_number_value(value), times);
        return cell;
    }
    if (!json_is_object(value)) return NULL;
    put_number(middle, json_number_value(json_object_get(value, "value")), times);
    put_number(low, json_number_value(json_object_get(value, "low")), times);
    put_number(high, json_number_value(json_object_get(value, "high")), times);
    snprintf(cell, CELL, "%.20s (%.20s to %.20s)", middle, low, high);
    return cell;
}

static void add_row(struct cli_table *table, const json_t *answer, const char *name,
                    const char *member, double times) {
    char cells[3][CELL];
    const char *row[] = {name,
                         estimate(cells[0], json_object_get(answer, "proposed"), member, times),
                         estimate(cells[1], json_object_get(answer, "in_force"), member, times),
                         estimate(cells[2], json_object_get(answer, "actual"), member, times)};
    cli_row(table, row);
}

static void print(const json_t *answer) {
    static const char *const head[] = {"", "proposed", "in force", "as it was"};
    struct cli_table table = {.columns = 4};
    char cost[32];
    size_t i;
    json_t *sentence;
    cli_row(&table, head);
    bool jobs = json_is_true(json_object_get(answer, "jobs"));
    add_row(&table, answer, jobs ? "worker-hours" : "dyno-hours", "dyno_hours", 1);
    add_row(&table, answer, jobs ? "late minutes" : "slow minutes", "slow_minutes", 1);
    if (jobs) add_row(&table, answer, "jobs that begin late", "late_jobs", 1);
    add_row(&table, answer, "scalings", "scalings", 1);
    const json_t *price = json_object_get(answer, "price");
    snprintf(cost, sizeof cost, "cost, %.8s", cli_string(price, "currency"));
    if (json_is_object(price)) add_row(&table, answer, cost, "cost_cents", .01);
    cli_print_table(&table);
    const json_t *sureness = json_object_get(answer, "sureness");
    printf("\n%s\n\nHow sure it is: %s.\n", cli_string(answer, "verdict"),
           cli_string(sureness, "level"));
    json_array_foreach(json_object_get(sureness, "sentences"), i, sentence)
        printf("- %s\n", json_string_value(sentence));
}

int cli_trial(struct cli *cli) {
    const char *process = cli_value(cli, "process");
    char *path = cli_path("/api/v1/apps/%s/processes/%s/trial", cli->arguments[0],
                          process ? process : "web");
    char *body = body_of(cli);
    struct cli_reply reply = {0};
    const struct cli_request request = {
        .method = HTTP_POST, .path = path, .type = "application/json", .body = body};
    bool done = path && body && cli_call(cli, &request, &reply);
    free(path);
    free(body);
    if (done && cli->json) puts(reply.body.bytes);
    else if (done) print(reply.json);
    cli_reply_free(&reply);
    return done ? CLI_DONE : CLI_REFUSED;
}
