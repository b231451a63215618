/*
 * How a command reaches the API: over the socket in the data folder if a service runs there, else
 * by the same code in this process.
 */
#define _GNU_SOURCE /* asprintf */
#include <curl/curl.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "api/cli_inside.h"
#include "clock.h"
#include "json_read.h"
#include "settings.h"

enum { LONGEST_FILE = 1 << 20, TIMEOUT_MS = 120000 };

/* ---- Who answers ----------------------------------------------------------------------------- */

static bool somebody_listens(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) return false;
    strcpy(address.sun_path, path);
    int file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (file < 0) return false;
    bool listens = connect(file, (struct sockaddr *)&address, sizeof address) == 0;
    close(file);
    return listens;
}

const char *cli_place(const struct cli *cli) {
    const char *database = getenv("DYNOSCALED_DATABASE");
    return database && *database ? database : cli->folder;
}

static bool open_here(struct cli *cli) {
    char error[512];
    enum store_open how = cli->command->makes ? STORE_CREATE : STORE_EXISTING;
    cli->store = store_open(cli_place(cli), how, error, sizeof error);
    if (!cli->store) {
        cli_fail(0, "%s", error);
        return false;
    }
    /* Whoever can run programs here can call addresses of this machine anyway. */
    const struct keeper_settings keeper = {.folder = cli->folder, .private_addresses = true};
    cli->keeper = keeper_here(&keeper, error, sizeof error);
    if (!cli->keeper) {
        cli_fail(0, "%s", error);
        return false;
    }
    cli->public_url = store_meta(cli->store, "public_url");
    return true;
}

bool cli_folder(struct cli *cli) {
    char error[512], path[sizeof cli->folder + sizeof "/control.sock"];
    if (cli->data && strlen(cli->data) >= sizeof cli->folder) {
        cli_fail(0, "the data folder's path is too long");
        return false;
    }
    if (cli->data) {
        strcpy(cli->folder, cli->data);
    } else if (!settings_data_folder(cli->folder, sizeof cli->folder, error, sizeof error)) {
        cli_fail(0, "%s", error);
        return false;
    }
    snprintf(path, sizeof path, "%s/control.sock", cli->folder);
    cli->connected = somebody_listens(path);
    return true;
}

bool cli_open(struct cli *cli) {
    if (cli->store || cli->connected) return true;
    return cli_folder(cli) && (cli->connected || open_here(cli));
}

void cli_close(struct cli *cli) {
    if (cli->store) store_close(cli->store);
    keeper_free(cli->keeper);
    free(cli->public_url);
}

/* ---- One call -------------------------------------------------------------------------------- */

static bool call_here(struct cli *cli, const struct cli_request *request, size_t length,
                      struct cli_reply *reply) {
    struct api_call call = {.store = cli->store,
                            .keeper = cli->keeper,
                            .public_url = cli->public_url,
                            .now_s = ds_clock_wall_ns() / 1000000000,
                            .who = {.role = API_LOCAL},
                            .method = request->method,
                            .query = request->query,
                            .body = request->body,
                            .body_length = length,
                            .content_type = request->type,
                            .accept = request->accept,
                            .if_match = request->if_match};
    api_run(&call, request->path);
    api_work_here(&call);
    reply->status = call.status;
    text_add(&reply->body, call.answer.bytes ? call.answer.bytes : "", call.answer.length);
    api_call_free(&call);
    return true;
}

static size_t keep(char *bytes, size_t size, size_t count, void *context) {
    struct text *text = context;
    text_add(text, bytes, size * count);
    return text->failed ? 0 : size * count;
}

/* False: out of memory. Without one of its headers, a request would mean something else. */
static bool add_header(struct curl_slist **list, const char *name, const char *value) {
    char *line = NULL;
    if (!value) return true;
    if (asprintf(&line, "%s: %s", name, value) < 0) return false;
    struct curl_slist *longer = curl_slist_append(*list, line);
    free(line);
    if (longer) *list = longer;
    return longer != NULL;
}

static bool add_headers(struct curl_slist **list, const struct cli_request *request) {
    return add_header(list, "Content-Type", request->type ? request->type : "") &&
           add_header(list, "Accept", request->accept) &&
           add_header(list, "If-Match", request->if_match) && add_header(list, "Expect", "");
}

static void prepare(CURL *curl, const struct cli_request *request, size_t length,
                    struct text *answer) {
    static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, methods[request->method]);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    if (request->method == HTTP_GET) return;
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body ? request->body : "");
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)length);
}

static bool perform(const struct cli *cli, CURL *curl, struct cli_reply *reply) {
    char trouble[CURL_ERROR_SIZE] = "";
    long status = 0;
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, trouble);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    reply->status = (int)status;
    if (code == CURLE_OK) return true;
    cli_fail(0, "the service on %s did not answer: %s", cli->folder,
             trouble[0] ? trouble : curl_easy_strerror(code));
    return false;
}

static bool call_socket(struct cli *cli, const struct cli_request *request, size_t length,
                        struct cli_reply *reply) {
    char *url = NULL, *path = NULL;
    const char *query = request->query ? request->query : "";
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = NULL;
    bool done =
        curl && add_headers(&headers, request) &&
        asprintf(&url, "http://localhost%s%s%s", request->path, *query ? "?" : "", query) > 0 &&
        asprintf(&path, "%s/control.sock", cli->folder) > 0;
    if (done) {
        prepare(curl, request, length, &reply->body);
        curl_easy_setopt(curl, CURLOPT_URL, url);
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, path);
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        done = perform(cli, curl, reply);
    } else {
        cli_no_memory();
    }
    curl_slist_free_all(headers);
    if (curl) curl_easy_cleanup(curl);
    free(url);
    free(path);
    return done;
}

bool cli_call(struct cli *cli, const struct cli_request *request, struct cli_reply *reply) {
    *reply = (struct cli_reply){.body = TEXT_EMPTY};
    if (!cli_open(cli)) return false;
    if (text_failures() > 0) { /* half of a body or a query would mean something else */
        cli_no_memory();
        return false;
    }
    size_t length =
        request->body_length || !request->body ? request->body_length : strlen(request->body);
    bool answered = cli->connected ? call_socket(cli, request, length, reply)
                                   : call_here(cli, request, length, reply);
    if (!answered) return false;
    json_forget();
    if (reply->body.length > 0 && !reply->body.failed)
        reply->json = json_read(reply->body.bytes, reply->body.length, JSON_DECODE_ANY, NULL);
    if (reply->body.failed || json_ran_out()) {
        cli_fail(0, "there is no memory left for the answer: look whether it was done");
        return false;
    }
    if (reply->status < 400) return true;
    if (cli->quiet) return false;
    const char *detail = json_string_value(json_object_get(reply->json, "detail"));
    if (detail) cli_fail(0, "%s", detail);
    else cli_fail(0, "the service answered with status %d", reply->status);
    return false;
}

void cli_reply_free(struct cli_reply *reply) {
    text_free(&reply->body);
    json_decref(reply->json);
}

/* ---- What calls are made of ------------------------------------------------------------------ */

static void encode(struct text *text, const char *part) {
    for (const unsigned char *at = (const unsigned char *)part; *at; at++) {
        bool plain = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                     (*at >= '0' && *at <= '9') || strchr("-_.~", *at);
        if (plain) text_char(text, (char)*at);
        else text_format(text, "%%%02X", *at);
    }
}

char *cli_path(const char *format, ...) {
    struct text path = TEXT_EMPTY;
    va_list values;
    va_start(values, format);
    for (; *format; format++) {
        if (format[0] == '%' && format[1] == 's') {
            encode(&path, va_arg(values, const char *));
            format++;
        } else {
            text_char(&path, *format);
        }
    }
    va_end(values);
    char *taken = text_take(&path);
    if (!taken) cli_no_memory();
    return taken;
}

void cli_query(struct text *query, const char *name, const char *value) {
    if (!value) return;
    if (query->length > 0) text_char(query, '&');
    text_format(query, "%s=", name);
    encode(query, value);
}

void cli_member(struct text *object, const char *name, const char *value) {
    if (!value) return;
    if (text_last(object) != '{') text_char(object, ',');
    text_json(object, name);
    text_char(object, ':');
    text_json(object, value);
}

int cli_do(struct cli *cli, enum http_method method, char *path, struct text *body,
           struct cli_reply *reply, bool *print) {
    const struct cli_request request = {.method = method,
                                        .path = path,
                                        .type = body ? "application/json" : NULL,
                                        .body = body ? body->bytes : NULL};
    bool done = path && cli_call(cli, &request, reply);
    *print = done && !cli->json;
    if (done && cli->json && reply->body.length > 0) puts(reply->body.bytes);
    free(path);
    if (body) text_free(body);
    return done ? CLI_DONE : CLI_REFUSED;
}

char *cli_read_file(const char *name, size_t *length) {
    struct text text = TEXT_EMPTY;
    char buffer[8192];
    size_t count;
    bool input = strcmp(name, "-") == 0;
    FILE *file = input ? stdin : fopen(name, "rb");
    if (!file) {
        cli_fail(0, "%s can't be opened: %s", name, strerror(errno));
        return NULL;
    }
    while (text.length <= LONGEST_FILE && (count = fread(buffer, 1, sizeof buffer, file)) > 0)
        text_add(&text, buffer, count);
    bool failed = ferror(file) || text.failed, long_one = text.length > LONGEST_FILE;
    if (failed) cli_fail(0, "%s can't be read", name);
    else if (long_one) cli_fail(0, "%s is larger than %d KiB", name, LONGEST_FILE / 1024);
    if (!input) fclose(file);
    *length = text.length;
    char *taken = failed || long_one ? NULL : text_take(&text);
    if (!failed && !long_one && !taken) cli_no_memory();
    text_free(&text);
    return taken;
}

char *cli_copy(const char *text) {
    char *copy = strdup(text);
    if (!copy) cli_no_memory();
    return copy;
}

/* ---- Passwords ------------------------------------------------------------------------------- */

static char *read_line(FILE *file) {
    char *line = NULL;
    size_t room = 0;
    ssize_t length = getline(&line, &room, file);
    if (length < 0) {
        bool ended = feof(file);
        free(line);
        if (ended) return cli_copy("");
        cli_fail(0, "standard input can't be read: %s", strerror(errno));
        return NULL;
    }
    line[strcspn(line, "\r\n")] = '\0';
    return line;
}

/* Asks on the terminal without echoing what is typed. */
static char *ask(const char *prompt) {
    struct termios shown, hidden;
    bool terminal = tcgetattr(STDIN_FILENO, &shown) == 0;
    /* Before the prompt: switching later would throw away what was already typed. */
    if (terminal) {
        hidden = shown;
        hidden.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    }
    fputs(prompt, stderr);
    char *line = read_line(stdin);
    if (terminal) tcsetattr(STDIN_FILENO, TCSADRAIN, &shown);
    fputc('\n', stderr);
    return line;
}

char *cli_read_password(const char *person) {
    char prompt[200];
    if (!isatty(STDIN_FILENO)) return read_line(stdin);
    snprintf(prompt, sizeof prompt, "Password of %.100s: ", person);
    char *first = ask(prompt), *second = ask("Once more: ");
    bool same = first && second && strcmp(first, second) == 0;
    vault_wipe(second);
    if (same) return first;
    vault_wipe(first);
    cli_fail(0, "the two differ; nothing was changed");
    return NULL;
}
