#include "platforms/rest.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "json_read.h"

enum { LONGEST_ANSWER = 4 << 20, LONGEST_NAME = 253, LONGEST_SECRET = 8192, BUSY_WAIT_S = 60 };

/* ---- The call ---------------------------------------------------------------------------------
 */

struct rest_call rest_begin(const struct platform_app *app, const char *name) {
    return (struct rest_call){
        .app = app, .name = name, .end_ms = ds_clock_monotonic_ms() + app->deadline_ms};
}

/* Finds the message in {"message": "..."}, {"error": "..."}, {"error": {"message": "..."}} or
 * {"errors": [{...}]}. */
static const char *message_of(const json_t *json) {
    static const char *const names[] = {"message", "Message", "error", "errors"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const json_t *found = json_object_get(json, names[i]);
        if (json_is_array(found)) found = json_array_get(found, 0);
        if (json_is_string(found)) return json_string_value(found);
        if (json_is_object(found)) return json_string_value(json_object_get(found, "message"));
    }
    return NULL;
}

static void keep_words(char words[REST_WORDS], const char *message) {
    size_t length = 0;
    for (; message && message[length] && length < REST_WORDS - 1; length++) {
        unsigned char c = (unsigned char)message[length];
        words[length] = c >= 0x20 && c < 0x7F ? (char)c : '?';
    }
    words[length] = '\0';
}

static struct platform_answer meaning(const struct rest_call *call, int status, const char *words,
                                      const struct client_answer *answer) {
    const char *name = call->name, *what = call->what;
    const char *colon = *words ? ": " : "";
    if (status == 0)
        return platform_trouble(answer->address_refused ? PLATFORM_REFUSED : PLATFORM_FAILED,
                                "%s could not be asked: %s", name, answer->reason);
    if (status == 401)
        return platform_trouble(PLATFORM_REFUSED,
                                "%s refuses the credential (401): it was revoked or is over; set a "
                                "new one",
                                name);
    if (status == 403)
        return platform_trouble(PLATFORM_REFUSED, "the credential may not do this to %s (403)%s%s",
                                what, colon, words);
    if (status == 404)
        return platform_trouble(PLATFORM_REFUSED,
                                "%s does not find %s (404), or the credential may not see it", name,
                                what);
    if (status == 409 || status == 423)
        return platform_trouble(PLATFORM_LOCKED, "another change holds %s (%d)%s%s", what, status,
                                colon, words);
    if (status == 429) {
        struct platform_answer busy =
            platform_trouble(PLATFORM_BUSY, "%s's rate limit is used up (429)", name);
        busy.wait_s = answer->retry_after_s >= 0 ? answer->retry_after_s : BUSY_WAIT_S;
        return busy;
    }
    if (status >= 500 || status == 408)
        return platform_trouble(PLATFORM_FAILED, "%s has trouble of its own (%d)%s%s", name, status,
                                colon, words);
    if (status < 400)
        return platform_trouble(PLATFORM_REFUSED,
                                "%s answered %s with a redirect (%d), which is not followed: is "
                                "its address right?",
                                name, call->method, status);
    return platform_trouble(PLATFORM_REFUSED, "%s answered %s with %d%s%s", name, call->method,
                            status, colon, words);
}

/* Lists the headers of a call; `bearer` must outlive the list. */
static void list_headers(const struct rest_call *call, const char *bearer, const char *media_type,
                         const char *headers[8]) {
    int count = 0;
    headers[count++] = "Accept: application/json";
    if (*bearer) headers[count++] = bearer;
    if (call->body) headers[count++] = media_type;
    for (int i = 0; i < 4 && call->headers[i]; i++) headers[count++] = call->headers[i];
    headers[count] = NULL;
}

void rest_call(const struct rest_call *call, struct rest_answer *answer) {
    char bearer[LONGEST_SECRET + 32] = "", media_type[96];
    const char *headers[8];
    struct client_answer got;
    int64_t left_ms = call->end_ms - ds_clock_monotonic_ms();
    *answer = (struct rest_answer){0};
    if (call->bearer)
        snprintf(bearer, sizeof bearer, "Authorization: Bearer %.*s", LONGEST_SECRET, call->bearer);
    snprintf(media_type, sizeof media_type, "Content-Type: %s",
             call->media_type ? call->media_type : "application/json");
    list_headers(call, bearer, media_type, headers);
    const struct client_request request = {.method = call->method,
                                           .url = call->url,
                                           .headers = headers,
                                           .body = call->body,
                                           .body_length = call->body ? strlen(call->body) : 0,
                                           .deadline_ms = left_ms > 1 ? left_ms : 1,
                                           .private_addresses = call->app->private_addresses,
                                           .longest = LONGEST_ANSWER,
                                           .authority = call->authority,
                                           .signed_for = call->signed_for,
                                           .key = call->key};
    client_call(&request, &got);
    answer->status = got.status;
    answer->json = json_read(got.body.bytes, got.body.length, 0, NULL);
    keep_words(answer->words, message_of(answer->json));
    if (got.status < 200 || got.status >= 300)
        answer->answer = meaning(call, got.status, answer->words, &got);
    else if (got.body.length > 0 && !answer->json)
        answer->answer = platform_trouble(PLATFORM_FAILED,
                                          "%s's answer about %s is no JSON: a proxy may have given "
                                          "it",
                                          call->name, call->what);
    else answer->answer = platform_ok();
    if (got.body.bytes) sodium_memzero(got.body.bytes, got.body.length);
    client_answer_free(&got);
    sodium_memzero(bearer, sizeof bearer);
}

void rest_free(struct rest_answer *answer) {
    json_decref(answer->json);
    answer->json = NULL;
}

/* ---- Settings ---------------------------------------------------------------------------------
 */

bool rest_is_name(const char *text) {
    size_t length = text ? strlen(text) : 0;
    return length > 0 && length <= LONGEST_NAME && strcmp(text, ".") != 0 &&
           strcmp(text, "..") != 0 &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") ==
               length;
}

/* One name, or two with a slash between them: "statefulset/queue". */
static bool is_name_of_process(const char *text) {
    char kind[LONGEST_NAME + 1];
    const char *slash = text ? strchr(text, '/') : NULL;
    if (!slash) return rest_is_name(text);
    snprintf(kind, sizeof kind, "%.*s", (int)(slash - text), text);
    return (size_t)(slash - text) < sizeof kind && rest_is_name(kind) && rest_is_name(slash + 1);
}

static bool check_processes(const json_t *processes, char *error, size_t size) {
    const char *process;
    json_t *name;
    if (!json_is_object(processes)) {
        snprintf(error, size, "processes: must say what the platform calls each process type");
        return false;
    }
    json_object_foreach((json_t *)(uintptr_t)processes, process, name) {
        if (is_name_of_process(json_string_value(name))) continue;
        snprintf(error, size, "processes.%.60s: must be a name of letters, digits and -._",
                 process);
        return false;
    }
    return true;
}

static bool is_known(const char *name, const char *const *known) {
    for (; *known; known++)
        if (strcmp(name, *known) == 0) return true;
    return false;
}

static bool check_text(const char *name, const json_t *value, char *error, size_t size) {
    char why[120];
    const char *text = json_string_value(value);
    bool url = strcmp(name, "api") == 0 || strcmp(name, "server") == 0 || strcmp(name, "auth") == 0;
    if (!text) {
        snprintf(error, size, "%s: must be a text", name);
        return false;
    }
    if (url && !client_check_url(text, why, sizeof why)) {
        snprintf(error, size, "%s: %s", name, why);
        return false;
    }
    if (url && (strpbrk(text, "?#") || text[strlen(text) - 1] == '/' || strlen(text) > 400)) {
        snprintf(error, size, "%s: must be at most 400 bytes, without ?, # and a / at the end",
                 name);
        return false;
    }
    if (!url && strcmp(name, "ca") != 0 && !rest_is_name(text)) {
        snprintf(error, size, "%s: must be a name of letters, digits and -._", name);
        return false;
    }
    return true;
}

bool rest_check(const json_t *settings, const char *const *known, char *error, size_t size) {
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)settings, name, value) {
        if (strcmp(name, "processes") == 0) {
            if (!check_processes(value, error, size)) return false;
        } else if (!is_known(name, known)) {
            snprintf(error, size, "%.60s: there is no such setting of this platform", name);
            return false;
        } else if (!check_text(name, value, error, size)) {
            return false;
        }
    }
    return true;
}

bool rest_check_secret(const char *secret, const char *what, char *error, size_t size) {
    bool right = secret && *secret && strlen(secret) < LONGEST_SECRET;
    for (const char *at = secret; right && *at; at++) right = *at > ' ' && *at < 0x7F;
    if (!right) snprintf(error, size, "secret: must be given: %s, without blanks", what);
    return right;
}

const char *rest_setting(const struct platform_app *app, const char *name, const char *otherwise) {
    const char *text = json_string_value(json_object_get(app->settings, name));
    return text ? text : otherwise;
}

const char *rest_process(const struct platform_app *app, const char *process,
                         const char *otherwise) {
    const char *name =
        json_string_value(json_object_get(json_object_get(app->settings, "processes"), process));
    if (!name) name = otherwise;
    return is_name_of_process(name) ? name : NULL;
}

struct platform_answer rest_no_process(const struct platform_app *app, const char *process,
                                       const char *wanted) {
    return platform_trouble(PLATFORM_REFUSED,
                            "the settings of %.60s's platform don't say %s of %.40s: set it again "
                            "with %.40s=NAME",
                            app->app, wanted, process, process);
}

int rest_count(const json_t *json) {
    bool whole = json_is_integer(json) && json_integer_value(json) >= 0 &&
                 json_integer_value(json) <= PLATFORM_DYNOS;
    return whole ? (int)json_integer_value(json) : -1;
}

struct platform_answer rest_not_understood(const struct rest_call *call) {
    return platform_trouble(PLATFORM_FAILED, "%s's answer about %s does not say how many there are",
                            call->name, call->what);
}

struct platform_answer rest_confirm(const struct rest_call *call, int told, int dynos) {
    if (told < 0) return rest_not_understood(call);
    if (told == dynos) return platform_ok();
    return platform_trouble(PLATFORM_FAILED, "%s was asked for %d, and answers that %s has %d",
                            call->name, dynos, call->what, told);
}
