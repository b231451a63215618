#include "pages.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* Only content of this service, and nothing inline. */
static const char policy[] =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; object-src 'none'; "
    "base-uri 'none'; "
    "frame-ancestors 'none'\r\n";

/* A name in braces matches any part of the path, which the page itself reads. */
static const struct {
    const char *path, *file;
} pages[] = {
    {"/", "apps.html"},
    {"/signin", "signin.html"},
    {"/account", "account.html"},
    {"/people", "people.html"},
    {"/new", "new.html"},
    {"/apps/{app}", "app.html"},
    {"/apps/{app}/start", "start.html"},
    {"/apps/{app}/rules", "rules.html"},
    {"/apps/{app}/why", "why.html"},
    {"/apps/{app}/savings", "savings.html"},
    {"/apps/{app}/settings", "settings.html"},
};

/* Whether the path matches the pattern part by part; braces match anything. */
static bool matches(const char *pattern, const char *path) {
    while (*pattern) {
        if (*pattern == '{') {
            size_t length = strcspn(path, "/");
            if (length == 0) return false;
            path += length;
            pattern = strchr(pattern, '}') + 1;
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    return *path == '\0';
}

static const struct pages_file *file_of(const char *path) {
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++)
        if (matches(pages[i].path, path)) path = pages[i].file;
    for (size_t i = 0; i < pages_file_count; i++)
        if (strcmp(pages_files[i].path, path) == 0) return &pages_files[i];
    return NULL;
}

static char *unpacked(const struct pages_file *file) {
    char *bytes = malloc(file->length + 1);
    z_stream stream = {.next_in = (z_const Bytef *)file->gzip,
                       .avail_in = (uInt)file->gzip_length,
                       .next_out = (Bytef *)bytes,
                       .avail_out = (uInt)file->length};
    if (!bytes || inflateInit2(&stream, MAX_WBITS + 16) != Z_OK) {
        free(bytes);
        return NULL;
    }
    int result = inflate(&stream, Z_FINISH);
    inflateEnd(&stream);
    if (result == Z_STREAM_END) return bytes;
    free(bytes);
    return NULL;
}

/* Whether a browser asks for a page, not a program for the API. */
static bool wants_page(const struct http_request *request, const char *path) {
    const char *accepted = http_header(request, "Accept");
    return accepted && strstr(accepted, "text/html") && strncmp(path, "/api/", 5) != 0;
}

static void send_file(struct http_request *request, int status, const struct pages_file *file,
                      const char *more) {
    struct text headers = TEXT_EMPTY;
    text_put(&headers, more);
    if (file->path[0] != '/') text_put(&headers, policy);
    text_put(&headers, "Vary: Accept-Encoding\r\n");
    if (http_takes_gzip(request)) {
        text_put(&headers, "Content-Encoding: gzip\r\n");
        http_answer(request, status, file->type, headers.bytes, (const char *)file->gzip,
                    file->gzip_length);
    } else {
        char *bytes = unpacked(file);
        if (bytes) http_answer(request, status, file->type, headers.bytes, bytes, file->length);
        else http_answer(request, 503, "text/plain", NULL, "no memory is left\n", 18);
        free(bytes);
    }
    text_free(&headers);
}

void pages_send(struct http_request *request, int status, const char *page, const char *headers) {
    send_file(request, status, file_of(page), headers);
}

bool pages_answer(struct http_request *request) {
    enum http_method method = http_method(request);
    const char *path = http_path(request);
    int status = 200;
    if (method != HTTP_GET && method != HTTP_HEAD) return false;
    const struct pages_file *file = *path == '/' ? file_of(path) : NULL;
    if (!file && wants_page(request, path)) {
        file = file_of("missing.html");
        status = 404;
    }
    if (!file) return false;
    bool asset = file->path[0] == '/';
    send_file(request, status, file,
              asset ? "Cache-Control: public, max-age=31536000, immutable\r\n"
                    : "Cache-Control: no-cache\r\n");
    return true;
}
