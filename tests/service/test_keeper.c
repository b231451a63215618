/*
 * The keeper: what it opens and for whom, what it makes of messages that are none, what a thread
 * can't do behind each filter.
 */
#define _GNU_SOURCE /* syscall */
#include "../core/support/suite.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "keeper/answer.h"
#include "keeper/filter.h"
#include "log.h"
#include "support/folder.h"

static char *folder, error[512];
static struct keeper *keeper;
static struct vault *vault;

static int set_up(void **state) {
    (void)state;
    log_set_level(LOG_ERROR);
    folder = folder_make();
    const struct keeper_settings settings = {.folder = folder};
    keeper = keeper_here(&settings, error, sizeof error);
    vault = vault_open(folder, error, sizeof error);
    return keeper && vault ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    keeper_free(keeper);
    vault_free(vault);
    folder_remove(folder);
    return 0;
}

/* ---- What is sealed opens for that alone ----------------------------------------------------- */

static const struct keeper_app shop = {
    .app = "shop",
    .number = 1,
    .kind = "scalingo",
    .settings = "{\"app\":\"shop\",\"api\":\"https://one.example\"}",
    .deadline_ms = 1000,
};

static bool opens(struct keeper_app app, const void *sealed, size_t length) {
    bool opened;
    char why[256];
    app.sealed = sealed;
    app.sealed_length = length;
    keeper_check(keeper, &app, &opened, why, sizeof why);
    return opened;
}

static void a_credential_opens_for_its_app_its_platform_and_its_address_alone(void **state) {
    (void)state;
    size_t length;
    void *sealed = keeper_seal_credential(keeper, &shop, "tk-us-the-credential", &length);
    assert_non_null(sealed);
    assert_true(opens(shop, sealed, length));
    struct keeper_app other = shop;
    other.settings = "{\"api\":\"https://one.example\",\"app\":\"other\",\"region\":\"x\"}";
    assert_true(opens(other, sealed, length));
    static const char *const elsewhere[] = {
        "{\"app\":\"shop\",\"api\":\"https://two.example\"}",
        "{\"app\":\"shop\"}",
        "{\"app\":\"shop\",\"api\":\"https://one.example\",\"auth\":\"https://two.example\"}",
        "{\"app\":\"shop\",\"server\":\"https://one.example\"}",
        "no JSON",
    };
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++) {
        other.settings = elsewhere[i];
        assert_false(opens(other, sealed, length));
    }
    other = shop;
    other.app = "blog";
    assert_false(opens(other, sealed, length));
    other = shop;
    other.kind = "kubernetes";
    assert_false(opens(other, sealed, length));
    free(sealed);
}

static void what_an_older_version_sealed_opens(void **state) {
    (void)state;
    size_t length;
    void *sealed = vault_seal(vault, "shop", "tk-us-the-credential", &length);
    assert_true(opens(shop, sealed, length));
    struct keeper_app other = shop;
    other.app = "blog";
    assert_false(opens(other, sealed, length));
    free(sealed);
}

static void where_a_channel_sends_to_and_a_grant_are_no_credentials(void **state) {
    (void)state;
    size_t length;
    void *sealed = keeper_seal_channel(keeper, "shop", "https://one.example/x", NULL, &length);
    assert_false(opens(shop, sealed, length));
    free(sealed);
    struct keeper_app named = shop;
    named.app = "01234567-89ab-cdef-0123-456789abcdef";
    sealed = keeper_seal_grant(keeper, named.app, "the-code", &length);
    assert_false(opens(named, sealed, length));
    const struct keeper_grant grant = {named.app, sealed, length};
    /* Of the grant's own keeper there is a call, which fails since nobody gave a client_secret. */
    void *renewed;
    size_t renewed_length;
    struct platform_answer answer =
        keeper_grant_renew(keeper, &grant, 1, &renewed, &renewed_length);
    assert_non_null(strstr(answer.trouble, "client_secret"));
    assert_null(renewed);
    free(sealed);
}

static void no_call_begins_after_the_time_in_which_it_may(void **state) {
    (void)state;
    struct platform_formation formation;
    struct keeper_app app = {.app = "shop",
                             .number = 1,
                             .kind = "command",
                             .settings = "{\"command\":[\"/bin/echo\",\"3\"]}",
                             .deadline_ms = 60000};
    app.until_ms = ds_clock_monotonic_ms();
    struct platform_answer answer = keeper_read(keeper, &app, "web", &formation);
    assert_int_equal(answer.result, PLATFORM_FAILED);
    assert_false(answer.lost);
    assert_non_null(strstr(answer.trouble, "ended before"));
    app.until_ms += 3600 * 1000;
    answer = keeper_read(keeper, &app, "web", &formation);
    assert_non_null(strstr(answer.trouble, "/bin/echo"));
}

/* ---- Messages -------------------------------------------------------------------------------- */

static void what_was_put_into_a_message_comes_out_and_nothing_else(void **state) {
    (void)state;
    struct message message = MESSAGE_EMPTY;
    size_t length;
    message_put_int(&message, INT64_MIN);
    message_put_text(&message, "");
    message_put_text(&message, NULL);
    message_put_bytes(&message, "a\0b", 3);
    for (int i = 0; i < 1000; i++) message_put_text(&message, "text");
    assert_true(message_int(&message) == INT64_MIN);
    assert_string_equal(message_text(&message), "");
    assert_null(message_text(&message));
    assert_false(message.failed);
    assert_memory_equal(message_bytes(&message, &length), "a\0b", 4);
    assert_int_equal(length, 3);
    for (int i = 0; i < 1000; i++) assert_string_equal(message_text(&message), "text");
    assert_false(message.failed);
    assert_true(message_int(&message) == 0 && message.failed);
    message_wipe(&message);
    message_put_bytes(&message, "a\0b", 3);
    assert_null(message_text(&message)); /* bytes with a NUL are no text */
    assert_true(message.failed);
    message_wipe(&message);
}

/* A request as the service makes it, for each verb. */
static void make_request(struct message *request, int64_t verb, const void *sealed, size_t length) {
    *request = MESSAGE_EMPTY;
    message_put_int(request, verb);
    if (verb == VERB_DERIVE) message_put_int(request, 0);
    message_put_text(request, "shop");
    if (verb >= VERB_CHECK && verb <= VERB_UNDO) message_put_int(request, 1);
    message_put_text(request, verb == VERB_TELL ? "webhook" : "nowhere");
    message_put_text(request, "{}");
    message_put_bytes(request, sealed, length);
    for (int i = 0; i < 12; i++) {
        message_put_int(request, i);
        message_put_text(request, "web");
    }
}

static void no_message_harms_the_keeper(void **state) {
    (void)state;
    struct answerer answerer = {.vault = NULL};
    const struct keeper_settings settings = {.folder = folder};
    size_t length;
    void *sealed = keeper_seal_credential(keeper, &shop, "tk-us-the-credential", &length);
    assert_true(answerer_begin(&answerer, &settings, error, sizeof error));
    uint32_t seed = 1;
    for (int round = 0; round < 20000; round++) {
        struct message request, reply = MESSAGE_EMPTY;
        make_request(&request, round % (VERBS + 1), sealed, length);
        seed = seed * 1664525 + 1013904223;
        if (round % 3 == 0) request.length = (seed >> 8) % request.length;
        else
            for (int flips = 1 + (int)(seed >> 28); flips > 0; flips--) {
                seed = seed * 1664525 + 1013904223;
                /* Not the verb's place: each is to be tried. */
                request.bytes[8 + (seed >> 4) % (request.length - 8)] ^=
                    (unsigned char)(1 << (seed & 7));
            }
        answer_starts_program(&request);
        answer(&answerer, &request, &reply);
        message_wipe(&request);
        message_wipe(&reply);
    }
    free(sealed);
    answerer_end(&answerer);
}

/* ---- Filters --------------------------------------------------------------------------------- */

static void *nothing(void *context) { return context; }

/* In a process of its own, as the filter stays: the number of the first that is wrong, 0. */
static int wrong_behind(void (*filter)(void), bool takes_connections) {
    pthread_t thread;
    char *const arguments[] = {"/bin/true", NULL};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), status = 0;
    pid_t child = fork();
    if (child == 0) {
        filter();
        if (execv(arguments[0], arguments) == 0 || errno != EPERM) _exit(1);
        if (fork() >= 0 || errno != EPERM) _exit(2);
        if (syscall(SYS_kcmp, 1, 1, 0, 0, 0) >= 0 || errno != EPERM) _exit(3);
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) >= 0 || errno != EPERM) _exit(4);
        if (pthread_create(&thread, NULL, nothing, NULL) != 0) _exit(5);
        if (pthread_join(thread, NULL) != 0) _exit(6);
        int listens = listen(listener, 1); /* of a socket without a name: EINVAL */
        if (listens == 0 || errno != (takes_connections ? EINVAL : EPERM)) _exit(7);
        if (socket(AF_INET, SOCK_STREAM, 0) < 0) _exit(8);
        _exit(0);
    }
    close(listener);
    assert_true(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void the_service_can_start_threads_and_no_program(void **state) {
    (void)state;
    skip_under_sanitizers(); /* they start processes themselves, and no filter is there */
    assert_int_equal(wrong_behind(filter_service, true), 0);
}

static void what_calls_a_platform_takes_no_connection_and_starts_no_program(void **state) {
    (void)state;
    skip_under_sanitizers();
    assert_int_equal(wrong_behind(filter_caller, false), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(a_credential_opens_for_its_app_its_platform_and_its_address_alone),
        TEST(what_an_older_version_sealed_opens),
        TEST(where_a_channel_sends_to_and_a_grant_are_no_credentials),
        TEST(no_call_begins_after_the_time_in_which_it_may),
        TEST(what_was_put_into_a_message_comes_out_and_nothing_else),
        TEST(no_message_harms_the_keeper),
        TEST(the_service_can_start_threads_and_no_program),
        TEST(what_calls_a_platform_takes_no_connection_and_starts_no_program),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
