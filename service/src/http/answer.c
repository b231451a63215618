#define _GNU_SOURCE /* gmtime_r, strncasecmp */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "clock.h"
#include "http/engine.h"

const char *http_reason(int status) {
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].status == status) return reasons[i].reason;
    return "Unknown";
}

/* strftime would write the names of days and months in the locale's language. */
static const char *date(struct http_server *server) {
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t now = ds_clock_wall_ns() / 1000000000;
    if (now == server->date_s) return server->date;
    time_t seconds = (time_t)now;
    struct tm day;
    gmtime_r(&seconds, &day);
    snprintf(server->date, sizeof server->date, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
             days + 3 * day.tm_wday, day.tm_mday, months + 3 * day.tm_mon,
             (day.tm_year + 1900) % 10000, day.tm_hour, day.tm_min, day.tm_sec);
    server->date_s = now;
    return server->date;
}

static bool has_line(const char *headers, const char *name) {
    size_t length = strlen(name);
    for (const char *line = headers; line && *line;) {
        if (strncasecmp(line, name, length) == 0 && line[length] == ':') return true;
        line = strchr(line, '\n');
        if (line) line++;
    }
    return false;
}

static void put_security_headers(struct http_server *server, const char *headers) {
    text_put(&server->head, "X-Content-Type-Options: nosniff\r\n"
                            "X-Frame-Options: DENY\r\n"
                            "Referrer-Policy: no-referrer\r\n"
                            "Cross-Origin-Resource-Policy: same-origin\r\n");
    if (!has_line(headers, "Content-Security-Policy"))
        text_put(&server->head, "Content-Security-Policy: default-src 'none'; object-src 'none'; "
                                "base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n");
    if (!has_line(headers, "Cache-Control")) text_put(&server->head, "Cache-Control: no-store\r\n");
    if (server->limits.https)
        text_format(&server->head, "Strict-Transport-Security: max-age=63072000%s\r\n",
                    server->limits.https_below ? "; includeSubDomains" : "");
}

static void put_line(struct text *text, const char *name, const char *value) {
    text_put(text, name);
    text_put(text, ": ");
    text_put(text, value);
    text_put(text, "\r\n");
}

void answer_head(struct http_server *server, int status, const char *type, const char *headers,
                 int64_t body_length, bool close) {
    struct text *head = &server->head;
    text_clear(head);
    text_put(head, "HTTP/1.1 ");
    text_int(head, status);
    text_char(head, ' ');
    text_put(head, http_reason(status));
    text_put(head, "\r\n");
    put_line(head, "Date", date(server));
    if (type) put_line(head, "Content-Type", type);
    if (body_length >= 0) {
        text_put(head, "Content-Length: ");
        text_int(head, body_length);
        text_put(head, "\r\n");
    }
    if (close) put_line(head, "Connection", "close");
    if (headers) text_put(head, headers);
    put_security_headers(server, headers);
    text_put(head, "\r\n");
}

/* An HTTP/1.0 client that asked to keep the connection must be told that it is kept. */
static const char *with_keep_alive(const struct http_request *request, const char *headers,
                                   struct text *both) {
    if (request->frame.minor == 1 || request->connection->close_after) return headers;
    text_put(both, "Connection: keep-alive\r\n");
    if (headers) text_put(both, headers);
    return both->bytes;
}

void http_answer(struct http_request *request, int status, const char *type, const char *headers,
                 const char *body, size_t length) {
    struct http_server *server = request->server;
    struct connection *connection = request->connection;
    if (!connection) {
        request_free(request);
        return;
    }
    if (server->draining) connection->close_after = true;
    bool no_body = status == 204 || status == 304;
    struct text both = TEXT_EMPTY;
    answer_head(server, status, no_body ? NULL : type, with_keep_alive(request, headers, &both),
                no_body ? -1 : (int64_t)length, connection->close_after);
    text_free(&both);
    if (no_body || request->frame.method == HTTP_HEAD) length = 0;
    bool sent = !server->head.failed &&
                connection_send(connection, server->head.bytes, server->head.length, body, length);
    if (server->head.failed) {
        text_free(&server->head);
        connection_close(connection);
    }
    request_free(request); /* not before: `body` may be part of it */
    if (sent) connection_answered(connection);
}

void answer_refusal(struct connection *connection, int status, const char *sentence) {
    struct http_server *server = connection->server;
    request_free(connection->request);
    struct text body = TEXT_EMPTY;
    text_put(&body, "{\"title\":");
    text_json(&body, http_reason(status));
    text_format(&body, ",\"status\":%d,\"detail\":", status);
    text_json(&body, sentence);
    text_put(&body, "}");
    answer_head(server, status, "application/problem+json",
                status == 503 ? "Retry-After: 5\r\n" : NULL, (int64_t)body.length, true);
    connection->close_after = true;
    connection_enter(connection, PHASE_ANSWER);
    /* More bytes of the refused request may be on their way. */
    if (!connection->paused) event_del(&connection->input);
    connection->paused = true;
    if (body.failed || server->head.failed) connection_close(connection);
    else if (connection_send(connection, server->head.bytes, server->head.length, body.bytes,
                             body.length))
        connection_answered(connection);
    text_free(&body);
}

bool http_takes_gzip(const struct http_request *request) {
    const char *accepted = http_header(request, "Accept-Encoding");
    return accepted && strstr(accepted, "gzip") && !strstr(accepted, "gzip;q=0");
}
