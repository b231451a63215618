/*
 * A small HTTP client for platforms: one request, one bounded answer, one absolute deadline, no
 * redirects, no proxy. Blocks; any thread. For platforms/, which alone knows libcurl, and notify/.
 */
#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

struct sockaddr;

struct client_request {
    const char *method; /* "POST" */
    const char *url;
    const char *const *headers; /* "Name: value", ended by NULL; NULL: none */
    const char *body;           /* NULL: none */
    size_t body_length;
    int64_t deadline_ms;    /* from now, of all of it */
    bool private_addresses; /* loopback, link-local and private addresses are allowed */
    bool of_operator;       /* the operator named the host: client_call_hosts does not bind it */
    bool certificate;       /* the answer must say until when the server's certificate is valid */
    size_t longest;     /* the most bytes of an answer that are read; a longer answer is an error */
    const char *header; /* "ratelimit-remaining:", in lower case: kept of the answer; or NULL */
    const char
        *authority; /* certificates (PEM) that are trusted in place of the system's; or NULL */
    const char
        *signed_for; /* "aws:amz:REGION:SERVICE": signed with `key` by signature v4; or NULL */
    const char *key; /* "ID:SECRET", for signed_for */
};

enum { CLIENT_RETRY_S = 900 };

struct client_answer {
    int status;        /* of HTTP; 0: there was no answer, and `reason` says why */
    int retry_after_s; /* 0 to CLIENT_RETRY_S, even if the server says longer; -1: it says nothing
                        */
    bool address_refused;
    int64_t certificate_ends_s; /* as it was asked for; 0: not known */
    char header[64];            /* what the header that was asked for says; "" */
    char reason[160];           /* without the URL, which may hold a secret */
    struct text body;           /* to be freed by the caller with client_answer_free */
};

/* From now on only https is called, whatever is set elsewhere. Call before there are threads. */
void client_insist_on_tls(void);
bool client_insists_on_tls(void);

/* From now on only these hosts are called: names, and "*.example.com" for all below one, separated
 * by commas or blanks; "": any. The text stays the caller's. To be set before there is a thread. */
void client_call_hosts(const char *names);

/* Prepares libcurl once. client_call does it if need be. */
void client_begin(void);

/* Always fills the answer. */
void client_call(const struct client_request *request, struct client_answer *answer);
void client_answer_free(struct client_answer *answer);

/* The two headers that sign what is sent to a user's own receiver (see webhook.c): over the body,
 * or over the query if there is none. */
struct client_signature {
    char timestamp[64], value[96];
};
void client_sign(struct client_signature *signature, const char *secret, int64_t now_s,
                 const char *text, size_t length);

/* Whether an address is on the public internet: not loopback, private, link-local, shared (RFC
 * 6598), reserved, multicast, nor one of these inside an IPv6 address. */
bool client_public_address(const struct sockaddr *address);

/* Whether a text is a usable http or https URL of at most 2,000 bytes without user and password;
 * false with a sentence. */
bool client_check_url(const char *url, char *error, size_t size);

#endif
