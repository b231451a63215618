#define _GNU_SOURCE              /* gmtime_r under -std=c11 */
#define CURL_DISABLE_DEPRECATION /* an older name of an option is used with older libraries */
#include "platforms/mail.h"

#include <curl/curl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "platforms/client.h"
#include "text.h"

enum {
    LONGEST_ADDRESS = 254,
    WORD_BYTES =
        42, /* UTF-8 bytes in an encoded word, which has at most 75 characters (RFC 2047) */
    LINE_BYTES = 57, /* bytes of a body in a line of base64 */
};

/* ---- What is let in -------------------------------------------------------------------------- */

bool mail_check_address(const char *address, char *error, size_t size) {
    const char *at = strchr(address, '@');
    bool good = at && at != address && at[1] && !strchr(at + 1, '@') && at[1] != '.' &&
                strlen(address) <= LONGEST_ADDRESS;
    for (const char *c = address; *c && good; c++)
        good = *c > ' ' && *c < 0x7F && !strchr("<>()[],;:\\\"", *c);
    if (!good) snprintf(error, size, "must be one e-mail address, such as ops@shop.example");
    return good;
}

bool mail_check_server(const char *url, char *error, size_t size) {
    bool plain = strncmp(url, "smtp://", 7) == 0, tls = strncmp(url, "smtps://", 8) == 0;
    const char *rest = url + (tls ? 8 : 7), *at = plain || tls ? strrchr(rest, '@') : NULL;
    bool good = (plain || tls) && *rest && rest[strcspn(rest, "/?# ")] == '\0';
    if (good && at) good = at != rest && at[1] && !memchr(rest, ':', (size_t)(at - rest));
    if (!good)
        snprintf(error, size,
                 "it must be like smtps://user@mail.example or smtp://mail.example:587, without a "
                 "password, which is read from DYNOSCALED_SMTP_PASSWORD");
    return good;
}

/* ---- The message ----------------------------------------------------------------------------- */

static void put_base64(struct text *text, const char *bytes, size_t length) {
    char encoded[sodium_base64_ENCODED_LEN(LINE_BYTES, sodium_base64_VARIANT_ORIGINAL)];
    sodium_bin2base64(encoded, sizeof encoded, (const unsigned char *)bytes, length,
                      sodium_base64_VARIANT_ORIGINAL);
    text_put(text, encoded);
}

/* Writes encoded words of whole characters, folded. */
static void put_subject(struct text *text, const char *subject) {
    size_t left = strlen(subject);
    text_put(text, "Subject:");
    while (left > 0) {
        size_t length = 0, next;
        while (length < left && (next = text_character(subject + length, left - length)) > 0 &&
               length + next <= WORD_BYTES)
            length += next;
        if (length == 0) break; /* not UTF-8 */
        text_put(text, " =?UTF-8?B?");
        put_base64(text, subject, length);
        text_put(text, left > length ? "?=\r\n" : "?=");
        subject += length;
        left -= length;
    }
    text_put(text, "\r\n");
}

static void put_date(struct text *text, int64_t now_s) {
    static const char days[] = "SunMonTueWedThuFriSat",
                      months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t seconds = (time_t)now_s;
    struct tm at;
    if (!gmtime_r(&seconds, &at)) return;
    text_format(text, "Date: %.3s, %d %.3s %d %02d:%02d:%02d +0000\r\n", days + 3 * at.tm_wday,
                at.tm_mday, months + 3 * at.tm_mon, at.tm_year + 1900, at.tm_hour, at.tm_min,
                at.tm_sec);
}

static void put_body(struct text *text, const char *body) {
    struct text lines = TEXT_EMPTY; /* lines end with CRLF in a mail */
    for (const char *c = body; *c; c++) {
        if (*c == '\n') text_char(&lines, '\r');
        text_char(&lines, *c);
    }
    for (size_t at = 0; at < lines.length; at += LINE_BYTES) {
        size_t left = lines.length - at;
        put_base64(text, lines.bytes + at, left < LINE_BYTES ? left : LINE_BYTES);
        text_put(text, "\r\n");
    }
    text->failed |= lines.failed;
    text_free(&lines);
}

static void put_mail(struct text *text, const struct mail_server *server, const struct mail *mail) {
    const char *host = strchr(server->from, '@');
    put_date(text, mail->now_s);
    text_format(text, "From: Dynoscale <%s>\r\nTo: <%s>\r\n", server->from, mail->to);
    put_subject(text, mail->subject);
    text_format(text, "Message-ID: <%s%s>\r\n", mail->id, host ? host : "@dynoscale");
    text_put(text, "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
                   "Content-Type: text/plain; charset=utf-8\r\n"
                   "Content-Transfer-Encoding: base64\r\n\r\n");
    put_body(text, mail->body);
}

/* ---- Sending it ------------------------------------------------------------------------------ */

struct rest {
    const char *at;
    size_t left;
};

static size_t give(char *to, size_t size, size_t count, void *context) {
    struct rest *rest = context;
    size_t length = size * count < rest->left ? size * count : rest->left;
    memcpy(to, rest->at, length);
    rest->at += length;
    rest->left -= length;
    return length;
}

static void set_options(CURL *easy, const struct mail_server *server, const struct mail *mail,
                        struct curl_slist *to, struct rest *rest, char *trouble) {
    char from[LONGEST_ADDRESS + 3];
    snprintf(from, sizeof from, "<%s>", server->from);
    curl_easy_setopt(easy, CURLOPT_URL, server->url);
    if (server->password) curl_easy_setopt(easy, CURLOPT_PASSWORD, server->password);
    curl_easy_setopt(easy, CURLOPT_USE_SSL,
                     server->password || client_insists_on_tls() ? (long)CURLUSESSL_ALL
                                                                 : (long)CURLUSESSL_TRY);
    if (!server->password && !client_insists_on_tls() && strncmp(server->url, "smtp:", 5) == 0) {
        /* Like mail servers among each other: TLS with any certificate is better than none. */
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    curl_easy_setopt(easy, CURLOPT_MAIL_FROM, from);
    curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, to);
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, give);
    curl_easy_setopt(easy, CURLOPT_READDATA, rest);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)mail->deadline_ms);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, trouble);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
#else
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_SMTP | CURLPROTO_SMTPS));
#endif
}

static bool perform(const struct mail_server *server, const struct mail *mail, struct rest *rest,
                    char *error, size_t size) {
    char to[LONGEST_ADDRESS + 3], trouble[CURL_ERROR_SIZE] = "";
    CURLcode code = CURLE_OUT_OF_MEMORY;
    client_begin();
    snprintf(to, sizeof to, "<%s>", mail->to);
    CURL *easy = curl_easy_init();
    struct curl_slist *list = curl_slist_append(NULL, to);
    if (easy && list) {
        set_options(easy, server, mail, list, rest, trouble);
        code = curl_easy_perform(easy);
    }
    curl_slist_free_all(list);
    curl_easy_cleanup(easy);
    if (code == CURLE_OPERATION_TIMEDOUT)
        snprintf(error, size, "the mail server did not answer within %lld ms",
                 (long long)mail->deadline_ms);
    else if (code != CURLE_OK)
        snprintf(error, size, "the mail server: %.180s",
                 *trouble ? trouble : curl_easy_strerror(code));
    return code == CURLE_OK;
}

bool mail_send(const struct mail_server *server, const struct mail *mail, char *error,
               size_t size) {
    struct text text = TEXT_EMPTY;
    put_mail(&text, server, mail);
    struct rest rest = {text.bytes, text.length};
    bool sent = false;
    if (text.failed) snprintf(error, size, "there is no memory for the mail");
    else sent = perform(server, mail, &rest, error, size);
    text_free(&text);
    return sent;
}
