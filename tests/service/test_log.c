/* The log's lines, read from a file in place of standard error. */
#define _GNU_SOURCE /* mkstemp */
#include "../core/support/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "false_clock.h"
#include "log.h"

static int kept_stderr;
static char path[] = "/tmp/test_log.XXXXXX";

static int divert(void **state) {
    (void)state;
    int file = mkstemp(strcpy(path, "/tmp/test_log.XXXXXX"));
    kept_stderr = dup(STDERR_FILENO);
    dup2(file, STDERR_FILENO);
    close(file);
    return 0;
}

static int restore(void **state) {
    (void)state;
    dup2(kept_stderr, STDERR_FILENO);
    close(kept_stderr);
    unlink(path);
    log_set_level(LOG_INFO);
    return 0;
}

static const char *logged(void) {
    static char text[8192];
    FILE *file = fopen(path, "r");
    size_t length = fread(text, 1, sizeof text - 1, file);
    text[length] = '\0';
    fclose(file);
    return text;
}

static void a_line_has_time_level_part_and_text(void **state) {
    (void)state;
    log_line(LOG_WARN, "control", "shop web: up %d \xe2\x86\x92 %d", 2, 3);
    assert_string_equal(logged(),
                        "2023-11-14T22:13:20.123Z warn control: shop web: up 2 \xe2\x86\x92 3\n");
}

static int lines_of(const char *text) {
    int count = 0;
    for (const char *at = logged(); (at = strstr(at, text)); at++) count++;
    return count;
}

static void a_flood_of_refusals_is_counted_and_not_written_line_by_line(void **state) {
    (void)state;
    for (int i = 0; i < 5000; i++) log_refusal(LOG_FRAMES, "http", "refused %d", i);
    assert_int_equal(lines_of("warn http: refused"), LOG_A_MINUTE);
    /* Another kind has lines of its own. */
    log_refusal(LOG_ACCESS, "api", "no right");
    assert_int_equal(lines_of("no right"), 1);
    /* A second later there is no line yet, and then one each three seconds. */
    false_clock_advance_ms(1000);
    log_refusal(LOG_FRAMES, "http", "refused again");
    assert_int_equal(lines_of("refused again"), 0);
    false_clock_advance_ms(2000);
    log_refusal(LOG_FRAMES, "http", "refused again");
    log_refusal(LOG_FRAMES, "http", "refused again");
    assert_int_equal(lines_of("refused again"), 1);
    assert_int_equal(lines_of("warn http: 4981 more malformed requests were not logged"), 1);
}

static void lines_below_the_least_level_are_left_out(void **state) {
    (void)state;
    log_line(LOG_DEBUG, "http", "too much");
    assert_string_equal(logged(), "");
    log_set_level(LOG_DEBUG);
    log_line(LOG_DEBUG, "http", "now");
    assert_non_null(strstr(logged(), "debug http: now\n"));
    log_set_level(LOG_ERROR);
    log_line(LOG_WARN, "http", "not this");
    assert_null(strstr(logged(), "not this"));
}

static void no_text_can_forge_a_line(void **state) {
    (void)state;
    log_line(LOG_INFO, "api", "%s",
             "a\nb\rc\x1b[31md\x7f\xc2\x9b"
             "e\xff"
             "f\xe2\x86"
             "g\xc3\xa4");
    assert_non_null(strstr(logged(), "api: a?b?c?[31md???e?f??g\xc3\xa4\n"));
}

static void a_long_line_is_cut(void **state) {
    (void)state;
    char *text = malloc(5001);
    memset(text, 'x', 5000);
    text[5000] = '\0';
    log_line(LOG_INFO, "api", "%s", text);
    free(text);
    size_t length = strlen(logged());
    assert_int_equal(length, 2048);
    assert_string_equal(logged() + length - 5, "x...\n");
}

static void levels_are_known_by_name(void **state) {
    (void)state;
    enum log_level level = LOG_INFO;
    assert_true(log_level_named("error", &level));
    assert_int_equal(level, LOG_ERROR);
    assert_false(log_level_named("loud", &level));
    assert_int_equal(level, LOG_ERROR);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_line_has_time_level_part_and_text, divert, restore),
        cmocka_unit_test_setup_teardown(lines_below_the_least_level_are_left_out, divert, restore),
        cmocka_unit_test_setup_teardown(no_text_can_forge_a_line, divert, restore),
        cmocka_unit_test_setup_teardown(a_long_line_is_cut, divert, restore),
        cmocka_unit_test_setup_teardown(a_flood_of_refusals_is_counted_and_not_written_line_by_line,
                                        divert, restore),
        cmocka_unit_test(levels_are_known_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
