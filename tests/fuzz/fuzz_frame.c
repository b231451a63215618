/*
 * Requests of HTTP/1 as the service's engine takes them apart, against a second reading that looks
 * at all bytes at once and knows the grammar as regular expressions; and the same bytes in pieces,
 * which must not matter.
 *
 * The input: a byte for the head's limit, one for the body's, one for how the bytes are cut; then
 * the bytes.
 */
#include "fuzz.h"

#include <regex.h>
#include <strings.h>

#include "http/frame.h"

#define TOKEN "[!#$%&'*+.^_`|~0-9A-Za-z-]+"

enum { CHUNK_LINE = 256 };

struct reading {
    enum frame_result result;
    int status, fields, minor;
    size_t head_length, body_length, used;
    char *body;
    bool keep_alive, expects;
};

/* ---- The second reading -----------------------------------------------------------------------
 */

static regex_t request_line, field_line, host_value, length_value, size_line;

static void compile(regex_t *regex, const char *pattern) {
    if (regcomp(regex, pattern, REG_EXTENDED) != 0) abort();
}

static void compile_all(void) {
    static bool done;
    if (done) return;
    done = true;
    compile(&request_line, "^" TOKEN " /[]!\"$-[\\^-~]* HTTP/([0-9])\\.([0-9])$");
    compile(&field_line, "^(" TOKEN "):[ \t]*(([^\x01-\x08\x0a-\x1f\x7f]*[^\x01- \x7f])?)[ \t]*$");
    compile(&host_value, "^(\\[[0-9A-Za-z.:]+\\]|[0-9A-Za-z._~-]+)(:[0-9]*)?$");
    compile(&length_value, "^[0-9]{1,18}$");
    compile(&size_line, "^([0-9A-Fa-f]+)(;[^\x01-\x08\x0a-\x1f\x7f]*)?$");
}

struct source {
    const char *bytes;
    size_t size, at;
};

enum line { LINE, LINE_WAITS, LINE_BAD, LINE_WITH_NUL, LINE_LONG };

/* The next line of at most `most` bytes, as a text; one with a NUL is bad for every purpose. */
static enum line next_line(struct source *source, size_t most, char **text) {
    size_t there = source->size - source->at, limit = there < most ? there : most, length = 0;
    const char *begin = source->bytes + source->at;
    while (length < limit && begin[length] != '\n') length++;
    if (length == limit) return there < most ? LINE_WAITS : LINE_LONG;
    source->at += length + 1;
    if (length == 0 || begin[length - 1] != '\r') return LINE_BAD;
    *text = strndup(begin, length - 1); /* ends at a NUL, if there is one */
    if (!*text) exit(1);
    if (strlen(*text) == length - 1) return LINE;
    free(*text);
    return LINE_WITH_NUL;
}

static bool says(struct reading *reading, int status) {
    reading->result = FRAME_REFUSED;
    reading->status = status;
    return false;
}

static bool line_failed(struct reading *reading, enum line line, int status_of_long) {
    if (line == LINE_WAITS) {
        reading->result = FRAME_MORE;
        return false;
    }
    return says(reading, line == LINE_LONG ? status_of_long : 400);
}

struct head {
    int hosts, lengths, encodings;
    bool close, keep_alive;
    uint64_t length;
};

static void list_has(char *value, struct head *head) {
    for (char *word; (word = strsep(&value, ","));) {
        word += strspn(word, " \t");
        size_t length = strlen(word);
        while (length > 0 && strchr(" \t", word[length - 1])) length--;
        word[length] = '\0';
        head->close |= strcasecmp(word, "close") == 0;
        head->keep_alive |= strcasecmp(word, "keep-alive") == 0;
    }
}

static bool read_field(struct reading *reading, struct head *head, char *text) {
    regmatch_t parts[3];
    if (regexec(&field_line, text, 3, parts, 0) != 0) return says(reading, 400);
    reading->fields++;
    text[parts[1].rm_eo] = text[parts[2].rm_eo] = '\0';
    const char *name = text + parts[1].rm_so;
    char *value = text + parts[2].rm_so;
    if (strcasecmp(name, "host") == 0)
        return (head->hosts++ == 0 && regexec(&host_value, value, 0, NULL, 0) == 0) ||
               says(reading, 400);
    if (strcasecmp(name, "content-length") == 0) {
        if (head->lengths++ > 0 || regexec(&length_value, value, 0, NULL, 0) != 0)
            return says(reading, 400);
        head->length = strtoull(value, NULL, 10);
    }
    if (strcasecmp(name, "transfer-encoding") == 0) {
        if (head->encodings++ > 0) return says(reading, 400);
        if (strcasecmp(value, "chunked") != 0) return says(reading, 501);
    }
    if (strcasecmp(name, "expect") == 0) {
        if (strcasecmp(value, "100-continue") != 0) return says(reading, 417);
        reading->expects = true;
    }
    if (strcasecmp(name, "connection") == 0) list_has(value, head);
    return true;
}

static bool read_head(struct reading *reading, struct head *head, struct source *source,
                      size_t most) {
    char *text;
    enum line line = next_line(source, most, &text);
    if (line != LINE) return line_failed(reading, line, 431);
    regmatch_t parts[3];
    bool matches = regexec(&request_line, text, 3, parts, 0) == 0;
    int major = matches ? text[parts[1].rm_so] - '0' : 0;
    reading->minor = matches ? text[parts[2].rm_so] - '0' : 0;
    free(text);
    if (!matches) return says(reading, 400);
    if (major != 1 || reading->minor > 1) return says(reading, 505);
    for (;;) {
        line = next_line(source, most - source->at, &text);
        /* That there are too many comes before what they say. */
        if (line == LINE_WITH_NUL && reading->fields == FRAME_FIELDS) return says(reading, 431);
        if (line != LINE) return line_failed(reading, line, 431);
        bool end = *text == '\0', well = true;
        if (!end && reading->fields == FRAME_FIELDS) well = says(reading, 431);
        else if (!end) well = read_field(reading, head, text);
        free(text);
        if (!well) return false;
        if (end) break;
    }
    if (reading->minor == 1 && head->hosts == 0) return says(reading, 400);
    if (head->encodings && (head->lengths || reading->minor == 0)) return says(reading, 400);
    reading->head_length = source->at;
    reading->keep_alive = !head->close && (reading->minor == 1 || head->keep_alive);
    reading->expects &= reading->minor == 1;
    return true;
}

/* What is there of `length` bytes of the body. True when it is all. */
static bool read_part(struct reading *reading, struct source *source, uint64_t length) {
    size_t there = source->size - source->at, taken = there < length ? there : (size_t)length;
    memcpy(reading->body + reading->body_length, source->bytes + source->at, taken);
    reading->body_length += taken;
    source->at += taken;
    reading->result = taken == length ? FRAME_DONE : FRAME_MORE;
    return taken == length;
}

static bool read_size(struct reading *reading, struct source *source, size_t most, uint64_t *size) {
    char *text;
    regmatch_t parts[2];
    enum line line = next_line(source, CHUNK_LINE, &text);
    if (line != LINE) return line_failed(reading, line, 400);
    bool matches = regexec(&size_line, text, 2, parts, 0) == 0 && parts[1].rm_eo <= 15;
    *size = matches ? strtoull(text, NULL, 16) : 0;
    free(text);
    if (!matches) return says(reading, 400);
    return *size <= most - reading->body_length || says(reading, 413);
}

static void read_trailer(struct reading *reading, struct source *source, size_t most) {
    char *text;
    for (size_t begin = source->at;;) {
        enum line line = next_line(source, most - (source->at - begin), &text);
        if (line != LINE) {
            line_failed(reading, line, 431);
            return;
        }
        bool end = *text == '\0', well = end || regexec(&field_line, text, 0, NULL, 0) == 0;
        free(text);
        if (!well) says(reading, 400);
        if (end) reading->result = FRAME_DONE;
        if (end || !well) return;
    }
}

static void read_chunks(struct reading *reading, struct source *source, size_t head_most,
                        size_t body_most) {
    char *text;
    for (uint64_t size;;) {
        if (!read_size(reading, source, body_most, &size)) return;
        if (size == 0) break;
        if (!read_part(reading, source, size)) return;
        enum line line = next_line(source, 2, &text);
        if (line != LINE) {
            line_failed(reading, line, 400);
            return;
        }
        free(text);
    }
    read_trailer(reading, source, head_most);
}

static void read_again(struct reading *reading, const char *bytes, size_t size, size_t head_most,
                       size_t body_most) {
    struct source source = {bytes, size, 0};
    struct head head = {0};
    compile_all();
    *reading = (struct reading){.body = copy_of(bytes, size)}; /* room enough */
    if (!read_head(reading, &head, &source, head_most)) return;
    if (head.length > body_most) says(reading, 413);
    else if (head.encodings) read_chunks(reading, &source, head_most, body_most);
    else read_part(reading, &source, head.length);
    reading->used = source.at;
}

/* ---- Both -------------------------------------------------------------------------------------
 */

struct fed {
    enum frame_result result;
    struct frame frame;
    char *bytes;
    size_t length, given;
};

/* In pieces of `piece` bytes, each in a block without a byte to spare. */
static void feed(struct fed *fed, const char *bytes, size_t size, size_t piece, size_t head_most,
                 size_t body_most) {
    *fed = (struct fed){.bytes = copy_of("", 0)};
    frame_init(&fed->frame, head_most, body_most);
    do {
        size_t more = size - fed->given < piece ? size - fed->given : piece;
        char *grown = calloc(fed->length + more + 1, 1);
        if (!grown) exit(1);
        memcpy(grown, fed->bytes, fed->length);
        memcpy(grown + fed->length, bytes + fed->given, more);
        free(fed->bytes);
        fed->bytes = copy_of(grown, fed->length + more);
        free(grown);
        fed->length += more;
        fed->given += more;
        fed->result = frame_read(&fed->frame, fed->bytes, &fed->length);
    } while (fed->result == FRAME_MORE && fed->given < size);
}

static void check_refusal(const struct fed *fed, const struct reading *reading) {
    REQUIRE(fed->frame.status == reading->status, "%d, not %d: %s", fed->frame.status,
            reading->status, fed->frame.refusal);
    REQUIRE(fed->frame.refusal && *fed->frame.refusal, "%d without a sentence", fed->frame.status);
}

static void check_spans(const struct fed *fed) {
    const struct frame *frame = &fed->frame;
    REQUIRE(fed->bytes[frame->path.at] == '/' &&
                !memchr(fed->bytes + frame->path.at, '?', frame->path.length),
            "%.*s", frame->path.length, fed->bytes + frame->path.at);
    for (int i = 0; i < frame->field_count; i++) {
        const struct frame_field *field = &frame->fields[i];
        REQUIRE(field->name.length > 0 && fed->bytes[field->name.at + field->name.length] == ':',
                "field %d", i);
        REQUIRE((size_t)field->value.at + field->value.length < frame->head_length, "field %d", i);
        REQUIRE(!memchr(fed->bytes + field->value.at, '\n', field->value.length), "field %d", i);
    }
}

static void check(const struct fed *fed, const struct reading *reading, const char *bytes,
                  size_t size) {
    const struct frame *frame = &fed->frame;
    REQUIRE(fed->result == reading->result, "%d (%d), not %d (%d)", (int)fed->result, frame->status,
            (int)reading->result, reading->status);
    if (fed->result == FRAME_REFUSED) {
        check_refusal(fed, reading);
        return;
    }
    if (frame->head_length == 0) return;
    REQUIRE(frame->head_length == reading->head_length, "%zu, not %zu", frame->head_length,
            reading->head_length);
    REQUIRE(frame->field_count == reading->fields && frame->minor == reading->minor, "%d fields",
            frame->field_count);
    REQUIRE(frame->keep_alive == reading->keep_alive && frame->expects_continue == reading->expects,
            "keep_alive %d", frame->keep_alive);
    REQUIRE(frame->body_length == reading->body_length, "%zu, not %zu", frame->body_length,
            reading->body_length);
    REQUIRE(memcmp(fed->bytes + frame->head_length, reading->body, reading->body_length) == 0,
            "another body of %zu bytes", reading->body_length);
    check_spans(fed);
    if (fed->result != FRAME_DONE) return;
    size_t rest = fed->length - frame->head_length - frame->body_length;
    REQUIRE(rest + size - fed->given == size - reading->used &&
                memcmp(fed->bytes + fed->length - rest, bytes + reading->used, rest) == 0,
            "%zu bytes behind it, not %zu", rest, size - reading->used);
}

void fuzz_frame(const uint8_t *data, size_t size) {
    input in = {data, size};
    size_t head_most = 32 + 4 * (size_t)take(&in, 1), body_most = take(&in, 1);
    size_t piece = 1 + (size_t)take(&in, 1);
    char *bytes = copy_of(in.at, in.left);
    struct reading reading;
    struct fed fed;
    read_again(&reading, bytes, in.left, head_most, body_most);
    const size_t pieces[] = {in.left > 0 ? in.left : 1, piece, 1};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        feed(&fed, bytes, in.left, pieces[i], head_most, body_most);
        check(&fed, &reading, bytes, in.left);
        free(fed.bytes);
    }
    free(reading.body);
    free(bytes);
}

FUZZ(fuzz_frame)
