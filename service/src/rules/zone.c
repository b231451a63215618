/*
 * Reads the system's database of time zones: TZif files (RFC 9636). A file lists the moments at
 * which a zone's clock changed and will change, and ends with a rule for all that come after.
 */
#define _GNU_SOURCE /* a whole POSIX under -std=c11, O_CLOEXEC */
#include "rules/zone.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_SIZE = 64, LARGEST = 64 << 10, TYPES = 256, DAY_S = 86400, MOST_OFFSET_S = 26 * 3600 };

/* A day of each year, and a second of it, at which summer time begins or ends. */
struct yearly {
    enum { JULIAN, DAY, WEEKDAY } kind; /* day 1 to 365, never 29 February; 0 to 365; as below */
    int month, week, day;               /* WEEKDAY: 5 is the last one of the month; 0: Sunday */
    int second;
};

/* What the clock says of all that comes after the list. */
struct rule_after {
    bool there, has_summer;
    int offset, summer_offset;
    struct yearly begin, end;
};

/* What a file said. Never changed: one that is replaced is kept, since others may be reading it. */
struct table {
    struct table *older;
    dev_t device;
    ino_t inode;
    struct timespec changed;
    struct rule_after after;
    int first_offset; /* before the list */
    int count;
    struct {
        int64_t at_s;
        int offset; /* from then on */
    } list[];
};

struct zone {
    struct zone *next;
    _Atomic(struct table *) table;
    char name[NAME_SIZE];
};

/* There without a database, and whatever fails. */
static struct table utc_table;
static struct zone utc = {.table = &utc_table, .name = "UTC"};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(struct zone *) zones = &utc; /* added to under the lock */

/* ---- The rule after the list ----------------------------------------------------------------- */

/* 0 to `most`; -1. */
static int read_number(const char **at, int most) {
    int number = 0, digits = 0;
    for (; **at >= '0' && **at <= '9' && digits < 4; ++*at, digits++)
        number = number * 10 + (**at - '0');
    return digits > 0 && number <= most ? number : -1;
}

static bool read_designation(const char **at) {
    bool quoted = **at == '<';
    const char *from = *at += quoted;
    while ((**at >= 'A' && **at <= 'Z') || (**at >= 'a' && **at <= 'z') ||
           (quoted && **at && strchr("+-0123456789", **at)))
        ++*at;
    if (*at - from < 3) return false;
    if (!quoted) return true;
    return *(*at)++ == '>';
}

/* "[+-]HH[:MM[:SS]]". */
static bool read_time(const char **at, int most_hours, int *seconds) {
    int sign = **at == '-' ? -1 : 1, part = 0, unit = 3600;
    if (**at == '-' || **at == '+') ++*at;
    *seconds = 0;
    for (int i = 0; i < 3; i++, unit /= 60) {
        if (i > 0 && **at != ':') break;
        if (i > 0) ++*at;
        if ((part = read_number(at, i == 0 ? most_hours : 59)) < 0) return false;
        *seconds += sign * part * unit;
    }
    return true;
}

static bool take(const char **at, char wanted) {
    if (**at != wanted) return false;
    ++*at;
    return true;
}

/* ",M10.5.0/3", ",J60", ",59". */
static bool read_yearly(const char **at, struct yearly *yearly) {
    if (!take(at, ',')) return false;
    yearly->kind = take(at, 'M') ? WEEKDAY : take(at, 'J') ? JULIAN : DAY;
    if (yearly->kind == WEEKDAY) {
        yearly->month = read_number(at, 12);
        if (!take(at, '.')) return false;
        yearly->week = read_number(at, 5);
        if (!take(at, '.')) return false;
        yearly->day = read_number(at, 6);
        if (yearly->month < 1 || yearly->week < 1) return false;
    } else {
        yearly->day = read_number(at, 365);
        if (yearly->kind == JULIAN && yearly->day < 1) return false;
    }
    yearly->second = 2 * 3600;
    return yearly->day >= 0 && (!take(at, '/') || read_time(at, 167, &yearly->second));
}

/* As POSIX writes it in TZ: "CET-1CEST,M3.5.0,M10.5.0/3"; its offsets are west of UTC. */
static bool read_after(const char *at, struct rule_after *after) {
    *after = (struct rule_after){.there = true};
    if (!read_designation(&at) || !read_time(&at, 24, &after->offset)) return false;
    after->offset = -after->offset;
    if (!*at) return true;
    after->has_summer = true;
    after->summer_offset = after->offset + 3600;
    if (!read_designation(&at)) return false;
    if (*at != ',') {
        if (!read_time(&at, 24, &after->summer_offset)) return false;
        after->summer_offset = -after->summer_offset;
    }
    return read_yearly(&at, &after->begin) && read_yearly(&at, &after->end) && !*at;
}

/* ---- The file -------------------------------------------------------------------------------- */

struct file {
    unsigned char *bytes;
    size_t length;
    struct stat found;
};

/* Each of the three with a block, in the order of the header. */
struct counts {
    size_t is_utc, is_standard, leaps, times, types, letters;
};

static int64_t big_endian(const unsigned char *bytes, int size) {
    uint64_t number = bytes[0] & 0x80 ? UINT64_MAX : 0;
    for (int i = 0; i < size; i++) number = number << 8 | bytes[i];
    return (int64_t)number;
}

static size_t block_size(const struct counts *counts, size_t time_size) {
    return counts->times * (time_size + 1) + counts->types * 6 + counts->letters +
           counts->leaps * (time_size + 4) + counts->is_standard + counts->is_utc;
}

enum { HEADER = 44 };

/* The header at `at`, whose block is in the file, too. */
static bool read_header(const struct file *file, size_t at, size_t time_size,
                        struct counts *counts) {
    if (file->length < at + HEADER || memcmp(file->bytes + at, "TZif", 4) != 0) return false;
    size_t *const all[] = {&counts->is_utc, &counts->is_standard, &counts->leaps,
                           &counts->times,  &counts->types,       &counts->letters};
    for (int i = 0; i < 6; i++) {
        int64_t count = big_endian(file->bytes + at + 20 + 4 * i, 4);
        if (count < 0 || count > LARGEST) return false;
        *all[i] = (size_t)count;
    }
    /* Of "right/": it counts seconds that no other clock counts. */
    if (counts->leaps > 0 || counts->types < 1 || counts->types > TYPES) return false;
    return block_size(counts, time_size) <= file->length - at - HEADER;
}

static bool read_offsets(const unsigned char *at, size_t count, int *offsets) {
    for (size_t i = 0; i < count; i++, at += 6) {
        int64_t offset = big_endian(at, 4);
        if (offset < -MOST_OFFSET_S || offset > MOST_OFFSET_S) return false;
        offsets[i] = (int)offset;
    }
    return true;
}

static bool fill(struct table *table, const unsigned char *times, size_t time_size,
                 const struct counts *counts) {
    int offsets[TYPES];
    const unsigned char *types = times + counts->times * time_size;
    if (!read_offsets(types + counts->times, counts->types, offsets)) return false;
    table->first_offset = offsets[0];
    for (size_t i = 0; i < counts->times; i++) {
        if (types[i] >= counts->types) return false;
        table->list[i].at_s = big_endian(times + i * time_size, (int)time_size);
        table->list[i].offset = offsets[types[i]];
        if (i > 0 && table->list[i].at_s <= table->list[i - 1].at_s) return false;
    }
    table->count = (int)counts->times;
    return true;
}

/* "\nRULE\n" behind the second block. An empty one: nothing is known of what comes after. */
static bool read_end(const struct file *file, size_t at, struct rule_after *after) {
    char rule[200];
    const unsigned char *text = file->bytes + at, *end;
    size_t left = file->length - at;
    if (left < 2 || text[0] != '\n' || !(end = memchr(text + 1, '\n', left - 1))) return false;
    size_t length = (size_t)(end - text) - 1;
    if (length >= sizeof rule || memchr(text + 1, '\0', length)) return false;
    memcpy(rule, text + 1, length);
    rule[length] = '\0';
    return length == 0 || read_after(rule, after);
}

/* NULL: it is no file of a zone (ENOENT), or there is no memory (ENOMEM). */
static struct table *read_table(const struct file *file) {
    struct counts counts;
    size_t at = 0, time_size = 4;
    errno = ENOENT;
    if (!read_header(file, 0, 4, &counts)) return NULL;
    if (file->bytes[4] >= '2') { /* what follows is the same in 64 bits */
        at = HEADER + block_size(&counts, 4);
        time_size = 8;
        if (!read_header(file, at, 8, &counts)) return NULL;
    }
    struct table *table = calloc(1, sizeof *table + counts.times * sizeof table->list[0]);
    if (!table) return NULL; /* with ENOMEM */
    table->device = file->found.st_dev;
    table->inode = file->found.st_ino;
    table->changed = file->found.st_mtim;
    if (fill(table, file->bytes + at + HEADER, time_size, &counts) &&
        (time_size == 4 || read_end(file, at + HEADER + block_size(&counts, 8), &table->after)))
        return table;
    free(table);
    errno = ENOENT;
    return NULL;
}

static bool read_bytes(int fd, struct file *file) {
    while (file->length < (size_t)file->found.st_size) {
        ssize_t count =
            read(fd, file->bytes + file->length, (size_t)file->found.st_size - file->length);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return false;
        if (count == 0) break; /* it was cut meanwhile */
        file->length += (size_t)count;
    }
    return true;
}

static void write_path(char *path, size_t size, const char *name) {
    const char *folder = getenv("TZDIR");
    snprintf(path, size, "%s/%s", folder ? folder : "/usr/share/zoneinfo", name);
}

/* NULL with errno: ENOENT where the database has no such zone, else what kept it from being read.
 */
static struct table *load(const char *name) {
    char path[4096];
    struct file file = {0};
    struct table *table = NULL;
    write_path(path, sizeof path, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        if (errno == ENOTDIR || errno == ENAMETOOLONG) errno = ENOENT;
        return NULL;
    }
    bool whole = fstat(fd, &file.found) == 0;
    if (whole && (!S_ISREG(file.found.st_mode) || file.found.st_size > LARGEST)) {
        errno = ENOENT;
        whole = false;
    }
    if (whole) file.bytes = malloc((size_t)file.found.st_size + 1);
    if (file.bytes && read_bytes(fd, &file)) table = read_table(&file);
    int error = errno;
    free(file.bytes);
    close(fd);
    errno = error;
    return table;
}

/* ---- Names ----------------------------------------------------------------------------------- */

/* Letters, digits and few others. "localtime" is the machine's own zone, "posixrules" a relic, and
 * "right/" counts leap seconds. */
static bool may_be_name(const char *name) {
    size_t length = strlen(name);
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    static const char others[] = "0123456789_+-/";
    if (length == 0 || length >= NAME_SIZE || !strchr(letters, name[0])) return false;
    for (const char *c = name; *c; c++)
        if (!strchr(letters, *c) && !strchr(others, *c)) return false;
    if (strcmp(name, "localtime") == 0 || strcmp(name, "posixrules") == 0) return false;
    if (strstr(name, "//") || name[length - 1] == '/') return false;
    return strncmp(name, "right/", 6) != 0 && strncmp(name, "posix/", 6) != 0;
}

static struct zone *known(const char *name) {
    struct zone *zone = atomic_load(&zones);
    while (zone && strcmp(zone->name, name) != 0) zone = zone->next;
    return zone;
}

static struct zone *add(const char *name) {
    struct table *table = load(name);
    if (!table) return NULL;
    struct zone *zone = calloc(1, sizeof *zone);
    if (!zone) {
        free(table);
        errno = ENOMEM;
        return NULL;
    }
    strcpy(zone->name, name);
    zone->next = atomic_load(&zones);
    atomic_store(&zone->table, table);
    atomic_store(&zones, zone);
    return zone;
}

const struct zone *zone_find(const char *name) {
    errno = ENOENT;
    if (!name || !may_be_name(name)) return NULL;
    struct zone *zone = known(name);
    if (zone) return zone;
    pthread_mutex_lock(&lock);
    zone = known(name);
    if (!zone) zone = add(name);
    pthread_mutex_unlock(&lock);
    return zone;
}

const char *zone_name(const struct zone *zone) { return zone->name; }

static bool was_replaced(const struct zone *zone, const struct table *table) {
    char path[4096];
    struct stat found;
    write_path(path, sizeof path, zone->name);
    return stat(path, &found) == 0 &&
           (found.st_dev != table->device || found.st_ino != table->inode ||
            found.st_mtim.tv_sec != table->changed.tv_sec ||
            found.st_mtim.tv_nsec != table->changed.tv_nsec);
}

void zone_follow_database(void) {
    pthread_mutex_lock(&lock);
    for (struct zone *zone = atomic_load(&zones); zone; zone = zone->next) {
        struct table *table = atomic_load(&zone->table), *fresh;
        if (zone == &utc || !was_replaced(zone, table)) continue;
        if (!(fresh = load(zone->name))) continue; /* what is known stays */
        fresh->older = table;
        atomic_store(&zone->table, fresh);
    }
    pthread_mutex_unlock(&lock);
}

/* ---- What the clock on the wall says -------------------------------------------------------- */

/* Moments that the calendar below can count: some ten million years. */
static int64_t within_reach(int64_t epoch_s) {
    const int64_t most = INT64_C(1) << 48;
    return epoch_s > most ? most : epoch_s < -most ? -most : epoch_s;
}

static int64_t days_of(int64_t seconds) {
    return seconds >= 0 ? seconds / DAY_S : -((DAY_S - 1 - seconds) / DAY_S);
}

/* The date of a day counted from 1 January 1970. The year is taken to begin in March, so that the
 * leap day is its last; 400 years have 146,097 days. */
static void date_of(int64_t days, struct zone_time *time) {
    days += 719468; /* from 1 March of the year 0 */
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day = days - era * 146097;
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    day -= year * 365 + year / 4 - year / 100;
    int64_t month = (5 * day + 2) / 153;
    time->day = (int)(day - (153 * month + 2) / 5 + 1);
    time->month = (int)(month < 10 ? month + 3 : month - 9);
    time->year = (int)(year + era * 400 + (time->month <= 2));
}

/* The first day of a month, counted as above. */
static int64_t first_of(int64_t year, int month) {
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400, of_era = year - era * 400;
    int64_t day = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + day - 719468;
}

static bool is_leap(int64_t year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

/* The second of it by the clock on the wall, counted from 1970. */
static int64_t yearly_in(const struct yearly *yearly, int64_t year) {
    int64_t day;
    if (yearly->kind == WEEKDAY) {
        day = first_of(year, yearly->month);
        int64_t next =
            yearly->month < 12 ? first_of(year, yearly->month + 1) : first_of(year + 1, 1);
        int64_t first = ((day + 4) % 7 + 7) % 7; /* the day 0 was a Thursday, and Sunday is 0 */
        day += (yearly->day - first + 7) % 7 + 7 * (yearly->week - 1);
        if (day >= next) day -= 7;
    } else {
        day = first_of(year, 1) + yearly->day;
        if (yearly->kind == JULIAN && !(is_leap(year) && yearly->day > 59)) day--;
    }
    return day * DAY_S + yearly->second;
}

static int64_t summer_begins(const struct rule_after *after, int64_t year) {
    return yearly_in(&after->begin, year) - after->offset;
}

static int64_t summer_ends(const struct rule_after *after, int64_t year) {
    return yearly_in(&after->end, year) - after->summer_offset;
}

static int64_t year_of(int64_t local_s) {
    struct zone_time time;
    date_of(days_of(local_s), &time);
    return time.year;
}

/* In the south summer is what is not between its end and its begin. */
static int offset_after(const struct rule_after *after, int64_t epoch_s) {
    if (!after->has_summer) return after->offset;
    int64_t year = year_of(epoch_s + after->offset);
    int64_t begin = summer_begins(after, year), end = summer_ends(after, year);
    bool summer =
        begin < end ? epoch_s >= begin && epoch_s < end : !(epoch_s >= end && epoch_s < begin);
    return summer ? after->summer_offset : after->offset;
}

/* How many of the list are not after the moment. */
static int passed(const struct table *table, int64_t epoch_s) {
    int from = 0, to = table->count;
    while (from < to) {
        int middle = from + (to - from) / 2;
        if (table->list[middle].at_s <= epoch_s) from = middle + 1;
        else to = middle;
    }
    return from;
}

static int offset_at(const struct table *table, int64_t epoch_s) {
    epoch_s = within_reach(epoch_s);
    int number = passed(table, epoch_s);
    if (number == table->count && table->after.there) return offset_after(&table->after, epoch_s);
    return number > 0 ? table->list[number - 1].offset : table->first_offset;
}

struct zone_time zone_time(const struct zone *zone, int64_t epoch_s) {
    struct zone_time time;
    time.offset = offset_at(atomic_load(&zone->table), epoch_s);
    int64_t local = within_reach(epoch_s) + time.offset, days = days_of(local);
    time.second = (int)(local - days * DAY_S);
    time.weekday = (int)((days % 7 + 7 + 3) % 7); /* the day 0 was a Thursday */
    date_of(days, &time);
    return time;
}

/* The first change by the rule after `from_s`, where there is one before `limit`. */
static int64_t change_after(const struct table *table, int64_t from_s, int offset, int64_t limit) {
    const struct rule_after *after = &table->after;
    if (!after->has_summer) return limit;
    int64_t year = year_of(within_reach(from_s)), last = year + 2;
    for (year--; year <= last; year++) {
        const int64_t both[] = {summer_begins(after, year), summer_ends(after, year)};
        for (int i = 0; i < 2; i++)
            if (both[i] > from_s && both[i] < limit && offset_at(table, both[i]) != offset)
                limit = both[i];
    }
    return limit;
}

int64_t zone_next_change(const struct zone *zone, int64_t epoch_s, int64_t limit) {
    const struct table *table = atomic_load(&zone->table);
    int offset = offset_at(table, epoch_s);
    for (int i = passed(table, epoch_s); i < table->count; i++) {
        if (table->list[i].at_s >= limit) return limit;
        if (offset_at(table, table->list[i].at_s) != offset) return table->list[i].at_s;
        epoch_s = table->list[i].at_s;
    }
    return change_after(table, epoch_s, offset, limit);
}
