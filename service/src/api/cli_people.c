/* dynoscaled token ..., user ..., audit */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/cli_inside.h"

/* Makes a call. `body` begins with { and is closed here; NULL: none. */
static bool send(struct cli *cli, enum http_method method, char *path, struct text *body,
                 struct cli_reply *reply) {
    if (body) text_char(body, '}');
    const struct cli_request request = {.method = method,
                                        .path = path,
                                        .type = body ? "application/json" : NULL,
                                        .body = body ? body->bytes : NULL};
    bool done = path && cli_call(cli, &request, reply);
    free(path);
    if (body) text_free(body);
    return done;
}

static void print_json(const struct cli *cli, const struct cli_reply *reply) {
    if (cli->json && reply->body.length > 0) puts(reply->body.bytes);
}

/* ---- token ----------------------------------------------------------------------------------- */

int cli_token_add(struct cli *cli) {
    struct cli_reply reply = {0};
    struct text body = TEXT_EMPTY;
    const char *scope = cli_value(cli, "scope"), *name = cli_value(cli, "name");
    if (!scope) return cli_fail(CLI_USAGE, "say --scope read, operate, write or admin");
    text_char(&body, '{');
    cli_member(&body, "name", name ? name : scope);
    cli_member(&body, "scope", scope);
    cli_member(&body, "app", cli_value(cli, "app"));
    cli_member(&body, "expires", cli_value(cli, "expires"));
    bool done = send(cli, HTTP_POST, cli_path("/api/v1/tokens"), &body, &reply);
    print_json(cli, &reply);
    if (done && !cli->json) {
        puts(cli_string(reply.json, "token"));
        fputs("It is shown this once.\n", stderr);
    }
    cli_reply_free(&reply);
    return done ? CLI_DONE : CLI_REFUSED;
}

int cli_token_list(struct cli *cli) {
    struct cli_reply reply = {0};
    struct cli_table table = {.columns = 8};
    static const char *const head[] = {"ID",  "NAME",    "TOKEN",          "SCOPE",
                                       "APP", "MADE BY", "LAST USE (UTC)", "EXPIRES (UTC)"};
    size_t i;
    json_t *token;
    bool done = send(cli, HTTP_GET, cli_path("/api/v1/tokens"), NULL, &reply);
    print_json(cli, &reply);
    if (done && !cli->json) {
        cli_row(&table, head);
        json_array_foreach(json_object_get(reply.json, "tokens"), i, token) {
            char id[64], scope[64], app[64], prefix[80], used[32], expires[32];
            snprintf(prefix, sizeof prefix, "%.16s...", cli_string(token, "prefix"));
            const bool all = json_is_null(json_object_get(token, "app"));
            const char *const cells[] = {
                cli_cell(id, token, "id"),
                cli_string(token, "name"),
                prefix,
                cli_cell(scope, token, "scope"),
                all ? "all" : cli_cell(app, token, "app"),
                cli_string(token, "made_by"),
                cli_moment(used, json_object_get(token, "used"), "UTC"),
                cli_moment(expires, json_object_get(token, "expires"), "UTC")};
            cli_row(&table, cells);
        }
        cli_print_table(&table);
    }
    cli_reply_free(&reply);
    return done ? CLI_DONE : CLI_REFUSED;
}

int cli_token_remove(struct cli *cli) {
    struct cli_reply reply = {0};
    bool done =
        send(cli, HTTP_DELETE, cli_path("/api/v1/tokens/%s", cli->arguments[0]), NULL, &reply);
    if (done && !cli->json) printf("Removed token %s.\n", cli->arguments[0]);
    cli_reply_free(&reply);
    return done ? CLI_DONE : CLI_REFUSED;
}

/* ---- user ------------------------------------------------------------------------------------ */

static bool set_password(struct cli *cli, const char *name, const char *password) {
    struct cli_reply reply = {0};
    struct text body = TEXT_EMPTY;
    text_char(&body, '{');
    cli_member(&body, "password", password);
    bool done = send(cli, HTTP_PUT, cli_path("/api/v1/people/%s/password", name), &body, &reply);
    cli_reply_free(&reply);
    return done;
}

/* Whether no person exists yet. */
static bool is_first(struct cli *cli) {
    struct cli_reply reply = {0};
    bool done = send(cli, HTTP_GET, cli_path("/api/v1/setup"), NULL, &reply);
    bool first = done && json_is_true(json_object_get(reply.json, "first_run"));
    cli_reply_free(&reply);
    return first;
}

static void print_link(const struct cli *cli, const struct cli_reply *reply) {
    print_json(cli, reply);
    if (cli->json) return;
    puts(cli_string(reply->json, "link"));
    fputs("With this link, which is shown this once and lasts three days, the password is set.\n",
          stderr);
}

/* Adds the person with a link, then sets the password. If the password is refused, the person is
 * removed again. */
static bool add_person(struct cli *cli, const char *role, const char *password,
                       struct cli_reply *reply) {
    struct text body = TEXT_EMPTY;
    struct cli_reply removed = {0};
    text_char(&body, '{');
    cli_member(&body, "name", cli->arguments[0]);
    cli_member(&body, "role", role);
    if (!send(cli, HTTP_POST, cli_path("/api/v1/people"), &body, reply)) return false;
    if (!*password || set_password(cli, cli->arguments[0], password)) return true;
    send(cli, HTTP_DELETE, cli_path("/api/v1/people/%s", cli->arguments[0]), NULL, &removed);
    cli_reply_free(&removed);
    return false;
}

int cli_user_add(struct cli *cli) {
    struct cli_reply reply = {0};
    const char *role = cli_value(cli, "role");
    if (!cli_open(cli)) return CLI_REFUSED;
    if (!role) role = is_first(cli) ? "admin" : "read";
    char *password = cli_given(cli, "link") ? cli_copy("") : cli_read_password(cli->arguments[0]);
    if (!password) return CLI_REFUSED;
    bool done = add_person(cli, role, password, &reply);
    if (done && !*password) print_link(cli, &reply);
    else if (done && cli->json)
        printf("{\"name\":\"%s\",\"role\":\"%s\"}\n", cli_string(reply.json, "name"), role);
    else if (done) printf("%s may sign in, with the role %s.\n", cli->arguments[0], role);
    vault_wipe(password);
    cli_reply_free(&reply);
    return done ? CLI_DONE : CLI_REFUSED;
}

int cli_user_list(struct cli *cli) {
    struct cli_reply reply = {0};
    struct cli_table table = {.columns = 5};
    static const char *const head[] = {"NAME", "ROLE", "LAST SEEN (UTC)", "PASSWORD", "FACTOR"};
    size_t i;
    json_t *person;
    bool done = send(cli, HTTP_GET, cli_path("/api/v1/people"), NULL, &reply);
    print_json(cli, &reply);
    if (done && !cli->json) {
        cli_row(&table, head);
        json_array_foreach(json_object_get(reply.json, "people"), i, person) {
            char role[64], seen[32];
            const char *const cells[] = {
                cli_string(person, "name"), cli_cell(role, person, "role"),
                cli_moment(seen, json_object_get(person, "seen"), "UTC"),
                json_is_true(json_object_get(person, "invited")) ? "not set yet" : "set",
                json_is_true(json_object_get(person, "factor")) ? "on" : "off"};
            cli_row(&table, cells);
        }
        cli_print_table(&table);
    }
    cli_reply_free(&reply);
    return done ? CLI_DONE : CLI_REFUSED;
}

int cli_user_remove(struct cli *cli) {
    struct cli_reply reply = {0};
    bool done =
        send(cli, HTTP_DELETE, cli_path("/api/v1/people/%s", cli->arguments[0]), NULL, &reply);
    if (done && !cli->json) printf("Removed %s.\n", cli->arguments[0]);
    cli_reply_free(&reply);
    return done ? CLI_DONE : CLI_REFUSED;
}

int cli_user_role(struct cli *cli) {
    struct cli_reply reply = {0};
    struct text body = TEXT_EMPTY;
    text_char(&body, '{');
    cli_member(&body, "role", cli->arguments[1]);
    bool done =
        send(cli, HTTP_PATCH, cli_path("/api/v1/people/%s", cli->arguments[0]), &body, &reply);
    print_json(cli, &reply);
    if (done && !cli->json)
        printf("%s has the role %s.\n", cli->arguments[0], cli_string(reply.json, "role"));
    cli_reply_free(&reply);
    return done ? CLI_DONE : CLI_REFUSED;
}

int cli_user_password(struct cli *cli) {
    char *password = cli_read_password(cli->arguments[0]);
    if (!password) return CLI_REFUSED;
    bool done = set_password(cli, cli->arguments[0], password);
    vault_wipe(password);
    if (done && !cli->json)
        printf("Set the password of %s; sessions have ended.\n", cli->arguments[0]);
    return done ? CLI_DONE : CLI_REFUSED;
}

int cli_user_link(struct cli *cli) {
    struct cli_reply reply = {0};
    bool first = cli->count == 0;
    char *path = first ? cli_path("/api/v1/setup/link")
                       : cli_path("/api/v1/people/%s/link", cli->arguments[0]);
    bool done = send(cli, HTTP_POST, path, NULL, &reply);
    if (done && first && !cli->json) puts(cli_string(reply.json, "link"));
    else if (done) print_link(cli, &reply);
    cli_reply_free(&reply);
    return done ? CLI_DONE : CLI_REFUSED;
}

int cli_user_factor(struct cli *cli) {
    struct cli_reply reply = {0};
    if (strcmp(cli->arguments[1], "off") != 0)
        return cli_fail(CLI_USAGE, "only its owner can switch it on; say NAME off");
    bool done = send(cli, HTTP_DELETE, cli_path("/api/v1/people/%s/factor", cli->arguments[0]),
                     NULL, &reply);
    if (done && !cli->json)
        printf("%s has no second factor any more; the sessions have ended.\n", cli->arguments[0]);
    cli_reply_free(&reply);
    return done ? CLI_DONE : CLI_REFUSED;
}

int cli_user_factors(struct cli *cli) {
    struct cli_reply reply = {0};
    struct text body = TEXT_EMPTY;
    bool need = strcmp(cli->arguments[0], "required") == 0;
    if (!need && strcmp(cli->arguments[0], "optional") != 0)
        return cli_fail(CLI_USAGE, "say required or optional");
    text_format(&body, "{\"factor_required\":%s", need ? "true" : "false");
    bool done = send(cli, HTTP_PUT, cli_path("/api/v1/sign-in"), &body, &reply);
    print_json(cli, &reply);
    if (done && !cli->json)
        puts(need ? "Everybody who signs in by a password needs a second factor. Who has none "
                    "can do nothing else but set one up."
                  : "A second factor is up to each person.");
    cli_reply_free(&reply);
    return done ? CLI_DONE : CLI_REFUSED;
}

/* ---- audit ----------------------------------------------------------------------------------- */

int cli_audit(struct cli *cli) {
    struct cli_reply reply = {0};
    struct text query = TEXT_EMPTY;
    size_t i, j;
    json_t *entry, *line;
    char *path = cli->count ? cli_path("/api/v1/apps/%s/audit", cli->arguments[0])
                            : cli_path("/api/v1/audit");
    cli_query(&query, "limit", cli_value(cli, "limit"));
    const struct cli_request request = {.method = HTTP_GET, .path = path, .query = query.bytes};
    bool done = path && cli_call(cli, &request, &reply);
    print_json(cli, &reply);
    if (done && !cli->json) json_array_foreach(json_object_get(reply.json, "entries"), i, entry) {
            char moment[32];
            printf("%s UTC  %s  %s\n", cli_moment(moment, json_object_get(entry, "at"), "UTC"),
                   cli_string(entry, "who"), cli_string(entry, "what"));
            json_array_foreach(json_object_get(entry, "changes"), j, line)
                printf("    %s\n", json_string_value(line));
        }
    free(path);
    text_free(&query);
    cli_reply_free(&reply);
    return done ? CLI_DONE : CLI_REFUSED;
}
