/* Addresses. */
#include "support/suite.h"

#include <stdio.h>
#include <string.h>

#include "url.h"

static void http_and_https_with_a_host_are_addresses(void **state) {
    (void)state;
    const char *const good[] = {"http://a", "https://api.dynoscale.net/v1/token", "HTTPS://A:8080",
                                "http://[::1]:80/x", "https://u:p@host/x?y=z#w"};
    const char *const bad[] = {"",
                               "a",
                               "ftp://a",
                               "http:/a",
                               "http://",
                               "https:///path",
                               "http://?x",
                               "http://a b",
                               "http://a\n",
                               "http://a\x7f",
                               "http://\xc3\xa9",
                               "http://:80",
                               "http://user@",
                               "http://user:pass/word@host",
                               "http://host:8o",
                               "http://[::1]80",
                               "httpss://a",
                               " http://a"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) assert_true(ds_url_valid(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(ds_url_valid(bad[i]));
    char longest[DS_URL_LONGEST + 2] = "http://";
    memset(longest + 7, 'a', sizeof longest - 8);
    longest[DS_URL_LONGEST + 1] = '\0';
    assert_false(ds_url_valid(longest));
    longest[DS_URL_LONGEST] = '\0';
    assert_true(ds_url_valid(longest));
}

static const char *authority(const char *url) {
    static char text[128];
    const char *at = "";
    size_t length = ds_url_authority(url, &at);
    snprintf(text, sizeof text, "%.*s", (int)length, at);
    return text;
}

static void the_authority_has_no_user_password_or_path(void **state) {
    (void)state;
    assert_string_equal(authority("https://api.dynoscale.net/v1/token"), "api.dynoscale.net");
    assert_string_equal(authority("http://user:secret@host:81?token"), "host:81");
    assert_string_equal(authority("http://a@b@host#x"), "host");
    assert_string_equal(authority("http://host/path@x"), "host");
    assert_string_equal(authority("nothing"), "");
}

static void a_proxy_is_shown_without_user_and_password(void **state) {
    (void)state;
    const char *const proxies[] = {"http://u:secret@proxy:3128/x", "u:secret@proxy:3128",
                                   "proxy:3128", "socks5h://proxy:3128",
                                   "http://u:s@e/cret@proxy:3128"};
    for (size_t i = 0; i < sizeof proxies / sizeof *proxies; i++) {
        const char *at;
        assert_int_equal(ds_url_proxy_authority(proxies[i], &at), 10);
        assert_memory_equal(at, "proxy:3128", 10);
    }
}

static void loopback_and_numeric_addresses_are_recognised_by_the_host_alone(void **state) {
    (void)state;
    const char *const local[] = {"http://127.0.0.1",       "http://127.1.2.3:80/x",
                                 "http://localhost:3000/", "https://LOCALHOST",
                                 "http://[::1]:80",        "http://u:p@127.0.0.1"};
    const char *const numeric[] = {"http://192.0.2.1/", "https://[2001:db8::1]:443/x"};
    const char *const names[] = {"http://127.example", "http://localhost.example",
                                 "http://a/127.0.0.1", "http://127.0.0.1@a",
                                 "http://1x",          "gopher://127.0.0.1"};
    for (size_t i = 0; i < sizeof local / sizeof *local; i++)
        assert_true(ds_url_is_local(local[i]));
    for (size_t i = 0; i < sizeof numeric / sizeof *numeric; i++) {
        assert_true(ds_url_is_numeric(numeric[i]));
        assert_false(ds_url_is_local(numeric[i]));
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_false(ds_url_is_local(names[i]));
        assert_false(ds_url_is_numeric(names[i]));
    }
}

static void redirects_stay_on_https_and_the_host(void **state) {
    (void)state;
    const char *from = "https://api.dynoscale.net/a";
    assert_true(ds_url_redirect_allowed(from, "https://api.dynoscale.net/b"));
    assert_true(ds_url_redirect_allowed(from, "https://API.dynoscale.net:443/b"));
    assert_true(ds_url_redirect_allowed("https://h:444/", "https://h:444/x"));
    assert_false(ds_url_redirect_allowed(from, "http://api.dynoscale.net/b"));
    assert_false(ds_url_redirect_allowed(from, "https://api.dynoscale.net.evil.com/b"));
    assert_false(ds_url_redirect_allowed(from, "https://evil.com/api.dynoscale.net"));
    assert_false(ds_url_redirect_allowed(from, "https://api.dynoscale.net@evil.com/b"));
    assert_false(ds_url_redirect_allowed(from, "https://api.dynoscale.net:444/b"));
    assert_false(ds_url_redirect_allowed(from, "file:///etc/passwd"));
    assert_false(ds_url_redirect_allowed("http://h/", "http://h/x"));
    assert_false(ds_url_redirect_allowed("http://h/", "https://h/x"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http_and_https_with_a_host_are_addresses),
        cmocka_unit_test(the_authority_has_no_user_password_or_path),
        cmocka_unit_test(a_proxy_is_shown_without_user_and_password),
        cmocka_unit_test(loopback_and_numeric_addresses_are_recognised_by_the_host_alone),
        cmocka_unit_test(redirects_stay_on_https_and_the_host),
    };
    return cmocka_run_group_tests_name("url", tests, NULL, NULL);
}
