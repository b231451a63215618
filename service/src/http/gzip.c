#include "http/gzip.h"

#include <stdlib.h>
#include <zlib.h>

enum {
    GZIP_ONLY = 16, /* added to windowBits: accepts gzip only */
    LEVEL = 4,      /* a chart's JSON gets nearly as small as with 6, in half the time */
    MEMORY = 8,
};

struct output {
    char *bytes;
    size_t length, room, most;
};

/* Has one byte more than allowed, to tell a body of exactly `most` from a larger one. */
static bool grow(struct output *output) {
    size_t room = output->room ? output->room * 2 : 4096;
    if (room > output->most + 1) room = output->most + 1;
    char *bytes = realloc(output->bytes, room + 1); /* and a NUL */
    if (!bytes) return false;
    output->bytes = bytes;
    output->room = room;
    return true;
}

static enum gzip_result inflate_all(z_stream *stream, struct output *output) {
    for (;;) {
        if (output->length == output->room && !grow(output)) return GZIP_NO_MEMORY;
        stream->next_out = (Bytef *)output->bytes + output->length;
        stream->avail_out = (uInt)(output->room - output->length);
        int result = inflate(stream, Z_NO_FLUSH);
        output->length = output->room - stream->avail_out;
        if (result == Z_MEM_ERROR) return GZIP_NO_MEMORY;
        if (output->length > output->most) return GZIP_TOO_LARGE;
        if (result == Z_STREAM_END) {
            if (stream->avail_in == 0) return GZIP_OK;
            if (inflateReset(stream) != Z_OK) return GZIP_DAMAGED;
        } else if (result != Z_OK || (stream->avail_in == 0 && stream->avail_out > 0)) {
            return GZIP_DAMAGED; /* also a body that ends too early */
        }
    }
}

enum gzip_result gzip_undo(const char *bytes, size_t length, size_t most, char **plain,
                           size_t *plain_length) {
    z_stream stream = {.next_in = (Bytef *)bytes, .avail_in = (uInt)length};
    if (inflateInit2(&stream, MAX_WBITS + GZIP_ONLY) != Z_OK) return GZIP_NO_MEMORY;
    struct output output = {.most = most};
    enum gzip_result result = inflate_all(&stream, &output);
    inflateEnd(&stream);
    if (result != GZIP_OK) {
        free(output.bytes);
        return result;
    }
    output.bytes[output.length] = '\0';
    *plain = output.bytes;
    *plain_length = output.length;
    return GZIP_OK;
}

bool gzip_make(const char *bytes, size_t length, char **packed, size_t *packed_length) {
    z_stream stream = {.next_in = (Bytef *)bytes, .avail_in = (uInt)length};
    if (deflateInit2(&stream, LEVEL, Z_DEFLATED, MAX_WBITS + GZIP_ONLY, MEMORY,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    size_t room = deflateBound(&stream, length);
    *packed = malloc(room);
    stream.next_out = (Bytef *)*packed;
    stream.avail_out = (uInt)room;
    bool done = *packed && deflate(&stream, Z_FINISH) == Z_STREAM_END;
    *packed_length = room - stream.avail_out;
    deflateEnd(&stream);
    if (done) return true;
    free(*packed);
    *packed = NULL;
    return false;
}
