/* Settings: the table, precedence, validation, redaction, on and off. */
#define _GNU_SOURCE
#include "support/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dynoscale_cli.h"
#include "options.h"

#define URL "https://user:pass@api.dynoscale.net/v1/secret-token"

static int new_options(void **state) {
    clearenv();
    *state = dynoscale_options_new();
    return *state ? 0 : -1;
}

static int free_options(void **state) {
    dynoscale_options_free(*state);
    return 0;
}

static dynoscale_error set_from(dynoscale_options *o, dynoscale_setting setting, const char *value,
                                dynoscale_source source) {
    return dynoscale_options_set(o, setting, value, value ? strlen(value) : 0, source);
}

static dynoscale_error set(dynoscale_options *o, dynoscale_setting setting, const char *value) {
    return set_from(o, setting, value, DYNOSCALE_SOURCE_CODE);
}

static void without_settings_the_agent_is_off_because_of_the_url(void **state) {
    dynoscale_options *o = *state;
    assert_int_equal(dynoscale_options_read_environment(o), DYNOSCALE_OK);
    assert_int_equal(dynoscale_options_off_reason(o), DYNOSCALE_OFF_NO_URL);
    assert_null(dynoscale_options_get(o, DYNOSCALE_SETTING_URL));
    assert_null(dynoscale_options_show(o, DYNOSCALE_SETTING_URL));
    assert_null(dynoscale_options_get(o, DYNOSCALE_SETTING_DYNO));
    assert_string_equal(dynoscale_options_get(o, DYNOSCALE_SETTING_PUBLISH_FREQUENCY), "30");
    assert_string_equal(dynoscale_options_get(o, DYNOSCALE_SETTING_DYNOS), "first");
    assert_string_equal(dynoscale_options_get(o, DYNOSCALE_SETTING_LOG_LEVEL), "warn");
    assert_string_equal(dynoscale_options_get(o, DYNOSCALE_SETTING_SKIP), "false");
    assert_null(dynoscale_options_warning(o, 0));
}

static void every_variable_is_read(void **state) {
    dynoscale_options *o = *state;
    for (int i = 0; i < DYNOSCALE_SETTING_COUNT; i++) {
        const char *value = i == DYNOSCALE_SETTING_URL                 ? URL
                            : i == DYNOSCALE_SETTING_PUBLISH_FREQUENCY ? "7.5"
                            : i == DYNOSCALE_SETTING_DYNOS             ? "all"
                            : i == DYNOSCALE_SETTING_LOG_LEVEL         ? "debug"
                                                                       : "true";
        setenv(dynoscale_setting_variable((dynoscale_setting)i), value, 1);
    }
    dynoscale_options_read_environment(o);
    for (int i = 0; i < DYNOSCALE_SETTING_COUNT; i++) {
        dynoscale_setting setting = (dynoscale_setting)i;
        assert_int_equal(dynoscale_options_source(o, setting), DYNOSCALE_SOURCE_ENVIRONMENT);
        assert_string_equal(dynoscale_options_get(o, setting),
                            getenv(dynoscale_setting_variable(setting)));
    }
    assert_null(dynoscale_options_warning(o, 0));
}

static void code_wins_over_framework_over_environment_over_default(void **state) {
    dynoscale_options *o = *state;
    const dynoscale_setting s = DYNOSCALE_SETTING_PUBLISH_FREQUENCY;
    assert_int_equal(dynoscale_options_source(o, s), DYNOSCALE_SOURCE_DEFAULT);
    set_from(o, s, "10", DYNOSCALE_SOURCE_CODE);
    set_from(o, s, "20", DYNOSCALE_SOURCE_FRAMEWORK);
    setenv("DYNOSCALE_PUBLISH_FREQUENCY", "40", 1);
    dynoscale_options_read_environment(o);
    assert_string_equal(dynoscale_options_get(o, s), "10");
    set_from(o, s, NULL, DYNOSCALE_SOURCE_CODE);
    assert_string_equal(dynoscale_options_get(o, s), "20");
    assert_int_equal(dynoscale_options_source(o, s), DYNOSCALE_SOURCE_FRAMEWORK);
    set_from(o, s, "", DYNOSCALE_SOURCE_FRAMEWORK);
    assert_string_equal(dynoscale_options_get(o, s), "40");
}

static void a_wrong_value_is_one_warning_that_names_variable_fault_and_remedy(void **state) {
    dynoscale_options *o = *state;
    setenv("DYNOSCALE_PUBLISH_FREQUENCY", "often", 1);
    dynoscale_options_read_environment(o);
    assert_string_equal(dynoscale_options_warning(o, 0),
                        "DYNOSCALE_PUBLISH_FREQUENCY is \"often\", which is not a number from 1 to "
                        "3600: using 30 instead");
    assert_int_equal(set(o, DYNOSCALE_SETTING_LOG_LEVEL, "LOUD\n"), DYNOSCALE_ERROR_INVALID);
    assert_string_equal(dynoscale_options_warning(o, 1),
                        "log_level is \"LOUD?\", which is not debug, info, warn or error: using "
                        "warn instead");
    assert_null(dynoscale_options_warning(o, 2));
}

static void a_warning_names_the_development_value_if_that_is_used(void **state) {
    setenv("DYNO", "bad name", 1);
    setenv("DYNOSCALE_DEV_MODE", "on", 1);
    dynoscale_options_read_environment(*state);
    assert_non_null(strstr(dynoscale_options_warning(*state, 0), "using dev.1 instead"));
    assert_null(dynoscale_options_warning(*state, 1));
}

static void words_are_taken_in_any_case(void **state) {
    assert_int_equal(set(*state, DYNOSCALE_SETTING_LOG_LEVEL, "DEBUG"), DYNOSCALE_OK);
    assert_string_equal(dynoscale_options_get(*state, DYNOSCALE_SETTING_LOG_LEVEL), "debug");
    assert_int_equal(set(*state, DYNOSCALE_SETTING_DYNOS, "All"), DYNOSCALE_OK);
    assert_string_equal(dynoscale_options_get(*state, DYNOSCALE_SETTING_DYNOS), "all");
}

static void wrong_values_leave_the_value_before_them(void **state) {
    dynoscale_options *o = *state;
    const char *const wrong[] = {"0",    "-1",  "3601", "1e999", "nan",
                                 "0x10", " 30", "30 ",  "1_0",   "true"};
    set(o, DYNOSCALE_SETTING_PUBLISH_FREQUENCY, "12");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(set(o, DYNOSCALE_SETTING_PUBLISH_FREQUENCY, wrong[i]),
                         DYNOSCALE_ERROR_INVALID);
    assert_string_equal(dynoscale_options_get(o, DYNOSCALE_SETTING_PUBLISH_FREQUENCY), "12");
    assert_int_equal(set(o, DYNOSCALE_SETTING_DYNOS, "some"), DYNOSCALE_ERROR_INVALID);
    assert_int_equal(set(o, DYNOSCALE_SETTING_DYNO, "web.1\r\nX: y"), DYNOSCALE_ERROR_INVALID);
    assert_int_equal(
        dynoscale_options_set(o, DYNOSCALE_SETTING_DYNO, "we\0b", 4, DYNOSCALE_SOURCE_CODE),
        DYNOSCALE_ERROR_INVALID);
    assert_int_equal(set(o, DYNOSCALE_SETTING_COUNT, "x"), DYNOSCALE_ERROR_INVALID);
    assert_int_equal(set_from(o, DYNOSCALE_SETTING_DYNO, "x", (dynoscale_source)9),
                     DYNOSCALE_ERROR_INVALID);
    char long_name[130];
    memset(long_name, 'x', 129);
    long_name[129] = '\0';
    assert_int_equal(set(o, DYNOSCALE_SETTING_APP_NAME, long_name), DYNOSCALE_ERROR_INVALID);
    assert_null(dynoscale_options_get(o, DYNOSCALE_SETTING_APP_NAME));
}

static void warnings_without_end_are_cut_at_sixteen(void **state) {
    for (int i = 0; i < 100; i++) set(*state, DYNOSCALE_SETTING_DYNOS, "some");
    assert_non_null(dynoscale_options_warning(*state, 15));
    assert_null(dynoscale_options_warning(*state, 16));
}

static void the_token_is_never_shown(void **state) {
    dynoscale_options *o = *state;
    set(o, DYNOSCALE_SETTING_URL, URL);
    assert_string_equal(dynoscale_options_get(o, DYNOSCALE_SETTING_URL), URL);
    assert_string_equal(dynoscale_options_show(o, DYNOSCALE_SETTING_URL),
                        "https://api.dynoscale.net/[hidden]");
    assert_int_equal(set(o, DYNOSCALE_SETTING_URL, "htps://api/secret-token"),
                     DYNOSCALE_ERROR_INVALID);
    assert_null(strstr(dynoscale_options_warning(o, 0), "secret"));
    assert_null(strstr(dynoscale_options_show(o, DYNOSCALE_SETTING_URL), "secret"));
    assert_int_equal(dynoscale_options_off_reason(o), DYNOSCALE_OFF_BAD_URL);
}

static dynoscale_off_reason reason_for(const char *dyno, const char *dynos) {
    dynoscale_options *o = dynoscale_options_new();
    set(o, DYNOSCALE_SETTING_URL, URL);
    set(o, DYNOSCALE_SETTING_DYNO, dyno);
    set(o, DYNOSCALE_SETTING_DYNOS, dynos);
    dynoscale_off_reason reason = dynoscale_options_off_reason(o);
    dynoscale_options_free(o);
    return reason;
}

static void only_the_first_dyno_of_a_kind_reports(void **state) {
    (void)state;
    assert_int_equal(reason_for("web.1", NULL), DYNOSCALE_ON);
    assert_int_equal(reason_for("worker.1", NULL), DYNOSCALE_ON);
    assert_int_equal(reason_for("web.2", NULL), DYNOSCALE_OFF_NOT_FIRST);
    assert_int_equal(reason_for("web.11", NULL), DYNOSCALE_OFF_NOT_FIRST);
    assert_int_equal(reason_for("my-web.2", NULL), DYNOSCALE_OFF_NOT_FIRST);
    assert_int_equal(reason_for(NULL, NULL), DYNOSCALE_OFF_NO_DYNO);
    assert_int_equal(reason_for("web.2", "all"), DYNOSCALE_ON);
    assert_int_equal(reason_for("run.1", "all"), DYNOSCALE_OFF_ONE_OFF);
    assert_int_equal(reason_for("release.1", NULL), DYNOSCALE_OFF_ONE_OFF);
    assert_int_equal(reason_for("scheduler.1", NULL), DYNOSCALE_OFF_ONE_OFF);
    assert_int_equal(reason_for("runner.1", NULL), DYNOSCALE_ON);
}

static void dynos_without_a_number_all_report(void **state) {
    (void)state;
    const char *const on[] = {
        "web-12a34b56d-e78f9", "worker-8xk2m-4c7df", "web",  "web.1a", "run-jobs-12a34b56d-e78f9",
        "release-notes.1",     "running-1a2b-3c4d",  "web-1"};
    const char *const one_off[] = {"run-12a34b56d-e78f9",
                                   "release-12a34b56d-e78f9",
                                   "scheduler-12a34b56d-e78f9",
                                   "run-e78f9",
                                   "one-off-1234",
                                   "run.1234"};
    for (size_t i = 0; i < sizeof on / sizeof *on; i++)
        assert_int_equal(reason_for(on[i], NULL), DYNOSCALE_ON);
    for (size_t i = 0; i < sizeof one_off / sizeof *one_off; i++) {
        assert_int_equal(reason_for(one_off[i], NULL), DYNOSCALE_OFF_ONE_OFF);
        assert_int_equal(reason_for(one_off[i], "all"), DYNOSCALE_OFF_ONE_OFF);
    }
}

typedef struct platform {
    const char *variables[2][2];
    const char *dyno; /* NULL: it gives none */
    const char *variable;
} platform;

static const platform platforms[] = {
    {{{"RENDER_INSTANCE_ID", "srv-d0abc-hibernate-6f9-x2"}},
     "srv-d0abc-hibernate-6f9-x2",
     "RENDER_INSTANCE_ID"},
    {{{"FLY_PROCESS_GROUP", "worker"}, {"FLY_MACHINE_ID", "17815930f71498"}},
     "worker-17815930f71498",
     "FLY_MACHINE_ID"},
    {{{"FLY_MACHINE_ID", "3d8d413b29d089"}}, "app-3d8d413b29d089", "FLY_MACHINE_ID"},
    {{{"RAILWAY_REPLICA_ID", "a1b2c3d4-0000-4000-8000-1234567890ab"}},
     "a1b2c3d4-0000-4000-8000-1234567890ab",
     "RAILWAY_REPLICA_ID"},
    {{{"CONTAINER", "web-1"}}, "web-1", "CONTAINER"},
    {{{"ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4/cd189a933e5849daa-2495160603"}},
     "cd189a933e5849daa",
     "ECS_CONTAINER_METADATA_URI_V4"},
    {{{"ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4/"}}, NULL, NULL},
    {{{"KUBERNETES_SERVICE_HOST", "10.0.0.1"}, {"HOSTNAME", "scheduler-7d9f8b6c5-x2x4z"}},
     "scheduler-7d9f8b6c5-x2x4z",
     "HOSTNAME"},
    {{{"HOSTNAME", "laptop"}}, NULL, NULL},
    {{{"RENDER_INSTANCE_ID", ""}, {"FLY_PROCESS_GROUP", "web"}}, NULL, NULL},
};

static void without_dyno_the_platform_s_own_name_is_used(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof platforms / sizeof *platforms; i++) {
        const platform *p = &platforms[i];
        clearenv();
        setenv("DYNOSCALE_URL", URL, 1);
        for (int v = 0; v < 2; v++)
            if (p->variables[v][0]) setenv(p->variables[v][0], p->variables[v][1], 1);
        dynoscale_options *o = dynoscale_options_new();
        dynoscale_options_read_environment(o);
        const char *dyno = dynoscale_options_get(o, DYNOSCALE_SETTING_DYNO);
        const char *variable = ds_options_dyno_variable(o);
        if (p->dyno) assert_string_equal(dyno, p->dyno);
        else assert_null(dyno);
        if (p->variable) assert_string_equal(variable, p->variable);
        else assert_null(variable);
        assert_int_equal(dynoscale_options_off_reason(o),
                         p->dyno ? DYNOSCALE_ON : DYNOSCALE_OFF_NO_DYNO);

        set(o, DYNOSCALE_SETTING_DYNO, "web.2"); /* code wins */
        assert_int_equal(dynoscale_options_off_reason(o), DYNOSCALE_OFF_NOT_FIRST);
        assert_null(ds_options_dyno_variable(o));
        dynoscale_options_free(o);
    }
}

static void dyno_wins_over_the_platform_s_name(void **state) {
    dynoscale_options *o = *state;
    setenv("DYNO", "web.1", 1);
    setenv("RENDER_INSTANCE_ID", "srv-1", 1);
    dynoscale_options_read_environment(o);
    assert_string_equal(dynoscale_options_get(o, DYNOSCALE_SETTING_DYNO), "web.1");
    assert_null(ds_options_dyno_variable(o));
}

static void a_warning_about_a_platform_s_unusable_name_names_its_variable(void **state) {
    dynoscale_options *o = *state;
    setenv("CONTAINER", "a name", 1);
    dynoscale_options_read_environment(o);
    assert_ptr_equal(strstr(dynoscale_options_warning(o, 0), "CONTAINER is \"a name\", which"),
                     dynoscale_options_warning(o, 0));
}

static void quotes_around_a_variable_s_value_are_left_out(void **state) {
    dynoscale_options *o = *state;
    setenv("DYNO", "\"web.1\"", 1);
    setenv("DYNOSCALE_URL", "'" URL "'", 1);
    setenv("DYNOSCALE_PUBLISH_FREQUENCY", "\"5\"", 1);
    setenv("HEROKU_APP_NAME", "\"", 1);
    setenv("SKIP_DYNOSCALE_AGENT", "''", 1);
    dynoscale_options_read_environment(o);
    assert_string_equal(dynoscale_options_get(o, DYNOSCALE_SETTING_DYNO), "web.1");
    assert_string_equal(dynoscale_options_get(o, DYNOSCALE_SETTING_URL), URL);
    assert_string_equal(dynoscale_options_get(o, DYNOSCALE_SETTING_PUBLISH_FREQUENCY), "5");
    assert_string_equal(dynoscale_options_get(o, DYNOSCALE_SETTING_APP_NAME), "\"");
    assert_int_equal(dynoscale_options_off_reason(o), DYNOSCALE_ON);
    assert_null(dynoscale_options_warning(o, 0));
}

static void only_a_missing_name_is_an_unusual_reason_to_be_off(void **state) {
    (void)state;
    for (int i = 0; i <= DYNOSCALE_OFF_NOT_FIRST; i++)
        assert_int_equal(dynoscale_off_is_unusual((dynoscale_off_reason)i),
                         i == DYNOSCALE_OFF_NO_DYNO);
}

static void skip_is_any_text_but_0_false_and_none(void **state) {
    dynoscale_options *o = *state;
    const char *const on[] = {"1", "true", "yes", "x", " ", "no", "off"};
    const char *const off[] = {"0", "false", "FALSE", ""};
    set(o, DYNOSCALE_SETTING_URL, URL);
    set(o, DYNOSCALE_SETTING_DYNO, "web.1");
    for (size_t i = 0; i < sizeof on / sizeof *on; i++) {
        set(o, DYNOSCALE_SETTING_SKIP, on[i]);
        assert_int_equal(dynoscale_options_off_reason(o), DYNOSCALE_OFF_SKIPPED);
        assert_string_equal(dynoscale_options_get(o, DYNOSCALE_SETTING_SKIP), "true");
    }
    for (size_t i = 0; i < sizeof off / sizeof *off; i++) {
        set(o, DYNOSCALE_SETTING_SKIP, off[i]);
        assert_int_equal(dynoscale_options_off_reason(o), DYNOSCALE_ON);
    }
}

static void other_switches_are_off_by_the_words_for_no_too(void **state) {
    dynoscale_options *o = *state;
    const char *const off[] = {"0", "false", "off", "No"};
    for (size_t i = 0; i < sizeof off / sizeof *off; i++) {
        set(o, DYNOSCALE_SETTING_JOBS, off[i]);
        assert_string_equal(dynoscale_options_get(o, DYNOSCALE_SETTING_JOBS), "false");
    }
}

static void development_mode_has_defaults_of_its_own(void **state) {
    dynoscale_options *o = *state;
    setenv("DYNOSCALE_DEV", "1", 1); /* the older name */
    setenv("DYNOSCALE_URL", URL, 1);
    dynoscale_options_read_environment(o);
    assert_string_equal(dynoscale_options_get(o, DYNOSCALE_SETTING_DEV_MODE), "true");
    assert_string_equal(dynoscale_options_get(o, DYNOSCALE_SETTING_DYNO), "dev.1");
    assert_string_equal(dynoscale_options_get(o, DYNOSCALE_SETTING_PUBLISH_FREQUENCY), "1");
    assert_int_equal(dynoscale_options_off_reason(o), DYNOSCALE_ON);
    set(o, DYNOSCALE_SETTING_PUBLISH_FREQUENCY, "5");
    assert_string_equal(dynoscale_options_get(o, DYNOSCALE_SETTING_PUBLISH_FREQUENCY), "5");
}

static void the_table_tells_about_itself(void **state) {
    (void)state;
    for (int i = 0; i < DYNOSCALE_SETTING_COUNT; i++) {
        dynoscale_setting setting = (dynoscale_setting)i;
        const char *name = dynoscale_setting_name(setting);
        assert_int_equal(dynoscale_setting_find(name, strlen(name)), setting);
        assert_non_null(dynoscale_setting_variable(setting));
        assert_non_null(dynoscale_setting_standard(setting));
        assert_non_null(dynoscale_setting_meaning(setting));
    }
    assert_int_equal(dynoscale_setting_find("colour", 6), DYNOSCALE_SETTING_COUNT);
    assert_null(dynoscale_setting_name(DYNOSCALE_SETTING_COUNT));
    assert_null(dynoscale_setting_variable(DYNOSCALE_SETTING_COUNT));
    assert_null(dynoscale_setting_standard(DYNOSCALE_SETTING_COUNT));
    assert_null(dynoscale_setting_meaning(DYNOSCALE_SETTING_COUNT));
    assert_string_equal(dynoscale_off_text((dynoscale_off_reason)99), "unknown reason");
    for (int i = 0; i <= DYNOSCALE_OFF_NOT_FIRST; i++)
        assert_true(strlen(dynoscale_off_text((dynoscale_off_reason)i)) > 10);
}

/* ---- What an agent keeps ------------------------------------------------------------------ */

static ds_settings *settings_for(dynoscale_options *o, const char *url) {
    set(o, DYNOSCALE_SETTING_URL, url);
    set(o, DYNOSCALE_SETTING_DYNO, "web.1");
    dynoscale_options_read_environment(o);
    ds_settings *settings = ds_settings_new(o, "c");
    assert_non_null(settings);
    return settings;
}

static void settings_are_copies(void **state) {
    dynoscale_options *o = *state;
    set(o, DYNOSCALE_SETTING_PUBLISH_FREQUENCY, "2.5");
    ds_settings *settings = settings_for(o, URL);
    set(o, DYNOSCALE_SETTING_URL, "http://other");
    assert_string_equal(settings->url, URL);
    assert_string_equal(settings->host, "api.dynoscale.net");
    assert_string_equal(settings->dyno, "web.1");
    assert_string_equal(settings->app_name, "");
    assert_string_equal(settings->user_agent, "dynoscale-c;" DYNOSCALE_VERSION);
    assert_int_equal(settings->publish_frequency_ms, 2500);
    assert_string_equal(settings->proxy, "");
    assert_null(settings->no_proxy);
    ds_settings_release(settings);
}

static void the_proxy_is_chosen_by_scheme(void **state) {
    dynoscale_options *o = *state;
    setenv("http_proxy", "http://plain:1", 1);
    setenv("HTTPS_PROXY", "http://secure:2", 1);
    setenv("NO_PROXY", "localhost", 1);
    setenv("SSL_CERT_FILE", "/ca.pem", 1);
    setenv("SSL_CERT_DIR", "/ca", 1);
    ds_settings *settings = settings_for(o, "http://a/");
    assert_string_equal(settings->proxy, "http://plain:1");
    assert_string_equal(settings->no_proxy, "localhost");
    assert_string_equal(settings->ca_file, "/ca.pem");
    assert_string_equal(settings->ca_path, "/ca");
    ds_settings_release(settings);
    settings = settings_for(o, "https://a/");
    assert_string_equal(settings->proxy, "http://secure:2");
    ds_settings_release(settings);
    clearenv();
    setenv("HTTP_PROXY", "http://from-a-header", 1); /* CGI hands "Proxy:" over as this */
    setenv("ALL_PROXY", "http://all:3", 1);
    settings = settings_for(o, "http://a/");
    assert_string_equal(settings->proxy, "http://all:3");
    ds_settings_release(settings);
}

int main(void) {
#define WITH_OPTIONS(test) cmocka_unit_test_setup_teardown(test, new_options, free_options)
    const struct CMUnitTest tests[] = {
        WITH_OPTIONS(without_settings_the_agent_is_off_because_of_the_url),
        WITH_OPTIONS(every_variable_is_read),
        WITH_OPTIONS(code_wins_over_framework_over_environment_over_default),
        WITH_OPTIONS(a_wrong_value_is_one_warning_that_names_variable_fault_and_remedy),
        WITH_OPTIONS(a_warning_names_the_development_value_if_that_is_used),
        WITH_OPTIONS(words_are_taken_in_any_case),
        WITH_OPTIONS(wrong_values_leave_the_value_before_them),
        WITH_OPTIONS(warnings_without_end_are_cut_at_sixteen),
        WITH_OPTIONS(the_token_is_never_shown),
        WITH_OPTIONS(only_the_first_dyno_of_a_kind_reports),
        WITH_OPTIONS(dynos_without_a_number_all_report),
        WITH_OPTIONS(without_dyno_the_platform_s_own_name_is_used),
        WITH_OPTIONS(dyno_wins_over_the_platform_s_name),
        WITH_OPTIONS(a_warning_about_a_platform_s_unusable_name_names_its_variable),
        WITH_OPTIONS(quotes_around_a_variable_s_value_are_left_out),
        WITH_OPTIONS(only_a_missing_name_is_an_unusual_reason_to_be_off),
        WITH_OPTIONS(skip_is_any_text_but_0_false_and_none),
        WITH_OPTIONS(other_switches_are_off_by_the_words_for_no_too),
        WITH_OPTIONS(development_mode_has_defaults_of_its_own),
        WITH_OPTIONS(the_table_tells_about_itself),
        WITH_OPTIONS(settings_are_copies),
        WITH_OPTIONS(the_proxy_is_chosen_by_scheme),
    };
    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
