/* What is known of apps on Heroku between readings; signatures. Only the clock is false. */
#include "../core/support/suite.h"

#include <string.h>

#include "addon/sha1.h"
#include "clock.h"
#include "false_clock.h"
#include "platforms/heroku_known.h"

static int begin(void **state) {
    (void)state;
    known_clear();
    return 0;
}

static void account_of(unsigned char account[16], const char *credential) {
    struct heroku_known known;
    known_take(&known, 0, "", credential);
    memcpy(account, known.account, 16);
}

/* So many apps that share a credential. */
static void apps_share(int count, const char *credential) {
    for (int i = 1; i <= count; i++) {
        struct heroku_known known;
        known_take(&known, i, "shop", credential);
        known_put(&known);
    }
}

static void apps_of_one_account_share_half_of_what_it_gets_back(void **state) {
    (void)state;
    unsigned char account[16];
    account_of(account, "a key");
    apps_share(1, "a key");
    assert_int_equal(known_pause_ms(account, ds_clock_monotonic_ms()), 10000);
    apps_share(10, "a key");
    assert_int_equal(known_pause_ms(account, ds_clock_monotonic_ms()), 24000);
    apps_share(40, "a key");
    /* A minute at most, so that a formation is never too old to decide on while there is room. */
    assert_int_equal(known_pause_ms(account, ds_clock_monotonic_ms()), 50000);
    unsigned char other[16];
    account_of(other, "another key");
    assert_int_equal(known_pause_ms(other, ds_clock_monotonic_ms()), 10000);
}

static void the_less_is_left_the_more_rarely_is_read_until_none_is(void **state) {
    (void)state;
    unsigned char account[16];
    account_of(account, "a key");
    apps_share(1, "a key");
    int64_t before_ms = 0;
    for (int left = 4500; left >= 300; left -= 100) {
        known_spent(account, left, ds_clock_monotonic_ms());
        int64_t pause_ms = known_pause_ms(account, ds_clock_monotonic_ms());
        assert_true(pause_ms >= before_ms);
        before_ms = pause_ms;
    }
    assert_int_equal(before_ms, 40000);
    known_spent(account, 250, ds_clock_monotonic_ms());
    assert_int_equal(known_pause_ms(account, ds_clock_monotonic_ms()), -1);
    false_clock_advance_ms(60 * 1000); /* 75 come back */
    assert_int_equal(known_pause_ms(account, ds_clock_monotonic_ms()), 40000);
}

/* A day of readings each pause, at two requests each: the budget stays nearly full. */
static void reading_for_a_day_leaves_the_budget_full(void **state) {
    (void)state;
    enum { APPS = 12 };
    unsigned char account[16];
    account_of(account, "a key");
    apps_share(APPS, "a key");
    double left = 4500, least = left;
    int64_t until_ms = ds_clock_monotonic_ms() + 86400 * 1000LL;
    while (ds_clock_monotonic_ms() < until_ms) {
        int64_t pause_ms = known_pause_ms(account, ds_clock_monotonic_ms());
        assert_true(pause_ms > 0);
        left -= 2 * APPS;
        if (left < least) least = left;
        known_spent(account, (int)left, ds_clock_monotonic_ms());
        false_clock_advance_ms(pause_ms);
        left += (double)pause_ms * 75 / 60000;
        if (left > 4500) left = 4500;
    }
    assert_true(least > 4400);
}

static void what_was_told_while_an_answer_was_on_its_way_makes_it_old(void **state) {
    (void)state;
    struct heroku_known known, after;
    known_take(&known, 7, "shop", "a key");
    known.formation_ms = known.dynos_ms = ds_clock_monotonic_ms();
    assert_true(known_tell_formation(7, "web", "Basic", 3));
    known_put(&known);
    known_take(&after, 7, "shop", "a key");
    assert_int_equal(after.formation_ms, -1);
    assert_false(known_tell_formation(8, "web", "Basic", 3));
}

static void another_credential_or_app_begins_with_nothing_known(void **state) {
    (void)state;
    struct heroku_known known;
    known_take(&known, 7, "shop", "a key");
    known.formation_ms = 5;
    known_put(&known);
    known_take(&known, 7, "shop", "a key");
    assert_int_equal(known.formation_ms, 5);
    known_take(&known, 7, "shop", "another key");
    assert_int_equal(known.formation_ms, -1);
    known.formation_ms = 6;
    known_put(&known);
    known_take(&known, 7, "other", "another key");
    assert_int_equal(known.formation_ms, -1);
}

static void a_webhook_is_trusted_until_it_misses_an_order_of_ours(void **state) {
    (void)state;
    struct heroku_known known;
    known_take(&known, 7, "shop", "a key");
    known.hook = HOOK_THERE;
    assert_false(known_trusted(&known, ds_clock_monotonic_ms())); /* never heard */
    known_put(&known);
    assert_true(known_tell_dynos(7));
    known_take(&known, 7, "shop", "a key");
    assert_true(known_trusted(&known, ds_clock_monotonic_ms()));
    known.proof_ms = ds_clock_monotonic_ms() + 60000;
    known_put(&known);
    false_clock_advance_ms(61000);
    assert_false(known_trusted(&known, ds_clock_monotonic_ms()));
}

static void a_signature_is_of_these_bytes_by_this_secret(void **state) {
    (void)state;
    const struct platform *heroku = platform_find("heroku");
    /* RFC 4231, test case 2, in base64. */
    static const char right[] = "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=";
    static const char body[] = "what do ya want for nothing?";
    assert_true(heroku->hook_right("Jefe", right, body, sizeof body - 1));
    assert_false(heroku->hook_right("Jeff", right, body, sizeof body - 1));
    assert_false(heroku->hook_right("Jefe", right, body, sizeof body - 2));
    assert_false(heroku->hook_right("Jefe", "", body, sizeof body - 1));
}

static void sha1_is_that_of_its_standard(void **state) {
    (void)state;
    static const struct {
        const char *text;
        unsigned char begins[4];
    } cases[] = {
        {"", {0xDA, 0x39, 0xA3, 0xEE}},
        {"abc", {0xA9, 0x99, 0x3E, 0x36}},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", {0x84, 0x98, 0x3E, 0x44}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned char hash[20];
        sha1(hash, cases[i].text, strlen(cases[i].text));
        assert_memory_equal(hash, cases[i].begins, 4);
    }
}

static void credentials_are_keys_or_objects_and_nothing_that_breaks_a_header(void **state) {
    (void)state;
    struct heroku_credential credential;
    char error[200];
    assert_true(heroku_read_credential(&credential, "HRKU-0123456789", error, sizeof error));
    assert_string_equal(credential.token, "HRKU-0123456789");
    static const char object[] =
        "{\"access_token\":\"12345678\",\"refresh_token\":\"abcdefgh\",\"expires_s\":7}";
    assert_true(heroku_read_credential(&credential, object, error, sizeof error));
    assert_string_equal(credential.refresh, "abcdefgh");
    assert_int_equal(credential.expires_s, 7);
    static const char *const wrong[] = {NULL,
                                        "",
                                        "short",
                                        "a key with blanks",
                                        "HRKU-1\r\nX: y",
                                        "{}",
                                        "{\"access_token\":7}",
                                        "{\"code\":\"a b c d e f\"}"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(heroku_read_credential(&credential, wrong[i], error, sizeof error));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(apps_of_one_account_share_half_of_what_it_gets_back, begin),
        cmocka_unit_test_setup(the_less_is_left_the_more_rarely_is_read_until_none_is, begin),
        cmocka_unit_test_setup(reading_for_a_day_leaves_the_budget_full, begin),
        cmocka_unit_test_setup(what_was_told_while_an_answer_was_on_its_way_makes_it_old, begin),
        cmocka_unit_test_setup(another_credential_or_app_begins_with_nothing_known, begin),
        cmocka_unit_test_setup(a_webhook_is_trusted_until_it_misses_an_order_of_ours, begin),
        cmocka_unit_test_setup(a_signature_is_of_these_bytes_by_this_secret, begin),
        cmocka_unit_test_setup(sha1_is_that_of_its_standard, begin),
        cmocka_unit_test_setup(credentials_are_keys_or_objects_and_nothing_that_breaks_a_header,
                               begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
