/* dynoscaled app ..., platform ... */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/cli_inside.h"

/* ---- app ------------------------------------------------------------------------------------- */

static void print_environment(const json_t *answer) {
    const json_t *environment = json_object_get(answer, "environment");
    printf("DYNOSCALE_URL=%s\nDYNOSCALE_DYNOS=%s\n", cli_string(environment, "DYNOSCALE_URL"),
           cli_string(environment, "DYNOSCALE_DYNOS"));
}

int cli_app_add(struct cli *cli) {
    struct text body = TEXT_EMPTY;
    struct cli_reply reply = {0};
    bool print;
    text_char(&body, '{');
    cli_member(&body, "name", cli->arguments[0]);
    cli_member(&body, "zone", cli_value(cli, "zone"));
    text_char(&body, '}');
    int code = cli_do(cli, HTTP_POST, cli_path("/api/v1/apps"), &body, &reply, &print);
    if (print) {
        print_environment(reply.json);
        fprintf(
            stderr,
            "\nSet these two for the app; the address holds a secret and is shown this once.\n"
            "Then add the agent:\n\n"
            "  Ruby     Gemfile:           gem \"dynoscale_ruby\", \"~> 2.0\"\n"
            "  Python   requirements.txt:  dynoscale>=2\n\n"
            "and deploy. `dynoscaled status %s` shows what arrives. On a server of your own also\n"
            "set DYNO=web.1 and have the proxy stamp requests: docs/elsewhere.md\n",
            cli->arguments[0]);
    }
    cli_reply_free(&reply);
    return code;
}

int cli_app_list(struct cli *cli) {
    struct cli_reply reply = {0};
    struct cli_table table = {.columns = 5};
    bool print;
    size_t i;
    json_t *app;
    int code = cli_do(cli, HTTP_GET, cli_path("/api/v1/apps"), NULL, &reply, &print);
    if (print) {
        static const char *const head[] = {"APP", "ZONE", "PLATFORM", "RULES", "STATE"};
        cli_row(&table, head);
        json_array_foreach(json_object_get(reply.json, "apps"), i, app) {
            char name[64], zone[64], platform[64], rules[64];
            const char *const cells[] = {cli_cell(name, app, "name"), cli_cell(zone, app, "zone"),
                                         cli_cell(platform, app, "platform"),
                                         cli_cell(rules, app, "rules_version"),
                                         cli_string(app, "words")};
            cli_row(&table, cells);
        }
        if (i == 0) puts("There is no app yet: dynoscaled app add NAME");
        else cli_print_table(&table);
    }
    cli_reply_free(&reply);
    return code;
}

/* Asks on a terminal; elsewhere --confirm must name the app. NULL: an error was printed. */
static char *confirmed_name(struct cli *cli) {
    const char *given = cli_value(cli, "confirm");
    char line[200];
    if (given) return cli_copy(given);
    if (!isatty(STDIN_FILENO)) {
        cli_fail(0, "this destroys all that is kept of %s: say --confirm %s", cli->arguments[0],
                 cli->arguments[0]);
        return NULL;
    }
    fprintf(stderr,
            "This destroys the measurements, rules, decisions and audit log of %s.\n"
            "To confirm, type its name: ",
            cli->arguments[0]);
    if (!fgets(line, sizeof line, stdin)) line[0] = '\0';
    line[strcspn(line, "\r\n")] = '\0';
    return cli_copy(line);
}

int cli_app_remove(struct cli *cli) {
    struct text body = TEXT_EMPTY;
    struct cli_reply reply = {0};
    bool print;
    char *name = confirmed_name(cli);
    if (!name) return CLI_REFUSED;
    text_char(&body, '{');
    cli_member(&body, "name", name);
    text_char(&body, '}');
    int code = cli_do(cli, HTTP_DELETE, cli_path("/api/v1/apps/%s", cli->arguments[0]), &body,
                      &reply, &print);
    if (print) printf("Removed %s.\n", cli->arguments[0]);
    cli_reply_free(&reply);
    free(name);
    return code;
}

int cli_app_token(struct cli *cli) {
    const char *overlap = cli_value(cli, "overlap");
    struct text body = TEXT_EMPTY;
    struct cli_reply reply = {0};
    bool print;
    char *end;
    if (overlap && (strtol(overlap, &end, 10) < 0 || *end || !*overlap))
        return cli_fail(CLI_USAGE, "--overlap must be seconds");
    if (overlap) text_format(&body, "{\"overlap\":%s}", overlap);
    else text_put(&body, "{}");
    int code = cli_do(cli, HTTP_POST, cli_path("/api/v1/apps/%s/report-token", cli->arguments[0]),
                      &body, &reply, &print);
    if (print) {
        char moment[32];
        print_environment(reply.json);
        fprintf(stderr, "\nThe address is shown this once. Earlier ones work until %s UTC.\n",
                cli_moment(moment, json_object_get(reply.json, "old_ones_expire"), "UTC"));
    }
    cli_reply_free(&reply);
    return code;
}

int cli_app_zone(struct cli *cli) {
    struct text body = TEXT_EMPTY;
    struct cli_reply reply = {0};
    bool print;
    text_char(&body, '{');
    cli_member(&body, "zone", cli->arguments[1]);
    text_char(&body, '}');
    int code = cli_do(cli, HTTP_PATCH, cli_path("/api/v1/apps/%s", cli->arguments[0]), &body,
                      &reply, &print);
    if (print) printf("%s: %s\n", cli->arguments[0], cli_string(reply.json, "zone"));
    cli_reply_free(&reply);
    return code;
}

/* ---- platform -------------------------------------------------------------------------------- */

static void print_test(const json_t *answer) {
    struct cli_table table = {.columns = 4};
    static const char *const head[] = {"PROCESS", "RESULT", "DYNOS", "TROUBLE"};
    size_t i;
    json_t *one;
    cli_row(&table, head);
    json_array_foreach(json_object_get(answer, "test"), i, one) {
        char process[64], result[64], ordered[64];
        const char *trouble = cli_string(one, "trouble");
        const char *const cells[] = {cli_cell(process, one, "process"),
                                     cli_cell(result, one, "result"),
                                     cli_cell(ordered, one, "ordered"), *trouble ? trouble : "-"};
        cli_row(&table, cells);
    }
    cli_print_table(&table);
}

/* {"command": [...], "directory": "..."}: a relative program is relative to the folder in which the
 * command was given. */
static bool put_command(struct cli *cli, struct text *body) {
    char folder[4096];
    if (cli->rest_count == 0) {
        cli_fail(0, "which program? platform set %s command -- PROGRAM [ARGUMENTS...]",
                 cli->arguments[0]);
        return false;
    }
    if (!getcwd(folder, sizeof folder)) {
        cli_fail(0, "the current folder can't be told");
        return false;
    }
    text_put(body, ",\"settings\":{\"command\":[");
    for (int i = 0; i < cli->rest_count; i++) {
        if (i > 0) text_char(body, ',');
        text_json(body, cli->rest[i]);
    }
    text_put(body, "],\"directory\":");
    text_json(body, folder);
    text_char(body, '}');
    return true;
}

/* {"app": "shop"}; without an option, the app's name at Heroku is taken to be the same as here. */
static bool put_heroku(struct cli *cli, struct text *body) {
    const char *name = cli_value(cli, "app"), *limit = cli_value(cli, "limit");
    char *end;
    if (cli->count > 2) {
        cli_fail(0, "Heroku's app is given as --app NAME, and its credential on standard input or "
                    "in HEROKU_API_KEY, never as an argument");
        return false;
    }
    text_put(body, ",\"settings\":{");
    cli_member(body, "app", name ? name : cli->arguments[0]);
    if (limit && (strtol(limit, &end, 10) < 1 || *end)) {
        cli_fail(0, "--limit must be a number of dynos");
        return false;
    }
    if (limit) text_format(body, ",\"limit\":%ld", strtol(limit, NULL, 10));
    if (cli_given(cli, "no-webhooks")) text_put(body, ",\"webhooks\":false");
    text_char(body, '}');
    return true;
}

/* Reads the file of --ca-file; NULL: an error was printed. */
static char *read_authority(const char *path) {
    enum { LONGEST = 65536 };
    FILE *file = fopen(path, "re");
    char *text = file ? calloc(1, LONGEST) : NULL;
    if (!text || fread(text, 1, LONGEST - 1, file) == 0) {
        cli_fail(0, "--ca-file: %s can't be read", path);
        free(text);
        text = NULL;
    }
    if (file) fclose(file);
    return text;
}

/* Turns the arguments web=deployment/shop into {"web": "deployment/shop"}. */
static bool put_processes(struct cli *cli, struct text *body) {
    text_put(body, ",\"settings\":{");
    if (cli->count > 2) text_put(body, "\"processes\":{");
    for (int i = 2; i < cli->count; i++) {
        char *name = strchr(cli->arguments[i], '=');
        if (!name || name == cli->arguments[i] || !name[1]) {
            cli_fail(0,
                     "platform set %s %s takes TYPE=NAME, and options. A credential is read "
                     "from standard input, never an argument",
                     cli->arguments[0], cli->arguments[1]);
            return false;
        }
        *name = '\0';
        cli_member(body, cli->arguments[i], name + 1);
    }
    if (cli->count > 2) text_char(body, '}');
    return true;
}

/* Settings that are plain texts, each given by an option of the same name. */
static bool put_options(struct cli *cli, struct text *body) {
    static const char *const names[] = {"app",     "namespace",   "server", "region",
                                        "cluster", "environment", "api",    "auth"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (cli_value(cli, names[i])) cli_member(body, names[i], cli_value(cli, names[i]));
    if (cli_value(cli, "ca-file")) {
        char *authority = read_authority(cli_value(cli, "ca-file"));
        if (!authority) return false;
        cli_member(body, "ca", authority);
        free(authority);
    }
    text_char(body, '}');
    return true;
}

static bool put_settings(struct cli *cli, struct text *body) {
    const char *kind = cli->arguments[1];
    if (strcmp(kind, "webhook") != 0 && strcmp(kind, "command") != 0 && strcmp(kind, "heroku") != 0)
        return put_processes(cli, body) && put_options(cli, body);
    if (cli->count > 3) {
        cli_fail(0, "platform set %s %s: too many arguments", cli->arguments[0], kind);
        return false;
    }
    if (strcmp(kind, "command") == 0) return put_command(cli, body);
    if (strcmp(kind, "heroku") == 0) return put_heroku(cli, body);
    if (cli->count < 3) {
        cli_fail(0, "platform set %s %s needs a URL", cli->arguments[0], kind);
        return false;
    }
    text_put(body, ",\"settings\":{");
    cli_member(body, "url", cli->arguments[2]);
    text_char(body, '}');
    return true;
}

/* Reads the secret from standard input or from the environment variable that Heroku's own programs
 * read. Never from the arguments, which other users of the machine can see. Without one, the stored
 * secret stays. */
static bool put_secret(struct cli *cli, struct text *body) {
    const char *variable =
        strcmp(cli->arguments[1], "heroku") == 0 ? getenv("HEROKU_API_KEY") : NULL;
    bool code = cli_given(cli, "code-stdin"), read = code || cli_given(cli, "secret-stdin");
    char *secret = read ? cli_read_password("the platform") : NULL;
    struct text whole = TEXT_EMPTY;
    if (read && !secret) return false;
    if (code) {
        text_char(&whole, '{');
        cli_member(&whole, "code", secret);
        text_char(&whole, '}');
    }
    const char *given = code ? whole.bytes : read ? secret : variable;
    if (given && *given) {
        text_put(body, ",\"secret\":");
        text_json(body, given);
    }
    text_free(&whole);
    vault_wipe(secret);
    return true;
}

int cli_platform_set(struct cli *cli) {
    struct text body = TEXT_EMPTY;
    struct cli_reply reply = {0};
    bool print;
    text_put(&body, "{");
    cli_member(&body, "kind", cli->arguments[1]);
    if (!put_settings(cli, &body)) {
        text_free(&body);
        return CLI_USAGE;
    }
    if (!put_secret(cli, &body)) {
        text_free(&body);
        return CLI_REFUSED;
    }
    text_put(&body, cli_given(cli, "force") ? ",\"force\":true}" : "}");
    int code = cli_do(cli, HTTP_PUT, cli_path("/api/v1/apps/%s/platform", cli->arguments[0]), &body,
                      &reply, &print);
    if (print) {
        print_test(reply.json);
        const char *secret = cli_string(reply.json, "secret");
        if (*secret) printf("\nSecret for the signatures, shown this once: %s\n", secret);
        if (strcmp(cli_string(reply.json, "result"), "ok") != 0)
            fputs("\nIt is set, and does not work yet.\n", stderr);
    }
    cli_reply_free(&reply);
    return code;
}

int cli_platform_show(struct cli *cli) {
    struct cli_reply reply = {0};
    bool print;
    int code = cli_do(cli, HTTP_GET, cli_path("/api/v1/apps/%s/platform", cli->arguments[0]), NULL,
                      &reply, &print);
    if (print) {
        struct cli_table table = {.columns = 4};
        static const char *const head[] = {"PROCESS", "DYNOS", "LAST READ (UTC)", "TROUBLE"};
        size_t i;
        json_t *one;
        char *settings = json_dumps(json_object_get(reply.json, "settings"), JSON_COMPACT);
        printf("%s %s%s\n", cli_string(reply.json, "kind"), settings ? settings : "",
               json_is_true(json_object_get(reply.json, "has_secret")) ? " (with a credential)"
                                                                       : "");
        free(settings);
        cli_row(&table, head);
        json_array_foreach(json_object_get(reply.json, "health"), i, one) {
            char process[64], ordered[64], moment[32];
            const char *trouble = cli_string(one, "trouble");
            const char *const cells[] = {
                cli_cell(process, one, "process"), cli_cell(ordered, one, "ordered"),
                cli_moment(moment, json_object_get(one, "read"), "UTC"), *trouble ? trouble : "-"};
            cli_row(&table, cells);
        }
        cli_print_table(&table);
    }
    cli_reply_free(&reply);
    return code;
}

int cli_platform_test(struct cli *cli) {
    struct cli_reply reply = {0};
    bool print;
    int code = cli_do(cli, HTTP_POST, cli_path("/api/v1/apps/%s/platform/test", cli->arguments[0]),
                      NULL, &reply, &print);
    if (print) print_test(reply.json);
    if (code == CLI_DONE && strcmp(cli_string(reply.json, "result"), "ok") != 0) code = CLI_REFUSED;
    cli_reply_free(&reply);
    return code;
}

int cli_platform_remove(struct cli *cli) {
    struct cli_reply reply = {0};
    bool print;
    int code = cli_do(cli, HTTP_DELETE, cli_path("/api/v1/apps/%s/platform", cli->arguments[0]),
                      NULL, &reply, &print);
    if (print) printf("Removed the platform of %s.\n", cli->arguments[0]);
    cli_reply_free(&reply);
    return code;
}
