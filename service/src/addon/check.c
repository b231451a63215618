#define _GNU_SOURCE /* nanosleep */
#include "addon/check.h"

#include <jansson.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "json_read.h"
#include "platforms/client.h"

enum { DEADLINE_MS = 25000, SOON_MS = 3000, SEEN_MS = 5000, LONGEST = 256 * 1024 };

struct check {
    const struct addon_settings *settings;
    const char *url;
    char uuid[37], report_url[1200];
    int wrong;
};

static void say(struct check *check, bool right, const char *what, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Prints one line: what Heroku asks for and, where the service fails it, what it got instead. */
static void say(struct check *check, bool right, const char *what, const char *format, ...) {
    va_list values;
    printf("%s  %s", right ? "ok " : "NO ", what);
    if (!right) {
        printf(": ");
        va_start(values, format);
        vprintf(format, values);
        va_end(values);
        check->wrong++;
    }
    putchar('\n');
}

/* ---- Requests ------------------------------------------------------------------------------- */

struct got {
    int status;
    json_t *json; /* NULL: none */
    char header[64], reason[160];
    int64_t took_ms;
};

static void forget(struct got *got) {
    json_decref(got->json);
    got->json = NULL;
}

static void ask(const char *method, const char *url, const char *const *headers, const char *body,
                const char *header, struct got *got) {
    struct client_answer answer;
    int64_t began_ms = ds_clock_monotonic_ms();
    const struct client_request request = {.method = method,
                                           .url = url,
                                           .headers = headers,
                                           .body = body,
                                           .body_length = body ? strlen(body) : 0,
                                           .deadline_ms = DEADLINE_MS,
                                           .private_addresses = true,
                                           .of_operator = true,
                                           .longest = LONGEST,
                                           .header = header};
    memset(got, 0, sizeof *got);
    client_call(&request, &answer);
    got->status = answer.status;
    got->took_ms = ds_clock_monotonic_ms() - began_ms;
    memcpy(got->header, answer.header, sizeof got->header);
    memcpy(got->reason, answer.reason, sizeof got->reason);
    got->json = json_read(answer.body.bytes, answer.body.length, 0, NULL);
    client_answer_free(&answer);
}

/* Calls /heroku/resources and paths below it. `password` NULL: sends no Authorization header. */
static void ask_resource(struct check *check, const char *method, const char *path,
                         const char *body, const char *password, struct got *got) {
    char url[1300], pair[600], coded[900], authorization[1000];
    snprintf(url, sizeof url, "%.1000s/heroku/resources%s", check->url, path);
    snprintf(pair, sizeof pair, "%s:%s", check->settings->id, password ? password : "");
    sodium_bin2base64(coded, sizeof coded, (const unsigned char *)pair, strlen(pair),
                      sodium_base64_VARIANT_ORIGINAL);
    snprintf(authorization, sizeof authorization, "Authorization: Basic %s", coded);
    const char *headers[] = {"Accept: application/vnd.heroku-addons+json; version=3",
                             "Content-Type: application/json", password ? authorization : NULL,
                             NULL};
    ask(method, url, headers, body, NULL, got);
    sodium_memzero(pair, sizeof pair);
    sodium_memzero(coded, sizeof coded);
    sodium_memzero(authorization, sizeof authorization);
}

static char *provision_body(const struct check *check, const char *plan) {
    json_t *body = json_pack("{s:s, s:s, s:s, s:s, s:{}, s:n, s:[i], s:{s:s}}", "uuid", check->uuid,
                             "plan", plan, "region", "amazon-web-services::us-east-1", "name",
                             "dynoscaled-heroku-check", "options", "log_drain_token",
                             "a_field_of_next_year", 1, "another_one", "with", "an object");
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    return text;
}

/* ---- Provisioning --------------------------------------------------------------------------- */

static void check_password(struct check *check, const char *body) {
    static const char *const wrong[] = {NULL, "", "not the password of the manifest"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct got got;
        ask_resource(check, "POST", "", body, wrong[i], &got);
        say(check, got.status == 401,
            wrong[i] && *wrong[i] ? "a wrong password is 401"
            : wrong[i]            ? "an empty password is 401"
                                  : "no password is 401",
            "%d %s", got.status, got.reason);
        forget(&got);
    }
}

static void check_config(struct check *check, const json_t *config) {
    const char *url = json_string_value(json_object_get(config, "DYNOSCALE_URL"));
    const char *dynos = json_string_value(json_object_get(config, "DYNOSCALE_DYNOS"));
    say(check, url && json_object_size(config) == 2, "config has the vars of the manifest alone",
        "there are %zu", json_object_size(config));
    say(check, dynos && strcmp(dynos, "all") == 0, "DYNOSCALE_DYNOS is all", "%s",
        dynos ? dynos : "missing");
    if (url) snprintf(check->report_url, sizeof check->report_url, "%.1100s", url);
}

/* False: there is no resource, so the later checks can't run. */
static bool check_provision(struct check *check, const char *body) {
    struct got got, again;
    ask_resource(check, "POST", "", body, check->settings->password, &got);
    const char *id = json_string_value(json_object_get(got.json, "id"));
    bool made = (got.status == 200 || got.status == 202) && id;
    say(check, made, "a resource is provisioned, and fields of tomorrow are ignored", "%d %s",
        got.status, got.reason);
    say(check, got.took_ms < SOON_MS, "the answer comes within 3 s", "%lld ms",
        (long long)got.took_ms);
    say(check, id && strcmp(id, check->uuid) == 0, "its id is the uuid", "%s", id ? id : "none");
    if (got.status == 200) check_config(check, json_object_get(got.json, "config"));
    if (got.status == 202)
        say(check, !json_object_get(got.json, "config"), "202 has no config", "it has");
    ask_resource(check, "POST", "", body, check->settings->password, &again);
    say(check, again.status == got.status && json_equal(again.json, got.json),
        "the same request again gets the same answer", "%d", again.status);
    forget(&got);
    forget(&again);
    return made;
}

/* Tries for a while. This service reloads its tokens just after an answer changed them, and other
 * services on the same database some seconds later. */
static void check_report(struct check *check, int status, const char *what) {
    static const char *const headers[] = {"Content-Type: text/csv", NULL};
    static const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
    struct got got;
    int64_t until_ms = ds_clock_monotonic_ms() + SEEN_MS;
    if (!*check->report_url) return;
    ask("POST", check->report_url, headers, "", NULL, &got);
    while (got.status != status && ds_clock_monotonic_ms() < until_ms) {
        forget(&got);
        nanosleep(&pause, NULL);
        ask("POST", check->report_url, headers, "", NULL, &got);
    }
    say(check, got.status == status, what, "%d %s", got.status, got.reason);
    forget(&got);
}

static void check_plans(struct check *check) {
    struct got got;
    char path[48], body[160];
    snprintf(path, sizeof path, "/%s", check->uuid);
    for (int i = 0; i < check->settings->plan_count; i++) {
        char what[120];
        snprintf(body, sizeof body, "{\"plan\":\"%s\"}", check->settings->plans[i].name);
        snprintf(what, sizeof what, "the plan can become %s", check->settings->plans[i].name);
        ask_resource(check, "PUT", path, body, check->settings->password, &got);
        say(check, got.status == 200, what, "%d %s", got.status, got.reason);
        forget(&got);
    }
    ask_resource(check, "PUT", path, "{\"plan\":\"no-such-plan\"}", check->settings->password,
                 &got);
    say(check, got.status == 422 && json_is_string(json_object_get(got.json, "message")),
        "a plan that is not sold is 422 with a message", "%d %s", got.status, got.reason);
    forget(&got);
}

/* ---- Single sign-on ------------------------------------------------------------------------- */

static void sign_in(struct check *check, int64_t at_s, bool right, struct got *got) {
    static const char user[] = "01234567-89ab-cdef-0123-456789abcdef";
    static const char email[] = "check%40example.com", plain_email[] = "check@example.com";
    static const char *const headers[] = {"Content-Type: application/x-www-form-urlencoded",
                                          "Origin: https://addons-sso.heroku.com", NULL};
    char url[1100], text[600], form[900], token[65];
    unsigned char hash[crypto_hash_sha256_BYTES];
    snprintf(url, sizeof url, "%.1000s/heroku/sso", check->url);
    snprintf(text, sizeof text, "%s:%s:%lld:%s:%s", check->uuid, check->settings->salt,
             (long long)at_s, user, plain_email);
    crypto_hash_sha256(hash, (const unsigned char *)text, strlen(text));
    if (!right) hash[0] ^= 1;
    sodium_bin2hex(token, sizeof token, hash, sizeof hash);
    snprintf(form, sizeof form,
             "resource_id=%s&timestamp=%lld&user_id=%s&email=%s&app=check&nav-data=e30%%3D"
             "&resource_token=0&user_scoped_resource_token=%s",
             check->uuid, (long long)at_s, user, email, token);
    ask("POST", url, headers, form, "set-cookie:", got);
    sodium_memzero(text, sizeof text);
}

static void check_sign_in(struct check *check) {
    int64_t now_s = ds_clock_wall_ns() / 1000000000;
    const struct {
        const char *what;
        int64_t at_s;
        bool right, in;
    } tries[] = {{"single sign-on gives a session and leads to the app", now_s, true, true},
                 {"the same token again is 403", now_s, true, false},
                 {"a wrong token is 403", now_s - 1, false, false},
                 {"a token of six minutes ago is 403", now_s - 360, true, false}};
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        struct got got;
        sign_in(check, tries[i].at_s, tries[i].right, &got);
        bool in = (got.status == 302 || got.status == 303) && *got.header;
        say(check, tries[i].in ? in : got.status == 403 && !*got.header, tries[i].what, "%d %s",
            got.status, got.reason);
        forget(&got);
    }
}

/* ---- The end -------------------------------------------------------------------------------- */

static void check_removal(struct check *check, const char *body) {
    struct got got;
    char path[48];
    snprintf(path, sizeof path, "/%s", check->uuid);
    ask_resource(check, "DELETE", path, NULL, "wrong", &got);
    say(check, got.status == 401, "removing it with a wrong password is 401", "%d %s", got.status,
        got.reason);
    forget(&got);
    ask_resource(check, "DELETE", path, NULL, check->settings->password, &got);
    say(check, got.status == 204 || got.status == 200, "it is removed", "%d %s", got.status,
        got.reason);
    forget(&got);
    ask_resource(check, "DELETE", path, NULL, check->settings->password, &got);
    say(check, got.status == 204 || got.status == 404 || got.status == 410,
        "removing it again does no harm", "%d %s", got.status, got.reason);
    forget(&got);
    ask_resource(check, "POST", "", body, check->settings->password, &got);
    say(check, got.status >= 400 && got.status < 500,
        "a provisioning that comes after the removal does not bring it back", "%d %s", got.status,
        got.reason);
    forget(&got);
    sign_in(check, ds_clock_wall_ns() / 1000000000 - 2, true, &got);
    say(check, got.status == 403 || got.status == 404, "nobody signs in to what is removed",
        "%d %s", got.status, got.reason);
    forget(&got);
}

static void make_uuid(char uuid[37]) {
    unsigned char bytes[16];
    char hex[33];
    randombytes_buf(bytes, sizeof bytes);
    bytes[6] = (unsigned char)((bytes[6] & 0x0F) | 0x40);
    bytes[8] = (unsigned char)((bytes[8] & 0x3F) | 0x80);
    sodium_bin2hex(hex, sizeof hex, bytes, sizeof bytes);
    snprintf(uuid, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

int addon_check(const struct addon_settings *settings, const char *url) {
    struct check check = {.settings = settings, .url = url};
    if (sodium_init() < 0) return 1;
    make_uuid(check.uuid);
    say(&check, strncmp(url, "https://", 8) == 0, "the address is https", "%s", url);
    char *body = provision_body(&check, settings->plans[0].name);
    if (!body) return 1;
    check_password(&check, body);
    if (check_provision(&check, body)) {
        check_report(&check, 200, "DYNOSCALE_URL takes a report");
        check_plans(&check);
        check_sign_in(&check);
        check_removal(&check, body);
        check_report(&check, 401, "DYNOSCALE_URL takes no report any more");
    }
    free(body);
    return check.wrong;
}

/* ---- A new manifest ------------------------------------------------------------------------- */

static void make_secret(char secret[44]) {
    unsigned char bytes[32];
    randombytes_buf(bytes, sizeof bytes);
    sodium_bin2base64(secret, 44, bytes, sizeof bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(bytes, sizeof bytes);
}

static json_t *new_manifest(const char *id, const char *url) {
    char password[44], salt[44], base[1100], sso[1100];
    make_secret(password);
    make_secret(salt);
    snprintf(base, sizeof base, "%.1000s/heroku/resources", url);
    snprintf(sso, sizeof sso, "%.1000s/heroku/sso", url);
    return json_pack("{s:s, s:s, s:{s:s, s:s, s:[s,s], s:s, s:s, s:[s,s], s:[], s:{s:s, s:s}}}",
                     "id", id, "name", "Dynoscale", "api", "version", "3", "config_vars_prefix",
                     "DYNOSCALE", "config_vars", "DYNOSCALE_URL", "DYNOSCALE_DYNOS", "password",
                     password, "sso_salt", salt, "regions", "us", "eu", "requires", "production",
                     "base_url", base, "sso_url", sso);
}

static bool write_new(const char *folder, const char *name, json_t *json, char *error,
                      size_t size) {
    char path[1200];
    snprintf(path, sizeof path, "%.1000s/%s", folder, name);
    return addon_write_new(path, json, error, size);
}

bool addon_make_manifest(const char *folder, const char *id, const char *url, char *error,
                         size_t size) {
    if (sodium_init() < 0) return false;
    json_t *manifest = new_manifest(id, url);
    json_t *settings = json_pack("{s:s, s:s, s:{s:{s:i, s:i}, s:{s:i, s:i}}, s:b, s:b}", "manifest",
                                 "addon-manifest.json", "client_secret",
                                 "from the partner portal, after the manifest is there", "plans",
                                 "free", "dynos", 5, "history_days", 7, "pro", "dynos", 100,
                                 "history_days", 30, "asynchronous", 0, "sso_sha1", 0);
    bool written = manifest && settings &&
                   write_new(folder, "addon-manifest.json", manifest, error, size) &&
                   write_new(folder, "heroku.json", settings, error, size);
    json_decref(manifest);
    json_decref(settings);
    return written;
}
