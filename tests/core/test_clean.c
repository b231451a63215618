/* Text from outside, made safe for a log line. */
#include "support/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clean.h"
#include "events.h"

static const char *clean(const char *text) {
    static char place[256];
    ds_clean_text(place, sizeof place, text);
    return place;
}

static void whole_characters_stay_as_they_are(void **state) {
    (void)state;
    assert_string_equal(clean(""), "");
    assert_string_equal(clean("a line, as it is ~"), "a line, as it is ~");
    assert_string_equal(clean("é ß € 日本 \U0001F600 \uFFFD"), "é ß € 日本 \U0001F600 \uFFFD");
}

static void control_characters_become_question_marks(void **state) {
    (void)state;
    assert_string_equal(clean("a\nb\r\tc\x1b[31m\x7f"), "a?b??c?[31m?");
    assert_string_equal(clean("a\xC2\x85z\xC2\x9Bz\xC2\xA0"), "a?z?z\xC2\xA0");
    assert_string_equal(clean("a\u2028b\u2029c\u2030"), "a?b?c\u2030");
}

static void bytes_that_are_not_utf8_become_question_marks(void **state) {
    (void)state;
    assert_string_equal(clean("a\xFFz\x80z"), "a?z?z");
    assert_string_equal(clean("\xC0\xAF."), "??.");           /* longer than it need be */
    assert_string_equal(clean("\xE0\x80\xAF."), "???.");      /* the same */
    assert_string_equal(clean("\xED\xA0\x80."), "???.");      /* half of a pair */
    assert_string_equal(clean("\xF4\x90\x80\x80."), "????."); /* past the last */
    assert_string_equal(clean("\xE2\x82z"), "??z");
}

static void text_is_cut_between_characters(void **state) {
    (void)state;
    char place[8];
    assert_string_equal(clean("caf\xC3"), "caf");
    assert_string_equal(clean("x\xF0\x9F\x98"), "x");
    ds_clean_text(place, sizeof place, "abcdeéf");
    assert_string_equal(place, "abcdeé");
    ds_clean_text(place, sizeof place, "abcdefé");
    assert_string_equal(place, "abcdef");
    ds_clean_text(place, sizeof place, "abcdefgh");
    assert_string_equal(place, "abcdefg");
}

static void any_bytes_give_a_line_that_is_stable(void **state) {
    (void)state;
    char text[40], once[300], twice[300];
    unsigned seed = 7;
    for (int round = 0; round < 20000; round++) {
        for (size_t i = 0; i < sizeof text - 1; i++) {
            seed = seed * 1103515245 + 12345;
            text[i] = (char)(seed >> 16 | 1);
        }
        text[sizeof text - 1] = '\0';
        ds_clean_text(once, sizeof once, text);
        ds_clean_text(twice, sizeof twice, once);
        assert_string_equal(once, twice);
        assert_true(strlen(once) <= strlen(text));
    }
}

static void an_event_is_one_line_of_whole_characters(void **state) {
    (void)state;
    static ds_events events;
    char text[DYNOSCALE_EVENT_SIZE], path[512] = "/";
    dynoscale_level level;
    for (int i = 0; i < 200; i++) strcat(path, "é");
    ds_events_add(&events, DYNOSCALE_LEVEL_WARN, "the lock %s: no such file", path);
    ds_events_add(&events, DYNOSCALE_LEVEL_WARN, "failed: %s", "CN=evil\n[31m\x1b.example");
    assert_true(ds_events_take(&events, &level, text));
    assert_string_equal(clean(text), text);
    assert_true(strlen(text) >= DYNOSCALE_EVENT_SIZE - 2);
    assert_true(ds_events_take(&events, &level, text));
    assert_string_equal(text, "failed: CN=evil?[31m?.example");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_characters_stay_as_they_are),
        cmocka_unit_test(control_characters_become_question_marks),
        cmocka_unit_test(bytes_that_are_not_utf8_become_question_marks),
        cmocka_unit_test(text_is_cut_between_characters),
        cmocka_unit_test(any_bytes_give_a_line_that_is_stable),
        cmocka_unit_test(an_event_is_one_line_of_whole_characters),
    };
    return cmocka_run_group_tests_name("clean", tests, NULL, NULL);
}
