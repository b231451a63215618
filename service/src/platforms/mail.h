/*
 * Sends one e-mail by the operator's SMTP server. Blocks; any thread. It is in platforms/ because
 * libcurl, which only this room uses, also speaks SMTP.
 */
#ifndef MAIL_H
#define MAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mail_server {
    const char *url;      /* "smtps://user@mail.example:465", "smtp://127.0.0.1:25" */
    const char *password; /* of the URL's user; NULL: none */
    const char *from;     /* "dynoscale@shop.example" */
};

struct mail {
    const char *to;      /* one address that mail_check_address accepted */
    const char *subject; /* UTF-8 without control characters */
    const char *body;    /* UTF-8, lines ended by \n */
    const char *id; /* the left part of its Message-ID: repeated tries of a mail have the same */
    int64_t now_s;  /* its Date */
    int64_t deadline_ms; /* from now */
};

/* False with a sentence. A password is only sent over TLS: from the start (smtps) or after
 * STARTTLS. Without a password, STARTTLS is used if the server offers it, whatever its
 * certificate. */
bool mail_send(const struct mail_server *server, const struct mail *mail, char *error, size_t size);

/* "name@host": of printable ASCII without blanks, brackets, quotes and commas, at most 254 bytes.
 * False with a sentence. */
bool mail_check_address(const char *address, char *error, size_t size);

/* "smtp://host" or "smtps://host", with a user and a port where it has them, without a password.
 * False with a sentence. */
bool mail_check_server(const char *url, char *error, size_t size);

#endif
