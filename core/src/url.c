#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strncasecmp */
#endif
#include "url.h"

#include <string.h>
#include <strings.h>

bool ds_url_is_https(const char *url) { return strncasecmp(url, "https://", 8) == 0; }

static const char *after_scheme(const char *url) {
    if (ds_url_is_https(url)) return url + 8;
    if (strncasecmp(url, "http://", 7) == 0) return url + 7;
    return NULL;
}

size_t ds_url_authority(const char *url, const char **authority) {
    const char *at = after_scheme(url);
    if (!at) return 0;
    const char *end = at + strcspn(at, "/?#");
    for (const char *c = at; c < end; c++)
        if (*c == '@') at = c + 1;
    *authority = at;
    return (size_t)(end - at);
}

bool ds_url_valid(const char *url) {
    const char *authority;
    if (strlen(url) > DS_URL_LONGEST) return false;
    if (ds_url_authority(url, &authority) == 0 || *authority == ':') return false;
    for (; *url; url++)
        if (*url <= 0x20 || *url >= 0x7F) return false;
    return true;
}

static size_t without_standard_port(const char *authority, size_t length) {
    return length > 4 && memcmp(authority + length - 4, ":443", 4) == 0 ? length - 4 : length;
}

bool ds_url_redirect_allowed(const char *from, const char *to) {
    const char *a, *b;
    if (!ds_url_is_https(from) || !ds_url_is_https(to) || !ds_url_valid(to)) return false;
    size_t a_length = ds_url_authority(from, &a), b_length = ds_url_authority(to, &b);
    a_length = without_standard_port(a, a_length);
    b_length = without_standard_port(b, b_length);
    return a_length == b_length && strncasecmp(a, b, a_length) == 0;
}
