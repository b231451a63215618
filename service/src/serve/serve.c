#define _GNU_SOURCE /* setrlimit and the like under -std=c11 */
#include "serve/serve.h"

#include <malloc.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "addon/setup.h"
#include "clock.h"
#include "dynoscale.h"
#include "json_read.h"
#include "keeper/filter.h"
#include "log.h"
#include "platforms/client.h"
#include "store/move.h"

enum { API_WAITING_MOST = 256, WAITING_BYTES = 32 << 20 };
enum { LEAST_FILES = 64, RESERVED_FILES = 200 }; /* about 40 are open before the first connection */
enum { STRANGERS = 16 }; /* reports with unknown tokens may use 1/16 of the room for requests */

/* ---- Starting ---------------------------------------------------------------------------------
 */

static void prepare_process(struct service *service) {
    enum log_level level = LOG_INFO;
    log_level_named(service->settings.log_level, &level);
    log_set_level(level);
    umask(077);
    /* Ignored: a write then fails with an error, which is handled where it happens. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGHUP, SIG_IGN); /* ignored during the start, which it would end */
    /* Each arena keeps what its threads have freed; the few threads do not contend for two. */
    mallopt(M_ARENA_MAX, 2);
    json_watch();
    service->started_s = ds_clock_wall_ns() / 1000000000;
}

/* Raises the limit of descriptors as far as possible, and lowers the limit of connections to
 * fit. False with a sentence where there are too few to start with. */
static bool raise_files(struct settings *settings, char *error, size_t size) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) return true;
    rlim_t wanted = (rlim_t)settings->connections + RESERVED_FILES;
    if (files.rlim_cur < wanted) {
        files.rlim_cur = files.rlim_max < wanted ? files.rlim_max : wanted;
        setrlimit(RLIMIT_NOFILE, &files);
        getrlimit(RLIMIT_NOFILE, &files);
    }
    if (files.rlim_cur >= wanted) return true;
    int64_t have = (int64_t)files.rlim_cur;
    if (have < LEAST_FILES) {
        snprintf(error, size,
                 "this process may open %lld files and needs at least %d: allow more (ulimit -n, "
                 "LimitNOFILE= of its unit)",
                 (long long)have, LEAST_FILES);
        return false;
    }
    int64_t possible = have > 2 * RESERVED_FILES ? have - RESERVED_FILES : have / 2;
    log_line(
        LOG_WARN, "serve",
        "of %lld connections only %lld are possible, since this process may open %lld files: raise "
        "LimitNOFILE, or ulimit -n",
        (long long)settings->connections, (long long)possible, (long long)have);
    settings->connections = possible;
    return true;
}

static bool open_server(struct service *service, char *error, size_t size) {
    const struct settings *settings = &service->settings;
    struct http_limits limits = http_usual_limits;
    limits.held_bytes = (size_t)settings->held_mb << 20;
    limits.head_ms = (int)settings->head_ms;
    limits.body_ms = (int)settings->body_ms;
    limits.idle_ms = (int)settings->idle_ms;
    limits.answer_ms = (int)settings->answer_ms;
    limits.stream_ms = (int)settings->stream_ms;
    limits.connections = (int)settings->connections;
    limits.connections_a_peer = (int)settings->connections_a_peer;
    limits.trusted_proxies = settings->trusted_proxies;
    limits.https = strncmp(settings->public_url, "https:", 6) == 0;
    limits.https_below = settings->hsts_subdomains;
    limits.reuse_port = settings->reuse_port;
    service->http = http_server_new(service->loop, &limits, route_request, service, error, size);
    if (!service->http) return false;
    for (int i = 0; i < settings->listen_count; i++)
        if (!http_listen(service->http, settings->listen[i], HTTP_PEER_NETWORK, error, size))
            return false;
    return true;
}

/* Opened last, when everything else is ready: the command line takes it as the sign of that. */
static bool open_control_socket(struct service *service, char *error, size_t size) {
    char address[SETTINGS_TEXT_SIZE + 24];
    snprintf(address, sizeof address, "unix:%s/control.sock", service->settings.data);
    return http_listen(service->http, address, HTTP_PEER_LOCAL, error, size);
}

static bool is_any(const char *host) {
    return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "[::]") == 0;
}

/* The default: "http://" and the first address that is not a socket file, with the port that the
 * system chose for 0, and this machine's name for an address that means all. */
static void find_public_url(struct service *service) {
    const struct settings *settings = &service->settings;
    snprintf(service->public_url, sizeof service->public_url, "%s", settings->public_url);
    for (int i = 0; !*service->public_url && i < settings->listen_count; i++) {
        const char *address = settings->listen[i], *port = strrchr(address, ':');
        char host[SETTINGS_TEXT_SIZE];
        if (strncmp(address, "unix:", 5) == 0) continue;
        snprintf(host, sizeof host, "%.*s", (int)(port - address), address);
        if (is_any(host) && gethostname(host, sizeof host - 1) != 0) strcpy(host, "localhost");
        snprintf(service->public_url, sizeof service->public_url, "http://%.900s:%d", host,
                 http_port(service->http));
    }
    if (!*service->public_url)
        snprintf(service->public_url, sizeof service->public_url, "http://localhost");
}

/* Stores the public address for the command line, which also works without a service. */
static bool prepare_store(struct service *service, struct store *store, char *link,
                          size_t link_size, char *error, size_t size) {
    /* Several services share one public address: a service that was not told one uses the one that
     * the first stored. */
    char *before =
        service->shared && !*service->settings.public_url ? store_meta(store, "public_url") : NULL;
    if (before) {
        snprintf(service->public_url, sizeof service->public_url, "%s", before);
        free(before);
    } else if (!store_set_meta(store, "public_url", service->public_url)) {
        snprintf(error, size, "the data can't be written to: %s", store_error(store));
        return false;
    }
    error[0] = '\0';
    bool made = api_first_link(store, service->public_url, service->started_s, link, link_size,
                               error, size);
    return made || !*error;
}

/* Whether two marks were made by one key, whose name is in their second to fifth byte (as
 * hexadecimal digits). */
static bool same_key(const char *mark, const char *other) { return strncmp(mark, other, 10) == 0; }

/* Other services on the database must be able to open what this one seals, so all need the same
 * key. Once a new key stands before the old one, the mark is made with the new key, so that the old
 * one can be removed. */
static bool check_key(const struct service *service, struct store *store, char *error,
                      size_t size) {
    if (!service->shared) return true;
    if (!store_begin(store)) {
        snprintf(error, size, "the data can't be written to: %s", store_error(store));
        return false;
    }
    char *mark = store_meta(store, "key_mark"), *now = keeper_mark(service->keeper);
    bool known = !mark || keeper_knows(service->keeper, mark), done = known && now;
    if (!known)
        snprintf(error, size,
                 "the data in the database was sealed with another key than the one in "
                 "DYNOSCALED_KEY or %.200s/key: give all services the same key",
                 service->settings.data);
    else if (!now) snprintf(error, size, "there is no memory to compare the keys with");
    if (done && (!mark || !same_key(mark, now))) {
        done = store_set_meta(store, "key_mark", now) && store_commit(store);
        if (!done) snprintf(error, size, "the data can't be written to: %s", store_error(store));
    }
    free(mark);
    free(now);
    store_rollback(store);
    return done;
}

/* Another service may have added, rotated or removed tokens or apps. */
static void forget_tokens(void *context) {
    struct service *service = context;
    ingest_forget_tokens(service->ingest);
}

static bool start_rooms(struct service *service, char *error, size_t size) {
    const struct settings *settings = &service->settings;
    service->loop = loop_new();
    service->live = live_new();
    service->events = events_new(service);
    service->ready = ready_new(service);
    if (!service->loop || !service->live || !service->events || !service->ready) {
        snprintf(error, size, "there is no memory to start with");
        return false;
    }
    const struct ingest_settings ingest = {.folder = settings_place(settings),
                                           .commit_ms = (int)settings->commit_ms,
                                           .waiting_bytes = WAITING_BYTES,
                                           .unknown_bytes =
                                               ((size_t)settings->held_mb << 20) / STRANGERS,
                                           .publish_s = (int)settings->publish_s};
    service->ingest = ingest_new(service->loop, service->live, &ingest, error, size);
    if (!service->ingest) return false;
    const struct control_settings control = {.folder = settings->data,
                                             .place = settings_place(settings),
                                             .keeper = service->keeper,
                                             .tick_s = (int)settings->tick_s,
                                             .act_threads = (int)settings->act_threads,
                                             .act_timeout_s = (int)settings->act_timeout_s,
                                             .report_s = (int)settings->publish_s};
    service->control = control_new(service->live, &control, error, size);
    if (!service->control) return false;
    control_on_tick(service->control, events_changed_elsewhere, service->events);
    control_on_change(service->control, forget_tokens, service);
    service->pool = pool_new("api", (int)settings->api_threads, API_WAITING_MOST,
                             settings_place(settings), error, size);
    if (!service->pool) return false;
    service->works = works_new(service, error, size);
    return service->works != NULL;
}

/* Started last, since notices contain the public address. */
static bool start_telling(struct service *service, char *error, size_t size) {
    const struct notify_settings settings = {.folder = settings_place(&service->settings),
                                             .public_url = service->public_url,
                                             .keeper = service->keeper,
                                             .look_s = (int)service->settings.tick_s};
    service->notify = notify_new(&settings, error, size);
    return service->notify != NULL;
}

static void say_where(const struct service *service, const char *link) {
    const struct settings *settings = &service->settings;
    for (int i = 0; i < settings->listen_count; i++) {
        const char *address = settings->listen[i];
        size_t length = strlen(address);
        bool chosen = length > 2 && strcmp(address + length - 2, ":0") == 0;
        if (strncmp(address, "unix:", 5) == 0) printf("Listening on %s\n", address);
        else if (chosen)
            printf("Listening on http://%.*s:%d\n", (int)length - 2, address,
                   http_port(service->http));
        else printf("Listening on http://%s\n", address);
    }
    printf("The data is in %s\n", service->shared ? "PostgreSQL" : settings->data);
    if (*link) printf("There is no user yet. Make the first one here: %s\n", link);
    fflush(stdout);
}

/* ---- Ending -----------------------------------------------------------------------------------
 */

static void stop(void *context) {
    struct service *service = context;
    loop_stop(service->loop);
}

static void drain_took_too_long(void *context) {
    struct service *service = context;
    atomic_store(&service->cut_off, true);
    log_line(LOG_WARN, "serve", "some requests did not end in time: they are cut off");
    stop(context);
}

/* Further signals change nothing: platforms send one to each process of a dyno, and a shell to the
 * whole group. */
static void begin_drain(void *context, int number) {
    struct service *service = context;
    if (service->draining) return;
    service->draining = true;
    log_line(LOG_INFO, "serve",
             "%s%sno new connections; ends when those that are open have their answers",
             number == SIGTERM   ? "SIGTERM"
             : number == SIGINT  ? "SIGINT"
             : number == SIGCHLD ? "SIGCHLD"
                                 : "",
             number ? ": " : "");
    service->drain_timer =
        loop_every(service->loop, service->settings.drain_s * 1000, drain_took_too_long, service);
    http_drain(service->http, stop, service);
}

/* The keeper is the only child. Without it the service can do nothing: it ends, and whoever started
 * it starts it again. */
static void on_child(void *context, int number) {
    struct service *service = context;
    if (service->draining || !keeper_ended(service->keeper)) return;
    log_line(
        LOG_ERROR, "serve",
        "the process that keeps the credentials has ended, so the service ends: start it again");
    service->failed = true;
    begin_drain(service, number);
}

static void end_for_replaced(void *context) {
    struct service *service = context;
    service->failed = true;
    begin_drain(service, 0);
}

/* Any thread, each time that something can't be written. */
static void on_replaced(void *context, const char *why) {
    struct service *service = context;
    if (atomic_flag_test_and_set(&service->replaced_told)) return;
    log_line(LOG_ERROR, "serve", "%s. So this ends, to be started again", why);
    service->replaced_post.run = end_for_replaced;
    service->replaced_post.context = service;
    loop_post(service->loop, &service->replaced_post);
}

/* Logs go to standard error, so there is no file to reopen. */
static void on_hangup(void *context, int number) {
    (void)context, (void)number;
    log_line(LOG_INFO, "serve", "SIGHUP: nothing to do");
}

/* In this order nothing that was read is lost, and no room is called after its end: the API's last
 * answers are sent, control stops telling others, the commit's last answers are sent, then control
 * ends its orders. */
static void end(struct service *service) {
    service->draining = true;
    if (service->pool) pool_free(service->pool);
    if (service->loop) loop_run_posts(service->loop);
    if (service->works) works_stop(service->works);
    if (service->loop) loop_run_posts(service->loop);
    if (service->control) control_stop(service->control);
    if (service->ingest) ingest_free(service->ingest);
    if (service->loop) loop_run_posts(service->loop);
    if (service->control) control_free(service->control);
    notify_free(service->notify);
    http_server_free(service->http);
    if (service->loop) loop_run_posts(service->loop);
    works_free(service->works);
    events_free(service->events);
    ready_free(service->ready);
    if (service->live) live_free(service->live);
    keeper_free(service->keeper);
    store_when_replaced(NULL);
    loop_free(service->loop);
    if (service->lock_fd >= 0) close(service->lock_fd);
}

/* ---- The whole --------------------------------------------------------------------------------
 */

/* The keeper's first step reads what the operator gave for calling Heroku, and passes the service
 * its part. */
static bool begin_keeper(void *context, const void **greeting, size_t *length, char *error,
                         size_t size) {
    const struct service *service = context;
    static struct addon_settings shown;
    if (!addon_configure(&service->settings, error, size)) return false;
    shown = *addon_settings();
    sodium_memzero(shown.client_secret, sizeof shown.client_secret);
    *greeting = &shown;
    *length = sizeof shown;
    return true;
}

/* Before there are threads or sockets, so that the keeper inherits none. */
static bool start_keeper(struct service *service, char *error, size_t size) {
    const struct settings *settings = &service->settings;
    const struct keeper_settings keeper = {
        .folder = settings->data,
        .mail = {.url = *settings->smtp ? settings->smtp : NULL,
                 .password = getenv("DYNOSCALED_SMTP_PASSWORD"),
                 .from = settings->mail_from},
        .private_addresses = settings->private_platforms,
    };
    const struct keeper_begin begin = {begin_keeper, service};
    struct addon_settings addon = {0};
    /* Both processes check addresses. */
    if (settings->tls_only) client_insist_on_tls();
    client_call_hosts(settings->call_hosts);
    service->keeper = keeper_start(&keeper, &begin, error, size);
    if (!service->keeper || !keeper_hello(service->keeper, &addon, sizeof addon, error, size))
        return false;
    addon_take(&addon);
    filter_service();
    return true;
}

static bool start(struct service *service, char *error, size_t size) {
    char link[SETTINGS_TEXT_SIZE] = "";
    service->lock_fd = lock_folder(service->settings.data, error, size);
    if (service->lock_fd < 0 || !start_keeper(service, error, size)) return false;
    struct store *store = store_open(settings_place(&service->settings), STORE_CREATE, error, size);
    if (!store) return false;
    service->shared = store_is_shared(store);
    if (service->shared && service->settings.tls_only && !*service->settings.database) {
        snprintf(
            error, size,
            "--tls-only looks at the database's URL: give it as DYNOSCALED_DATABASE and not in "
            "%.200s/database",
            service->settings.data);
        store_close(store);
        return false;
    }
    if (service->shared) {
        store_follow_clock();
        store_compare_clocks(store);
    }
    bool started = store_move_allows(store, error, size) && start_rooms(service, error, size) &&
                   check_key(service, store, error, size) && open_server(service, error, size);
    if (started) {
        service->replaced = (struct store_replaced){on_replaced, service};
        store_when_replaced(&service->replaced);
        find_public_url(service);
        control_set_public_url(service->control, service->public_url);
        started = prepare_store(service, store, link, sizeof link, error, size) &&
                  start_telling(service, error, size) && open_control_socket(service, error, size);
    }
    store_close(store);
    if (started) say_where(service, link);
    return started;
}

int serve(const struct settings *settings) {
    struct service service = {
        .settings = *settings, .lock_fd = -1, .replaced_told = ATOMIC_FLAG_INIT};
    char error[1000] = "";
    prepare_process(&service);
    bool started =
        raise_files(&service.settings, error, sizeof error) && start(&service, error, sizeof error);
    if (started) {
        addon_begin(&service);
        loop_on_signal(service.loop, SIGTERM, begin_drain, &service);
        loop_on_signal(service.loop, SIGINT, begin_drain, &service);
        loop_on_signal(service.loop, SIGHUP, on_hangup, &service);
        loop_on_signal(service.loop, SIGCHLD, on_child, &service);
        on_child(&service, SIGCHLD); /* it may have ended before the handler was there */
        log_line(LOG_INFO, "serve", "dynoscaled " DYNOSCALE_VERSION " has started");
        loop_run(service.loop);
    } else {
        fprintf(stderr, "dynoscaled: %s\n", error);
    }
    end(&service);
    if (started) log_line(LOG_INFO, "serve", "ended");
    return started && !service.failed ? 0 : 1;
}
