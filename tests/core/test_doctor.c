/* The doctor's findings, with a false service and a false clock. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* setenv */
#endif
#include "support/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor.h"
#include "support/false_clock.h"
#include "support/false_transport.h"
#include "support/faults.h"

static const char HTTPS[] = "https://service.example/secret-token";
static const char APP[] = "http://127.0.0.1:3000/secret-path";

static dynoscale_doctor *doctor;
static dynoscale_finding finding;

/* ---- A visit to the doctor ---------------------------------------------------------------- */

static dynoscale_options *options_with(const char *url, const char *dyno) {
    dynoscale_options *o = dynoscale_options_new();
    if (url)
        dynoscale_options_set(o, DYNOSCALE_SETTING_URL, url, strlen(url),
                              DYNOSCALE_SOURCE_ENVIRONMENT);
    if (dyno)
        dynoscale_options_set(o, DYNOSCALE_SETTING_DYNO, dyno, strlen(dyno),
                              DYNOSCALE_SOURCE_ENVIRONMENT);
    return o;
}

static void enter_with(dynoscale_options *options, const char *app) {
    assert_int_equal(ds_doctor_new(options, "c", "C 11", app, 0, &false_transport, &doctor),
                     DYNOSCALE_OK);
    dynoscale_options_free(options);
}

static void enter(const char *url, const char *app) { enter_with(options_with(url, "web.1"), app); }

static void leave(void) {
    dynoscale_doctor_free(doctor);
    doctor = NULL;
    assert_int_equal(false_transport_open(), 0);
}

static bool next(void) {
    assert_int_equal(dynoscale_doctor_next(doctor, NULL, NULL, &finding), DYNOSCALE_OK);
    if (!finding.check) return false;
    assert_null(strstr(finding.text, "secret"));
    assert_int_equal(strlen(finding.remedy) > 0, finding.health == DYNOSCALE_HEALTH_WARN ||
                                                     finding.health == DYNOSCALE_HEALTH_FAIL);
    return true;
}

/* Reads on to the last finding of a check, which outlives the doctor. */
static void find(const char *check) {
    static char text[4096], remedy[4096];
    dynoscale_finding found = {0};
    while (next())
        if (strcmp(finding.check, check) == 0) found = finding;
    if (!found.check) fail_msg("nothing was found about %s", check);
    finding = found;
    snprintf(text, sizeof text, "%s", found.text);
    snprintf(remedy, sizeof remedy, "%s", found.remedy);
    finding.text = text;
    finding.remedy = remedy;
}

static void expect(dynoscale_health health, const char *text) {
    if (finding.health != health || !strstr(finding.text, text))
        fail_msg("found %s: %s", dynoscale_health_name(finding.health), finding.text);
}

static void expect_measure(const char *name, int64_t value) {
    assert_string_equal(finding.measure, name);
    assert_int_equal(finding.value, value);
}

static int reset(void **state) {
    (void)state;
    false_transport_reset();
    return 0;
}

/* ---- Before the network ------------------------------------------------------------------- */

static void findings_come_in_their_order_and_once(void **state) {
    (void)state;
    const char *const checks[] = {"version",   "version", "settings",   "settings",
                                  "reporting", "name",    "connection", "tls",
                                  "service",   "clock",   "stamp"};
    enter(HTTPS, NULL);
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        assert_true(next());
        assert_string_equal(finding.check, checks[i]);
    }
    assert_false(next());
    assert_false(next());
    leave();
}

static void good_findings_give_a_good_verdict(void **state) {
    (void)state;
    char text[DYNOSCALE_VERDICT_SIZE];
    enter(HTTPS, NULL);
    while (next()) continue;
    assert_true(dynoscale_doctor_verdict(doctor, text));
    assert_string_equal(text, "All is well.");
    leave();
}

static void what_is_not_well_is_counted(void **state) {
    (void)state;
    char text[DYNOSCALE_VERDICT_SIZE];
    false_transport_answer(500, "");
    enter_with(options_with(HTTPS, "run.12"), NULL);
    while (next()) continue;
    assert_false(dynoscale_doctor_verdict(doctor, text));
    assert_string_equal(text, "2 things to mend.");
    leave();
}

static void settings_are_shown_with_their_source_and_without_secrets(void **state) {
    (void)state;
    setenv("https_proxy", "http://user:secret@proxy.example:3128", 1);
    setenv("no_proxy", "example.org", 1);
    setenv("SSL_CERT_FILE", "/file\n.pem", 1);
    setenv("SSL_CERT_DIR", "/certs", 1);
    setenv("DYNOSCALE_DYNOS", "none", 1);
    setenv("DYNOSCALE_URL", HTTPS, 1);
    const char *const expected[] = {
        "DYNOSCALE_URL is https://service.example/[hidden], from the environment",
        "DYNO is web.3, from code",
        "SKIP_DYNOSCALE_AGENT is false, from the framework's configuration",
        ("there is a proxy on the way to service.example, proxy.example:3128, unless no_proxy "
         "names "
         "it: from the environment"),
        "SSL_CERT_FILE is /file?.pem, from the environment",
        "SSL_CERT_DIR is /certs, from the environment",
        "DYNOSCALE_DYNOS is \"none\", which is not \"first\" or \"all\": using first instead",
    };
    dynoscale_options *o = dynoscale_options_new();
    dynoscale_options_read_environment(o);
    dynoscale_options_set(o, DYNOSCALE_SETTING_DYNO, "web.3", 5, DYNOSCALE_SOURCE_CODE);
    dynoscale_options_set(o, DYNOSCALE_SETTING_SKIP, "0", 1, DYNOSCALE_SOURCE_FRAMEWORK);
    const char *const given[] = {"https_proxy",  "no_proxy",        "SSL_CERT_FILE",
                                 "SSL_CERT_DIR", "DYNOSCALE_DYNOS", "DYNOSCALE_URL"};
    for (size_t i = 0; i < sizeof given / sizeof *given; i++) unsetenv(given[i]);
    enter_with(o, NULL);
    size_t seen = 0;
    while (next()) {
        if (strcmp(finding.check, "settings") != 0) continue;
        assert_true(seen < sizeof expected / sizeof *expected);
        assert_string_equal(finding.text, expected[seen++]);
    }
    assert_int_equal(seen, sizeof expected / sizeof *expected);
    leave();
}

static void each_reason_to_be_off_says_what_to_do(void **state) {
    (void)state;
    const struct {
        const char *url, *dyno;
        dynoscale_health health;
        const char *text;
    } cases[] = {
        {NULL, "web.1", DYNOSCALE_HEALTH_FAIL, "DYNOSCALE_URL is not set"},
        {"gopher://x/secret", "web.1", DYNOSCALE_HEALTH_FAIL, "not an http or https address"},
        {HTTPS, NULL, DYNOSCALE_HEALTH_FAIL, "DYNO is not set"},
        {HTTPS, "run.1", DYNOSCALE_HEALTH_WARN, "one-off"},
        {HTTPS, "web.2", DYNOSCALE_HEALTH_WARN, "only the first dyno"},
        {HTTPS, "web.1", DYNOSCALE_HEALTH_OK, "reports, as web.1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enter_with(options_with(cases[i].url, cases[i].dyno), NULL);
        find("reporting");
        expect(cases[i].health, cases[i].text);
        leave();
    }
    dynoscale_options *o = options_with(HTTPS, "web.1");
    dynoscale_options_set(o, DYNOSCALE_SETTING_SKIP, "1", 1, DYNOSCALE_SOURCE_CODE);
    enter_with(o, NULL);
    find("reporting");
    expect(DYNOSCALE_HEALTH_FAIL, "SKIP_DYNOSCALE_AGENT is set");
    leave();
}

/* Expects all network checks to be skipped for this reason. */
static void expect_nothing_asked(const char *why) {
    const char *const checks[] = {"name", "connection", "tls", "service", "clock"};
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        assert_true(next());
        assert_string_equal(finding.check, checks[i]);
        expect(DYNOSCALE_HEALTH_SKIP, why);
    }
    assert_int_equal(false_transport_attempts(), 0);
}

static void without_an_address_or_a_library_nothing_is_asked(void **state) {
    (void)state;
    enter_with(options_with(NULL, NULL), NULL);
    for (int i = 0; i < 4; i++) assert_true(next());
    expect_nothing_asked("there is no address");
    leave();
    false_transport_refuse_load(true);
    enter(HTTPS, APP);
    for (int i = 0; i < 2; i++) assert_true(next());
    expect(DYNOSCALE_HEALTH_FAIL, "no library to be had");
    assert_non_null(strstr(finding.remedy, "libcurl4"));
    for (int i = 0; i < 3; i++) assert_true(next());
    expect_nothing_asked("libcurl is missing");
    find("stamp");
    expect(DYNOSCALE_HEALTH_SKIP, "libcurl is missing");
    leave();
}

/* ---- The path ------------------------------------------------------------------------------ */

static void the_check_is_a_report_without_samples(void **state) {
    (void)state;
    enter_with(options_with(HTTPS, NULL), NULL); /* off, and asked all the same */
    find("service");
    expect(DYNOSCALE_HEALTH_OK, "service.example takes reports");
    expect_measure("status", 200);
    assert_int_equal(false_transport_attempts(), 1);
    assert_true(false_transport_posted(0));
    assert_string_equal(false_transport_body(0), "");
    assert_string_equal(false_transport_header(0, "Content-Type"), "text/csv");
    assert_string_equal(false_transport_header(0, "User-Agent"), "dynoscale-c;" DYNOSCALE_VERSION);
    assert_string_equal(false_transport_header(0, "X_DYNO"), "dev.1");
    assert_string_equal(false_transport_header(0, "X_REQUEST_START"), "t=1700000000");
    assert_int_equal(strlen(false_transport_header(0, "Idempotency-Key")), 32);
    leave();
}

/* Where the path ends and why, and what the checks then say. */
static void stop_at(ds_path path, const char *url, const char *check, const char *text) {
    bool ended = false;
    path.date_s = path.queue_time_ms = -1;
    false_transport_answer(0, "such is life");
    false_transport_path(&path);
    enter(url, NULL);
    while (next()) {
        if (strcmp(finding.check, check) == 0) {
            expect(DYNOSCALE_HEALTH_FAIL, text);
            ended = true;
        } else if (ended && strcmp(finding.check, "stamp") != 0) {
            expect(DYNOSCALE_HEALTH_SKIP, "not looked at");
        } else if (!ended) {
            assert_int_not_equal(finding.health, DYNOSCALE_HEALTH_FAIL);
        }
    }
    assert_true(ended);
    leave();
}

static void the_check_at_which_the_path_ends_fails_and_the_rest_are_skipped(void **state) {
    (void)state;
    ds_path path = {.reach = DS_REACH_NOTHING};
    stop_at(path, HTTPS, "name", "such is life");
    path.reach = DS_REACH_ADDRESS;
    stop_at(path, HTTPS, "connection", "such is life");
    path.reach = DS_REACH_PEER;
    stop_at(path, HTTPS, "tls", "such is life");
    stop_at(path, "http://service.example/secret", "service", "such is life");
    path.reach = DS_REACH_TLS;
    stop_at(path, HTTPS, "service", "service.example does not answer: such is life");
}

static void enter_behind(const char *proxy, const char *no_proxy) {
    setenv("HTTPS_PROXY", proxy, 1);
    setenv("no_proxy", no_proxy, 1);
    dynoscale_options *o = dynoscale_options_new();
    dynoscale_options_read_environment(o);
    unsetenv("HTTPS_PROXY");
    unsetenv("no_proxy");
    dynoscale_options_set(o, DYNOSCALE_SETTING_URL, HTTPS, strlen(HTTPS), DYNOSCALE_SOURCE_CODE);
    enter_with(o, NULL);
}

static void a_proxy_that_refuses_does_not_fail_the_tls_check(void **state) {
    (void)state;
    const struct {
        const char *proxy, *no_proxy;
        int status;
        const char *check;
    } cases[] = {
        {"http://user:secret@proxy:3128", "", 0, "connection"},
        {"http://user:secret@proxy:3128", "", 407, "connection"},
        {"http://user:secret@proxy:3128", "", 200, "tls"},
        {"http://user:secret@proxy:3128", "example.org", 407, "connection"},
        {"http://user:secret@proxy:3128", "service.example", 0, "tls"},
        {"SOCKS5h://user:secret@proxy:1080", "", 0, "tls"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ds_path path = {.reach = DS_REACH_PEER, .proxy_status = cases[i].status, .date_s = -1};
        false_transport_answer(0, "such is life");
        false_transport_path(&path);
        enter_behind(cases[i].proxy, cases[i].no_proxy);
        find(cases[i].check);
        expect(DYNOSCALE_HEALTH_FAIL, "such is life");
        leave();
    }
}

static void behind_a_proxy_the_proxy_s_name_is_resolved(void **state) {
    (void)state;
    enter_behind("http://proxy:3128", "");
    find("name");
    expect(DYNOSCALE_HEALTH_OK, "the proxy's name resolves; it looks for service.example itself");
    leave();
    enter_behind("http://proxy:3128", "example.org");
    find("name");
    expect(DYNOSCALE_HEALTH_OK, "service.example resolves, or the proxy");
    leave();
}

static void without_tls_a_silent_proxy_counts_as_a_silent_service(void **state) {
    (void)state;
    ds_path path = {.reach = DS_REACH_PEER, .date_s = -1};
    setenv("http_proxy", "http://proxy:3128", 1);
    dynoscale_options *o = dynoscale_options_new();
    dynoscale_options_read_environment(o);
    unsetenv("http_proxy");
    dynoscale_options_set(o, DYNOSCALE_SETTING_URL, "http://a/secret", 15, DYNOSCALE_SOURCE_CODE);
    false_transport_answer(0, "such is life");
    false_transport_path(&path);
    enter_with(o, NULL);
    find("service");
    expect(DYNOSCALE_HEALTH_FAIL, "a does not answer: such is life");
    leave();
}

static void times_of_the_path_are_measures(void **state) {
    (void)state;
    ds_path path = {.reach = DS_REACH_ANSWER,
                    .peer = "192.0.2.1 port 443",
                    .name_ms = 3,
                    .connect_ms = 4,
                    .tls_ms = 5,
                    .date_s = -1,
                    .queue_time_ms = -1};
    false_transport_path(&path);
    enter(HTTPS, NULL);
    while (next() && strcmp(finding.check, "name") != 0) continue;
    expect(DYNOSCALE_HEALTH_OK, "service.example resolves");
    expect_measure("ms", 3);
    assert_true(next());
    expect(DYNOSCALE_HEALTH_OK, "connected to 192.0.2.1 port 443");
    expect_measure("ms", 4);
    assert_true(next());
    expect(DYNOSCALE_HEALTH_OK, "the certificate is valid, and for service.example");
    expect_measure("ms", 5);
    leave();
}

static void plain_http_is_a_warning_except_on_this_machine(void **state) {
    (void)state;
    enter("http://service.example/secret", NULL);
    find("tls");
    expect(DYNOSCALE_HEALTH_WARN, "there is none");
    leave();
    enter("http://127.0.0.1:9/secret", NULL);
    find("tls");
    expect(DYNOSCALE_HEALTH_SKIP, "there is none");
    leave();
    enter("http://127.0.0.1:9/secret", NULL);
    find("name");
    expect(DYNOSCALE_HEALTH_OK, "127.0.0.1:9 needs no name server");
    leave();
}

static void each_status_has_its_meaning(void **state) {
    (void)state;
    const struct {
        int status;
        dynoscale_health health;
        const char *text;
    } cases[] = {
        {204, DYNOSCALE_HEALTH_OK, "takes reports"},
        {301, DYNOSCALE_HEALTH_FAIL, "elsewhere"},
        {400, DYNOSCALE_HEALTH_WARN, "without samples"},
        {401, DYNOSCALE_HEALTH_FAIL, "token"},
        {402, DYNOSCALE_HEALTH_FAIL, "refuses reports"},
        {403, DYNOSCALE_HEALTH_FAIL, "token"},
        {404, DYNOSCALE_HEALTH_FAIL, "token"},
        {405, DYNOSCALE_HEALTH_FAIL, "at this address"},
        {407, DYNOSCALE_HEALTH_FAIL, "proxy"},
        {408, DYNOSCALE_HEALTH_FAIL, "slow"},
        {422, DYNOSCALE_HEALTH_WARN, "without samples"},
        {429, DYNOSCALE_HEALTH_WARN, "too much"},
        {500, DYNOSCALE_HEALTH_FAIL, "trouble"},
        {599, DYNOSCALE_HEALTH_FAIL, "trouble"},
        {600, DYNOSCALE_HEALTH_FAIL, "no meaning"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        false_transport_answer(cases[i].status, "");
        enter(HTTPS, NULL);
        find("service");
        expect(cases[i].health, cases[i].text);
        expect_measure("status", cases[i].status);
        leave();
    }
}

/* ---- The clock ---------------------------------------------------------------------------- */

/* The service's Date is so many seconds after 1700000000. This clock is 123 ms after it, and the
 * answer took so many ms. */
static void find_clock(int64_t date, int64_t took_ms) {
    ds_path path = {.reach = DS_REACH_ANSWER,
                    .answer_ms = took_ms,
                    .date_s = 1700000000 + date,
                    .queue_time_ms = -1};
    false_transport_answer(200, "");
    false_transport_path(&path);
    enter(HTTPS, NULL);
    find("clock");
    leave();
}

static dynoscale_health clock_health(int64_t date, int64_t took_ms) {
    find_clock(date, took_ms);
    return finding.health;
}

static void the_clock_is_judged_by_the_least_that_it_can_be_wrong(void **state) {
    (void)state;
    assert_int_equal(clock_health(0, 0), DYNOSCALE_HEALTH_OK);
    assert_int_equal(clock_health(1, 0), DYNOSCALE_HEALTH_OK);    /* 0.877 to 1.876 s behind */
    assert_int_equal(clock_health(2, 0), DYNOSCALE_HEALTH_FAIL);  /* 1.877 s, at the least */
    assert_int_equal(clock_health(-1, 0), DYNOSCALE_HEALTH_OK);   /* 0.124 s ahead */
    assert_int_equal(clock_health(-2, 0), DYNOSCALE_HEALTH_WARN); /* 1.124 s */
    assert_int_equal(clock_health(-2, 123), DYNOSCALE_HEALTH_WARN);
    assert_int_equal(clock_health(-2, 124), DYNOSCALE_HEALTH_OK); /* or the answer was so long */
    assert_int_equal(clock_health(2, 5000), DYNOSCALE_HEALTH_FAIL);
    assert_int_equal(clock_health(-600, 0), DYNOSCALE_HEALTH_WARN); /* 599.124 s */
    assert_int_equal(clock_health(-601, 0), DYNOSCALE_HEALTH_FAIL); /* 600.124 s */
}

static void the_clock_check_says_how_skew_changes_queue_times(void **state) {
    (void)state;
    find_clock(3601, 0);
    expect(DYNOSCALE_HEALTH_FAIL, "clock is 60 minutes behind the service's");
    expect(DYNOSCALE_HEALTH_FAIL, "stamp_future");
    expect_measure("offset_ms", -3600877 - 499);
    find_clock(-30, 0);
    expect(DYNOSCALE_HEALTH_WARN, "clock is 29.1 s ahead of the service's: queue times come out "
                                  "longer by as much");
    find_clock(-86400, 0);
    expect(DYNOSCALE_HEALTH_FAIL, "clock is 23 hours ahead");
    expect(DYNOSCALE_HEALTH_FAIL, "stamp_stale");
}

/* ---- Waiting ------------------------------------------------------------------------------ */

static bool interrupt_once(void *context) {
    int *asked = context;
    return (*asked)++ == 0;
}

static void an_interrupted_wait_goes_on_with_the_same_request(void **state) {
    (void)state;
    int asked = 0;
    false_transport_stall();
    enter(HTTPS, NULL);
    dynoscale_error error;
    while ((error = dynoscale_doctor_next(doctor, interrupt_once, &asked, &finding)) ==
           DYNOSCALE_OK)
        continue;
    assert_int_equal(error, DYNOSCALE_ERROR_INTERRUPTED);
    false_transport_answer(200, "");
    find("service");
    expect(DYNOSCALE_HEALTH_OK, "takes reports");
    assert_int_equal(false_transport_attempts(), 1);
    leave();
}

static void an_interrupted_wait_can_be_given_up(void **state) {
    (void)state;
    int asked = 0;
    false_transport_stall();
    enter(HTTPS, NULL);
    while (dynoscale_doctor_next(doctor, interrupt_once, &asked, &finding) == DYNOSCALE_OK)
        continue;
    leave();
    assert_int_equal(false_transport_cancelled(), 1);
}

static bool let_a_minute_pass(void *context) {
    (void)context;
    false_clock_advance_ms(60000);
    return false;
}

static void an_answer_that_never_ends_is_cancelled(void **state) {
    (void)state;
    false_transport_stall();
    enter(HTTPS, NULL);
    bool told = false;
    do {
        assert_int_equal(dynoscale_doctor_next(doctor, let_a_minute_pass, NULL, &finding),
                         DYNOSCALE_OK);
        if (finding.check && strcmp(finding.check, "service") == 0) {
            expect(DYNOSCALE_HEALTH_FAIL, "does not answer: no whole answer in time");
            told = true;
        }
    } while (finding.check);
    assert_true(told);
    leave();
    false_clock_set_wall(NOW_NS);
}

static void a_connection_that_can_not_be_made_is_reported_with_its_reason(void **state) {
    (void)state;
    false_transport_refuse_open(true);
    enter(HTTPS, NULL);
    find("name");
    expect(DYNOSCALE_HEALTH_FAIL, "no connection to be had");
    leave();
    false_transport_refuse_open(false);
    false_transport_refuse_start(true);
    enter(HTTPS, NULL);
    find("name");
    expect(DYNOSCALE_HEALTH_FAIL, "no request to be had");
    leave();
}

/* ---- The app ------------------------------------------------------------------------------ */

static void find_stamp(int status, int64_t queue_time_ms, int64_t took_ms) {
    ds_path path = {.reach = status > 0 ? DS_REACH_ANSWER : DS_REACH_ADDRESS,
                    .answer_ms = took_ms,
                    .date_s = -1,
                    .queue_time_ms = queue_time_ms};
    false_transport_answer(status, "such is life");
    false_transport_path(&path);
    enter_with(options_with(NULL, NULL), APP);
    find("stamp");
    leave();
}

static void the_app_is_asked_once_with_a_stamp(void **state) {
    (void)state;
    find_stamp(404, 1003, 5);
    expect(DYNOSCALE_HEALTH_OK, "the app at 127.0.0.1:3000 gets the stamp");
    expect_measure("queue_time_ms", 1003);
    assert_int_equal(false_transport_attempts(), 1);
    assert_false(false_transport_posted(0));
    assert_string_equal(false_transport_header(0, "X-Request-Start"), "1699999999123");
    assert_string_equal(false_transport_header(0, "X_DYNO"), "");
}

static void a_stamp_passes_where_the_queue_time_is_its_age(void **state) {
    (void)state;
    const struct {
        int64_t ms, took_ms;
        dynoscale_health health;
        const char *text;
    } cases[] = {
        {1000, 0, DYNOSCALE_HEALTH_OK, "measured 1000 ms"},
        {980, 0, DYNOSCALE_HEALTH_OK, "gets the stamp"},
        {979, 0, DYNOSCALE_HEALTH_WARN, "another stamp"},
        {1020, 0, DYNOSCALE_HEALTH_OK, "gets the stamp"},
        {1021, 0, DYNOSCALE_HEALTH_WARN, "another stamp"},
        {5000, 4000, DYNOSCALE_HEALTH_OK, "gets the stamp"},
        {0, 4000, DYNOSCALE_HEALTH_WARN, "measured 0 ms"},
        {-1, 0, DYNOSCALE_HEALTH_WARN, "can't tell"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        find_stamp(200, cases[i].ms, cases[i].took_ms);
        expect(cases[i].health, cases[i].text);
    }
    assert_non_null(strstr(finding.remedy, "DYNOSCALE_SERVER_TIMING=on"));
    find_stamp(0, -1, 0);
    expect(DYNOSCALE_HEALTH_FAIL, "127.0.0.1:3000 does not answer: such is life");
}

static void an_app_that_is_not_named_is_not_asked(void **state) {
    (void)state;
    enter(HTTPS, NULL);
    find("stamp");
    expect(DYNOSCALE_HEALTH_SKIP, "--url");
    assert_int_equal(false_transport_attempts(), 1);
    leave();
}

/* ---- What is no visit --------------------------------------------------------------------- */

static void an_unusable_address_of_an_app_is_refused(void **state) {
    (void)state;
    dynoscale_options *o = options_with(HTTPS, "web.1");
    assert_int_equal(dynoscale_doctor_new(o, "c", "C", "localhost:3000", 0, &doctor),
                     DYNOSCALE_ERROR_INVALID);
    assert_null(doctor);
    dynoscale_doctor_free(NULL);
    dynoscale_options_free(o);
}

static void without_memory_there_is_no_doctor(void **state) {
    (void)state;
    dynoscale_options *o = options_with(HTTPS, "web.1");
    for (int calls = 0;; calls++) {
        faults_fail_allocation_after(calls);
        dynoscale_error error = ds_doctor_new(o, "c", "C", APP, 0, &false_transport, &doctor);
        bool failed = faults_allocation_failed();
        faults_fail_allocation_after(-1);
        if (!failed) break;
        assert_int_equal(error, DYNOSCALE_ERROR_NO_MEMORY);
        assert_null(doctor);
    }
    dynoscale_doctor_free(doctor);
    dynoscale_options_free(o);
}

static void every_text_has_a_name_and_stays_in_ascii(void **state) {
    (void)state;
    for (int i = 0; i < DYNOSCALE_TEXT_COUNT; i++) {
        assert_non_null(dynoscale_text_name((dynoscale_text)i));
        const char *text = dynoscale_text_of((dynoscale_text)i);
        assert_true(*text);
        for (; *text; text++) assert_true((unsigned char)*text < 0x7F);
    }
    assert_null(dynoscale_text_of(DYNOSCALE_TEXT_COUNT));
    assert_null(dynoscale_text_name(DYNOSCALE_TEXT_COUNT));
    assert_string_equal(dynoscale_health_name((dynoscale_health)99), "unknown");
    const char *settings = dynoscale_text_of(DYNOSCALE_TEXT_SETTINGS);
    for (int i = 0; i < DYNOSCALE_SETTING_COUNT; i++) {
        dynoscale_setting setting = (dynoscale_setting)i;
        assert_non_null(strstr(settings, dynoscale_setting_variable(setting)));
        assert_non_null(strstr(settings, dynoscale_setting_meaning(setting)));
        assert_non_null(strstr(settings, dynoscale_setting_standard(setting)));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(findings_come_in_their_order_and_once, reset),
        cmocka_unit_test_setup(good_findings_give_a_good_verdict, reset),
        cmocka_unit_test_setup(what_is_not_well_is_counted, reset),
        cmocka_unit_test_setup(settings_are_shown_with_their_source_and_without_secrets, reset),
        cmocka_unit_test_setup(each_reason_to_be_off_says_what_to_do, reset),
        cmocka_unit_test_setup(without_an_address_or_a_library_nothing_is_asked, reset),
        cmocka_unit_test_setup(the_check_is_a_report_without_samples, reset),
        cmocka_unit_test_setup(the_check_at_which_the_path_ends_fails_and_the_rest_are_skipped,
                               reset),
        cmocka_unit_test_setup(a_proxy_that_refuses_does_not_fail_the_tls_check, reset),
        cmocka_unit_test_setup(behind_a_proxy_the_proxy_s_name_is_resolved, reset),
        cmocka_unit_test_setup(without_tls_a_silent_proxy_counts_as_a_silent_service, reset),
        cmocka_unit_test_setup(times_of_the_path_are_measures, reset),
        cmocka_unit_test_setup(plain_http_is_a_warning_except_on_this_machine, reset),
        cmocka_unit_test_setup(each_status_has_its_meaning, reset),
        cmocka_unit_test_setup(the_clock_is_judged_by_the_least_that_it_can_be_wrong, reset),
        cmocka_unit_test_setup(the_clock_check_says_how_skew_changes_queue_times, reset),
        cmocka_unit_test_setup(an_interrupted_wait_goes_on_with_the_same_request, reset),
        cmocka_unit_test_setup(an_interrupted_wait_can_be_given_up, reset),
        cmocka_unit_test_setup(an_answer_that_never_ends_is_cancelled, reset),
        cmocka_unit_test_setup(a_connection_that_can_not_be_made_is_reported_with_its_reason,
                               reset),
        cmocka_unit_test_setup(the_app_is_asked_once_with_a_stamp, reset),
        cmocka_unit_test_setup(a_stamp_passes_where_the_queue_time_is_its_age, reset),
        cmocka_unit_test_setup(an_app_that_is_not_named_is_not_asked, reset),
        cmocka_unit_test(an_unusable_address_of_an_app_is_refused),
        cmocka_unit_test_setup(without_memory_there_is_no_doctor, reset),
        cmocka_unit_test(every_text_has_a_name_and_stays_in_ascii),
    };
    int failed = cmocka_run_group_tests_name("doctor", tests, NULL, NULL);
    false_transport_reset();
    return failed;
}
