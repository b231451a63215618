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

static size_t authority_at(const char *at, const char **authority) {
    const char *end = at + strcspn(at, "/?#");
    for (const char *c = at; c < end; c++)
        if (*c == '@') at = c + 1;
    *authority = at;
    return (size_t)(end - at);
}

size_t ds_url_authority(const char *url, const char **authority) {
    const char *at = after_scheme(url);
    return at ? authority_at(at, authority) : 0;
}

/* User and password may contain characters that end a host: the host begins after the last @. */
size_t ds_url_proxy_authority(const char *proxy, const char **authority) {
    const char *scheme = strstr(proxy, "://"), *last = strrchr(proxy, '@');
    return authority_at(last ? last + 1 : scheme ? scheme + 3 : proxy, authority);
}

static size_t host_of(const char *url, const char **host) {
    size_t length = ds_url_authority(url, host);
    const char *end = length > 0 && **host == '[' ? memchr(*host, ']', length) : NULL;
    if (end) return (size_t)(end - *host) + 1;
    const char *port = length > 0 ? memchr(*host, ':', length) : NULL;
    return port ? (size_t)(port - *host) : length;
}

bool ds_url_is_local(const char *url) {
    static const char *const names[] = {"localhost", "[::1]"};
    const char *host;
    size_t length = host_of(url, &host);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (length == strlen(names[i]) && strncasecmp(host, names[i], length) == 0) return true;
    return ds_url_is_numeric(url) && length > 4 && memcmp(host, "127.", 4) == 0;
}

bool ds_url_is_numeric(const char *url) {
    const char *host;
    size_t length = host_of(url, &host);
    if (length > 0 && *host == '[') return true;
    for (size_t i = 0; i < length; i++)
        if (host[i] != '.' && (host[i] < '0' || host[i] > '9')) return false;
    return length > 0;
}

/* After the host: nothing, or a port. Anything else may be a password with a slash in it. */
static bool is_port(const char *text, size_t length) {
    if (length == 0) return true;
    for (size_t i = 1; i < length; i++)
        if (text[i] < '0' || text[i] > '9') return false;
    return text[0] == ':';
}

bool ds_url_valid(const char *url) {
    const char *authority, *host;
    if (strlen(url) > DS_URL_LONGEST) return false;
    size_t length = ds_url_authority(url, &authority), host_length = host_of(url, &host);
    if (host_length == 0 || !is_port(host + host_length, length - host_length)) return false;
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
