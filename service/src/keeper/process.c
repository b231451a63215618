#define _GNU_SOURCE /* close_range, SOCK_CLOEXEC */
#include "keeper/process.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keeper/answer.h"
#include "keeper/filter.h"
#include "log.h"

enum {
    SOCKET = 3,      /* the descriptor in both keepers */
    THREADS = 256,   /* calls at once; the service's pools have far fewer threads */
    STACK = 1 << 20, /* of each */
    AGAIN_MS = 200,  /* before a dead keeper is replaced */
    LAST_MS = 10000, /* for both to end on their own */
    END_MS = 5,      /* between two checks whether they have */
    WIPED = 0xA5,
};

/* ---- The second keeper: answers -------------------------------------------------------------- */

static struct answerer answerer;
static char trouble[512]; /* why it can't start; "" */
static atomic_int threads;

static void answer_one(int socket) {
    struct message request, reply = MESSAGE_EMPTY;
    if (message_receive(socket, &request)) {
        if (!answer_starts_program(&request)) filter_caller();
        bool there = true;
        if (!*trouble) {
            there = answer(&answerer, &request, &reply);
        } else if (message_int(&request) == VERB_HELLO) {
            message_put_int(&reply, false);
            message_put_text(&reply, trouble);
        } else {
            there = false;
        }
        message_wipe(&request);
        if (there) message_send(socket, &reply);
    }
    message_wipe(&reply);
    close(socket);
}

static void *run(void *context) {
    answer_one((int)(intptr_t)context);
    atomic_fetch_sub(&threads, 1);
    return NULL;
}

static void begin_thread(int socket, const pthread_attr_t *attributes) {
    pthread_t thread;
    bool room = atomic_fetch_add(&threads, 1) < THREADS;
    if (room && pthread_create(&thread, attributes, run, (void *)(intptr_t)socket) == 0) return;
    atomic_fetch_sub(&threads, 1);
    log_line(LOG_WARN, "keeper", "there is no thread for one more call: it was not begun");
    close(socket);
}

/* Receives the descriptor on which a message comes; -1: the service has ended. */
static int receive_end(void) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    char byte;
    for (;;) {
        struct iovec part = {&byte, 1};
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof control};
        ssize_t length = recvmsg(SOCKET, &message, MSG_CMSG_CLOEXEC);
        if (length < 0 && errno == EINTR) continue;
        if (length <= 0) return -1;
        const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        /* If no descriptor is free here, the system closed the end, and whoever asked notices. */
        if (!header || header->cmsg_type != SCM_RIGHTS) continue;
        int end;
        memcpy(&end, CMSG_DATA(header), sizeof end);
        return end;
    }
}

static int answer_all(const struct keeper_settings *settings, const struct keeper_begin *begin) {
    pthread_attr_t attributes;
    /* Overwrites memory that libraries free without wiping it, at the latest when the call's thread
     * ends. */
    mallopt(M_PERTURB, WIPED);
    bool began = begin->begin(begin->context, &answerer.greeting, &answerer.greeting_length,
                              trouble, sizeof trouble) &&
                 answerer_begin(&answerer, settings, trouble, sizeof trouble);
    if (began) trouble[0] = '\0';
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK);
    for (int end; (end = receive_end()) >= 0;) begin_thread(end, &attributes);
    pthread_attr_destroy(&attributes);
    return 0;
}

/* ---- The first keeper: waits ----------------------------------------------------------------- */

/* Ends with its parent; can't be inspected by other processes of the same user; ignores signals to
 * the process group, since the service ends it. */
static void separate(pid_t parent) {
    static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1); /* the parent has already ended */
    prctl(PR_SET_DUMPABLE, 0);
    prctl(PR_SET_NAME, "keeper");
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) signal(ignored[i], SIG_IGN);
}

static void pause_ms(int ms) { poll(NULL, 0, ms); }

static int keep_one(const struct keeper_settings *settings, const struct keeper_begin *begin) {
    for (;;) {
        pid_t self = getpid(), child = fork();
        if (child == 0) {
            separate(self);
            exit(answer_all(settings, begin));
        }
        int status = 0;
        while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
        if (child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
        if (child < 0)
            log_line(LOG_ERROR, "keeper", "no process can be started: %s", strerror(errno));
        else
            log_line(LOG_ERROR, "keeper",
                     "the process that calls platforms was ended by %s %d: another takes its place",
                     WIFSIGNALED(status) ? "signal" : "status",
                     WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        pause_ms(AGAIN_MS);
    }
}

/* ---- The service's side ---------------------------------------------------------------------- */

/* Also wipes the copy that the system shows of this process's environment. */
static void wipe_environment(void) {
    static const char *const names[] = {"DYNOSCALED_KEY", "DYNOSCALED_SMTP_PASSWORD",
                                        "DYNOSCALED_HEROKU_ADDON_JSON"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *value = getenv(names[i]);
        if (!value) continue;
        sodium_memzero(value, strlen(value));
        unsetenv(names[i]);
    }
}

bool process_start(struct keeper_process *process, const struct keeper_settings *settings,
                   const struct keeper_begin *begin, char *error, size_t size) {
    int ends[2];
    pid_t self = getpid(), child = -1;
    bool made = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0;
    if (made) child = fork();
    if (child == 0) {
        separate(self);
        /* Closes everything but the standard streams and the socket. */
        if (dup2(ends[1], SOCKET) < 0 && ends[1] != SOCKET) _exit(1);
        if (fcntl(SOCKET, F_SETFD, FD_CLOEXEC) != 0 || close_range(SOCKET + 1, ~0U, 0) != 0)
            _exit(1);
        exit(keep_one(settings, begin));
    }
    if (child < 0)
        snprintf(error, size, "the process that keeps the credentials can't be started: %s",
                 strerror(errno));
    if (made) close(ends[1]);
    if (made && child < 0) close(ends[0]);
    if (child < 0) return false;
    *process = (struct keeper_process){.socket = ends[0], .pid = child};
    wipe_environment();
    return true;
}

/* Makes a pair, sends one end to the keeper and returns the other; -1: failed. */
static int connect_end(const struct keeper_process *process, int64_t patience_ms) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {{0}};
    int ends[2];
    char byte = 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return -1;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(header), &ends[1], sizeof(int));
    ssize_t sent;
    while ((sent = sendmsg(process->socket, &message, MSG_NOSIGNAL)) < 0 && errno == EINTR)
        continue;
    close(ends[1]);
    struct timeval patience = {.tv_sec = patience_ms / 1000,
                               .tv_usec = (suseconds_t)(patience_ms % 1000) * 1000};
    setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (sent == 1) return ends[0];
    close(ends[0]);
    return -1;
}

enum asked process_ask(const struct keeper_process *process, const struct message *request,
                       struct message *reply, int64_t patience_ms) {
    int end = connect_end(process, patience_ms);
    if (end < 0) return NOT_ASKED;
    bool answered = message_send(end, request) && message_receive(end, reply);
    close(end);
    return answered ? ANSWERED : NOT_ANSWERED;
}

bool process_ended(struct keeper_process *process) {
    if (process->pid && waitpid(process->pid, NULL, WNOHANG) == process->pid) process->pid = 0;
    return process->pid == 0;
}

/* Polls, because not every system has descriptors for processes. */
void process_end(struct keeper_process *process) {
    close(process->socket);
    for (int ms = 0; !process_ended(process) && ms < LAST_MS; ms += END_MS) pause_ms(END_MS);
    if (process_ended(process)) return;
    kill(process->pid, SIGKILL);
    while (waitpid(process->pid, NULL, 0) < 0 && errno == EINTR) continue;
    process->pid = 0;
}
