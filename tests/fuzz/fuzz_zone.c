/*
 * Zones by any name, and what the clock on their walls says: against the C library's reading of
 * the same database, from 1970 to 2037. The next change of the clock is one, and is the next.
 *
 * The input: a byte, from 0x80 on the number of a known zone; eight bytes of a moment; the name of
 * another zone.
 */
#include "fuzz.h"

#include <time.h>

#include "rules/zone.h"

#define DATABASE "/usr/share/zoneinfo"

enum { LAST_KNOWN_S = 2145916800, A_YEAR = 366 * 86400, LOOKS = 16 };

static const char *const known[] = {
    "UTC",          "Europe/Berlin",       "America/New_York", "Asia/Kolkata",
    "Africa/Cairo", "Australia/Lord_Howe", "Pacific/Apia",     "America/Sao_Paulo",
    "Asia/Tehran",  "Africa/Casablanca",   "Europe/Dublin",    "Antarctica/Troll",
};

static void check_name(const char *name, const struct zone *zone) {
    char path[128];
    REQUIRE(strcmp(zone_name(zone), name) == 0, "%s", name);
    REQUIRE(zone_find(name) == zone, "%s is there twice", name);
    REQUIRE(strlen(name) < 64 && !strstr(name, "..") && name[0] != '/', "%s", name);
    if (strcmp(name, "UTC") == 0) return;
    snprintf(path, sizeof path, DATABASE "/%s", name);
    FILE *file = fopen(path, "rb");
    REQUIRE(file, "%s is not in the database", name);
    fclose(file);
}

/* What the C library says. */
static struct tm clock_of(const char *name, int64_t epoch_s) {
    static char variable[128] = "TZ=";
    char wanted[128];
    snprintf(wanted, sizeof wanted, "TZ=:%s", name);
    if (strcmp(variable, wanted) != 0) {
        strcpy(variable, wanted);
        putenv(variable);
        tzset();
    }
    time_t at = (time_t)epoch_s;
    struct tm tm;
    REQUIRE(localtime_r(&at, &tm), "%lld", (long long)epoch_s);
    return tm;
}

static void check_time(const struct zone *zone, int64_t epoch_s) {
    struct zone_time time = zone_time(zone, epoch_s);
    struct tm tm = clock_of(zone_name(zone), epoch_s);
    REQUIRE(time.offset == tm.tm_gmtoff, "%s at %lld: %d, not %ld", zone_name(zone),
            (long long)epoch_s, time.offset, tm.tm_gmtoff);
    REQUIRE(time.year == tm.tm_year + 1900 && time.month == tm.tm_mon + 1 &&
                time.day == tm.tm_mday && time.weekday == (tm.tm_wday + 6) % 7,
            "%s at %lld: %d-%d-%d", zone_name(zone), (long long)epoch_s, time.year, time.month,
            time.day);
    REQUIRE(time.second == tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec, "%s at %lld: %d",
            zone_name(zone), (long long)epoch_s, time.second);
}

static void check_change(const struct zone *zone, int64_t epoch_s) {
    int64_t limit = epoch_s + A_YEAR, at = zone_next_change(zone, epoch_s, limit);
    int offset = zone_time(zone, epoch_s).offset;
    REQUIRE(at > epoch_s && at <= limit, "%lld", (long long)(at - epoch_s));
    if (at < limit) REQUIRE(zone_time(zone, at).offset != offset, "%lld", (long long)at);
    for (int i = 0; i < LOOKS; i++) {
        int64_t before = epoch_s + (at - 1 - epoch_s) * i / LOOKS;
        REQUIRE(zone_time(zone, before).offset == offset, "%lld", (long long)before);
    }
    REQUIRE(zone_time(zone, at - 1).offset == offset, "%lld", (long long)at);
}

/* Moments of no calendar are read, too. */
static void check_any(const struct zone *zone, int64_t epoch_s) {
    struct zone_time time = zone_time(zone, epoch_s);
    REQUIRE(time.second >= 0 && time.second < 86400, "%d", time.second);
    REQUIRE(time.month >= 1 && time.month <= 12 && time.day >= 1 && time.day <= 31, "%d-%d",
            time.month, time.day);
    REQUIRE(time.weekday >= 0 && time.weekday <= 6, "%d", time.weekday);
}

static void check(const struct zone *zone, int64_t moment) {
    int64_t within = (int64_t)((uint64_t)moment % LAST_KNOWN_S);
    check_any(zone, moment);
    check_time(zone, within);
    check_change(zone, within);
}

void fuzz_zone(const uint8_t *data, size_t size) {
    input in = {data, size};
    size_t number = take(&in, 1);
    int64_t moment = (int64_t)take(&in, 8);
    char *name = calloc(1, in.left + 1);
    if (!name) exit(1);
    if (in.left > 0) memcpy(name, in.at, in.left);
    const struct zone *zone = zone_find(name);
    if (zone) {
        check_name(name, zone);
        check(zone, moment);
    }
    if (number >= 0x80) {
        zone = zone_find(known[(number - 0x80) % (sizeof known / sizeof *known)]);
        REQUIRE(zone, "no database of zones");
        check(zone, moment);
    }
    free(name);
}

FUZZ(fuzz_zone)
