#define _GNU_SOURCE /* accept4 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "http/engine.h"
#include "log.h"

enum { BACKLOG = 4096, ACCEPTS_AT_ONCE = 64, LINGER_MS = 2000, COMPLAIN_EVERY_MS = 60000 };

const struct http_limits http_usual_limits = {
    .head_bytes = 16 << 10,
    .body_bytes = 512 << 10,
    .held_bytes = 128 << 20,
    .stream_bytes = 64 << 10,
    .head_ms = 10000,
    .body_ms = 30000,
    .idle_ms = 75000,
    .answer_ms = 60000,
    .stream_ms = 20000,
    .connections = 10000,
    .connections_a_peer = 2000,
};

/* libevent keeps time-outs of the same length in a queue, which is cheaper than its heap. */
static const struct timeval *timeout_of(struct event_base *base, int ms) {
    struct timeval timeout = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    return event_base_init_common_timeout(base, &timeout);
}

static void accept_again(evutil_socket_t fd, short what, void *context);
static void drain_now(evutil_socket_t fd, short what, void *context);

static bool set_timeouts(struct http_server *server) {
    const int ms[PHASES] = {
        [PHASE_HEAD] = server->limits.head_ms,     [PHASE_BODY] = server->limits.body_ms,
        [PHASE_ANSWER] = server->limits.answer_ms, [PHASE_IDLE] = server->limits.idle_ms,
        [PHASE_STREAM] = server->limits.stream_ms, [PHASE_LINGER] = LINGER_MS,
    };
    for (int i = 0; i < PHASES; i++) {
        server->timeouts[i] = timeout_of(server->base, ms[i]);
        if (!server->timeouts[i]) return false;
    }
    return true;
}

struct http_server *http_server_new(struct loop *loop, const struct http_limits *limits,
                                    void (*handle)(void *context, struct http_request *request),
                                    void *context, char *error, size_t size) {
    struct http_server *server = calloc(1, sizeof *server);
    if (!server) {
        snprintf(error, size, "there is no memory for the server");
        return NULL;
    }
    server->loop = loop;
    server->base = loop_base(loop);
    server->limits = *limits;
    server->handle = handle;
    server->context = context;
    event_assign(&server->accept_again, server->base, -1, 0, accept_again, server);
    event_assign(&server->close_listeners, server->base, -1, 0, drain_now, server);
    if (!address_read_networks(&server->trusted, limits->trusted_proxies, error, size)) goto failed;
    server->peers = peers_new();
    if (server->peers && set_timeouts(server)) return server;
    snprintf(error, size, "there is no memory for the server");
failed:
    http_server_free(server);
    return NULL;
}

/* ---- Connections ---------------------------------------------------------------------------- */

/* Descriptors ran out: accepting again would spin until one is free. */
static void rest_from_accepting(struct http_server *server) {
    static const struct timeval a_moment = {.tv_usec = 100000};
    int64_t now_ms = ds_clock_monotonic_ms();
    if (server->complained_ms == 0 || now_ms - server->complained_ms >= COMPLAIN_EVERY_MS) {
        log_line(LOG_WARN, "http", "a connection can't be accepted: %s", strerror(errno));
        server->complained_ms = now_ms;
    }
    for (struct http_listener *listener = server->listeners; listener; listener = listener->next)
        event_del(&listener->event);
    event_add(&server->accept_again, &a_moment);
}

static void accept_again(evutil_socket_t fd, short what, void *context) {
    struct http_server *server = context;
    (void)fd, (void)what;
    for (struct http_listener *listener = server->listeners; listener; listener = listener->next)
        event_add(&listener->event, NULL);
}

static bool accept_one(struct http_listener *listener) {
    struct http_server *server = listener->server;
    struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof from;
    int fd = accept4(listener->fd, (struct sockaddr *)&from, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            rest_from_accepting(server);
        return errno == ECONNABORTED || errno == EINTR;
    }
    /* The command line is let in however many other connections there are. */
    if (server->counts.open >= server->limits.connections && listener->peer != HTTP_PEER_LOCAL) {
        server->counts.refused_connections++;
        log_refusal(LOG_CONNECTIONS, "http",
                    "a connection was closed: there are %d already, and no more are allowed",
                    server->limits.connections);
        close(fd);
        return true;
    }
    int on = 1;
    if (!listener->path) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connection_new(server, fd, listener->peer, (struct sockaddr *)&from);
    return true;
}

static void on_connection(evutil_socket_t fd, short what, void *context) {
    (void)fd, (void)what;
    for (int i = 0; i < ACCEPTS_AT_ONCE; i++)
        if (!accept_one(context)) return;
}

/* ---- Listeners ------------------------------------------------------------------------------ */

static bool add_listener(struct http_server *server, int fd, enum http_peer peer,
                         const char *path) {
    struct http_listener *listener = calloc(1, sizeof *listener);
    char *copy = path ? strdup(path) : NULL;
    if (!listener || (path && !copy)) {
        free(listener);
        free(copy);
        return false;
    }
    *listener = (struct http_listener){
        .next = server->listeners, .server = server, .fd = fd, .peer = peer, .path = copy};
    server->listeners = listener;
    event_assign(&listener->event, server->base, fd, EV_READ | EV_PERSIST, on_connection, listener);
    event_add(&listener->event, NULL);
    return true;
}

static int port_of(int fd) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0) return 0;
    return ntohs(address.ss_family == AF_INET6
                     ? ((struct sockaddr_in6 *)(void *)&address)->sin6_port
                     : ((struct sockaddr_in *)(void *)&address)->sin_port);
}

static int bound_socket(const struct addrinfo *address, bool reuse_port) {
    int on = 1;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (reuse_port) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (address->ai_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) return fd;
    int failure = errno;
    close(fd);
    errno = failure;
    return -1;
}

static bool listen_tcp(struct http_server *server, const char *text, char *error, size_t size) {
    char host[256], port[8];
    if (!address_split(text, host, sizeof host, port, sizeof port, error, size)) return false;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
    int failure = getaddrinfo(host, port, &hints, &found);
    if (failure != 0) {
        snprintf(error, size, "can't listen on %s: %s", text, gai_strerror(failure));
        return false;
    }
    int fd = bound_socket(found, server->limits.reuse_port);
    int reason = errno;
    freeaddrinfo(found);
    if (fd < 0) {
        snprintf(error, size, "can't listen on %s: %s", text, strerror(reason));
        return false;
    }
    if (!add_listener(server, fd, HTTP_PEER_NETWORK, NULL)) {
        close(fd);
        snprintf(error, size, "there is no memory to listen on %s", text);
        return false;
    }
    if (server->port == 0) server->port = port_of(fd);
    return true;
}

/* A name for the socket that fits into an address if the whole path does not: through the folder,
 * opened as *folder (-1: not needed). */
static bool file_address(struct sockaddr_un *address, const char *path, int *folder) {
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    *folder = -1;
    if (strlen(path) < sizeof address->sun_path) {
        strcpy(address->sun_path, path);
        return true;
    }
    const char *slash = strrchr(path, '/');
    if (!slash || strlen(slash) > 60) return false;
    char *parent = strndup(path, (size_t)(slash - path) + 1);
    *folder = parent ? open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    free(parent);
    if (*folder < 0) return false;
    snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d%s", *folder, slash);
    return true;
}

/* Removes a socket that a killed server left behind, but not one that somebody listens on, nor any
 * other kind of file. */
static bool remove_stale(const struct sockaddr_un *address) {
    struct stat status;
    if (lstat(address->sun_path, &status) != 0) return true;
    if (!S_ISSOCK(status.st_mode)) {
        errno = EEXIST;
        return false;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool alive = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) == 0;
    if (fd >= 0) close(fd);
    if (alive) errno = EADDRINUSE;
    return !alive && unlink(address->sun_path) == 0;
}

/* Sets the mode before the file exists, so that nobody can connect in between. */
static int bound_file(const struct sockaddr_un *address, mode_t mode) {
    if (!remove_stale(address)) return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    if (fchmod(fd, mode) == 0 && bind(fd, (const struct sockaddr *)address, sizeof *address) == 0 &&
        chmod(address->sun_path, mode) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int failure = errno;
    close(fd);
    errno = failure;
    return -1;
}

static bool listen_file(struct http_server *server, const char *path, enum http_peer peer,
                        char *error, size_t size) {
    struct sockaddr_un address;
    int folder = -1;
    if (!file_address(&address, path, &folder)) {
        snprintf(error, size,
                 "can't listen on unix:%s: the path is too long or its folder is not "
                 "there",
                 path);
        return false;
    }
    int fd = bound_file(&address, peer == HTTP_PEER_LOCAL ? 0600 : 0660);
    int reason = errno;
    if (folder >= 0) close(folder);
    if (fd < 0) {
        snprintf(error, size, "can't listen on unix:%s: %s", path, strerror(reason));
        return false;
    }
    if (add_listener(server, fd, peer, path)) return true;
    close(fd);
    snprintf(error, size, "there is no memory to listen on unix:%s", path);
    return false;
}

bool http_listen(struct http_server *server, const char *address, enum http_peer peer, char *error,
                 size_t size) {
    if (strncmp(address, "unix:", 5) == 0)
        return listen_file(server, address + 5, peer, error, size);
    return listen_tcp(server, address, error, size);
}

int http_port(const struct http_server *server) { return server->port; }

struct http_counts http_counts(const struct http_server *server) {
    return server->counts;
}

/* ---- The end -------------------------------------------------------------------------------- */

static void close_listeners(struct http_server *server) {
    event_del(&server->accept_again);
    while (server->listeners) {
        struct http_listener *listener = server->listeners;
        server->listeners = listener->next;
        event_del(&listener->event);
        close(listener->fd);
        if (listener->path) unlink(listener->path);
        free(listener->path);
        free(listener);
    }
}

static void tell_drained(void *context) {
    struct http_server *server = context;
    server->drained(server->drained_context);
}

static void close_streams(struct http_server *server) {
    for (struct connection *connection = server->connections, *next; connection;
         connection = next) {
        next = connection->next;
        if (connection->stream) connection_close(connection);
    }
}

/*
 * With --reuse-port another process takes new connections, but the kernel resets those in a
 * listener's queue when it closes. So SYN packets (without ACK) are dropped first: the peer repeats
 * them a second later. By then this process has accepted its queue and closed its listener, so they
 * go to the other process.
 */
static bool refuse_new(const struct http_server *server) {
    static struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13), /* the flags */
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x12),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x02, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    const struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
    bool any = false;
    for (struct http_listener *listener = server->listeners; listener; listener = listener->next)
        if (!listener->path &&
            setsockopt(listener->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0)
            any = true;
    return any;
}

static void accept_waiting(struct http_server *server) {
    for (struct http_listener *listener = server->listeners; listener; listener = listener->next)
        for (int i = 0; i < BACKLOG && accept_one(listener); i++) continue;
}

static void drain_now(evutil_socket_t fd, short what, void *context) {
    struct http_server *server = context;
    (void)fd, (void)what;
    accept_waiting(server);
    close_listeners(server);
    if (server->counts.open == 0) loop_post(server->loop, &server->drained_post);
    server->draining = true;
    close_streams(server);
    for (struct connection *connection = server->connections, *next; connection;
         connection = next) {
        next = connection->next;
        connection_end_if_idle(connection);
    }
}

void http_drain(struct http_server *server, void (*drained)(void *context), void *context) {
    static const struct timeval under_way = {.tv_usec = 500000};
    if (server->drained) return;
    server->drained = drained;
    server->drained_context = context;
    server->drained_post.run = tell_drained;
    server->drained_post.context = server;
    if (server->limits.reuse_port && refuse_new(server))
        event_add(&server->close_listeners, &under_way);
    else drain_now(-1, 0, server);
}

void http_server_free(struct http_server *server) {
    if (!server) return;
    server->draining = false; /* so that the callback of a drain is not called */
    event_del(&server->close_listeners);
    close_listeners(server);
    while (server->connections) connection_close(server->connections);
    peers_free(server->peers);
    text_free(&server->head);
    free(server);
}
