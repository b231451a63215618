/*
 * Moments as people write them, against a second reading by regular expressions and the system's
 * calendar, in UTC; and in a zone whose clocks change, that the wall clock shows what was asked for
 * unless that hour does not exist.
 *
 * The input: a byte of which the lowest bit is `ahead`; then the text.
 */
#include "fuzz.h"

#include <regex.h>
#include <time.h>

#include "api/input.h"
#include "rules/zone.h"

static const int64_t now_s = 1800000000, latest_s = INT64_C(253402300799);

#define CLOCK "([01][0-9]|2[0-3]):([0-5][0-9])(:([0-5][0-9]|60)(\\.[0-9]{1,9})?)?"

static regex_t digits_only, relative, clock_only, date;

static void compile(regex_t *regex, const char *pattern) {
    if (regcomp(regex, pattern, REG_EXTENDED) != 0) abort();
}

static void compile_all(void) {
    static bool done;
    if (done) return;
    done = true;
    compile(&digits_only, "^[0-9]{1,12}$");
    compile(&relative, "^[-+][0-9]{1,9}[smhd]$");
    compile(&clock_only, "^" CLOCK "$");
    compile(&date, "^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ]" CLOCK ")?([Zz]|[-+]" CLOCK ")?$");
}

static bool fits(const regex_t *regex, const char *text) {
    return regexec(regex, text, 0, NULL, 0) == 0;
}

static int64_t clock_second(const char *text) {
    int hour = 0, minute = 0, second = 0;
    sscanf(text, "%2d:%2d:%2d", &hour, &minute, &second);
    return hour * 3600 + minute * 60 + second;
}

static bool read_date(const char *text, int64_t *epoch_s) {
    int year, month, day;
    sscanf(text, "%4d-%2d-%2d", &year, &month, &day);
    struct tm given = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day}, back;
    time_t at = timegm(&given);
    gmtime_r(&at, &back);
    if (year < 1970 || back.tm_mon != month - 1 || back.tm_mday != day) return false;
    *epoch_s = at;
    const char *rest = text + 10;
    if (*rest && strchr("Tt ", *rest)) {
        *epoch_s += clock_second(rest + 1);
        rest += 1 + strcspn(rest + 1, "Zz+-");
    }
    if (*rest != '+' && *rest != '-') return true;
    /* An offset is hours and minutes, and has no seconds. */
    if (strlen(rest) != 6) return false;
    *epoch_s -= (*rest == '-' ? -1 : 1) * clock_second(rest + 1);
    return true;
}

static bool second_reading(const char *text, bool ahead, int64_t *epoch_s) {
    if (strcmp(text, "now") == 0) {
        *epoch_s = now_s;
    } else if (fits(&digits_only, text)) {
        *epoch_s = strtoll(text, NULL, 10);
    } else if (fits(&relative, text)) {
        char unit = text[strlen(text) - 1];
        *epoch_s = now_s + strtoll(text, NULL, 10) * (unit == 's'   ? 1
                                                      : unit == 'm' ? 60
                                                      : unit == 'h' ? 3600
                                                                    : 86400);
    } else if (fits(&clock_only, text)) {
        *epoch_s = now_s - now_s % 86400 + clock_second(text);
        if (ahead && *epoch_s <= now_s) *epoch_s += 86400;
        if (!ahead && *epoch_s > now_s) *epoch_s -= 86400;
    } else if (!fits(&date, text) || !read_date(text, epoch_s)) {
        return false;
    }
    return *epoch_s >= 0 && *epoch_s <= latest_s;
}

/* In Berlin, "10:42" is a moment at which the clock there shows 10:42, of this day or a next one.
 */
static void check_zone(const char *text, bool ahead) {
    int64_t epoch_s;
    const struct zone *zone = zone_find("Europe/Berlin");
    if (!zone || !fits(&clock_only, text)) return;
    REQUIRE(input_time(text, "Europe/Berlin", now_s, ahead, &epoch_s), "%s", text);
    REQUIRE(ahead ? epoch_s > now_s : epoch_s <= now_s, "%s", text);
    REQUIRE(zone_time(zone, epoch_s).second == clock_second(text) % 86400, "%s", text);
}

void fuzz_moment(const uint8_t *data, size_t size) {
    compile_all();
    if (size == 0) return;
    bool ahead = data[0] & 1;
    input in = {data + 1, size - 1};
    input part = take_until(&in, 0);
    char *text = calloc(part.left + 1, 1);
    if (!text) exit(1);
    if (part.left > 0) memcpy(text, part.at, part.left);
    int64_t first = -1, second = -1;
    bool read = input_time(text, "UTC", now_s, ahead, &first);
    bool again = second_reading(text, ahead, &second);
    REQUIRE(read == again, "%s: %d", text, read);
    REQUIRE(!read || first == second, "%s: %lld", text, (long long)(first - now_s));
    REQUIRE(read || first == -1, "%s", text);
    check_zone(text, ahead);
    free(text);
}

FUZZ(fuzz_moment)
