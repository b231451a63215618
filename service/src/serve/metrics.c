#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "clock.h"
#include "dynoscale.h"
#include "serve/serve.h"

static void put(struct text *text, const char *name, const char *type, const char *help,
                double value) {
    text_format(text, "# HELP dynoscaled_%s %s\n# TYPE dynoscaled_%s %s\ndynoscaled_%s %.17g\n",
                name, help, name, type, name, value);
}

static void counter(struct text *text, const char *name, const char *help, uint64_t value) {
    put(text, name, "counter", help, (double)value);
}

static void gauge(struct text *text, const char *name, const char *help, double value) {
    put(text, name, "gauge", help, value);
}

static double resident_bytes(void) {
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file) return 0;
    if (fscanf(file, "%*s %ld", &pages) != 1) pages = 0;
    fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static void write_http(struct text *text, const struct service *service) {
    struct http_counts counts = http_counts(service->http);
    counter(text, "http_requests_total", "Requests that arrived whole.", counts.requests);
    counter(text, "http_refused_frames_total", "Requests refused as malformed or too large.",
            counts.refused_frames);
    counter(text, "http_refused_connections_total", "Connections beyond the limits.",
            counts.refused_connections);
    counter(text, "http_timed_out_total", "Connections closed at a deadline.", counts.timed_out);
    gauge(text, "http_connections", "Connections that are open.", counts.open);
    gauge(text, "http_streams", "Streams of events that are open.", counts.streams);
    gauge(text, "http_held_bytes", "Memory of requests not answered yet.",
          (double)counts.held_bytes);
    gauge(text, "api_waiting", "Requests for which no thread is free yet.",
          (double)pool_waiting(service->pool));
}

static void write_ingest(struct text *text, const struct service *service) {
    struct ingest_counts counts = ingest_counts(service->ingest);
    counter(text, "reports_total", "Reports committed.", counts.reports);
    counter(text, "reports_repeated_total", "Reports that had been committed before.",
            counts.repeated);
    counter(text, "reports_refused_total", "Reports refused: malformed, or an unknown token.",
            counts.refused);
    counter(text, "reports_overloaded_total", "Reports put off with 503.", counts.overloaded);
    gauge(text, "reports_waiting_bytes", "Memory of reports that wait for their commit.",
          (double)counts.waiting_bytes);
    counter(text, "rows_total", "Rows committed.", counts.rows);
    counter(text, "rows_refused_total", "Rows whose time was too far off.", counts.rows_refused);
    counter(text, "commits_total", "Group commits.", counts.commits);
    counter(text, "commits_failed_total", "Group commits that failed.", counts.failed_commits);
}

static void write_control(struct text *text, const struct service *service) {
    struct control_counts counts = control_counts(service->control);
    counter(text, "ticks_total", "Ticks.", counts.ticks);
    counter(text, "ticks_late_total", "Ticks that began late.", counts.late_ticks);
    counter(text, "decisions_total", "Decisions.", counts.decisions);
    counter(text, "acts_total", "Orders to platforms.", counts.acts);
    counter(text, "acts_failed_total", "Orders to platforms that failed.", counts.failed_acts);
    gauge(text, "last_tick_seconds", "How long the last tick took.",
          (double)counts.last_tick_us / 1e6);
    gauge(text, "last_tick_timestamp_seconds", "When it was.", (double)counts.last_tick_s);
    gauge(text, "apps", "Apps.", counts.apps);
    gauge(text, "processes", "Process types with rules.", counts.processes);
}

void metrics_write(struct text *text, struct service *service) {
    text_put(text, "# HELP dynoscaled_build_info The version.\n# TYPE dynoscaled_build_info gauge\n"
                   "dynoscaled_build_info{version=\"" DYNOSCALE_VERSION "\"} 1\n");
    gauge(text, "start_time_seconds", "When the service began.", (double)service->started_s);
    gauge(text, "resident_bytes", "Memory of the process.", resident_bytes());
    write_http(text, service);
    write_ingest(text, service);
    write_control(text, service);
}
