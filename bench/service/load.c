/*
 * Posts reports over lasting connections and measures how long the answers take.
 *
 *     load PORT PATHS CONNECTIONS SECONDS [ROWS [INTERVAL_MS [METHOD [SERIES]]]]
 *
 * INTERVAL_MS 0: each connection sends its next report when it has its answer. Else each sends one
 * every INTERVAL_MS, the connections spread evenly over it, as agents do; a report that is late is
 * sent when the answer before has come. Each report has a key of its own and rows of the last ten
 * seconds. PATHS are one for each app, of one length, with commas between; the connections are
 * spread over them, as dynos. SERIES, 1 to 10: of ten rows that many are of sources of their own,
 * all but web quoted. Prints NAME <tab> VALUE lines: answers, others (not 200), bytes_a_report,
 * p50_ms, p99_ms, max_ms; times count from when a report was due.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { REPORT_MOST = 1 << 20, EVENTS = 256, KEY = 32 };

struct peer {
    int fd, number;
    bool waits;     /* for an answer */
    int64_t due_ns; /* when its next report is, or the one on its way was */
    char answer[4096];
    size_t length;
};

static char report[REPORT_MOST];
static size_t report_length;
static char *report_key, *report_path, *report_dyno[2];
static int64_t report_second, interval_ns, sent;
static uint64_t nonce;
static const char *paths, *method = "POST";
static size_t path_length, path_count;
static int rows, series = 1;
static int64_t *times;
static size_t time_count, time_room, others;

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

/* The same for a second, but for the key. */
static void write_report(int64_t second) {
    static char body[REPORT_MOST - 1024];
    size_t length = 0;
    for (int i = 0; i < rows; i++) {
        int queue = i % 10 - (10 - series);
        length += (size_t)snprintf(body + length, sizeof body - length, "%lld,%d,",
                                   (long long)(second - 9 + i * 10 / rows), (i * 37) % 400);
        length += (size_t)(queue > 0 ? snprintf(body + length, sizeof body - length,
                                                "\"rq:low,%d\",\r\n", queue)
                                     : snprintf(body + length, sizeof body - length, "web,\r\n"));
    }
    int head =
        snprintf(report, sizeof report,
                 "%s %.*s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/csv\r\n"
                 "User-Agent: dynoscale-ruby;2.0.0\r\nX_DYNO: web.00\r\nHTTP_X_DYNO: web.00\r\n"
                 "X_REQUEST_START: t=%lld\r\nIdempotency-Key: %0*d\r\n"
                 "Content-Length: %zu\r\n\r\n",
                 method, (int)path_length, paths, (long long)second, KEY, 0, length);
    report_key = strstr(report, "Idempotency-Key: ") + 17;
    report_path = report + strlen(method) + 1;
    report_dyno[0] = strstr(report, "\nX_DYNO: web.") + 13;
    report_dyno[1] = strstr(report, "HTTP_X_DYNO: web.") + 17;
    memcpy(report + head, body, length);
    report_length = (size_t)head + length;
    report_second = second;
}

static void send_report(struct peer *peer) {
    int64_t second = (int64_t)time(NULL);
    if (second != report_second) write_report(second);
    char key[KEY + 1];
    snprintf(key, sizeof key, "%016llx%016llx", (unsigned long long)nonce,
             (unsigned long long)++sent);
    memcpy(report_key, key, KEY);
    memcpy(report_path, paths + (size_t)peer->number % path_count * (path_length + 1), path_length);
    int dyno = peer->number / (int)path_count % 100;
    for (int i = 0; i < 2; i++) {
        report_dyno[i][0] = (char)('0' + dyno / 10);
        report_dyno[i][1] = (char)('0' + dyno % 10);
    }
    for (size_t at = 0; at < report_length;) {
        ssize_t count = send(peer->fd, report + at, report_length - at, MSG_NOSIGNAL);
        if (count < 0) fail("send");
        at += (size_t)count;
    }
    peer->waits = true;
    peer->length = 0;
}

static void note_time(int64_t ns) {
    if (time_count == time_room) {
        time_room = time_room ? 2 * time_room : 1 << 16;
        times = realloc(times, time_room * sizeof *times);
        if (!times) fail("realloc");
    }
    times[time_count++] = ns;
}

static void read_answer(struct peer *peer) {
    ssize_t count = recv(peer->fd, peer->answer + peer->length,
                         sizeof peer->answer - 1 - peer->length, MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) fail("the server closed a connection");
    peer->length += (size_t)count;
    peer->answer[peer->length] = '\0';
    const char *end = strstr(peer->answer, "\r\n\r\n");
    const char *length = end ? strcasestr(peer->answer, "content-length:") : NULL;
    if (!end || (length &&
                 peer->length < (size_t)(end + 4 - peer->answer) + strtoull(length + 15, NULL, 10)))
        return;
    int64_t now = now_ns();
    note_time(now - peer->due_ns);
    if (strncmp(peer->answer, "HTTP/1.1 200 ", 13) != 0) others++;
    peer->waits = false;
    peer->due_ns = interval_ns > 0 ? peer->due_ns + interval_ns : now;
}

static struct peer *connect_all(int port, int count, int epoll) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct peer *peers = calloc((size_t)count, sizeof *peers);
    if (!peers) fail("calloc");
    for (int i = 0, on = 1; i < count; i++) {
        peers[i].number = i;
        peers[i].fd = socket(AF_INET, SOCK_STREAM, 0);
        if (peers[i].fd < 0 ||
            connect(peers[i].fd, (struct sockaddr *)&address, sizeof address) != 0)
            fail("connect");
        setsockopt(peers[i].fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &peers[i]};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, peers[i].fd, &event) != 0) fail("epoll_ctl");
    }
    return peers;
}

/* ms until the next of them is due, at most 100. */
static int send_what_is_due(struct peer *peers, int count, int64_t end) {
    int64_t now = now_ns(), next = now + 100000000;
    for (int i = 0; i < count; i++) {
        if (peers[i].waits) continue;
        if (peers[i].due_ns <= now && now < end) send_report(&peers[i]);
        else if (peers[i].due_ns < next) next = peers[i].due_ns;
    }
    return next > now ? (int)((next - now + 999999) / 1000000) : 0;
}

static bool any_waits(const struct peer *peers, int count) {
    for (int i = 0; i < count; i++)
        if (peers[i].waits) return true;
    return false;
}

static int compare(const void *one, const void *other) {
    int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
    return (a > b) - (a < b);
}

static double quantile_ms(double q) {
    if (time_count == 0) return 0;
    return (double)times[(size_t)(q * (double)(time_count - 1))] / 1e6;
}

static void run(struct peer *peers, int count, int epoll, double seconds) {
    struct epoll_event events[EVENTS];
    int64_t begin = now_ns(), end = begin + (int64_t)(seconds * 1e9);
    for (int i = 0; i < count; i++) peers[i].due_ns = begin + interval_ns * i / count;
    while (now_ns() < end || any_waits(peers, count)) {
        int wait = send_what_is_due(peers, count, end);
        int found = epoll_wait(epoll, events, EVENTS, interval_ns > 0 ? wait : 100);
        for (int i = 0; i < found; i++) {
            struct peer *peer = events[i].data.ptr;
            read_answer(peer);
            if (interval_ns == 0 && !peer->waits && now_ns() < end) send_report(peer);
        }
    }
}

int main(int argc, char **argv) {
    if (argc < 5) {
        fputs("usage: load PORT PATHS CONNECTIONS SECONDS [ROWS [INTERVAL_MS [METHOD [SERIES]]]]\n",
              stderr);
        return 2;
    }
    int count = atoi(argv[3]);
    paths = argv[2];
    path_length = strcspn(paths, ",");
    path_count = (strlen(paths) + 1) / (path_length + 1);
    rows = argc > 5 ? atoi(argv[5]) : 100;
    interval_ns = argc > 6 ? atoll(argv[6]) * 1000000 : 0;
    if (argc > 7) method = argv[7];
    if (argc > 8) series = atoi(argv[8]);
    nonce = (uint64_t)time(NULL) << 24 ^ (uint64_t)getpid();
    struct rlimit files = {0};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    int epoll = epoll_create1(0);
    struct peer *peers = connect_all(atoi(argv[1]), count, epoll);
    write_report((int64_t)time(NULL));
    run(peers, count, epoll, atof(argv[4]));
    qsort(times, time_count, sizeof *times, compare);
    printf("answers\t%zu\nothers\t%zu\nbytes_a_report\t%zu\n", time_count, others, report_length);
    printf("p50_ms\t%.3f\np99_ms\t%.3f\nmax_ms\t%.3f\n", quantile_ms(0.5), quantile_ms(0.99),
           quantile_ms(1));
    return others > 0 && others == time_count;
}
