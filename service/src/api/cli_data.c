/* dynoscaled series, export, backup, restore */
#define _GNU_SOURCE /* fdopen, O_CLOEXEC */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/cli_inside.h"
#include "clock.h"
#include "json_read.h"
#include "store/move.h"

enum { DAY_S = 86400 };

/* ---- series ---------------------------------------------------------------------------------- */

static void print_points(const json_t *points, const char *zone) {
    static const char *const queue_times[] = {"TIME", "COUNT", "P50", "P95", "P99", "MAX"};
    static const char *const signals[] = {"TIME", "SUM", "MAX"};
    const json_t *first = json_array_get(points, 0);
    bool waits = json_object_get(first, "count") && !json_object_get(first, "sum");
    struct cli_table table = {.columns = waits ? 6 : 3};
    size_t i;
    json_t *point;
    cli_row(&table, waits ? queue_times : signals);
    json_array_foreach(points, i, point) {
        char moment[32], count[64], p50[64], p95[64], p99[64], max[64];
        const char *at = cli_moment(moment, json_object_get(point, "t"), zone);
        const char *const of_waits[] = {at,
                                        cli_cell(count, point, "count"),
                                        cli_cell(p50, point, "p50"),
                                        cli_cell(p95, point, "p95"),
                                        cli_cell(p99, point, "p99"),
                                        cli_cell(max, point, "max")};
        const char *const of_signals[] = {at, cli_cell(count, point, "sum"),
                                          cli_cell(max, point, "max")};
        cli_row(&table, waits ? of_waits : of_signals);
    }
    cli_print_table(&table);
}

int cli_series(struct cli *cli) {
    struct cli_reply reply = {0}, app = {0};
    struct text query = TEXT_EMPTY;
    char *path = cli_path("/api/v1/apps/%s/series", cli->arguments[0]);
    char *app_path = cli_path("/api/v1/apps/%s", cli->arguments[0]);
    const char *step = cli_value(cli, "step");
    cli_query(&query, "source", cli->arguments[1]);
    cli_query(&query, "from", cli_value(cli, "from"));
    cli_query(&query, "to", cli_value(cli, "to"));
    cli_query(&query, "step", step ? step : "60");
    cli_query(&query, "signal", cli_value(cli, "signal"));
    const struct cli_request request = {.method = HTTP_GET, .path = path, .query = query.bytes};
    const struct cli_request of_app = {.method = HTTP_GET, .path = app_path};
    bool done = path && app_path && cli_call(cli, &request, &reply);
    if (done && cli->json) puts(reply.body.bytes);
    else if (done && cli_call(cli, &of_app, &app))
        print_points(json_object_get(reply.json, "points"), cli_string(app.json, "zone"));
    free(path);
    free(app_path);
    text_free(&query);
    cli_reply_free(&reply);
    cli_reply_free(&app);
    return done ? CLI_DONE : CLI_REFUSED;
}

/* ---- export ---------------------------------------------------------------------------------- */

/* Writes one part of the export to the file. *first_s and *last_s: the days that the first part
 * lists. */
static bool export_part(struct cli *cli, FILE *file, const char *day, int64_t *first_s,
                        int64_t *last_s) {
    struct cli_reply reply = {0};
    struct text query = TEXT_EMPTY;
    char *path = cli_path("/api/v1/apps/%s/export", cli->arguments[0]);
    cli_query(&query, "day", day);
    const struct cli_request request = {.method = HTTP_GET, .path = path, .query = query.bytes};
    bool done = path && cli_call(cli, &request, &reply);
    if (done && reply.body.length > 0 &&
        fwrite(reply.body.bytes, 1, reply.body.length, file) != reply.body.length) {
        cli_fail(0, "the export could not be written: %s", strerror(errno));
        done = false;
    }
    if (done && !day) {
        json_t *head = json_read(reply.body.bytes, strcspn(reply.body.bytes, "\n"), 0, NULL);
        *first_s = json_integer_value(json_object_get(head, "first_day"));
        *last_s = json_integer_value(json_object_get(head, "last_day"));
        json_decref(head);
    }
    free(path);
    text_free(&query);
    cli_reply_free(&reply);
    return done;
}

static bool export_all(struct cli *cli, FILE *file) {
    int64_t first_s = 0, last_s = -1;
    char day[32];
    bool terminal = isatty(STDERR_FILENO) && file != stdout;
    bool done = export_part(cli, file, NULL, &first_s, &last_s);
    for (int64_t at_s = first_s; done && at_s <= last_s; at_s += DAY_S) {
        snprintf(day, sizeof day, "%" PRId64, at_s);
        done = export_part(cli, file, day, NULL, NULL);
        if (terminal)
            fprintf(stderr, "\r%" PRId64 " of %" PRId64 " days", (at_s - first_s) / DAY_S + 1,
                    (last_s - first_s) / DAY_S + 1);
    }
    if (terminal) fputc('\n', stderr);
    return done;
}

int cli_export(struct cli *cli) {
    const char *name = cli->count == 2 ? cli->arguments[1] : "-";
    if (strcmp(name, "-") == 0) return export_all(cli, stdout) ? CLI_DONE : CLI_REFUSED;
    int number = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *file = number < 0 ? NULL : fdopen(number, "w");
    if (!file) return cli_fail(CLI_REFUSED, "%s can't be written: %s", name, strerror(errno));
    bool done = export_all(cli, file);
    if (fclose(file) != 0 && done)
        return cli_fail(CLI_REFUSED, "%s could not be written: %s", name, strerror(errno));
    return done ? CLI_DONE : CLI_REFUSED;
}

/* ---- backup, restore ------------------------------------------------------------------------- */

/* Notes the time for `doctor`. A failure to note it, as on a full disk, does not make the copy
 * fail. */
static void note_backup(struct store *store) {
    char moment[24];
    snprintf(moment, sizeof moment, "%" PRId64, ds_clock_wall_ns() / 1000000000);
    store_set_meta(store, "backup_at", moment);
}

/* Opens the store in this process, whether a service runs or not. */
int cli_backup(struct cli *cli) {
    char error[512];
    if (!cli_open(cli)) return CLI_REFUSED;
    struct store *store =
        cli->store ? cli->store : store_open(cli_place(cli), STORE_EXISTING, error, sizeof error);
    if (!store) return cli_fail(CLI_REFUSED, "%s", error);
    bool done = store_backup(store, cli->arguments[0], error, sizeof error);
    if (done) note_backup(store);
    if (store != cli->store) store_close(store);
    if (!done) return cli_fail(CLI_REFUSED, "%s", error);
    if (!cli->json)
        printf("Copied all data to %s.\nPlatforms' credentials in it are sealed: keep the key too, "
               "apart from it (%s/key, or DYNOSCALED_KEY).\n",
               cli->arguments[0], cli->folder);
    return CLI_DONE;
}

int cli_restore(struct cli *cli) {
    char error[512];
    if (!cli_folder(cli)) return CLI_REFUSED;
    if (cli->connected)
        return cli_fail(CLI_REFUSED, "a service runs on %s: stop it first", cli->folder);
    if (!store_restore(cli->arguments[0], cli->folder, cli_given(cli, "replace"), error,
                       sizeof error))
        return cli_fail(CLI_REFUSED, "%s", error);
    if (!cli->json) printf("Restored %s into %s.\n", cli->arguments[0], cli->folder);
    return CLI_DONE;
}

/* ---- move ------------------------------------------------------------------------------------ */

static void tell_table(void *context, const char *table, int64_t rows) {
    const struct cli *cli = context;
    if (!cli->json && isatty(STDERR_FILENO)) fprintf(stderr, "%s: %" PRId64 "\n", table, rows);
}

int cli_move(struct cli *cli) {
    char error[1024];
    bool cancel = cli_given(cli, "cancel");
    const char *from = cli->arguments[0], *to = cli->arguments[1];
    if (cancel != (cli->count == 1))
        return cli_fail(CLI_USAGE, "move takes FROM and TO, or FROM and --cancel");
    if (cancel) {
        if (!store_move_cancel(from, error, sizeof error))
            return cli_fail(CLI_REFUSED, "%s", error);
        if (!cli->json) puts("Services may use it again.");
        return CLI_DONE;
    }
    if (!store_move(from, to, tell_table, cli, error, sizeof error))
        return cli_fail(CLI_REFUSED, "%s", error);
    if (!cli->json)
        puts("Moved all data. Platforms' credentials in it are sealed: the services need the same "
             "key as before (DIR/key, or DYNOSCALED_KEY). The first store stays as it was, and no "
             "service starts on it.");
    return CLI_DONE;
}
