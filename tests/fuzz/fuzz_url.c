/*
 * Addresses, against libcurl's own reading of them, since libcurl is what connects: a redirect that
 * is allowed leads to the host that the report was for, and what is shown of an address has no
 * user, password or path in it.
 */
#include "fuzz.h"

#include <curl/curl.h>
#include <strings.h>

#include "url.h"

/* What libcurl would connect to; false when it refuses the address. */
typedef struct target {
    char *scheme, *host, *port;
} target;

static bool find_target(const char *url, target *t) {
    CURLU *parsed = curl_url();
    memset(t, 0, sizeof *t);
    bool found = parsed && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
                 curl_url_get(parsed, CURLUPART_SCHEME, &t->scheme, 0) == CURLUE_OK &&
                 curl_url_get(parsed, CURLUPART_HOST, &t->host, 0) == CURLUE_OK &&
                 curl_url_get(parsed, CURLUPART_PORT, &t->port, CURLU_DEFAULT_PORT) == CURLUE_OK;
    curl_url_cleanup(parsed);
    return found;
}

static void forget_target(target *t) {
    curl_free(t->scheme);
    curl_free(t->host);
    curl_free(t->port);
}

static void check_parts(const char *url) {
    const char *authority = NULL;
    size_t length = ds_url_authority(url, &authority);
    if (length > 0) {
        REQUIRE(authority >= url + 7 && authority + length <= url + strlen(url), "outside");
        for (size_t i = 0; i < length; i++)
            REQUIRE(!strchr("/?#@", authority[i]), "%.*s", (int)length, authority);
    }
    if (!ds_url_valid(url)) return;
    REQUIRE(length > 0 && strlen(url) <= DS_URL_LONGEST, "%zu", length);
    for (const char *c = url; *c; c++) REQUIRE(*c > ' ' && *c <= '~', "byte %d", *c);

    target t;
    if (find_target(url, &t)) {
        REQUIRE(strcasecmp(t.scheme, ds_url_is_https(url) ? "https" : "http") == 0, "%s", t.scheme);
        /* libcurl decodes %61, and writes 127.1 as 127.0.0.1; else it is the same host. */
        bool rewritten = memchr(authority, '%', length) || strspn(t.host, "[0123456789.") > 0;
        REQUIRE(rewritten || strncasecmp(authority, t.host, strlen(t.host)) == 0, "%.*s, not %s",
                (int)length, authority, t.host);
    }
    forget_target(&t);
}

/* Two addresses, with a line end between them. */
void fuzz_url(const uint8_t *data, size_t size) {
    input in = {data, size};
    input first = take_until(&in, '\n');
    char *from = calloc(1, first.left + 1), *to = calloc(1, in.left + 1);
    if (!from || !to) exit(1);
    memcpy(from, first.at, first.left);
    memcpy(to, in.at, in.left);
    check_parts(from);
    check_parts(to);

    target a, b;
    bool followed = ds_url_redirect_allowed(from, to), known = find_target(from, &a);
    if (find_target(to, &b) && known && followed) {
        REQUIRE(strcmp(b.scheme, "https") == 0, "%s", b.scheme);
        REQUIRE(strcasecmp(a.host, b.host) == 0, "%s, not %s", b.host, a.host);
        REQUIRE(strcmp(a.port, b.port) == 0, "port %s, not %s", b.port, a.port);
    }
    forget_target(&a);
    forget_target(&b);
    free(from);
    free(to);
}

FUZZ(fuzz_url)
