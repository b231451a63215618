#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* pipe2, posix_spawn_file_actions_add..._np, POSIX_SPAWN_SETSID */
#endif
#include "platforms/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* What is watched: both pipes, the program itself, and the deadline. */
enum { OUTPUT, ERRORS, PROGRAM, DEADLINE, WATCHED };

struct run {
    struct pollfd watched[WATCHED];
    int output[2], errors[2];
    pid_t pid;
    struct run_result *result;
    char line[RUN_LINE]; /* the last line of standard error so far */
    size_t line_length;
};

static void close_at(int *number) {
    if (*number >= 0) close(*number);
    *number = -1;
}

static bool impossible(struct run *run, const char *what, int error) {
    run->result->end = RUN_IMPOSSIBLE;
    snprintf(run->result->reason, sizeof run->result->reason, "%s: %s", what, strerror(error));
    return false;
}

/* A kernel timer: the deadline holds whatever our own clock says. */
static int deadline(int64_t ms) {
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    if (ms < 1) ms = 1;
    struct itimerspec when = {.it_value = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}};
    if (timer >= 0 && timerfd_settime(timer, 0, &when, NULL) != 0) close_at(&timer);
    return timer;
}

static bool open_all(struct run *run, int64_t deadline_ms) {
    if (pipe2(run->output, O_CLOEXEC) != 0 || pipe2(run->errors, O_CLOEXEC) != 0)
        return impossible(run, "no pipe", errno);
    fcntl(run->output[0], F_SETFL, O_NONBLOCK);
    fcntl(run->errors[0], F_SETFL, O_NONBLOCK);
    run->watched[DEADLINE].fd = deadline(deadline_ms);
    return run->watched[DEADLINE].fd >= 0 || impossible(run, "no timer", errno);
}

static int set_actions(posix_spawn_file_actions_t *actions, const struct run *run,
                       const char *directory) {
    int error = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
    if (!error) error = posix_spawn_file_actions_adddup2(actions, run->output[1], 1);
    if (!error) error = posix_spawn_file_actions_adddup2(actions, run->errors[1], 2);
    if (!error) error = posix_spawn_file_actions_addclosefrom_np(actions, 3);
    if (!error && directory) error = posix_spawn_file_actions_addchdir_np(actions, directory);
    return error;
}

static int set_attributes(posix_spawnattr_t *attributes) {
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int error = posix_spawnattr_setsigmask(attributes, &none);
    if (!error) error = posix_spawnattr_setsigdefault(attributes, &all);
    if (!error)
        error = posix_spawnattr_setflags(
            attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
    return error;
}

static bool start(struct run *run, char *const arguments[], char *const environment[],
                  const char *directory) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int error = posix_spawn_file_actions_init(&actions);
    if (error) return impossible(run, "no process", error);
    error = posix_spawnattr_init(&attributes);
    if (!error) {
        error = set_actions(&actions, run, directory);
        if (!error) error = set_attributes(&attributes);
        if (!error)
            error = posix_spawnp(&run->pid, arguments[0], &actions, &attributes, arguments,
                                 environment);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    if (!error) return true;
    if (error == EAGAIN || error == ENOMEM || error == EMFILE || error == ENFILE)
        return impossible(run, "no process", error);
    run->result->end = RUN_NOT_FOUND;
    if (directory && access(directory, X_OK) != 0)
        snprintf(run->result->reason, sizeof run->result->reason, "its folder %.80s: %s", directory,
                 strerror(errno));
    else snprintf(run->result->reason, sizeof run->result->reason, "%s", strerror(error));
    return false;
}

/* Keeps the last line that is not blank; of a long line, its beginning. */
static void take_errors(struct run *run, const char *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == '\n') {
            run->line_length = 0;
        } else if (run->line_length + 1 < sizeof run->line) {
            bool printable = (unsigned char)bytes[i] >= 0x20 && bytes[i] != 0x7F;
            if (run->line_length == 0 && (bytes[i] == ' ' || !printable)) continue;
            run->line[run->line_length++] = printable ? bytes[i] : ' ';
            run->line[run->line_length] = '\0';
        }
    }
}

/* False: it has printed too much. */
static bool take_output(struct run *run, const char *bytes, size_t length) {
    struct run_result *result = run->result;
    if (length > sizeof result->output - result->length) return false;
    memcpy(result->output + result->length, bytes, length);
    result->length += length;
    return true;
}

/* Reads what is available; closes the pipe at its end. */
static bool drain(struct run *run, int which) {
    char bytes[4096];
    int *end = which == OUTPUT ? &run->output[0] : &run->errors[0];
    while (*end >= 0) {
        ssize_t length = read(*end, bytes, sizeof bytes);
        if (length < 0 && errno == EINTR) continue;
        if (length < 0 && errno == EAGAIN) return true;
        if (length <= 0) {
            close_at(end);
            run->watched[which].fd = -1;
            return true;
        }
        if (which == ERRORS) take_errors(run, bytes, (size_t)length);
        else if (!take_output(run, bytes, (size_t)length)) return false;
    }
    return true;
}

static bool ended(struct run *run) {
    int status;
    if (waitpid(run->pid, &status, WNOHANG) != run->pid) return false;
    run->pid = -1;
    run->result->end = WIFEXITED(status) ? RUN_EXITED : RUN_SIGNALLED;
    run->result->status = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
    return true;
}

/* Kills the program's whole session, so that what it started ends too. */
static void kill_all(struct run *run, enum run_end end) {
    kill(-run->pid, SIGKILL);
    kill(run->pid, SIGKILL);
    while (waitpid(run->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    run->result->end = end;
}

/* Waits until the program has ended, but not for the end of its pipes: programs that it left
 * running may keep them open. */
static void attend(struct run *run) {
    /* On an old kernel, without a descriptor for the process, polls 50 times a second. */
    int pause_ms = run->watched[PROGRAM].fd < 0 ? 20 : -1;
    for (;;) {
        if (poll(run->watched, WATCHED, pause_ms) < 0 && errno != EINTR)
            return kill_all(run, RUN_IMPOSSIBLE);
        bool all_taken = drain(run, OUTPUT) && drain(run, ERRORS);
        if (!all_taken) return kill_all(run, RUN_TOO_LONG);
        if (ended(run)) break;
        if (run->watched[DEADLINE].revents) return kill_all(run, RUN_TIMED_OUT);
    }
    if (!drain(run, OUTPUT)) run->result->end = RUN_TOO_LONG;
    drain(run, ERRORS);
}

void run_program(struct run_result *result, char *const arguments[], char *const environment[],
                 const char *directory, int64_t deadline_ms) {
    *result = (struct run_result){0};
    struct run run = {.output = {-1, -1}, .errors = {-1, -1}, .pid = -1, .result = result};
    for (int i = 0; i < WATCHED; i++) run.watched[i] = (struct pollfd){.fd = -1, .events = POLLIN};
    if (open_all(&run, deadline_ms) && start(&run, arguments, environment, directory)) {
        close_at(&run.output[1]);
        close_at(&run.errors[1]);
        run.watched[OUTPUT].fd = run.output[0];
        run.watched[ERRORS].fd = run.errors[0];
        run.watched[PROGRAM].fd = pidfd_open(run.pid, 0);
        attend(&run);
        memcpy(result->last_line, run.line, sizeof run.line);
    }
    for (int i = 0; i < 2; i++) {
        close_at(&run.output[i]);
        close_at(&run.errors[i]);
    }
    close_at(&run.watched[PROGRAM].fd);
    close_at(&run.watched[DEADLINE].fd);
}
