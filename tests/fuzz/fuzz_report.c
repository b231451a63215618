/*
 * Whole reports: headers and a body. The samples of its parts are those that a second, slow way
 * through the same rows finds. Lines: a byte of which headers there are, each of these; the body.
 */
#include "fuzz.h"

#include "ingest/report.h"
#include "ingest/rows.h"

#define NOW_S 1700000000

enum { HEADERS = 4 };

static const char *read_header(input *in, bool there) {
    if (!there) return NULL;
    input line = take_until(in, '\n');
    char *text = copy_of("", 0);
    text = realloc(text, line.left + 1);
    if (!text) exit(1);
    size_t length = 0;
    /* No header has a NUL. */
    for (size_t i = 0; i < line.left; i++)
        if (line.at[i]) text[length++] = (char)line.at[i];
    text[length] = '\0';
    return text;
}

/* The second of sending, by the text: digits, with or without "t=". 0: not known. */
static int64_t sent_at(const char *start) {
    if (!start) return 0;
    start += strspn(start, " ");
    if ((start[0] == 't' || start[0] == 'T') && start[1] == '=') start += 2;
    size_t digits = strspn(start, "0123456789");
    if (digits > 19) digits = 19;
    char number[20] = "";
    memcpy(number, start, digits);
    unsigned long long value = strtoull(number, NULL, 10);
    if (value > INT64_MAX) return 0;
    const unsigned long long units[] = {1000000000, 1000000, 1000, 1};
    for (int i = 0; i < 4; i++)
        if (value / units[i] >= 946684800) return (int64_t)(value / units[i]);
    return 0;
}

/* Looks for a sample and takes it out of its part. */
static bool take_out(struct report *report, const struct rows *row, int64_t second,
                     uint32_t value) {
    for (int i = 0; i < report->series_count; i++) {
        struct report_series *series = &report->series[i];
        if (series->signal != row->signal || series->source_length != row->source_length ||
            memcmp(series->source, row->source, row->source_length) != 0)
            continue;
        for (int j = 0; j < series->part_count; j++) {
            struct part *part = &series->parts[j];
            if (second < part->start_s || second >= part->start_s + PART_SECONDS) continue;
            uint32_t wanted =
                (uint32_t)(second - part->start_s) << 26 | (uint32_t)sketch_bin(value) << 16 | 1;
            for (uint32_t k = 0; k < part->length; k++) {
                if (part->entries[k] != wanted) continue;
                part->entries[k] = part->entries[--part->length];
                part->sum -= value;
                return true;
            }
        }
    }
    return false;
}

static void read_again(struct report *report, const char *body, size_t length,
                       const struct report_head *head) {
    bool ruby = head->user_agent && (strncmp(head->user_agent, "dynoscale-ruby;1.", 17) == 0 ||
                                     strncmp(head->user_agent, "dynoscale-ruby;0.", 17) == 0);
    bool python = head->user_agent && (strncmp(head->user_agent, "dynoscale-python;1.", 19) == 0 ||
                                       strncmp(head->user_agent, "dynoscale-python;0.", 19) == 0);
    int64_t sent_s = sent_at(head->request_start), off_s = sent_s ? NOW_S - sent_s : 0;
    if (off_s >= -2 && off_s <= 2) off_s = 0;
    struct rows rows;
    uint64_t counted = 0, refused = 0;
    rows_begin(&rows, body, length, ruby || python ? ROWS_OLD : ROWS_STRICT);
    for (enum rows_result result; (result = rows_next(&rows)) != ROWS_END;) {
        REQUIRE(result != ROWS_MALFORMED, "%s", rows.sentence);
        int64_t second = rows.second + off_s;
        uint64_t value = rows.metric;
        bool web = rows.source_length == 3 && memcmp(rows.source, "web", 3) == 0;
        if (ruby && web && rows.signal == SIGNAL_WAIT) value *= 1000;
        bool good = result == ROWS_ROW && second >= NOW_S - 900 && second <= NOW_S + 900 &&
                    !(ruby && web && rows.signal == SIGNAL_WAIT && value > 600000);
        counted += good;
        refused += !good;
        if (good)
            REQUIRE(take_out(report, &rows, second, (uint32_t)value), "row %d is missing",
                    rows.number);
    }
    REQUIRE(report->rows == counted && report->rows_refused == refused, "%llu and %llu",
            (unsigned long long)counted, (unsigned long long)refused);
    for (int i = 0; i < report->series_count; i++)
        for (int j = 0; j < report->series[i].part_count; j++)
            REQUIRE(report->series[i].parts[j].length == 0 && report->series[i].parts[j].sum == 0,
                    "a sample that no row has");
}

void fuzz_report(const uint8_t *data, size_t size) {
    input in = {data, size};
    uint64_t there = take(&in, 1);
    const char *headers[HEADERS];
    for (int i = 0; i < HEADERS; i++) headers[i] = read_header(&in, there >> i & 1);
    struct report_head head = {headers[0], headers[1], headers[2], headers[3]};
    char *body = copy_of(in.at, in.left), sentence[REPORT_SENTENCE_SIZE] = "";
    struct report report;
    switch (report_read(&report, &head, body, in.left, NOW_S, sentence)) {
    case REPORT_ROWS:
        REQUIRE(in.left > 0, "rows without a body");
        REQUIRE(report_bytes(&report) >= sizeof report, "bytes");
        if (report.series_count < REPORT_SERIES) read_again(&report, body, in.left, &head);
        break;
    case REPORT_HEARTBEAT:
        REQUIRE(in.left == 0 && head.key, "a heartbeat");
        break;
    case REPORT_EMPTY:
        REQUIRE(in.left == 0 && !head.key, "an empty body");
        break;
    case REPORT_MALFORMED:
        REQUIRE(strlen(sentence) > 10, "a sentence");
        break;
    case REPORT_NO_MEMORY:
        exit(1);
    }
    report_free(&report);
    free(body);
    for (int i = 0; i < HEADERS; i++) free((char *)headers[i]);
}

FUZZ(fuzz_report)
