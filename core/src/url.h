/*
 * What has to be known of an address: whether it is one, its host, and whether a redirect may be
 * followed. Pure. Everything behind the host is secret: the path carries the account's token.
 */
#ifndef DS_URL_H
#define DS_URL_H

#include <stdbool.h>
#include <stddef.h>

enum { DS_URL_LONGEST = 2048 };

/* Whether it is http:// or https://, a host, and printable ASCII without blanks throughout. */
bool ds_url_valid(const char *url);

bool ds_url_is_https(const char *url);

/* Finds host and port, without user and password, inside the address. Returns the length, 0 where
 * there is none. */
size_t ds_url_authority(const char *url, const char **authority);

/* The same of a proxy's address, which may lack a scheme. */
size_t ds_url_proxy_authority(const char *proxy, const char **authority);

/* Whether host and port name this machine by its loopback addresses; or whether the host is an IP
 * address, for which no name server is asked. */
bool ds_url_is_local(const char *url);
bool ds_url_is_numeric(const char *url);

/* Whether an answer at `from` may send a report on to `to`: both https, same host and port. */
bool ds_url_redirect_allowed(const char *from, const char *to);

#endif
