/*
 * Passwords, sessions, tokens, sign-in and its limits, on a real store.
 */
#define _GNU_SOURCE
#include "../core/support/suite.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "people/password.h"
#include "people/session.h"
#include "support/folder.h"

static const int64_t now_s = 1800000000;
static const char *const right = "correct horse battery";

static struct {
    char *folder;
    struct store *store;
    struct person person;
} test;

static int set_up(void **state) {
    (void)state;
    char error[256], hash[PASSWORD_HASH_SIZE];
    test.folder = folder_make();
    test.store = store_open(test.folder, STORE_CREATE, error, sizeof error);
    if (!test.store) fail_msg("%s", error);
    test.person = (struct person){.name = "Anna", .role = API_ADMIN, .created_s = 1};
    assert_true(password_hash(hash, right));
    assert_true(store_begin(test.store));
    assert_true(person_add(test.store, &test.person));
    assert_true(person_set_password(test.store, test.person.id, hash));
    assert_true(store_commit(test.store));
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    store_close(test.store);
    folder_remove(test.folder);
    return 0;
}

static enum sign_in try_from(const char *address, const char *name, const char *password,
                             int64_t at_s, char token[TOKEN_SIZE], int64_t *wait_s) {
    struct person person;
    return sign_in(test.store, name, password, NULL, address, "a browser", at_s, token, &person,
                   wait_s);
}

static void the_right_password_begins_a_session(void **state) {
    (void)state;
    char token[TOKEN_SIZE];
    int64_t wait_s;
    struct session session;
    struct person person;
    assert_int_equal(try_from("192.0.2.1", "anna", right, now_s, token, &wait_s), SIGN_IN_DONE);
    assert_true(session_find(test.store, token, now_s + 5, &session, &person));
    assert_string_equal(person.name, "Anna");
    assert_string_equal(session.address, "192.0.2.1");
    assert_string_equal(session.agent, "a browser");
}

static void a_wrong_name_and_a_wrong_password_are_one_answer(void **state) {
    (void)state;
    char token[TOKEN_SIZE];
    int64_t wait_s;
    assert_int_equal(try_from("192.0.2.1", "anna", "not the one", now_s, token, &wait_s),
                     SIGN_IN_WRONG);
    assert_int_equal(try_from("192.0.2.1", "nobody", right, now_s, token, &wait_s), SIGN_IN_WRONG);
}

static void a_session_ends_when_unused_and_in_any_case(void **state) {
    (void)state;
    char token[TOKEN_SIZE];
    int64_t wait_s, at_s = now_s;
    struct session session;
    struct person person;
    assert_int_equal(try_from(NULL, "anna", right, at_s, token, &wait_s), SIGN_IN_DONE);
    assert_false(session_find(test.store, token, at_s + SESSION_IDLE_S + 1, &session, &person));
    while (at_s + 80000 < now_s + SESSION_LONGEST_S) {
        at_s += 80000;
        assert_true(session_find(test.store, token, at_s, &session, &person));
        session_used(test.store, &session, at_s);
    }
    at_s = now_s + SESSION_LONGEST_S + 1;
    assert_false(session_find(test.store, token, at_s, &session, &person));
}

static void a_cookie_of_another_name_or_length_is_no_session(void **state) {
    (void)state;
    char token[TOKEN_SIZE];
    assert_true(session_of_cookie(token, "a=b; dynoscale=se_x; c=d", NULL));
    assert_string_equal(token, "se_x");
    assert_true(session_of_cookie(token, "__Host-dynoscale=se_y", "https://scale.example"));
    assert_false(session_of_cookie(token, "dynoscale=se_y", "https://scale.example"));
    assert_false(session_of_cookie(token, "xdynoscale=se_y", NULL));
    assert_false(session_of_cookie(token, "dynoscale=", NULL));
    assert_false(session_of_cookie(
        token, "dynoscale=0123456789012345678901234567890123456789012345678901234567890", NULL));
    assert_false(session_of_cookie(token, NULL, NULL));
}

static void the_csrf_token_belongs_to_one_session(void **state) {
    (void)state;
    char csrf[CSRF_SIZE];
    session_csrf(csrf, "se_one");
    assert_true(session_csrf_right(csrf, "se_one"));
    assert_false(session_csrf_right(csrf, "se_two"));
    assert_false(session_csrf_right("", "se_one"));
    assert_false(session_csrf_right(NULL, "se_one"));
}

static void trying_is_limited_by_address_and_the_wait_is_told(void **state) {
    (void)state;
    char token[TOKEN_SIZE];
    int64_t wait_s = 0;
    int tries = 0;
    char name[32];
    do snprintf(name, sizeof name, "name%d", tries);
    while (try_from("192.0.2.1", name, "wrong", now_s, token, &wait_s) == SIGN_IN_WRONG &&
           ++tries < 100);
    assert_int_equal(tries, 20);
    assert_true(wait_s > 0 && wait_s <= 30);
    assert_int_equal(try_from("192.0.2.1", "x", "wrong", now_s + wait_s, token, &wait_s),
                     SIGN_IN_WRONG);
}

static void many_addresses_can_not_try_one_account_for_ever(void **state) {
    (void)state;
    char token[TOKEN_SIZE], address[32];
    int64_t wait_s = 0;
    int tries = 0;
    do snprintf(address, sizeof address, "198.51.100.%d", tries);
    while (try_from(address, "Anna", "wrong", now_s, token, &wait_s) == SIGN_IN_WRONG &&
           ++tries < 100);
    assert_int_equal(tries, 10);
}

static void a_person_is_not_locked_out_by_the_tries_of_others(void **state) {
    (void)state;
    char token[TOKEN_SIZE], address[32];
    int64_t wait_s;
    assert_int_equal(try_from("192.0.2.1", "Anna", right, now_s, token, &wait_s), SIGN_IN_DONE);
    for (int i = 0; i < 15; i++) {
        snprintf(address, sizeof address, "198.51.100.%d", i);
        try_from(address, "anna", "wrong", now_s, token, &wait_s);
    }
    assert_int_equal(try_from("203.0.113.1", "anna", right, now_s, token, &wait_s), SIGN_IN_LATER);
    assert_int_equal(try_from("192.0.2.1", "anna", right, now_s, token, &wait_s), SIGN_IN_DONE);
}

static void one_network_of_ipv6_is_one_address(void **state) {
    (void)state;
    int64_t wait_s;
    char address[64];
    for (int i = 0; i < 20; i++) {
        snprintf(address, sizeof address, "2001:db8:1:2::%x", i);
        assert_true(sign_in_may_try(test.store, address, now_s, &wait_s));
    }
    assert_false(sign_in_may_try(test.store, "2001:db8:1:2:ffff::1", now_s, &wait_s));
    assert_true(sign_in_may_try(test.store, "2001:db8:1:3::1", now_s, &wait_s));
}

static void passwords_that_are_tried_first_are_refused(void **state) {
    (void)state;
    char why[256];
    assert_true(password_allowed("a long enough one", "anna", why, sizeof why));
    assert_true(password_allowed("ünïcödé wörds", "anna", why, sizeof why));
    assert_false(password_allowed("elevenchars", "anna", why, sizeof why));
    assert_non_null(strstr(why, "12 characters"));
    assert_false(password_allowed("Password1234", "anna", why, sizeof why));
    assert_false(password_allowed("abcabcabcabcabc", "anna", why, sizeof why));
    assert_false(password_allowed("annakournikova1", "annakournikova", why, sizeof why));
    char longest[PASSWORD_LONGEST + 2];
    for (size_t i = 0; i < sizeof longest - 1; i++) longest[i] = (char)('a' + i * i % 23);
    longest[sizeof longest - 1] = '\0';
    assert_false(password_allowed(longest, "anna", why, sizeof why));
    longest[PASSWORD_LONGEST] = '\0';
    assert_true(password_allowed(longest, "anna", why, sizeof why));
}

/* What lists of leaked passwords have of this length, and what people make of it. */
static void common_passwords_are_refused_however_they_are_completed(void **state) {
    (void)state;
    char why[256];
    static const char *const common[] = {
        "123456789012",
        "1q2w3e4r5t6y",
        "1qaz2wsx3edc",
        "qwertyuiop12",
        "qwerty123456",
        "password1234",
        "Password2024!",
        "P@ssw0rd2023",
        "passwordpassword",
        "letmein12345",
        "iloveyou1234",
        "welcome12345",
        "Welcome2025!!",
        "administrator",
        "admin1234567",
        "Summer2024!!",
        "changeme1234",
        "adminadmin123",
        "football1234",
        "qazwsxedcrfv",
        "zaq12wsxcde3",
        "abcdefghijkl",
        "abcd1234abcd",
        "1234567891011",
        "asdfghjkl123",
        "superman1234",
        "princess1234",
        "trustno1trustno1",
        "dragonmonkey",
        "September2024",
        "liverpool123",
        "michael12345",
        "iloveyouiloveyou",
        "zxcvbnm12345",
        "aaaaaaaaaaaa",
        "qwertyuiopasdf",
        "correcthorsebatterystaple",
        "147258369147",
        "1111112222222",
        "sunshine2020",
        "jennifer1985",
        "Charlie123456",
        "ch0c0late1234",
        "starwars1977",
        "linkedin2012!",
    };
    for (size_t i = 0; i < sizeof common / sizeof *common; i++)
        if (password_allowed(common[i], "tom", why, sizeof why))
            fail_msg("%s is allowed", common[i]);
    static const char *const good[] = {
        "a good long password",    "another long password",  "toms own long password",
        "correct horse battery",   "set on the machine",     "four wet boots by a door",
        "xkq7 vbne 20xm",          "kaltes Wasser im Schuh", "Tq9#mV2!xLp0z",
        "1 lamp, 2 ropes, 9 eels", "monkeys dream of soup",  "password of my aunt's cat",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!password_allowed(good[i], "tom", why, sizeof why)) fail_msg("%s: %s", good[i], why);
    /* What can be cut into parts in millions of ways, and then ends otherwise, takes no longer. */
    assert_true(
        password_allowed("111111111111111111111111111111111111111x", "tom", why, sizeof why));
    char long_one[1025];
    for (size_t i = 0; i < 1024; i++) long_one[i] = "1234567890"[i % 10];
    long_one[1024] = '\0';
    password_allowed(long_one, "tom", why, sizeof why);
}

/* Of random letters and digits nearly none is such. */
static void random_passwords_are_allowed(void **state) {
    (void)state;
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    char password[13] = "", why[256];
    uint64_t seed = 12345;
    for (int i = 0; i < 3000; i++) {
        for (int j = 0; j < 12; j++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            password[j] = letters[(seed >> 33) % 36];
        }
        if (!password_allowed(password, "tom", why, sizeof why)) fail_msg("%s: %s", password, why);
    }
}

static void a_hash_of_older_parameters_is_replaced_at_sign_in(void **state) {
    (void)state;
    char hash[PASSWORD_HASH_SIZE], token[TOKEN_SIZE];
    bool outdated = false;
    int64_t wait_s;
    /* One pass over 8 KiB. */
    assert_int_equal(crypto_pwhash_argon2id_str(hash, right, strlen(right), 1, 8192), 0);
    assert_true(password_right(hash, right, &outdated));
    assert_true(outdated);
    assert_true(store_begin(test.store));
    assert_true(person_set_password(test.store, test.person.id, hash));
    assert_true(store_commit(test.store));
    assert_int_equal(try_from(NULL, "anna", right, now_s, token, &wait_s), SIGN_IN_DONE);
    assert_true(person_password(test.store, test.person.id, hash));
    assert_true(password_right(hash, right, &outdated));
    assert_false(outdated);
}

static void tokens_differ_and_fit_into_an_address(void **state) {
    (void)state;
    char one[TOKEN_SIZE], two[TOKEN_SIZE];
    token_make(one, "rt_");
    token_make(two, "rt_");
    assert_string_not_equal(one, two);
    assert_int_equal(strlen(one), 46);
    assert_int_equal(
        strspn(one, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), 46);
}

static void count_person(void *context, const struct person *person) {
    (void)person;
    ++*(int *)context;
}

static void names_of_people_are_compared_without_case(void **state) {
    (void)state;
    struct person again = {.name = "ANNA", .role = API_READ};
    int count = 0;
    assert_true(store_begin(test.store));
    assert_false(person_add(test.store, &again));
    store_rollback(test.store);
    assert_true(person_each(test.store, count_person, &count));
    assert_int_equal(count, 1);
}

static void removing_a_person_ends_the_sessions(void **state) {
    (void)state;
    char token[TOKEN_SIZE];
    int64_t wait_s;
    struct session session;
    struct person person;
    assert_int_equal(try_from(NULL, "anna", right, now_s, token, &wait_s), SIGN_IN_DONE);
    assert_true(store_begin(test.store));
    assert_true(person_remove(test.store, test.person.id));
    assert_true(store_commit(test.store));
    assert_false(session_find(test.store, token, now_s, &session, &person));
}

static void roles_and_scopes_have_names(void **state) {
    (void)state;
    enum api_role role;
    assert_true(role_of_person("operate", &role));
    assert_int_equal(role, API_WRITE);
    assert_true(role_of_scope("operate", &role));
    assert_int_equal(role, API_OPERATE);
    assert_false(role_of_person("write", &role));
    assert_false(role_of_scope("local", &role));
    assert_string_equal(role_scope_name(API_WRITE), "write");
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(the_right_password_begins_a_session),
        TEST(a_wrong_name_and_a_wrong_password_are_one_answer),
        TEST(a_session_ends_when_unused_and_in_any_case),
        TEST(a_cookie_of_another_name_or_length_is_no_session),
        TEST(the_csrf_token_belongs_to_one_session),
        TEST(trying_is_limited_by_address_and_the_wait_is_told),
        TEST(many_addresses_can_not_try_one_account_for_ever),
        TEST(a_person_is_not_locked_out_by_the_tries_of_others),
        TEST(one_network_of_ipv6_is_one_address),
        TEST(passwords_that_are_tried_first_are_refused),
        TEST(common_passwords_are_refused_however_they_are_completed),
        TEST(random_passwords_are_allowed),
        TEST(a_hash_of_older_parameters_is_replaced_at_sign_in),
        TEST(tokens_differ_and_fit_into_an_address),
        TEST(names_of_people_are_compared_without_case),
        TEST(removing_a_person_ends_the_sessions),
        TEST(roles_and_scopes_have_names),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
