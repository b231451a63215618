/*
 * The pages: files of service/web and the chart library, gzipped and built into the program by
 * service/web/embed.py. On the loop's thread.
 */
#ifndef PAGES_H
#define PAGES_H

#include <stdbool.h>
#include <stddef.h>

#include "http/http.h"

/* One file of the table that embed.py makes. Assets lie in a folder named by a hash of them all, so
 * that browsers may keep them for ever; pages are asked for anew each time. */
struct pages_file {
    const char *path; /* "/assets/3f2a.../app.js", or "app.html" for a page */
    const char *type;
    const unsigned char *gzip;
    size_t gzip_length, length; /* length: when unpacked */
};
extern const struct pages_file pages_files[];
extern const size_t pages_file_count;

/* Answers a GET or HEAD for a page or an asset, and with 404 a browser that asks for a page that
 * there is not. False where the path is for others, and nothing was done. */
bool pages_answer(struct http_request *request);

/* Answers with a page, "missing.html", that is there, and with these headers beside its own. */
void pages_send(struct http_request *request, int status, const char *page, const char *headers);

#endif
