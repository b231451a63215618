/* Platforms: a program on this machine, and a webhook's receiver, both real. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../core/support/suite.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "platforms/client.h"
#include "platforms/platform.h"
#include "platforms/run.h"
#include "support/folder.h"

/* ---- A program ------------------------------------------------------------------------------ */

static char folder[] = "/tmp/dynoscale-platform-XXXXXX";

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void write_program(const char *text) {
    FILE *file = fopen(folder_path(folder, "scale"), "w");
    assert_non_null(file);
    fprintf(file, "#!/bin/sh\n%s\n", text);
    fclose(file);
    assert_int_equal(chmod(folder_path(folder, "scale"), 0700), 0);
}

static char *slurp(const char *name) {
    static char text[4096];
    FILE *file = fopen(folder_path(folder, name), "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

static const struct platform *command(void) { return platform_find("command"); }

/* The program of write_program as an app's platform; its settings are the caller's. */
static struct platform_app program_app(const char *argument) {
    json_t *settings = json_pack("{s:[s], s:s}", "command", "./scale", "directory", folder);
    if (argument)
        json_array_append_new(json_object_get(settings, "command"), json_string(argument));
    return (struct platform_app){.app = "shop", .settings = settings, .deadline_ms = 60000};
}

static struct platform_answer read_program(const char *text, struct platform_formation *formation) {
    write_program(text);
    struct platform_app app = program_app(NULL);
    struct platform_answer answer = command()->read(&app, "web", formation);
    json_decref(app.settings);
    return answer;
}

static void a_program_is_called_with_its_arguments_the_verb_the_type_and_the_number(void **state) {
    (void)state;
    write_program("printf '%s|' \"$@\" > called; echo \"$DYNOSCALE_APP $DYNOSCALE_REASON\" > said");
    struct platform_app app = program_app("an argument; with 'all' $(things)");
    struct platform_answer answer = command()->set(&app, "web", 3, "up 2 → 3");
    assert_int_equal(answer.result, PLATFORM_OK);
    assert_string_equal(slurp("called"), "an argument; with 'all' $(things)|set|web|3|");
    assert_string_equal(slurp("said"), "shop up 2 → 3\n");
    json_decref(app.settings);
}

static void a_number_is_the_formation(void **state) {
    (void)state;
    struct platform_formation formation;
    struct platform_answer answer = read_program("echo \" 12 \"", &formation);
    assert_int_equal(answer.result, PLATFORM_OK);
    assert_int_equal(formation.ordered, 12);
    assert_int_equal(formation.up, -1);
    answer = read_program("printf 0", &formation);
    assert_int_equal(answer.result, PLATFORM_OK);
    assert_int_equal(formation.ordered, 0);
}

static void json_tells_what_is_up_and_booting_and_the_limit(void **state) {
    (void)state;
    struct platform_formation formation;
    struct platform_answer answer =
        read_program("echo '{\"ordered\": 3, \"up\": 2, \"booting\": 1, \"stopping\": 0,'; "
                     "echo ' \"limit\": 10, \"releasing\": true, \"another\": []}'",
                     &formation);
    assert_int_equal(answer.result, PLATFORM_OK);
    assert_int_equal(formation.ordered, 3);
    assert_int_equal(formation.up, 2);
    assert_int_equal(formation.booting, 1);
    assert_int_equal(formation.stopping, 0);
    assert_int_equal(formation.releasing, 1);
    assert_int_equal(answer.limit, 10);
}

static void what_is_no_number_of_dynos_is_refused_by_a_sentence(void **state) {
    (void)state;
    static const char *const programs[] = {
        "true",
        "echo",
        "echo three",
        "echo 3; echo 4",
        "echo 3.0",
        "echo -1",
        "echo +1",
        "echo 10001",
        "echo 99999999999999999999999999999999",
        "echo 3 dynos",
        "echo '{}'",
        "echo '{\"ordered\": -1}'",
        "echo '{\"ordered\": \"3\"}'",
        "echo '{\"ordered\": 3, \"up\": 2.5}'",
        "echo '{\"ordered\": 3, \"ordered\": 4}'",
        "echo '{\"ordered\": 3, \"releasing\": 1}'",
        "echo '{\"ordered\": 3'",
        "echo '[3]'",
        "printf '3\\000'",
        "head -c 20000 /dev/zero",
    };
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        struct platform_formation formation;
        struct platform_answer answer = read_program(programs[i], &formation);
        if (answer.result != PLATFORM_FAILED || !strstr(answer.trouble, "./scale read web"))
            fail_msg("%s: %d, %s", programs[i], answer.result, answer.trouble);
        assert_int_equal(formation.ordered, -1);
    }
}

static void the_status_says_whether_it_passes_and_the_last_line_of_errors_why(void **state) {
    (void)state;
    static const struct {
        const char *program;
        enum platform_result result;
        const char *trouble;
    } cases[] = {
        {"echo first >&2; printf 'no such app\\n\\n' >&2; exit 1", PLATFORM_FAILED,
         "./scale read web ended with status 1: no such app"},
        {"exit 75", PLATFORM_LOCKED, "./scale read web ended with status 75"},
        {"echo who are you >&2; exit 77", PLATFORM_REFUSED,
         "./scale read web ended with status 77: who are you"},
        {"kill -9 $$", PLATFORM_FAILED, "./scale read web was ended by signal 9"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct platform_formation formation;
        struct platform_answer answer = read_program(cases[i].program, &formation);
        assert_int_equal(answer.result, cases[i].result);
        assert_string_equal(answer.trouble, cases[i].trouble);
    }
}

static void a_program_that_is_not_there_needs_a_person(void **state) {
    (void)state;
    unlink(folder_path(folder, "scale"));
    struct platform_app app = program_app(NULL);
    struct platform_formation formation;
    struct platform_answer answer = command()->read(&app, "web", &formation);
    assert_int_equal(answer.result, PLATFORM_REFUSED);
    assert_string_equal(answer.trouble, "./scale read web can't be run: No such file or directory");
    json_decref(app.settings);
}

static void a_folder_that_can_not_be_entered_is_named(void **state) {
    (void)state;
    struct platform_app app = program_app(NULL);
    json_object_set_new(app.settings, "directory", json_string("/nowhere"));
    struct platform_formation formation;
    struct platform_answer answer = command()->read(&app, "web", &formation);
    assert_int_equal(answer.result, PLATFORM_REFUSED);
    assert_string_equal(
        answer.trouble,
        "./scale read web can't be run: its folder /nowhere: No such file or directory");
    json_decref(app.settings);
}

/* Waits until nothing holds the lock of the file, as a process that lives would. */
static void wait_for_lock(const char *name) {
    int file = open(folder_path(folder, name), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    assert_int_equal(fcntl(file, F_OFD_SETLKW, &lock), 0);
    close(file);
}

static void a_program_that_hangs_is_killed_with_all_it_started(void **state) {
    (void)state;
    write_program("exec 9>held; flock 9; echo waiting >&2; trap '' TERM; sleep 1000 & wait");
    struct platform_app app = program_app(NULL);
    app.deadline_ms = 2000;
    struct platform_answer answer = command()->set(&app, "web", 3, "why");
    assert_int_equal(answer.result, PLATFORM_FAILED);
    assert_non_null(strstr(answer.trouble, "did not end within 2000 ms and was killed"));
    wait_for_lock("held"); /* hangs where the shell or its sleep lives on */
    json_decref(app.settings);
}

static void what_a_program_leaves_running_neither_holds_us_up_nor_is_killed(void **state) {
    (void)state;
    write_program("mkfifo begin end; (read line <begin; echo done >end) & echo 4");
    struct platform_app app = program_app(NULL);
    struct platform_formation formation;
    struct platform_answer answer = command()->read(&app, "web", &formation);
    assert_int_equal(answer.result, PLATFORM_OK);
    assert_int_equal(formation.ordered, 4);
    FILE *begin = fopen(folder_path(folder, "begin"), "w"), *end;
    assert_non_null(begin);
    fputs("go\n", begin);
    fclose(begin);
    end = fopen(folder_path(folder, "end"), "r");
    char line[8] = "";
    assert_non_null(fgets(line, sizeof line, end));
    assert_string_equal(line, "done\n");
    fclose(end);
    json_decref(app.settings);
}

static void a_program_inherits_no_descriptor_no_secret_and_no_blocked_signal(void **state) {
    (void)state;
    setenv("DYNOSCALED_KEY", "secret", 1);
    int inherited =
        open(folder_path(folder, "ours"), O_CREAT | O_RDWR, 0600); /* not close-on-exec */
    assert_true(inherited > 2);
    sigset_t blocked, before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    signal(SIGPIPE, SIG_IGN);
    write_program(
        "env > env; ls -l /proc/$$/fd > fds\n"
        /* The shell itself: it blocks signals while it starts another program. */
        "while read -r line; do case $line in Sig*) echo \"$line\" ;; esac; done "
        "</proc/$$/status >signals\n"
        "read line || echo end > stdin; ps -o sid= -p $$ | tr -d ' ' > sid; echo $$ > pid");
    struct platform_app app = program_app(NULL);
    struct platform_answer answer = command()->set(&app, "web", 3, "why");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert_int_equal(answer.result, PLATFORM_OK);
    assert_null(strstr(slurp("env"), "secret"));
    assert_non_null(strstr(slurp("env"), "PATH="));
    assert_non_null(strstr(slurp("fds"), " 1 -> "));
    assert_null(strstr(slurp("fds"), "/ours"));
    const char *signals = slurp("signals");
    assert_non_null(strstr(signals, "SigBlk:\t0000000000000000"));
    /* But for two signals that are the C library's own. */
    unsigned long long ignored = strtoull(strstr(signals, "SigIgn:") + 8, NULL, 16);
    assert_int_equal(ignored & ~0x180000000ull, 0);
    assert_string_equal(slurp("stdin"), "end\n");
    char sid[64];
    snprintf(sid, sizeof sid, "%s", slurp("sid"));
    assert_string_equal(slurp("pid"), sid);
    close(inherited);
    unsetenv("DYNOSCALED_KEY");
    json_decref(app.settings);
}

static void settings_of_a_command_are_checked_by_field(void **state) {
    (void)state;
    static const struct {
        const char *settings, *error;
    } cases[] = {
        {"{}", "command: must be the program and its arguments, 1 to 64 strings"},
        {"{\"command\": []}", "command: must be the program and its arguments, 1 to 64 strings"},
        {"{\"command\": \"ls\"}",
         "command: must be the program and its arguments, 1 to 64 strings"},
        {"{\"command\": [\"\"]}", "command: the program's name is empty"},
        {"{\"command\": [\"ls\", 1]}",
         "command: argument 1 must be a string of at most 4096 bytes without NUL"},
        {"{\"command\": [\"ls\", \"a\\u0000b\"]}",
         "command: argument 1 must be a string of at most 4096 bytes without NUL"},
        {"{\"command\": [\"./ls\"]}", "directory: must be given, since ./ls is relative to it"},
        {"{\"command\": [\"ls\"], \"directory\": \"x\"}",
         "directory: must be a path that begins with /"},
        {"{\"command\": [\"ls\"]}", NULL},
        {"{\"command\": [\"/bin/ls\", \"\"]}", NULL},
        {"{\"command\": [\"./ls\"], \"directory\": \"/bin\"}", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *settings = json_loads(cases[i].settings, JSON_ALLOW_NUL, NULL);
        char error[256] = "";
        bool good = command()->check(settings, NULL, error, sizeof error);
        assert_int_equal(good, cases[i].error == NULL);
        if (!good) assert_string_equal(error, cases[i].error);
        json_decref(settings);
    }
    char error[256];
    assert_true(command()->local_only);
    json_t *settings = json_pack("{s:[s]}", "command", "ls");
    assert_false(command()->check(settings, "secret", error, sizeof error));
    json_decref(settings);
}

/* ---- A receiver ----------------------------------------------------------------------------- */

/* Takes requests on a port of loopback and answers each with a text, as many as there are. */
enum { ANSWERS = 4 };
struct receiver {
    int listening, port, taken;
    const char *answers[ANSWERS]; /* the first one NULL: says nothing until the client gives up */
    char request[8192];           /* the last one */
    pthread_t thread;
};

static bool receive_one(struct receiver *receiver, const char *answer) {
    int connection = accept(receiver->listening, NULL, NULL);
    size_t length = 0;
    if (connection < 0) return false;
    receiver->taken++;
    for (;;) {
        ssize_t some =
            read(connection, receiver->request + length, sizeof receiver->request - 1 - length);
        if (some <= 0) break;
        length += (size_t)some;
        receiver->request[length] = '\0';
        const char *body = strstr(receiver->request, "\r\n\r\n");
        const char *announced = strcasestr(receiver->request, "content-length:");
        if (body && strlen(body + 4) >= (size_t)(announced ? atoi(announced + 15) : 0)) break;
    }
    if (answer && write(connection, answer, strlen(answer)) < 0) perror("write");
    if (!answer)
        while (read(connection, receiver->request, 1) > 0) {
        }
    close(connection);
    return true;
}

static void *receive(void *context) {
    struct receiver *receiver = context;
    for (int i = 0; i < ANSWERS && (i == 0 || receiver->answers[i]); i++)
        if (!receive_one(receiver, receiver->answers[i])) break;
    shutdown(receiver->listening, SHUT_RDWR); /* who comes now is refused, and does not wait */
    return NULL;
}

static void receiver_start_with(struct receiver *receiver, const char *const *answers, int count) {
    *receiver = (struct receiver){0};
    for (int i = 0; i < count; i++) receiver->answers[i] = answers[i];
    receiver->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    assert_int_equal(bind(receiver->listening, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(receiver->listening, 8), 0);
    getsockname(receiver->listening, (struct sockaddr *)&address, &size);
    receiver->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&receiver->thread, NULL, receive, receiver), 0);
}

static void receiver_start(struct receiver *receiver, const char *answer) {
    receiver_start_with(receiver, &answer, 1);
}

static void receiver_end(struct receiver *receiver) {
    shutdown(receiver->listening, SHUT_RDWR); /* ends an accept that nobody came to */
    pthread_join(receiver->thread, NULL);
    close(receiver->listening);
}

static const char secret[] = "a secret of twenty-nine bytes";

static struct platform_app webhook_app(const struct receiver *receiver, const char *query) {
    char url[128];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/hook%s", receiver->port, query);
    return (struct platform_app){.app = "shop",
                                 .settings = json_pack("{s:s}", "url", url),
                                 .secret = secret,
                                 .deadline_ms = 60000,
                                 .private_addresses = true};
}

/* The value of a header of the request, ended where its line does. */
static const char *header(const struct receiver *receiver, const char *name) {
    static char value[256];
    const char *at = strcasestr(receiver->request, name);
    assert_non_null(at);
    at += strlen(name) + 2;
    snprintf(value, sizeof value, "%.*s", (int)strcspn(at, "\r\n"), at);
    return value;
}

static void assert_signed(const struct receiver *receiver, const char *text) {
    char what[2048], hex[2 * crypto_auth_hmacsha256_BYTES + 4] = "v1=";
    unsigned char mac[crypto_auth_hmacsha256_BYTES];
    snprintf(what, sizeof what, "%s.%s", header(receiver, "Dynoscale-Timestamp"), text);
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, (const unsigned char *)secret, strlen(secret));
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)what, strlen(what));
    crypto_auth_hmacsha256_final(&state, mac);
    sodium_bin2hex(hex + 3, sizeof hex - 3, mac, sizeof mac);
    assert_string_equal(header(receiver, "Dynoscale-Signature"), hex);
    assert_string_equal(header(receiver, "Dynoscale-Timestamp"), "1700000000");
}

static void a_webhook_posts_the_number_and_the_sentence_signed(void **state) {
    (void)state;
    struct receiver receiver;
    receiver_start(&receiver, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    struct platform_app app = webhook_app(&receiver, "");
    struct platform_answer answer =
        platform_find("webhook")->set(&app, "web", 3, "up 2 → 3: \"slow\"");
    assert_int_equal(answer.result, PLATFORM_OK);
    static const char body[] = "{\"app\":\"shop\",\"process\":\"web\",\"wanted\":3,"
                               "\"reason\":\"up 2 → 3: \\\"slow\\\"\"}";
    assert_non_null(strstr(receiver.request, "POST /hook HTTP/1.1\r\n"));
    assert_string_equal(strstr(receiver.request, "\r\n\r\n") + 4, body);
    assert_signed(&receiver, body);
    assert_string_equal(header(&receiver, "Content-Type"), "application/json");
    receiver_end(&receiver);
    json_decref(app.settings);
}

static void a_webhook_asks_for_the_formation_signed(void **state) {
    (void)state;
    struct receiver receiver;
    receiver_start(&receiver, "HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\n"
                              "{\"ordered\": 3, \"up\": 2}\r\n");
    struct platform_app app = webhook_app(&receiver, "?key=a%20b");
    struct platform_formation formation;
    struct platform_answer answer = platform_find("webhook")->read(&app, "mail er", &formation);
    assert_int_equal(answer.result, PLATFORM_OK);
    assert_int_equal(formation.ordered, 3);
    assert_int_equal(formation.up, 2);
    assert_non_null(
        strstr(receiver.request, "GET /hook?key=a%20b&app=shop&process=mail%20er HTTP/1.1\r\n"));
    assert_signed(&receiver, "key=a%20b&app=shop&process=mail%20er");
    receiver_end(&receiver);
    json_decref(app.settings);
}

static void a_receivers_status_says_whether_it_passes(void **state) {
    (void)state;
    static const struct {
        const char *answer;
        enum platform_result result;
        int limit, wait_s;
        const char *trouble;
    } cases[] = {
        {"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", PLATFORM_REFUSED, -1, -1,
         "the webhook's receiver answered POST with 401"},
        {"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", PLATFORM_REFUSED, -1, -1, "404"},
        {"HTTP/1.1 409 No\r\nContent-Length: 0\r\n\r\n", PLATFORM_LOCKED, -1, -1, "409"},
        {"HTTP/1.1 423 No\r\nContent-Length: 0\r\n\r\n", PLATFORM_LOCKED, -1, -1, "423"},
        {"HTTP/1.1 422 No\r\nContent-Length: 12\r\n\r\n{\"limit\": 10}", PLATFORM_REFUSED, -1, -1,
         "422"}, /* cut short */
        {"HTTP/1.1 422 No\r\nContent-Length: 13\r\n\r\n{\"limit\": 10}", PLATFORM_LIMITED, 10, -1,
         "the webhook's receiver allows at most 10 dynos"},
        {"HTTP/1.1 429 No\r\nContent-Length: 0\r\nRetry-After: 7\r\n\r\n", PLATFORM_BUSY, -1, 7,
         "429"},
        {"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", PLATFORM_FAILED, -1, -1, "500"},
        {"HTTP/1.1 302 No\r\nContent-Length: 0\r\nLocation: http://127.0.0.1/\r\n\r\n",
         PLATFORM_REFUSED, -1, -1, "redirects are not followed"},
        {"nonsense\r\n\r\n", PLATFORM_FAILED, -1, -1, "could not be asked"},
        {"", PLATFORM_FAILED, -1, -1, "could not be asked"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct receiver receiver;
        receiver_start(&receiver, cases[i].answer);
        struct platform_app app = webhook_app(&receiver, "");
        struct platform_answer answer = platform_find("webhook")->set(&app, "web", 3, "why");
        if (answer.result != cases[i].result || answer.limit != cases[i].limit ||
            answer.wait_s != cases[i].wait_s || !strstr(answer.trouble, cases[i].trouble))
            fail_msg("%s: %d %d %d %s", cases[i].answer, answer.result, answer.limit, answer.wait_s,
                     answer.trouble);
        receiver_end(&receiver);
        json_decref(app.settings);
    }
}

/* ---- The platforms' APIs, by what they answer ----------------------------------------------- */

#define OK   "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
#define PAGE "<html><body>Please sign in to the proxy</body></html>"

/* `read`, `set`: what comes before the answer that counts. */
struct api {
    const char *kind, *settings, *secret, *before_set, *wrong_number;
};

static const struct api apis[] = {
    {"heroku", "{\"app\": \"shop\"}", "HRKU-0123456789", NULL, "{\"quantity\": 7}"},
    {"kubernetes", "{\"server\": \"%s\"}", "token",
     OK "{\"metadata\": {\"resourceVersion\": \"1\"}}", "{\"spec\": {\"replicas\": 7}}"},
    {"ecs", "{\"region\": \"eu-west-1\", \"api\": \"%s\"}", "AKIA0:secret", NULL,
     "{\"service\": {\"desiredCount\": 7}}"},
    {"scalingo", "{\"api\": \"%s\"}", "{\"token\": \"tk-us-1\", \"bearer\": \"b\"}", NULL,
     "{\"containers\": [{\"name\": \"web\", \"amount\": 7}]}"},
    {"railway", "{\"environment\": \"e\", \"processes\": {\"web\": \"s\"}, \"api\": \"%s\"}",
     "token", NULL, "{\"data\": {\"serviceInstanceUpdate\": false}}"},
    {"render", "{\"processes\": {\"web\": \"srv-1\"}, \"api\": \"%s\"}", "rnd_1",
     OK "{\"serviceDetails\": {\"numInstances\": 1}}", PAGE},
    {"fly", "{\"api\": \"%s\"}", "token",
     OK "[{\"id\": \"m1\", \"state\": \"stopped\", \"config\": {\"metadata\": "
        "{\"fly_process_group\": \"web\"}}}]",
     PAGE},
};
enum { APIS = sizeof apis / sizeof *apis };

/* An app whose API is the receiver. */
static struct platform_app api_app(const struct api *api, const struct receiver *receiver) {
    static char url[64];
    char settings[256];
    snprintf(url, sizeof url, "http://127.0.0.1:%d", receiver->port);
    snprintf(settings, sizeof settings, api->settings, url);
    const struct platform_operator operator= {.heroku_api = url, .heroku_id = url};
    platform_configure(&operator);
    struct platform_app app = {.app = "shop",
                               .settings = json_loads(settings, 0, NULL),
                               .secret = api->secret,
                               .deadline_ms = 60000,
                               .private_addresses = true};
    char error[256];
    if (!platform_find(api->kind)->check(app.settings, app.secret, error, sizeof error))
        fail_msg("%s: %s", api->kind, error);
    return app;
}

static struct platform_answer api_read(const struct api *api, const char *answer,
                                       struct platform_formation *formation) {
    struct receiver receiver;
    receiver_start(&receiver, answer);
    struct platform_app app = api_app(api, &receiver);
    struct platform_answer result = platform_find(api->kind)->read(&app, "web", formation);
    receiver_end(&receiver);
    json_decref(app.settings);
    return result;
}

static struct platform_answer api_set(const struct api *api, const char *answer, int *taken) {
    struct receiver receiver;
    const char *answers[2] = {api->before_set, answer};
    if (api->before_set) receiver_start_with(&receiver, answers, 2);
    else receiver_start(&receiver, answer);
    struct platform_app app = api_app(api, &receiver);
    struct platform_answer result = platform_find(api->kind)->set(&app, "web", 1 + 1, "why");
    *taken = receiver.taken;
    receiver_end(&receiver);
    json_decref(app.settings);
    return result;
}

static void what_is_no_answer_of_the_api_tells_no_number_of_dynos(void **state) {
    (void)state;
    static const char *const answers[] = {
        OK,
        OK PAGE,
        OK "{\"a\": ",
        OK "null",
        OK "7",
        OK "{}",
        OK "[7]",
        OK "{\"spec\": {\"replicas\": \"3\"}, \"containers\": 3, \"data\": []}",
        "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n[]",
    };
    for (size_t i = 0; i < APIS; i++)
        for (size_t j = 0; j < sizeof answers / sizeof *answers; j++) {
            struct platform_formation formation;
            struct platform_answer answer = api_read(&apis[i], answers[j], &formation);
            /* Fly lists machines, and Heroku types: of what is neither there are none. */
            bool empty = answer.result == PLATFORM_REFUSED && strcmp(answers[j], OK "[7]") == 0;
            if ((answer.result != PLATFORM_FAILED && !empty) || formation.ordered != -1)
                fail_msg("%s reads %d of “%s”: %d, %s", apis[i].kind, formation.ordered, answers[j],
                         answer.result, answer.trouble);
        }
}

static void an_order_is_done_only_where_the_api_says_so(void **state) {
    (void)state;
    char wrong[512];
    for (size_t i = 0; i < APIS; i++) {
        snprintf(wrong, sizeof wrong, OK "%s", apis[i].wrong_number);
        const char *const answers[] = {OK PAGE, OK "{\"a\": ", wrong};
        for (size_t j = 0; j < sizeof answers / sizeof *answers; j++) {
            int taken;
            struct platform_answer answer = api_set(&apis[i], answers[j], &taken);
            if (answer.result != PLATFORM_FAILED || taken != (apis[i].before_set ? 2 : 1))
                fail_msg("%s takes “%s”: %d after %d requests, %s", apis[i].kind, answers[j],
                         answer.result, taken, answer.trouble);
        }
    }
}

static void a_redirect_is_not_followed_and_told(void **state) {
    (void)state;
    for (size_t i = 0; i < APIS; i++) {
        int taken;
        struct platform_answer answer = api_set(
            &apis[i],
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            &taken);
        if (answer.result != PLATFORM_REFUSED || !strstr(answer.trouble, "redirect"))
            fail_msg("%s: %d, %s", apis[i].kind, answer.result, answer.trouble);
    }
}

static void
a_rate_limit_is_waited_for_as_long_as_it_says_and_no_longer_than_is_sensible(void **state) {
    (void)state;
    static const struct {
        const char *header;
        int wait_s;
    } cases[] = {{"Retry-After: 7", 7},
                 {"Retry-After: 86400", 900},
                 {"Retry-After: 99999999999999999999", 900},
                 {"Retry-After: Tue, 14 Nov 2023 22:14:20 GMT", 60},
                 {"Retry-After: Thu, 31 Dec 2099 23:59:59 GMT", 900},
                 {"Retry-After: Mon, 01 Jan 2001 00:00:00 GMT", 0},
                 {"Retry-After: -7", 60},
                 {"Retry-After: soon", 60},
                 {"X: y", 60}};
    for (size_t i = 0; i < APIS; i++)
        for (size_t j = 0; j < sizeof cases / sizeof *cases; j++) {
            char text[256];
            int taken;
            snprintf(text, sizeof text, "HTTP/1.1 429 No\r\n%s\r\nContent-Length: 0\r\n\r\n",
                     cases[j].header);
            struct platform_answer answer = api_set(&apis[i], text, &taken);
            if (answer.result != PLATFORM_BUSY || answer.wait_s != cases[j].wait_s)
                fail_msg("%s, %s: %d, waits %d s", apis[i].kind, cases[j].header, answer.result,
                         answer.wait_s);
        }
}

static void a_receiver_that_says_nothing_fails_at_the_deadline(void **state) {
    (void)state;
    struct receiver receiver;
    receiver_start(&receiver, NULL);
    struct platform_app app = webhook_app(&receiver, "");
    app.deadline_ms = 300;
    struct platform_answer answer = platform_find("webhook")->set(&app, "web", 3, "why");
    assert_int_equal(answer.result, PLATFORM_FAILED);
    assert_string_equal(answer.trouble,
                        "the webhook's receiver could not be asked: no answer within 300 ms");
    receiver_end(&receiver);
    json_decref(app.settings);
}

static void an_answer_without_end_is_not_read(void **state) {
    (void)state;
    static char answer[40000];
    memset(answer, '1', sizeof answer - 1);
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n";
    memcpy(answer, head, sizeof head - 1);
    struct receiver receiver;
    receiver_start(&receiver, answer);
    struct platform_app app = webhook_app(&receiver, "");
    struct platform_formation formation;
    struct platform_answer result = platform_find("webhook")->read(&app, "web", &formation);
    assert_int_equal(result.result, PLATFORM_FAILED);
    assert_non_null(strstr(result.trouble, "longer than 16384 bytes"));
    receiver_end(&receiver);
    json_decref(app.settings);
}

static void a_private_address_is_not_connected_to_whatever_names_it(void **state) {
    (void)state;
    static const char *const hosts[] = {"127.0.0.1",
                                        "localhost",
                                        "0",
                                        "[::1]",
                                        "[::ffff:127.0.0.1]",
                                        "[::ffff:7f00:1]",
                                        "[::]",
                                        "0.0.0.0",
                                        "127.1",
                                        "2130706433",
                                        "0x7f.1",
                                        "0x7f000001",
                                        "0177.0.0.1",
                                        "017700000001",
                                        "[fe80::1%25lo]",
                                        "[64:ff9b::127.0.0.1]",
                                        "[2002:7f00:1::]",
                                        "[::127.0.0.1]",
                                        "169.254.169.254"};
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        struct receiver receiver;
        receiver_start(&receiver, "HTTP/1.1 204 No Content\r\n\r\n");
        struct platform_app app = webhook_app(&receiver, "");
        char url[128];
        snprintf(url, sizeof url, "http://%s:%d/", hosts[i], receiver.port);
        json_object_set_new(app.settings, "url", json_string(url));
        app.private_addresses = false;
        struct platform_answer answer = platform_find("webhook")->set(&app, "web", 3, "why");
        if (answer.result != PLATFORM_REFUSED || !strstr(answer.trouble, "its address is private"))
            fail_msg("%s: %s", url, answer.trouble);
        receiver_end(&receiver);
        assert_string_equal(receiver.request, "");
        json_decref(app.settings);
    }
}

static void public_addresses_are_told_from_others(void **state) {
    (void)state;
    static const struct {
        const char *address;
        bool public;
    } cases[] = {
        {"8.8.8.8", true},
        {"1.1.1.1", true},
        {"172.15.255.255", true},
        {"172.32.0.1", true},
        {"100.128.0.1", true},
        {"223.255.255.255", true},
        {"10.0.0.1", false},
        {"172.16.0.1", false},
        {"172.31.255.255", false},
        {"192.168.1.1", false},
        {"127.1.2.3", false},
        {"169.254.169.254", false},
        {"100.64.0.1", false},
        {"0.0.0.0", false},
        {"224.0.0.1", false},
        {"255.255.255.255", false},
        {"240.0.0.1", false},
        {"198.18.0.1", false},
        {"2600::1", true},
        {"2a00:1450::1", true},
        {"::1", false},
        {"::", false},
        {"fe80::1", false},
        {"fc00::1", false},
        {"fd12::1", false},
        {"ff02::1", false},
        {"::ffff:10.0.0.1", false},
        {"::ffff:8.8.8.8", true},
        {"64:ff9b::a00:1", false},
        {"2002:a00:1::", false},
        {"2002:808:808::", true},
        {"2001:db8::1", false},
        {"2001::1", false},
        {"64:ff9b::808:808", true},
        {"::7f00:1", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sockaddr_storage address = {0};
        struct sockaddr_in *four = (struct sockaddr_in *)&address;
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)&address;
        if (strchr(cases[i].address, ':')) {
            address.ss_family = AF_INET6;
            assert_int_equal(inet_pton(AF_INET6, cases[i].address, &six->sin6_addr), 1);
        } else {
            address.ss_family = AF_INET;
            assert_int_equal(inet_pton(AF_INET, cases[i].address, &four->sin_addr), 1);
        }
        if (client_public_address((struct sockaddr *)&address) != cases[i].public)
            fail_msg("%s", cases[i].address);
    }
}

static void settings_of_a_webhook_are_checked_by_field(void **state) {
    (void)state;
    static const struct {
        const char *url, *secret, *error;
    } cases[] = {
        {NULL, secret, "url: must be given"},
        {"ftp://a", secret, "url: must be an http or https URL of at most 2000 bytes"},
        {"https://user:pass@a/", secret, "url: must not hold a user or a password"},
        {"https://a/#x", secret, "url: must not have a fragment (#)"},
        {"https://a/", NULL, "secret: must be given, 16 to 1024 bytes, to sign requests with"},
        {"https://a/", "short", "secret: must be given, 16 to 1024 bytes, to sign requests with"},
        {"https://a/b?c=d", secret, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *settings = json_object();
        if (cases[i].url) json_object_set_new(settings, "url", json_string(cases[i].url));
        char error[256] = "";
        bool good = platform_find("webhook")->check(settings, cases[i].secret, error, sizeof error);
        assert_int_equal(good, cases[i].error == NULL);
        if (!good) assert_string_equal(error, cases[i].error);
        json_decref(settings);
    }
    assert_null(platform_find("nonsense"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_is_called_with_its_arguments_the_verb_the_type_and_the_number),
        cmocka_unit_test(a_number_is_the_formation),
        cmocka_unit_test(json_tells_what_is_up_and_booting_and_the_limit),
        cmocka_unit_test(what_is_no_number_of_dynos_is_refused_by_a_sentence),
        cmocka_unit_test(the_status_says_whether_it_passes_and_the_last_line_of_errors_why),
        cmocka_unit_test(a_program_that_is_not_there_needs_a_person),
        cmocka_unit_test(a_folder_that_can_not_be_entered_is_named),
        cmocka_unit_test(a_program_that_hangs_is_killed_with_all_it_started),
        cmocka_unit_test(what_a_program_leaves_running_neither_holds_us_up_nor_is_killed),
        cmocka_unit_test(a_program_inherits_no_descriptor_no_secret_and_no_blocked_signal),
        cmocka_unit_test(settings_of_a_command_are_checked_by_field),
        cmocka_unit_test(a_webhook_posts_the_number_and_the_sentence_signed),
        cmocka_unit_test(a_webhook_asks_for_the_formation_signed),
        cmocka_unit_test(a_receivers_status_says_whether_it_passes),
        cmocka_unit_test(what_is_no_answer_of_the_api_tells_no_number_of_dynos),
        cmocka_unit_test(an_order_is_done_only_where_the_api_says_so),
        cmocka_unit_test(a_redirect_is_not_followed_and_told),
        cmocka_unit_test(
            a_rate_limit_is_waited_for_as_long_as_it_says_and_no_longer_than_is_sensible),
        cmocka_unit_test(a_receiver_that_says_nothing_fails_at_the_deadline),
        cmocka_unit_test(an_answer_without_end_is_not_read),
        cmocka_unit_test(a_private_address_is_not_connected_to_whatever_names_it),
        cmocka_unit_test(public_addresses_are_told_from_others),
        cmocka_unit_test(settings_of_a_webhook_are_checked_by_field),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
