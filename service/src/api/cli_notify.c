/* dynoscaled notify ... */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/cli_inside.h"

/* "maximum,silent" as an array. */
static void put_tells(struct text *body, const char *tells) {
    if (!tells) return;
    text_put(body, ",\"tells\":[");
    for (bool first = true; *tells; first = false) {
        size_t length = strcspn(tells, ",");
        if (!first) text_char(body, ',');
        text_json_bytes(body, tells, length);
        tells += length + (tells[length] == ',');
    }
    text_char(body, ']');
}

int cli_notify_add(struct cli *cli) {
    struct cli_reply reply = {0};
    struct text body = TEXT_EMPTY;
    bool print;
    text_char(&body, '{');
    cli_member(&body, "kind", cli->arguments[1]);
    cli_member(&body, "target", cli->arguments[2]);
    put_tells(&body, cli_value(cli, "tells"));
    text_char(&body, '}');
    int code = cli_do(cli, HTTP_POST, cli_path("/api/v1/apps/%s/channels", cli->arguments[0]),
                      &body, &reply, &print);
    if (print) {
        char id[64];
        printf("Channel %s: %s %s. Try it: dynoscaled notify test %s %s\n",
               cli_cell(id, reply.json, "id"), cli->arguments[1], cli_string(reply.json, "target"),
               cli->arguments[0], cli_cell(id, reply.json, "id"));
        if (*cli_string(reply.json, "secret"))
            printf("It is signed with %s, which is shown this once.\n",
                   cli_string(reply.json, "secret"));
    }
    cli_reply_free(&reply);
    return code;
}

static void write_tells(struct text *text, const json_t *tells) {
    size_t i;
    json_t *kind;
    json_array_foreach(tells, i, kind)
        text_format(text, "%s%s", i ? "," : "", json_string_value(kind));
}

static void print_channels(const json_t *answer) {
    static const char *const head[] = {"ID",     "KIND", "TARGET", "TELLS", "LAST TOLD (UTC)",
                                       "TROUBLE"};
    struct cli_table table = {.columns = 6};
    size_t i;
    json_t *channel;
    cli_row(&table, head);
    json_array_foreach(json_object_get(answer, "channels"), i, channel) {
        char id[64], kind[64], told[32];
        struct text tells = TEXT_EMPTY;
        const char *trouble = cli_string(channel, "trouble");
        write_tells(&tells, json_object_get(channel, "tells"));
        const char *const cells[] = {cli_cell(id, channel, "id"),
                                     cli_cell(kind, channel, "kind"),
                                     cli_string(channel, "target"),
                                     tells.length ? tells.bytes : NULL,
                                     cli_moment(told, json_object_get(channel, "told"), "UTC"),
                                     *trouble ? trouble : NULL};
        cli_row(&table, cells);
        text_free(&tells);
    }
    cli_print_table(&table);
}

int cli_notify_list(struct cli *cli) {
    struct cli_reply reply = {0};
    bool print;
    int code = cli_do(cli, HTTP_GET, cli_path("/api/v1/apps/%s/channels", cli->arguments[0]), NULL,
                      &reply, &print);
    if (print) print_channels(reply.json);
    cli_reply_free(&reply);
    return code;
}

int cli_notify_test(struct cli *cli) {
    struct cli_reply reply = {0};
    bool print;
    int code =
        cli_do(cli, HTTP_POST,
               cli_path("/api/v1/apps/%s/channels/%s/test", cli->arguments[0], cli->arguments[1]),
               NULL, &reply, &print);
    bool sent = strcmp(cli_string(reply.json, "result"), "ok") == 0;
    if (print && sent) puts("Sent.");
    if (print && !sent) printf("Not sent: %s\n", cli_string(reply.json, "trouble"));
    cli_reply_free(&reply);
    return code == CLI_DONE && !sent ? CLI_REFUSED : code;
}

int cli_notify_remove(struct cli *cli) {
    struct cli_reply reply = {0};
    bool print;
    int code = cli_do(cli, HTTP_DELETE,
                      cli_path("/api/v1/apps/%s/channels/%s", cli->arguments[0], cli->arguments[1]),
                      NULL, &reply, &print);
    if (print) printf("Removed channel %s.\n", cli->arguments[1]);
    cli_reply_free(&reply);
    return code;
}

int cli_notify_told(struct cli *cli) {
    struct cli_reply reply = {0};
    struct text query = TEXT_EMPTY;
    char *path = cli_path("/api/v1/apps/%s/notices", cli->arguments[0]);
    size_t i;
    json_t *notice;
    cli_query(&query, "limit", cli_value(cli, "limit"));
    const struct cli_request request = {.method = HTTP_GET, .path = path, .query = query.bytes};
    bool done = path && cli_call(cli, &request, &reply);
    if (done && cli->json) puts(reply.body.bytes);
    if (done && !cli->json) json_array_foreach(json_object_get(reply.json, "notices"), i, notice) {
            char at[32];
            printf("%s UTC  %s\n", cli_moment(at, json_object_get(notice, "at"), "UTC"),
                   cli_string(notice, "title"));
        }
    free(path);
    text_free(&query);
    cli_reply_free(&reply);
    return done ? CLI_DONE : CLI_REFUSED;
}
