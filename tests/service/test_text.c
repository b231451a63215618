#include "suite.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

static void holds(struct text *text, const char *expected) {
    assert_false(text->failed);
    assert_int_equal(text->length, strlen(expected));
    assert_string_equal(text->bytes, expected);
    text_free(text);
}

static void grows_with_what_is_added(void **state) {
    (void)state;
    struct text text = TEXT_EMPTY;
    for (int i = 0; i < 1000; i++) text_format(&text, "%d,", i % 10);
    assert_int_equal(text.length, 2000);
    assert_memory_equal(text.bytes + 1990, "5,6,7,8,9,", 11);
    text_clear(&text);
    text_put(&text, "a");
    text_char(&text, 'b');
    text_add(&text, "cde", 1);
    text_int(&text, INT64_MIN);
    holds(&text, "abc-9223372036854775808");
}

static void gives_an_empty_string_where_nothing_was_added(void **state) {
    (void)state;
    struct text text = TEXT_EMPTY;
    char *bytes = text_take(&text);
    assert_string_equal(bytes, "");
    free(bytes);
}

static void writes_json_strings_that_can_stand_in_html(void **state) {
    (void)state;
    struct text text = TEXT_EMPTY;
    text_json(&text, "a\"b\\c\n\r\t\x01<b>&amp;\x7F");
    holds(&text, "\"a\\\"b\\\\c\\n\\r\\t\\u0001\\u003cb\\u003e\\u0026amp;\\u007f\"");
    text_json(&text, NULL);
    holds(&text, "null");
    text_json_bytes(&text, "a\0b", 3);
    holds(&text, "\"a\\u0000b\"");
}

static void keeps_utf_8_and_replaces_what_is_not(void **state) {
    (void)state;
    static const struct {
        const char *bytes, *json;
    } cases[] = {
        {"é€😀", "\"é€😀\""},
        {"\xC3", "\"\\ufffd\""},                                  /* cut off */
        {"\xC0\xAF", "\"\\ufffd\\ufffd\""},                       /* overlong */
        {"\xE0\x80\x80", "\"\\ufffd\\ufffd\\ufffd\""},            /* overlong */
        {"\xED\xA0\x80", "\"\\ufffd\\ufffd\\ufffd\""},            /* a surrogate */
        {"\xF4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""}, /* above U+10FFFF */
        {"\xFF"
         "a",
         "\"\\ufffda\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text text = TEXT_EMPTY;
        text_json(&text, cases[i].bytes);
        holds(&text, cases[i].json);
    }
}

static void tells_what_is_seen_from_what_hides_or_turns_text(void **state) {
    (void)state;
    static const char *const seen[] = {"",     "anna b.", "é€😀", "Łukasz",
                                       "анна", "あんな",  "آنا", "\U00010000"};
    static const char *const unseen[] = {
        "\n", "\x1B", "\x7F", "\xC2\x9B", "\u00AD", "\u034F", "\u061C", "\u115F", "\u180E",
        "\u200B", "\u200D", "\u200E", "\u2028", "\u2029", "\u202A", "\u202E", "\u2060", "\u2066",
        "\u2069", "\u3164", "\uFDD0", "\uFE0F", "\uFEFF", "\uFFA0", "\uFFF9", "\uFFFE", "\uFFFF",
        "\U0001D173", "\U0001FFFE", "\U000E0001", "\U000E0041", "\U0010FFFF",
        /* no UTF-8: cut off, overlong, a surrogate, above U+10FFFF */
        "\xC3", "\xC0\x80", "\xC1\xA1", "\xE0\x80\xAF", "\xF0\x80\x80\xAF", "\xED\xA0\x80",
        "\xF4\x90\x80\x80", "\xFF"};
    for (size_t i = 0; i < sizeof seen / sizeof *seen; i++) assert_true(text_is_seen(seen[i]));
    for (size_t i = 0; i < sizeof unseen / sizeof *unseen; i++) {
        char text[16];
        snprintf(text, sizeof text, "a%sb", unseen[i]);
        if (text_is_seen(text) || text_is_seen(unseen[i])) fail_msg("number %zu is taken", i);
        text_make_seen(text, strlen(text));
        assert_true(text_is_seen(text));
        assert_true(text[0] == 'a' && text[1] == '?' && text[strlen(text) - 1] == 'b');
    }
}

static void writes_json_that_another_reader_takes_for_any_bytes(void **state) {
    (void)state;
    srand(1);
    for (int round = 0; round < 20000; round++) {
        char bytes[24];
        size_t length = (size_t)rand() % sizeof bytes;
        for (size_t i = 0; i < length; i++)
            bytes[i] = (char)(rand() % 3 ? rand() : "\xE2\x82\xAC\xF0\x9F"[rand() % 5]);
        struct text text = TEXT_EMPTY;
        text_json_bytes(&text, bytes, length);
        json_error_t error;
        json_t *read =
            json_loadb(text.bytes, text.length, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
        assert_non_null(read);
        json_decref(read);
        text_free(&text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_with_what_is_added),
        cmocka_unit_test(gives_an_empty_string_where_nothing_was_added),
        cmocka_unit_test(writes_json_strings_that_can_stand_in_html),
        cmocka_unit_test(keeps_utf_8_and_replaces_what_is_not),
        cmocka_unit_test(tells_what_is_seen_from_what_hides_or_turns_text),
        cmocka_unit_test(writes_json_that_another_reader_takes_for_any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
