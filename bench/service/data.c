/*
 * What the service's data costs, beside references of the same round.
 *
 *     data rows|chart|disk|ledger|live DIR
 *     data bare DIR ROWS REPORTS GROUP    of the service whose data is in DIR and has REPORTS of
 * ROWS
 *
 * Prints a line for each round of each figure: name, value, reference (0: none), unit, with tabs.
 */
#define _GNU_SOURCE /* a whole POSIX */
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "decide/decide.h"
#include "ingest/live.h"
#include "ingest/report.h"
#include "ingest/rows.h"
#include "series/chunk.h"
#include "series/query.h"
#include "store/ledger.h"
#include "store/series.h"

#define BEGIN_S 1700006400 /* midnight */

enum { ROUNDS = 21, DAY_S = 86400, ROWS_A_SECOND = 10, DAYS = 30 };

static uint64_t state = 88172645463325252u;

static double random_unit(void) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (double)((state * 0x2545F4914F6CDD1DULL) >> 11) / 9007199254740992.0;
}

/* Waits are about lognormal: most are near the median, some many times it. */
static uint32_t some_wait(double median_ms, double spread) {
    double normal = sqrt(-2 * log(1 - random_unit())) * cos(6.283185307179586 * random_unit());
    double wait = median_ms * exp(spread * normal);
    return wait > 3600000 ? 3600000 : (uint32_t)wait;
}

static double cpu_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void say(const char *name, double value, double reference, const char *unit) {
    printf("%s\t%.4f\t%.4f\t%s\n", name, value, reference, unit);
    fflush(stdout);
}

static void must(bool ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "%s failed\n", what);
    exit(1);
}

/* ---- Rows ---------------------------------------------------------------------------------- */

/* A report of ten seconds: nine rows of ten are a request's, one is a quoted queue's. */
static char *make_body(int rows, size_t *length) {
    char *body = malloc((size_t)rows * 48), *at = body;
    for (int i = 0; i < rows; i++) {
        long second = BEGIN_S + 10L * i / rows;
        uint32_t wait = some_wait(20, 0.8);
        if (i % 10 == 9) at += sprintf(at, "%ld,%u,\"rq:low,slow\",\r\n", second, wait);
        else at += sprintf(at, "%ld,%u,web,\r\n", second, wait);
    }
    *length = (size_t)(at - body);
    return body;
}

/* Only what can't be left out: the digits of two fields, and where the row ends. */
static uint64_t bare_loop(const char *at, const char *end) {
    uint64_t sum = 0;
    while (at < end) {
        uint64_t second = 0, metric = 0;
        for (; *at != ','; at++) second = second * 10 + (uint64_t)(*at - '0');
        for (at++; *at != ','; at++) metric = metric * 10 + (uint64_t)(*at - '0');
        bool quoted = false;
        for (at++; *at != '\n' || quoted; at++) quoted ^= *at == '"';
        at++;
        sum += second ^ metric;
    }
    return sum;
}

static double ns_of_bare_loop(const char *body, size_t length, int times) {
    static volatile uint64_t sink;
    double began = cpu_ns();
    for (int i = 0; i < times; i++) sink += bare_loop(body, body + length);
    return (cpu_ns() - began) / times;
}

static double ns_of_rows(const char *body, size_t length, int times) {
    static struct sketch sketch;
    double began = cpu_ns();
    for (int i = 0; i < times; i++) {
        struct rows rows;
        rows_begin(&rows, body, length, ROWS_STRICT);
        while (rows_next(&rows) == ROWS_ROW) sketch_add(&sketch, rows.metric);
    }
    return (cpu_ns() - began) / times;
}

static double ns_of_report(const char *body, size_t length, int times) {
    double began = cpu_ns();
    for (int i = 0; i < times; i++) {
        struct report report;
        struct report_head head = {.user_agent = "dynoscale-ruby;2.0.0",
                                   .dyno = "web.1",
                                   .request_start = "t=1700006410",
                                   .key = "0123456789abcdef0123456789abcdef"};
        char sentence[REPORT_SENTENCE_SIZE];
        must(report_read(&report, &head, body, length, BEGIN_S + 10, sentence) == REPORT_ROWS,
             "reading a report");
        report_free(&report);
    }
    return (cpu_ns() - began) / times;
}

static void bench_rows(int count) {
    enum { ROWS_A_ROUND = 40000 };
    size_t length;
    char *body = make_body(count, &length), into_sketch[64], into_parts[64];
    snprintf(into_sketch, sizeof into_sketch, "%d rows into a sketch", count);
    snprintf(into_parts, sizeof into_parts, "%d rows into parts by the second", count);
    for (int round = 0; round < ROUNDS; round++) {
        int times = ROWS_A_ROUND / count;
        double bare = ns_of_bare_loop(body, length, times) / count;
        say(into_sketch, ns_of_rows(body, length, times) / count, bare, "ns a row");
        say(into_parts, ns_of_report(body, length, times) / count, bare, "ns a row");
    }
    free(body);
}

/* ---- Disk and charts ----------------------------------------------------------------------- */

struct kind {
    const char *source;
    double rows_a_second, median, spread;
    int of_ten; /* series of the ten that an app has */
};

/* Ten processes of an app that is asked 100 times a second, and three queues that each of them
 * reads each ten seconds. The last is none of the ten: as if all series were requests. */
static const struct kind kinds[] = {
    {"web", 100, 12, 0.8, 1},     {"web busy", 10, 300, 0.5, 1},
    {"web slots", 1, 5, 0, 1},    {"rq:fast", 1, 60, 0.6, 1},
    {"rq:slow", 1, 4000, 0.9, 2}, {"depth", 1, 20, 0.7, 3},
    {"working", 1, 5, 0.3, 1},    {"requests, 10 a second", 10, 12, 0.8, 0},
};

/* A day's calm and its rush: rows and median follow the hour. */
static void fill_window(struct sketch *sketch, int64_t second, int64_t seconds,
                        const struct kind *kind) {
    double hour = (double)(second % DAY_S) / 3600;
    double busy = 1 + 0.8 * sin((hour - 9) * 6.283185307179586 / 24);
    sketch_clear(sketch);
    int64_t rows = (int64_t)((double)seconds * kind->rows_a_second * busy);
    for (int64_t i = 0; i < rows; i++)
        sketch_add(sketch, some_wait(kind->median * busy, kind->spread));
}

static void put_chunk(struct store *store, int64_t series, const struct chunk *chunk) {
    struct chunk_stored stored;
    must(chunk_encode(chunk, &stored), "encoding a chunk");
    struct series_chunk row = {chunk->start_s, stored.points, stored.sketches, stored.points_length,
                               stored.sketches_length};
    must(series_put_chunk(store, 1, series, (int)chunk->level, &row), "storing a chunk");
    free(stored.points);
}

/* 30 days of a series as folding leaves them. */
static void fill_series(struct store *store, int64_t series, const struct kind *kind, int days) {
    struct chunk *minutes = chunk_new(), *hours = chunk_new();
    struct sketch sketch = {0};
    must(minutes && hours, "memory");
    chunk_clear(minutes, LEVEL_MINUTES, BEGIN_S);
    chunk_clear(hours, LEVEL_HOURS, chunk_start(LEVEL_HOURS, BEGIN_S));
    must(store_begin(store), "a transaction");
    for (int64_t second = BEGIN_S; second < BEGIN_S + (int64_t)days * DAY_S; second += 60) {
        if (chunk_start(LEVEL_MINUTES, second) != minutes->start_s) {
            put_chunk(store, series, minutes);
            chunk_clear(minutes, LEVEL_MINUTES, second);
        }
        if (chunk_start(LEVEL_HOURS, second) != hours->start_s) {
            put_chunk(store, series, hours);
            chunk_clear(hours, LEVEL_HOURS, chunk_start(LEVEL_HOURS, second));
        }
        fill_window(&sketch, second, 60, kind);
        chunk_add(minutes, second, &sketch);
        chunk_add(hours, second, &sketch);
    }
    put_chunk(store, series, minutes);
    put_chunk(store, series, hours);
    must(store_commit(store), "committing");
    chunk_free(minutes);
    chunk_free(hours);
}

static double file_bytes(const char *folder) {
    char path[512];
    struct stat found;
    snprintf(path, sizeof path, "%s/dynoscaled.db", folder);
    must(stat(path, &found) == 0, "looking at the file");
    return (double)found.st_size;
}

static struct store *open_store(const char *folder) {
    char error[512];
    struct store *store = store_open(folder, STORE_CREATE, error, sizeof error);
    if (!store) fprintf(stderr, "%s\n", error), exit(1);
    return store;
}

static void bench_disk(const char *folder) {
    double all = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct store *store = open_store(folder);
        int64_t series = series_number(store, 1, kinds[i].source, "wait");
        store_close(store);
        double before = file_bytes(folder);
        store = open_store(folder);
        fill_series(store, series, &kinds[i], DAYS);
        store_close(store);
        double bytes = file_bytes(folder) - before;
        char name[64];
        all += bytes * kinds[i].of_ten / 10;
        snprintf(name, sizeof name, "disk of 30 days, 1000 series: %s", kinds[i].source);
        say(name, bytes * 1000 / 1e9, 0, "GB");
    }
    say("disk of 30 days, 100 apps of 10 series", all * 1000 / 1e9, 0, "GB");
}

/* SQLite's own read: every byte of the rows that hold what the chart shows. */
static double read_bytes(sqlite3 *file, int level, int64_t from_s, int64_t to_s, double *bytes) {
    static const char sql[] = "SELECT start_s, points, sketches FROM chunk WHERE app = 1 AND "
                              "series = 1 AND level = ?1 AND start_s >= ?2 AND start_s < ?3 "
                              "ORDER BY start_s";
    sqlite3_stmt *statement;
    static volatile uint64_t sink;
    *bytes = 0;
    double began = cpu_ns();
    must(sqlite3_prepare_v2(file, sql, -1, &statement, NULL) == SQLITE_OK, "preparing");
    sqlite3_bind_int(statement, 1, level);
    sqlite3_bind_int64(statement, 2, from_s);
    sqlite3_bind_int64(statement, 3, to_s);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        for (int column = 1; column <= 2; column++) {
            const uint8_t *at = sqlite3_column_blob(statement, column);
            int length = sqlite3_column_bytes(statement, column);
            for (int i = 0; i < length; i++) sink += at[i];
            *bytes += length;
        }
    }
    double took = cpu_ns() - began;
    sqlite3_finalize(statement);
    return took;
}

static void bench_one_chart(const char *folder, const char *name, int level, int64_t from_s,
                            int64_t to_s, int64_t step_s, bool cold) {
    double bytes = 0, length = 0;
    char path[512];
    snprintf(path, sizeof path, "%s/dynoscaled.db", folder);
    struct store *store = NULL;
    sqlite3 *file = NULL;
    for (int round = 0; round < ROUNDS; round++) {
        if (!store || cold) {
            store_close(store);
            sqlite3_close(file);
            store = open_store(folder);
            must(sqlite3_open(path, &file) == SQLITE_OK, "opening");
            sqlite3_exec(file, "PRAGMA cache_size = -1024; SELECT count(*) FROM series", NULL, NULL,
                         NULL);
            store_config_version(store);
        }
        struct text text = TEXT_EMPTY;
        double began = cpu_ns();
        must(series_points_json(&text, store, 1, "web", "wait", from_s, to_s, step_s), "a chart");
        double ours = (cpu_ns() - began) / 1000;
        length = (double)text.length;
        text_free(&text);
        say(name, ours, read_bytes(file, level, from_s, to_s, &bytes) / 1000, "us");
    }
    store_close(store);
    sqlite3_close(file);
    fprintf(stderr, "%s: %.0f bytes read, %.0f of JSON\n", name, bytes, length);
}

static void bench_chart(const char *folder) {
    struct store *store = open_store(folder);
    int64_t series = series_number(store, 1, "web", "wait");
    fill_series(store, series, &kinds[sizeof kinds / sizeof *kinds - 1], DAYS);
    store_close(store);
    int64_t end_s = BEGIN_S + (int64_t)DAYS * DAY_S;
    bench_one_chart(folder, "a day by minutes, pages in memory", LEVEL_MINUTES, end_s - DAY_S,
                    end_s, 60, false);
    bench_one_chart(folder, "a day by minutes, a new connection", LEVEL_MINUTES, end_s - DAY_S,
                    end_s, 60, true);
    bench_one_chart(folder, "30 days by hours, pages in memory", LEVEL_HOURS, BEGIN_S, end_s, 3600,
                    false);
    bench_one_chart(folder, "30 days by hours, a new connection", LEVEL_HOURS, BEGIN_S, end_s, 3600,
                    true);
    bench_one_chart(folder, "a week by 5 minutes (merged)", LEVEL_MINUTES, end_s - 7 * DAY_S, end_s,
                    300, false);
}

/* ---- Live windows -------------------------------------------------------------------------- */

static double resident_mb(void) {
    long pages = 0, size = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    must(file && fscanf(file, "%ld %ld", &size, &pages) == 2, "reading statm");
    fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1048576;
}

static void bench_live(void) {
    enum { APPS = 100, SERIES = 10 };
    double before = resident_mb(), began = cpu_ns();
    struct live *live = live_new();
    struct part part = {0};
    for (int64_t start_s = BEGIN_S; start_s < BEGIN_S + 900; start_s += 10)
        for (int app = 1; app <= APPS; app++)
            for (int series = 0; series < SERIES; series++) {
                char source[32];
                snprintf(source, sizeof source, series ? "rq:queue%d" : "web", series);
                part_clear(&part, start_s);
                for (int i = 0; i < 10 * ROWS_A_SECOND; i++)
                    part_add(&part, i / ROWS_A_SECOND, some_wait(20 + 10 * series, 0.8));
                live_add(live, app, source, "wait", &part);
            }
    say("live windows of 100 apps by 10 series", resident_mb() - before, 0, "MB");
    say("a part into the live windows", (cpu_ns() - began) / 1000 / 90000, 0, "us");
    struct rule rule = {.statistic = RULE_P95, .up = {.threshold_ms = 100}};
    began = cpu_ns();
    for (int app = 1; app <= APPS; app++)
        live_measure(live, app, &rule, true, BEGIN_S + 840, BEGIN_S + 900);
    say("a statistic of a minute", (cpu_ns() - began) / 1000 / APPS, 0, "us");
    part_free(&part);
    live_free(live);
}

/* ---- Commits ------------------------------------------------------------------------------- */

/* The parts that a run stored, in their order. */
struct stored {
    size_t count, room;
    struct stored_part {
        int64_t app, series, start_s, number;
        void *data;
        int length;
    } * all;
};

static void read_stored(struct stored *stored, const char *folder) {
    char path[512];
    sqlite3 *file;
    sqlite3_stmt *rows;
    snprintf(path, sizeof path, "%s/dynoscaled.db", folder);
    must(sqlite3_open(path, &file) == SQLITE_OK, "opening");
    sqlite3_prepare_v2(file, "SELECT app, series, start_s, number, data FROM part ORDER BY number",
                       -1, &rows, NULL);
    while (sqlite3_step(rows) == SQLITE_ROW) {
        if (stored->count == stored->room) {
            stored->room = stored->room ? stored->room * 2 : 1024;
            stored->all = realloc(stored->all, stored->room * sizeof *stored->all);
            must(stored->all != NULL, "memory");
        }
        struct stored_part *part = &stored->all[stored->count++];
        *part = (struct stored_part){sqlite3_column_int64(rows, 0),
                                     sqlite3_column_int64(rows, 1),
                                     sqlite3_column_int64(rows, 2),
                                     sqlite3_column_int64(rows, 3),
                                     NULL,
                                     sqlite3_column_bytes(rows, 4)};
        part->data = malloc((size_t)part->length);
        must(part->data != NULL, "memory");
        memcpy(part->data, sqlite3_column_blob(rows, 4), (size_t)part->length);
    }
    sqlite3_finalize(rows);
    sqlite3_close(file);
}

static void insert_group(sqlite3 *file, sqlite3_stmt *key, sqlite3_stmt *row, int reports,
                         const struct stored_part *from, const struct stored_part *end) {
    sqlite3_exec(file, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    for (int i = 0; i < reports; i++) {
        sqlite3_bind_int(key, 1, 1 + (int)(random_unit() * 100));
        sqlite3_bind_int(key, 2, BEGIN_S);
        sqlite3_step(key);
        sqlite3_reset(key);
    }
    for (; from < end; from++) {
        sqlite3_bind_int64(row, 1, from->app);
        sqlite3_bind_int64(row, 2, from->series);
        sqlite3_bind_int64(row, 3, from->start_s);
        sqlite3_bind_int64(row, 4, from->number);
        sqlite3_bind_blob(row, 5, from->data, from->length, NULL);
        sqlite3_step(row);
        sqlite3_reset(row);
    }
    sqlite3_exec(file, "COMMIT", NULL, NULL, NULL);
}

/* What SQLite needs to commit the same rows in the same groups, in the same tables. */
static double bare_commits(const char *folder, const struct stored *stored, size_t first,
                           int groups, int reports) {
    char path[512];
    sqlite3 *file;
    sqlite3_stmt *key, *row;
    snprintf(path, sizeof path, "%s/bare.db", folder);
    remove(path); /* of the round before: its log went when it was closed */
    must(sqlite3_open(path, &file) == SQLITE_OK, "opening");
    sqlite3_exec(file,
                 "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                 "CREATE TABLE IF NOT EXISTS report (app INTEGER, key BLOB, at_s INTEGER, "
                 "dyno TEXT, PRIMARY KEY (app, key)) WITHOUT ROWID;"
                 "CREATE INDEX IF NOT EXISTS report_at ON report (at_s);"
                 "CREATE TABLE IF NOT EXISTS part (app INTEGER, series INTEGER, "
                 "start_s INTEGER, number INTEGER, data BLOB, "
                 "PRIMARY KEY (app, series, start_s, number)) WITHOUT ROWID",
                 NULL, NULL, NULL);
    sqlite3_prepare_v2(file, "INSERT INTO report VALUES (?1, randomblob(16), ?2, 'web.1')", -1,
                       &key, NULL);
    sqlite3_prepare_v2(file, "INSERT INTO part VALUES (?1, ?2, ?3, ?4, ?5)", -1, &row, NULL);
    const struct stored_part *from = stored->all + first;
    size_t parts = stored->count - first;
    /* What the service had stored before, too. */
    insert_group(file, key, row, (int)((double)first * reports * groups / (double)parts),
                 stored->all, from);
    double began = cpu_ns();
    for (int group = 0; group < groups; group++)
        insert_group(file, key, row, reports, from + (size_t)group * parts / (size_t)groups,
                     from + (size_t)(group + 1) * parts / (size_t)groups);
    double took = cpu_ns() - began;
    sqlite3_finalize(key);
    sqlite3_finalize(row);
    sqlite3_close(file);
    return took / 1000 / groups / reports;
}

static void free_stored(struct stored *stored) {
    for (size_t i = 0; i < stored->count; i++) free(stored->all[i].data);
    free(stored->all);
}

/* What nobody can do without: of what the service whose data this is has just committed. */
static void bench_bare(const char *folder, int rows, int reports, int group) {
    enum { REPORTS_MOST = 4000, TIMES = 100 };
    struct stored stored = {0};
    read_stored(&stored, folder);
    must(stored.count > 0 && reports >= group && group > 0, "a service with reports");
    int most = reports < REPORTS_MOST ? reports : REPORTS_MOST;
    size_t parts = (size_t)((double)stored.count * most / reports);
    size_t length;
    char *body = make_body(rows, &length);
    say("a bare loop", ns_of_bare_loop(body, length, TIMES) / 1000, 0, "us a report");
    say("SQLite", bare_commits(folder, &stored, stored.count - parts, most / group, group), 0,
        "us a report");
    say("parts", (double)stored.count / reports, 0, "a report");
    free_stored(&stored);
    free(body);
}

/* ---- The ledger ---------------------------------------------------------------------------- */

/* The situation at a tick of an app whose traffic follows the hour and whose wait follows the
 * traffic that a dyno gets; orders are done at once. */
static void make_situation(struct situation *now, const struct memory *memory, bool jobs,
                           int64_t second, int64_t *ordered_s) {
    int64_t dynos = memory->wanted > 0 ? memory->wanted : 2;
    double hour = (double)(second % DAY_S) / 3600;
    double busy = 1 + 0.8 * sin((hour - 9) * 6.283185307179586 / 24) + 0.1 * random_unit();
    double wait = (jobs ? 2000 : 25) * busy * 5 / (double)dynos * exp(0.2 * (random_unit() - 0.5));
    if (dynos != memory->last_ordered) *ordered_s = second;
    situation_clear(now);
    now->now = second;
    now->tick_s = now->report_s = 10;
    now->scaling = 1;
    now->started_age = second - BEGIN_S + DAY_S;
    now->value_ms = (int64_t)wait;
    now->samples = (int64_t)((jobs ? 6 : 6000) * busy);
    now->samples_above = now->samples * now->value_ms / (jobs ? 60000 : 600);
    now->heard_age = (int64_t)(random_unit() * 5);
    now->dynos_heard = now->ordered = now->up = dynos;
    now->formation_age = (second / 10 % 3) * 10 + 1;
    now->boot_s = 30;
    now->rule_age = second % (12 * 3600);
    now->jobs = jobs;
    now->jobs_running = jobs ? (int64_t)(random_unit() * 4) : -1;
    now->act_state = ACT_DONE;
    now->act_wanted = dynos;
    now->act_age = second - *ordered_s;
    if (jobs) snprintf(now->queue, sizeof now->queue, "sidekiq:default");
}

static void live_through(struct store *store, const char *process, int64_t from_s, int64_t to_s) {
    bool jobs = strcmp(process, "worker") == 0;
    struct rule rule;
    struct ledger_tick tick = {.app = 1, .rules_version = 1};
    struct memory after;
    int64_t ordered_s = from_s;
    rule_defaults(&rule);
    rule.max = 10;
    rule.up.threshold_ms = jobs ? 10000 : 100;
    rule.down.threshold_ms = jobs ? 1000 : 50;
    snprintf(tick.process, sizeof tick.process, "%s", process);
    memory_clear(&after);
    for (int64_t hour = from_s; hour < to_s; hour += 3600) {
        must(store_begin(store), "a transaction");
        for (int64_t second = hour; second < hour + 3600; second += 10) {
            tick.memory = after;
            make_situation(&tick.situation, &after, jobs, second, &ordered_s);
            decide(&tick.situation, &rule, &after, &tick.decision);
            must(ledger_add(store, &tick) && ledger_remember(store, &tick, &after),
                 "adding a tick");
        }
        must(store_commit(store), "committing");
        must(ledger_compact(store, hour + 3600, NULL), "packing");
    }
}

/* Two days more than the first, which has what is not packed yet. */
static void bench_ledger(const char *folder) {
    static const char *const processes[] = {"web", "worker"};
    double all = 0;
    for (int i = 0; i < 2; i++) {
        double sizes[2];
        for (int j = 0; j < 2; j++) {
            struct store *store = open_store(folder);
            int64_t from_s = BEGIN_S + j * DAY_S;
            live_through(store, processes[i], from_s, from_s + (1 + j) * DAY_S);
            store_close(store);
            sizes[j] = file_bytes(folder);
        }
        double bytes = (sizes[1] - sizes[0]) / 2;
        char name[64];
        snprintf(name, sizeof name, "a tick of a %s process", processes[i]);
        say(name, bytes / (DAY_S / 10), 0, "bytes");
        all += bytes;
    }
    say("ledger of 30 days, 100 apps of two processes", all * DAYS * 100 / 1e9, 0, "GB");
}

int main(int count, char **arguments) {
    if (count != 3 && count != 6) {
        fprintf(stderr,
                "usage: data rows|chart|disk|ledger|live DIR, or data bare DIR ROWS REPORTS "
                "GROUP\n");
        return 2;
    }
    const char *what = arguments[1], *folder = arguments[2];
    if (count == 6) bench_bare(folder, atoi(arguments[3]), atoi(arguments[4]), atoi(arguments[5]));
    else if (strcmp(what, "rows") == 0) bench_rows(100), bench_rows(1000);
    else if (strcmp(what, "chart") == 0) bench_chart(folder);
    else if (strcmp(what, "disk") == 0) bench_disk(folder);
    else if (strcmp(what, "ledger") == 0) bench_ledger(folder);
    else if (strcmp(what, "live") == 0) bench_live();
    else return 2;
    return 0;
}
