/*
 * dynoscaled doctor: checks everything that the service needs and changes nothing. Run by root, it
 * first becomes the owner of the data folder, so that it has the same rights as the service.
 */
#define _GNU_SOURCE /* initgroups, asprintf */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "api/cli_inside.h"
#include "clock.h"
#include "log.h"
#include "platforms/client.h"
#include "store/series.h"

enum {
    DAY_S = 86400,
    SILENT_S = 5 * 60, /* as long as the notice about silence waits: notify/ */
    BACKUP_OLD_S = 2 * DAY_S,
    AHEAD_S = 60,
    URL_MS = 10000,
    CERTIFICATE_SOON_S = 14 * DAY_S, /* certificates are usually renewed a month ahead */
    SENTENCE_SIZE = 900,
    MB = 1 << 20,
    DISK_FULL_MB = 100,
    DISK_LOW_MB = 1024,
};

enum state { OK, WARN, FAIL };
static const char *const state_names[] = {"ok", "warn", "fail"};

struct doctor {
    struct cli *cli;
    struct store *store; /* to be checked; NULL: it could not be opened */
    bool key_is_well, shared;
    bool key_is_linked, key_is_roots; /* DIR/key is a link; only root could open it */
    struct vault *vault;
    char key_error[512];
    int64_t now_s;
    enum state worst;
    struct text json;
};

/* Prints one line: what was checked, the result, and what to do if it is bad. */
static void say(struct doctor *doctor, enum state state, const char *what, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void say(struct doctor *doctor, enum state state, const char *what, const char *format,
                ...) {
    char sentence[SENTENCE_SIZE];
    va_list values;
    va_start(values, format);
    vsnprintf(sentence, sizeof sentence, format, values);
    va_end(values);
    if (state > doctor->worst) doctor->worst = state;
    if (!doctor->cli->json) {
        printf("%-5s %-16s %s\n", state_names[state], what, sentence);
        return;
    }
    text_format(&doctor->json, "%s{\"check\":", doctor->json.length > 0 ? "," : "");
    text_json(&doctor->json, what);
    text_format(&doctor->json, ",\"state\":\"%s\",\"words\":", state_names[state]);
    text_json(&doctor->json, sentence);
    text_char(&doctor->json, '}');
}

/* ---- The environment ------------------------------------------------------------------------- */

/* Reads NAME=value as systemd and shells do: without blanks and quotes around the value. */
static void take_variable(char *line) {
    line += strspn(line, " \t");
    char *equals = strchr(line, '=');
    if (*line == '#' || !equals) return;
    *equals = '\0';
    char *value = equals + 1, *end = value + strlen(value);
    while (end > value && strchr(" \t\r\n", end[-1])) *--end = '\0';
    bool quoted = end - value >= 2 && strchr("'\"", *value) && end[-1] == *value;
    if (quoted) {
        end[-1] = '\0';
        value++;
    }
    /* Variables that the caller has set win over the file. */
    setenv(line, value, 0);
}

static bool read_environment(const struct cli *cli) {
    const char *name = cli_value(cli, "env");
    if (!name) return true;
    size_t length = 0;
    char *text = cli_read_file(name, &length), *rest = NULL;
    if (!text) return false;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        take_variable(line);
    vault_wipe(text);
    return true;
}

/* ---- The folder ------------------------------------------------------------------------------ */

/* The first file in the folder that belongs to somebody else; "" where there is none. */
static void find_foreign(const char *folder, uid_t owner, char name[256]) {
    DIR *files = opendir(folder);
    struct dirent *entry;
    struct stat found;
    name[0] = '\0';
    while (files && !*name && (entry = readdir(files))) {
        if (strcmp(entry->d_name, "..") == 0) continue;
        bool read = fstatat(dirfd(files), entry->d_name, &found, AT_SYMLINK_NOFOLLOW) == 0;
        if (read && found.st_uid != owner) snprintf(name, 256, "%s", entry->d_name);
    }
    if (files) closedir(files);
}

/* False with an error text. */
static bool become(uid_t uid, gid_t gid, char *error, size_t size) {
    const struct passwd *owner = getpwuid(uid);
    if ((owner ? initgroups(owner->pw_name, gid) : setgroups(0, NULL)) == 0 && setgid(gid) == 0 &&
        setuid(uid) == 0)
        return true;
    snprintf(error, size, "%s", strerror(errno));
    return false;
}

/* False: the later checks can't run. */
static bool look_at_folder(struct doctor *doctor) {
    const char *folder = doctor->cli->folder;
    char foreign[256], error[200];
    struct stat found;
    if (stat(folder, &found) != 0) {
        say(doctor, FAIL, "folder", "%s: %s. Start the service, which makes it, or say --data DIR.",
            folder, strerror(errno));
        return false;
    }
    find_foreign(folder, found.st_uid, foreign);
    if (geteuid() == 0 && found.st_uid != 0 &&
        !become(found.st_uid, found.st_gid, error, sizeof error)) {
        say(doctor, FAIL, "folder", "can't become the owner of %s: %s. Run doctor as its owner.",
            folder, error);
        return false;
    }
    if (found.st_uid != geteuid() || access(folder, R_OK | W_OK | X_OK) != 0) {
        say(doctor, FAIL, "folder", "%s can't be written to by this user: run doctor as its owner.",
            folder);
        return false;
    }
    if (*foreign)
        say(doctor, FAIL, "folder", "%s/%s belongs to another user: chown -R %u:%u %s", folder,
            foreign, found.st_uid, found.st_gid, folder);
    else if (found.st_mode & 077)
        say(doctor, WARN, "folder", "others may look into %s: chmod 700 %s", folder, folder);
    else say(doctor, OK, "folder", "%s is there, for its owner alone", folder);
    return true;
}

static void look_at_disk(struct doctor *doctor) {
    struct statvfs disk;
    const char *folder = doctor->cli->folder;
    if (statvfs(folder, &disk) != 0) {
        say(doctor, WARN, "disk", "its room can't be read: %s", strerror(errno));
        return;
    }
    uint64_t room = (uint64_t)disk.f_bavail * disk.f_frsize / MB;
    enum state state = room < DISK_FULL_MB ? FAIL : room < DISK_LOW_MB ? WARN : OK;
    if (disk.f_files > 0 && disk.f_favail == 0)
        say(doctor, FAIL, "disk", "no more files can be made where %s is: remove some there",
            folder);
    else
        say(doctor, state, "disk", "%" PRIu64 " MB are free where %s is%s", room, folder,
            state == OK ? "" : ": make room, or reports are refused until there is some");
}

/* ---- The key --------------------------------------------------------------------------------- */

/* If DIR/key is a link to a file that only root reads, it is opened before root becomes the
 * folder's owner. */
static void open_linked_key(struct doctor *doctor) {
    const char *given = getenv("DYNOSCALED_KEY");
    char path[sizeof doctor->cli->folder + sizeof "/key"];
    struct stat found;
    if (given && *given) return;
    snprintf(path, sizeof path, "%s/key", doctor->cli->folder);
    doctor->key_is_linked = lstat(path, &found) == 0 && S_ISLNK(found.st_mode);
    if (doctor->key_is_linked)
        doctor->vault =
            vault_open(doctor->cli->folder, doctor->key_error, sizeof doctor->key_error);
    doctor->key_is_roots =
        doctor->key_is_linked && access(path, F_OK) == 0 && access(path, R_OK) != 0;
}

static void say_key(struct doctor *doctor, const char *where) {
    char *mark = doctor->store ? store_meta(doctor->store, "key_mark") : NULL;
    doctor->key_is_well = doctor->vault && (!mark || vault_knows(doctor->vault, mark));
    if (doctor->key_is_roots)
        say(doctor, WARN, "key", "only root can look at it: run doctor as root");
    else if (!doctor->vault) say(doctor, FAIL, "key", "%s", doctor->key_error);
    else if (!doctor->key_is_well)
        say(doctor, FAIL, "key",
            "%s is not the key that the data was sealed with: give this service the same as the "
            "others",
            where);
    else if (strcmp(where, "DYNOSCALED_KEY") == 0)
        say(doctor, OK, "key", "DYNOSCALED_KEY holds a key");
    else if (doctor->key_is_linked)
        say(doctor, OK, "key", "%s leads to a key that only root reads", where);
    else
        say(doctor, OK, "key",
            "%s holds a key, for its owner alone. In DYNOSCALED_KEY it is out of reach of the "
            "process that hears the network: docs/running.md, Where the key is",
            where);
    free(mark);
}

static void look_at_key(struct doctor *doctor) {
    const char *given = getenv("DYNOSCALED_KEY");
    char path[sizeof doctor->cli->folder + sizeof "/key"];
    snprintf(path, sizeof path, "%s/key", doctor->cli->folder);
    bool from_environment = given && *given;
    struct stat found;
    if (!from_environment && lstat(path, &found) != 0) {
        /* vault_open would create one. */
        say(doctor, WARN, "key",
            "there is none in %s and none in DYNOSCALED_KEY: the service makes one when it starts, "
            "but credentials that were sealed with another are lost without it",
            path);
        return;
    }
    if (!doctor->key_is_linked)
        doctor->vault =
            vault_open(doctor->cli->folder, doctor->key_error, sizeof doctor->key_error);
    say_key(doctor, from_environment ? "DYNOSCALED_KEY" : path);
}

/* ---- The data and the clock ------------------------------------------------------------------ */

static void look_at_data(struct doctor *doctor) {
    char error[512];
    /* Compares the clock with the database's. The log would report a difference too: quieten it. */
    log_set_level(LOG_ERROR);
    store_follow_clock();
    doctor->store = store_open(cli_place(doctor->cli), STORE_LOOK, error, sizeof error);
    if (!doctor->store) {
        say(doctor, FAIL, "data", "%s", error);
        return;
    }
    doctor->shared = store_is_shared(doctor->store);
    int64_t missing = store_missing_steps(doctor->store);
    const char *where = doctor->shared ? "PostgreSQL" : "the file";
    if (missing < 0)
        say(doctor, FAIL, "data", "its schema can't be read: %s", store_error(doctor->store));
    else if (missing > 0)
        say(doctor, WARN, "data",
            "the data in %s is of an older version (steps behind: %" PRId64 "): start this version "
            "of the service, which brings it up to date",
            where, missing);
    else
        say(doctor, OK, "data", "the data in %s is %s, its schema this version's", where,
            doctor->shared ? "reached" : "whole");
    if (missing == 0) return;
    store_close(doctor->store);
    doctor->store = NULL;
}

static void look_at_clock(struct doctor *doctor) {
    int64_t ahead_s = (store_wall_ns() - ds_clock_wall_ns()) / 1000000000;
    struct timex clock = {.modes = 0};
    int state = adjtimex(&clock);
    if (ahead_s != 0)
        say(doctor, WARN, "clock",
            "the database's clock is %" PRId64 " s %s this machine's, and is what counts: set both "
            "by NTP",
            ahead_s > 0 ? ahead_s : -ahead_s, ahead_s > 0 ? "ahead of" : "behind");
    else if (state == TIME_ERROR || (state >= 0 && (clock.status & STA_UNSYNC)))
        say(doctor, WARN, "clock",
            "nothing keeps it in time: install chrony or systemd-timesyncd. Where the host does "
            "it, as for a container, all is well");
    else
        say(doctor, OK, "clock", "%s%s",
            state < 0 ? "whether it is kept in time is not known" : "it is kept in time",
            doctor->shared ? ", and agrees with the database's" : "");
}

/* ---- The service ----------------------------------------------------------------------------- */

static void look_at_service(struct doctor *doctor) {
    struct cli *cli = doctor->cli;
    struct cli_reply reply = {.body = TEXT_EMPTY};
    if (!cli->connected) {
        say(doctor, WARN, "service", "none runs on %s: systemctl start dynoscaled", cli->folder);
        return;
    }
    const struct cli_request request = {.method = HTTP_GET, .path = "/readyz"};
    bool ready = cli_call(cli, &request, &reply);
    const char *part, *words = "it does not answer", *of = "service";
    json_t *value;
    json_object_foreach(reply.json, part, value) {
        if (!json_is_string(value) || strcmp(json_string_value(value), "ok") == 0) continue;
        of = part;
        words = json_string_value(value);
    }
    if (ready) say(doctor, OK, "service", "it runs, and is ready");
    else say(doctor, FAIL, "service", "it runs, but is not ready: %s: %s", of, words);
    cli_reply_free(&reply);
}

static bool is_loopback(const char *url) {
    static const char *const hosts[] = {"http://127.", "http://localhost", "http://[::1]"};
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        if (strncmp(url, hosts[i], strlen(hosts[i])) == 0) return true;
    return false;
}

static void say_certificate(struct doctor *doctor, const char *url,
                            const struct client_answer *answer) {
    int64_t left_s = answer->certificate_ends_s - doctor->now_s;
    char left[TEXT_SPAN_SIZE];
    text_span(left, left_s);
    if (left_s < CERTIFICATE_SOON_S)
        say(doctor, WARN, "public address",
            "%s is reached, but its certificate ends in %s: see why it is not renewed", url, left);
    else
        say(doctor, OK, "public address", "%s is reached, by TLS; its certificate ends in %s", url,
            left);
}

static void say_reached(struct doctor *doctor, const char *url,
                        const struct client_answer *answer) {
    bool https = strncmp(url, "https:", 6) == 0;
    bool ours =
        answer->status == 200 && answer->body.bytes && strcmp(answer->body.bytes, "ok\n") == 0;
    if (answer->status == 0)
        say(doctor, FAIL, "public address",
            "%s is not reached from here: %s. Look at the proxy, its certificate and the name; or "
            "set --public-url",
            url, answer->reason);
    else if (!ours)
        say(doctor, FAIL, "public address",
            "%s/healthz answers with %d, and not as this service does: look at the proxy, or set "
            "--public-url",
            url, answer->status);
    else if (!https && !is_loopback(url))
        say(doctor, WARN, "public address",
            "%s is reached, but without TLS: tokens and passwords can be read on the way. Put a "
            "proxy in front",
            url);
    else if (https && answer->certificate_ends_s > 0) say_certificate(doctor, url, answer);
    else say(doctor, OK, "public address", "%s is reached%s", url, https ? ", by TLS" : "");
}

static void look_at_address(struct doctor *doctor) {
    const char *given = getenv("DYNOSCALED_PUBLIC_URL");
    char *url = given && *given ? strdup(given)
                : doctor->store ? store_meta(doctor->store, "public_url")
                                : NULL;
    char *path = NULL;
    if (!url) {
        if (doctor->store)
            say(doctor, WARN, "public address", "the service has not been started yet");
        return;
    }
    size_t length = strlen(url);
    if (length > 0 && url[length - 1] == '/') url[length - 1] = '\0';
    if (!doctor->cli->connected) {
        say(doctor, WARN, "public address", "%s was not tried, since no service runs", url);
    } else if (asprintf(&path, "%s/healthz", url) > 0) {
        const char *authorities = getenv("SSL_CERT_FILE");
        char *trusted = authorities && *authorities ? cli_read_file(authorities, &length) : NULL;
        const struct client_request request = {.method = "GET",
                                               .url = path,
                                               .deadline_ms = URL_MS,
                                               .private_addresses = true,
                                               .authority = trusted,
                                               .of_operator = true,
                                               .certificate = true,
                                               .longest = 4096};
        struct client_answer answer;
        client_call(&request, &answer);
        say_reached(doctor, url, &answer);
        client_answer_free(&answer);
        free(trusted);
        free(path);
    } else {
        say(doctor, WARN, "public address", "there is no memory left to try %s", url);
    }
    free(url);
}

/* ---- Apps ------------------------------------------------------------------------------------ */

struct newest {
    int64_t app, at_s;
};

static void note_dyno(void *context, int64_t app, const char *dyno, int64_t at_s) {
    struct newest *newest = context;
    (void)dyno;
    if (app == newest->app && at_s > newest->at_s) newest->at_s = at_s;
}

static void note_series(void *context, int64_t series, const char *source, const char *signal,
                        int64_t newest_s) {
    struct newest *newest = context;
    (void)series, (void)source, (void)signal;
    if (newest_s > newest->at_s) newest->at_s = newest_s;
}

static void look_at_reports(struct doctor *doctor, const struct app *app, const char *what) {
    struct newest newest = {.app = app->id};
    char age[TEXT_SPAN_SIZE];
    /* The first is exact but keeps only recent reports; the second reaches far back, and is about
     * half an hour behind. */
    if (!series_each_heard(doctor->store, 0, note_dyno, &newest) ||
        !series_each(doctor->store, app->id, note_series, &newest)) {
        say(doctor, FAIL, what, "its reports can't be read: %s", store_error(doctor->store));
        return;
    }
    int64_t age_s = doctor->now_s - newest.at_s;
    text_span(age, age_s < 0 ? -age_s : age_s);
    if (newest.at_s == 0)
        say(doctor, WARN, what,
            "no report has come yet: set DYNOSCALE_URL and add the agent; there `dynoscale doctor` "
            "says what is missing");
    else if (age_s < -AHEAD_S)
        say(doctor, FAIL, what, "its newest report is %s in the future: set this machine's clock",
            age);
    else if (age_s > SILENT_S)
        say(doctor, WARN, what,
            "its newest report is %s old: do its dynos run, with DYNOSCALE_URL? There `dynoscale "
            "doctor` says what is missing",
            age);
    else say(doctor, OK, what, "its newest report is %s old", age_s < 0 ? "0 s" : age);
}

/* What is wrong with the first process that has trouble; "": none. */
static const char *first_trouble(const json_t *answer) {
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(answer, "test"), i, one) {
        const char *trouble = cli_string(one, "trouble");
        if (*trouble) return trouble;
    }
    return "";
}

static void look_at_platform(struct doctor *doctor, const struct app *app, const char *what) {
    struct cli *cli = doctor->cli;
    struct cli_reply shown = {.body = TEXT_EMPTY}, tried = {.body = TEXT_EMPTY};
    char *path = cli_path("/api/v1/apps/%s/platform", app->name);
    char *test = cli_path("/api/v1/apps/%s/platform/test", app->name);
    const struct cli_request show = {.method = HTTP_GET, .path = path};
    const struct cli_request try = {.method = HTTP_POST, .path = test};
    if (!path || !test || !cli_call(cli, &show, &shown)) {
        if (shown.status == 404)
            say(doctor, WARN, what, "nothing scales it: dynoscaled platform set %s ...", app->name);
        else say(doctor, FAIL, what, "its platform can't be read");
    } else if (!cli_call(cli, &try, &tried)) {
        const char *detail = cli_string(tried.json, "detail");
        say(doctor, FAIL, what, "its platform can't be tried: %s", *detail ? detail : "no answer");
    } else {
        const char *result = cli_string(tried.json, "result"),
                   *kind = cli_string(shown.json, "kind");
        bool well = strcmp(result, "ok") == 0;
        if (well) say(doctor, OK, what, "its platform (%s) answers", kind);
        else
            say(doctor,
                strcmp(result, "refused") == 0 || strcmp(result, "failed") == 0 ? FAIL : WARN, what,
                "its platform (%s): %s: %s. Set it anew with dynoscaled platform set %s ..., or "
                "try again: dynoscaled platform test %s",
                kind, result, first_trouble(tried.json), app->name, app->name);
    }
    cli_reply_free(&shown);
    cli_reply_free(&tried);
    free(path);
    free(test);
}

static bool look_at_app(void *context, const struct app *app) {
    struct doctor *doctor = context;
    char what[APP_NAME_SIZE + 8];
    snprintf(what, sizeof what, "app %s", app->name);
    look_at_reports(doctor, app, what);
    /* The credential can be opened by the service, or in this process with the key. */
    if (doctor->cli->connected || doctor->key_is_well) look_at_platform(doctor, app, what);
    return true;
}

static void look_at_apps(struct doctor *doctor) {
    if (!doctor->store) return;
    struct cli *cli = doctor->cli;
    if (!app_each(doctor->store, look_at_app, doctor))
        say(doctor, FAIL, "apps", "they can't be read: %s", store_error(doctor->store));
    if (!cli->json) fflush(stdout);
}

/* ---- Backups --------------------------------------------------------------------------------- */

struct backup {
    int64_t at_s; /* 0: it is not there */
    int error;
    bool empty, is_ours;
    char trouble[512]; /* why the copy can't be restored; "" */
};

static bool is_sqlite(const char *name) {
    char head[16] = "";
    FILE *file = fopen(name, "rbe");
    bool is = file && fread(head, 1, sizeof head, file) == sizeof head &&
              memcmp(head, "SQLite format 3", sizeof head) == 0;
    if (file) fclose(file);
    return is;
}

/* Before doctor becomes another user, who may not be able to read the file. */
static void read_backup(const struct cli *cli, struct backup *backup) {
    const char *name = cli_value(cli, "backup");
    struct stat found;
    *backup = (struct backup){.at_s = 0};
    if (!name) return;
    if (stat(name, &found) != 0) {
        backup->error = errno;
        return;
    }
    backup->at_s = found.st_mtim.tv_sec;
    backup->empty = S_ISREG(found.st_mode) && found.st_size == 0;
    backup->is_ours = S_ISREG(found.st_mode) && is_sqlite(name);
    if (backup->is_ours) store_check_backup(name, backup->trouble, sizeof backup->trouble);
}

static void look_at_backup(struct doctor *doctor, const struct backup *backup) {
    const char *name = cli_value(doctor->cli, "backup"),
               *todo = doctor->shared ? "pg_dump each night, and say --backup FILE here"
                                      : "dynoscaled backup FILE each night";
    char age[TEXT_SPAN_SIZE];
    int64_t at_s = backup->at_s;
    if (!name && doctor->store) {
        char *noted = store_meta(doctor->store, "backup_at");
        at_s = noted ? strtoll(noted, NULL, 10) : 0;
        free(noted);
    }
    if (backup->error)
        say(doctor, FAIL, "backup", "%s: %s. %s", name, strerror(backup->error), todo);
    else if (backup->empty) say(doctor, FAIL, "backup", "%s is empty. %s", name, todo);
    else if (*backup->trouble) say(doctor, FAIL, "backup", "%s. %s", backup->trouble, todo);
    else if (at_s == 0) say(doctor, WARN, "backup", "none is known of: %s", todo);
    else {
        int64_t age_s = doctor->now_s > at_s ? doctor->now_s - at_s : 0;
        bool old = age_s > BACKUP_OLD_S;
        say(doctor, old ? WARN : OK, "backup", "the last one is %s old%s%s", text_span(age, age_s),
            backup->is_ours ? ", and whole" : "", old ? ": make one each night" : "");
    }
}

/* ---- All of it ------------------------------------------------------------------------------- */

int cli_doctor(struct cli *cli) {
    struct doctor doctor = {.cli = cli, .now_s = ds_clock_wall_ns() / 1000000000};
    struct backup backup;
    if (!read_environment(cli) || !cli_folder(cli)) return CLI_REFUSED;
    cli->quiet = true;
    read_backup(cli, &backup);
    open_linked_key(&doctor);
    if (look_at_folder(&doctor)) {
        look_at_disk(&doctor);
        look_at_data(&doctor);
        look_at_key(&doctor);
        look_at_clock(&doctor);
        look_at_service(&doctor);
        look_at_address(&doctor);
        look_at_apps(&doctor);
        look_at_backup(&doctor, &backup);
    }
    if (doctor.store) store_close(doctor.store);
    vault_free(doctor.vault);
    if (cli->json)
        printf("{\"result\":\"%s\",\"checks\":[%s]}\n", state_names[doctor.worst],
               doctor.json.bytes ? doctor.json.bytes : "");
    text_free(&doctor.json);
    return doctor.worst == FAIL ? CLI_REFUSED : CLI_DONE;
}
