/*
 * hop TO_PORT DELAY_MS: a hop between router and app that holds each request for a known time.
 * Prints its port, and ends with its standard input. Connections last; a request is what comes in
 * one piece, which is so for the small ones that the benchmark sends.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* ppoll, clocks */
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rounds.h"

enum { PAIRS = 256, LARGEST = 16384, FIRST_PAIR = 2 };

typedef struct pair {
    bool open;
    int client, app;
    double release; /* when what is held goes on */
    size_t held;
    char request[LARGEST];
} pair;

static pair pairs[PAIRS];
static struct sockaddr_in app_address;

static int tcp_socket(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (fd < 0) fail("hop: no socket");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void open_pair(int client) {
    int on = 1;
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    for (int i = 0; i < PAIRS; i++) {
        if (pairs[i].open) continue;
        pairs[i] = (pair){.open = true, .client = client, .app = tcp_socket()};
        if (connect(pairs[i].app, (struct sockaddr *)&app_address, sizeof app_address) != 0)
            fail("hop: the app does not listen");
        return;
    }
    fail("hop: too many connections");
}

static void close_pair(pair *p) {
    close(p->client);
    close(p->app);
    p->open = false;
}

static bool send_all(int fd, const char *data, size_t length) {
    while (length > 0) {
        ssize_t n = send(fd, data, length, MSG_NOSIGNAL);
        if (n <= 0) return false;
        data += n;
        length -= (size_t)n;
    }
    return true;
}

static void take_request(pair *p, double delay) {
    ssize_t n = recv(p->client, p->request + p->held, LARGEST - p->held, 0);
    if (n <= 0) {
        close_pair(p);
        return;
    }
    if (p->held == 0) p->release = seconds_of(CLOCK_MONOTONIC) + delay;
    p->held += (size_t)n;
}

static void pass_answer(pair *p) {
    char answer[LARGEST];
    ssize_t n = recv(p->app, answer, sizeof answer, 0);
    if (n <= 0 || !send_all(p->client, answer, (size_t)n)) close_pair(p);
}

static void release_due(pair *p, double now) {
    if (!p->open || p->held == 0 || p->release > now) return;
    size_t length = p->held;
    p->held = 0;
    if (!send_all(p->app, p->request, length)) close_pair(p);
}

/* The time until the next release, at most a second. */
static struct timespec until_next(void) {
    double now = seconds_of(CLOCK_MONOTONIC), next = now + 1;
    for (int i = 0; i < PAIRS; i++)
        if (pairs[i].open && pairs[i].held > 0 && pairs[i].release < next) next = pairs[i].release;
    double left = next > now ? next - now : 0;
    return (struct timespec){.tv_sec = (time_t)left,
                             .tv_nsec = (long)((left - (double)(time_t)left) * 1e9)};
}

static int listen_anywhere(void) {
    int listener = tcp_socket();
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 256) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        fail("hop: can't listen");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

int main(int count, char **arguments) {
    if (count < 3) fail("hop TO_PORT DELAY_MS");
    app_address.sin_family = AF_INET;
    app_address.sin_port = htons((uint16_t)atoi(arguments[1]));
    app_address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    double delay = atof(arguments[2]) / 1000;
    int listener = listen_anywhere();

    for (;;) {
        static struct pollfd watched[FIRST_PAIR + 2 * PAIRS];
        watched[0] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
        watched[1] = (struct pollfd){.fd = listener, .events = POLLIN};
        for (int i = 0; i < PAIRS; i++) {
            struct pollfd *two = &watched[FIRST_PAIR + 2 * i];
            two[0] = (struct pollfd){.fd = pairs[i].open ? pairs[i].client : -1, .events = POLLIN};
            two[1] = (struct pollfd){.fd = pairs[i].open ? pairs[i].app : -1, .events = POLLIN};
        }
        struct timespec wait = until_next();
        if (ppoll(watched, FIRST_PAIR + 2 * PAIRS, &wait, NULL) < 0 && errno != EINTR)
            fail("hop: poll");
        if (watched[0].revents) return 0;
        double now = seconds_of(CLOCK_MONOTONIC);
        for (int i = 0; i < PAIRS; i++) release_due(&pairs[i], now);
        for (int i = 0; i < PAIRS; i++) {
            struct pollfd *two = &watched[FIRST_PAIR + 2 * i];
            if (pairs[i].open && two[1].revents) pass_answer(&pairs[i]);
            if (pairs[i].open && two[0].revents) take_request(&pairs[i], delay);
        }
        if (watched[1].revents) open_pair(accept(listener, NULL, NULL));
    }
}
