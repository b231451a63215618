/*
 * Checks addresses: is it one, what is its host, may a redirect be followed? Pure. Everything after
 * the host is secret, since the path holds the account's token.
 */
#ifndef DS_URL_H
#define DS_URL_H

#include <stdbool.h>
#include <stddef.h>

enum { DS_URL_LONGEST = 2048 };

/* Whether it is http:// or https:// and a host, all in printable ASCII without blanks. */
bool ds_url_valid(const char *url);

bool ds_url_is_https(const char *url);

/* Finds host and port inside the address, without user and password. Returns the length, 0 if there
 * is none. */
size_t ds_url_authority(const char *url, const char **authority);

/* The same for a proxy's address, which may lack a scheme. */
size_t ds_url_proxy_authority(const char *proxy, const char **authority);

/* Whether the host is a loopback address of this machine; whether the host is an IP address, which
 * needs no name server. */
bool ds_url_is_local(const char *url);
bool ds_url_is_numeric(const char *url);

/* Whether a redirect from `from` to `to` may be followed: both https, same host and port. */
bool ds_url_redirect_allowed(const char *from, const char *to);

#endif
