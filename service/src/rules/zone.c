#include "rules/zone.h"

#include <glib.h>
#include <stdio.h>
#include <string.h>

/* GLib's zones are shared, reference-counted and thread-safe. Ours add the name, and are never
 * freed. */
struct zone {
    GTimeZone *glib;
    char *name;
};

static GMutex lock;
static GHashTable *zones; /* by name; guarded by the lock */

/* GLib accepts more than the database's names: "" and "localtime" are the machine's zone, "UTC+3"
 * and "EST5EDT4,M3..." are rules that people read in opposite ways, and "right/" counts leap
 * seconds. */
static bool may_be_name(const char *name) {
    size_t length = strlen(name);
    if (length == 0 || length > 63 || !g_ascii_isalpha(name[0])) return false;
    for (const char *c = name; *c; c++)
        if (!g_ascii_isalnum(*c) && !strchr("_+-/", *c)) return false;
    if (strcmp(name, "localtime") == 0 || strcmp(name, "posixrules") == 0) return false;
    if (strstr(name, "//") || name[length - 1] == '/') return false;
    return !g_str_has_prefix(name, "right/") && !g_str_has_prefix(name, "posix/");
}

/* Whether the database that GLib uses has a zone of this name. Otherwise GLib would read the name
 * as a rule, and print complaints about files that are no zones. */
static bool is_in_database(const char *name) {
    char magic[4] = "";
    const char *folder = g_getenv("TZDIR");
    char *path = g_build_filename(folder ? folder : "/usr/share/zoneinfo", name, NULL);
    FILE *file = g_file_test(path, G_FILE_TEST_IS_REGULAR) ? fopen(path, "rbe") : NULL;
    g_free(path);
    if (!file) return false;
    bool is = fread(magic, 1, sizeof magic, file) == sizeof magic && memcmp(magic, "TZif", 4) == 0;
    fclose(file);
    return is;
}

static struct zone *load(const char *name) {
    if (strcmp(name, "UTC") != 0 && !is_in_database(name)) return NULL;
    GTimeZone *glib = g_time_zone_new_identifier(name);
    if (!glib) return NULL;
    struct zone *zone = g_new(struct zone, 1);
    zone->glib = glib;
    zone->name = g_strdup(name);
    return zone;
}

const struct zone *zone_find(const char *name) {
    if (!name || !may_be_name(name)) return NULL;
    g_mutex_lock(&lock);
    if (!zones) zones = g_hash_table_new(g_str_hash, g_str_equal);
    struct zone *zone = g_hash_table_lookup(zones, name);
    if (!zone && (zone = load(name))) g_hash_table_insert(zones, zone->name, zone);
    g_mutex_unlock(&lock);
    return zone;
}

const char *zone_name(const struct zone *zone) { return zone->name; }

/* ---- What the clock on the wall says -------------------------------------------------------- */

/* Limits moments to what GLib and the calendar below can count: some ten million years. */
static int64_t within_reach(int64_t epoch_s) {
    const int64_t most = INT64_C(1) << 48;
    return epoch_s > most ? most : epoch_s < -most ? -most : epoch_s;
}

static int interval_at(const struct zone *zone, int64_t epoch_s) {
    return g_time_zone_find_interval(zone->glib, G_TIME_TYPE_UNIVERSAL, within_reach(epoch_s));
}

static int offset_at(const struct zone *zone, int64_t epoch_s) {
    return g_time_zone_get_offset(zone->glib, interval_at(zone, epoch_s));
}

/* Finds the date of a day counted from 1 January 1970. The year is taken to begin in March, so that
 * the leap day comes last; 400 years have 146,097 days. */
static void date_of(int64_t days, struct zone_time *time) {
    days += 719468; /* counted from 1 March of the year 0 */
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day = days - era * 146097;
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    day -= year * 365 + year / 4 - year / 100;
    int64_t month = (5 * day + 2) / 153;
    time->day = (int)(day - (153 * month + 2) / 5 + 1);
    time->month = (int)(month < 10 ? month + 3 : month - 9);
    time->year = (int)(year + era * 400 + (time->month <= 2));
}

struct zone_time zone_time(const struct zone *zone, int64_t epoch_s) {
    struct zone_time time;
    time.offset = offset_at(zone, epoch_s);
    int64_t local = within_reach(epoch_s) + time.offset;
    int64_t days = local >= 0 ? local / 86400 : -((86399 - local) / 86400);
    time.second = (int)(local - days * 86400);
    time.weekday = (int)((days % 7 + 7 + 3) % 7); /* day 0 was a Thursday */
    date_of(days, &time);
    return time;
}

/* The first moment in (epoch_s, limit] that is in another interval; `limit` must be in one. */
static int64_t interval_end(const struct zone *zone, int64_t epoch_s, int64_t limit) {
    int interval = interval_at(zone, epoch_s);
    while (limit - epoch_s > 1) {
        int64_t middle = epoch_s + (limit - epoch_s) / 2;
        if (interval_at(zone, middle) == interval) epoch_s = middle;
        else limit = middle;
    }
    return limit;
}

int64_t zone_next_change(const struct zone *zone, int64_t epoch_s, int64_t limit) {
    int offset = offset_at(zone, epoch_s);
    while (epoch_s < limit && interval_at(zone, epoch_s) != interval_at(zone, limit)) {
        epoch_s = interval_end(zone, epoch_s, limit);
        if (offset_at(zone, epoch_s) != offset) return epoch_s;
    }
    return limit;
}
