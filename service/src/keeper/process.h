/*
 * The keeper as processes of their own, forked before there is a thread or a socket:
 *
 *     dynoscaled serve         hears the network
 *     └ keeper                 waits for the next, and starts another where that ends
 *       └ keeper               has the key; a thread for each message
 *
 * The service's side of a socket pair is the only way to it. For each message the service makes
 * another pair and sends one end of it along, so that messages wait for no others, and so that the
 * end of the keeper is the end of what it was asked: the answer is then not known, as that of a
 * platform that did not answer. The first keeper holds no more than the environment; where it ends,
 * so do the second, by the signal of a parent's death, and the service, which can't act any more.
 * Where the service ends, both do: killed by that signal, or by the end of the socket.
 *
 * What a keeper needs of the environment is wiped from the service's own.
 */
#ifndef KEEPER_PROCESS_H
#define KEEPER_PROCESS_H

#include <sys/types.h>

#include "keeper/keeper.h"
#include "keeper/message.h"

/* The first step of the second keeper, before it has threads. False with a sentence, which
 * keeper_hello passes on to the service. The greeting lives as long as the process. */
struct keeper_begin {
    bool (*begin)(void *context, const void **greeting, size_t *length, char *error, size_t size);
    void *context;
};

/* Must be called in a process without threads. NULL with a sentence. */
struct keeper *keeper_start(const struct keeper_settings *settings,
                            const struct keeper_begin *begin, char *error, size_t size);
/* Waits until the keeper is ready and takes its greeting, of exactly `size` bytes. False with a
 * sentence: its first step failed. */
bool keeper_hello(const struct keeper *keeper, void *greeting, size_t size, char *error,
                  size_t error_size);
/* Whether the process has ended for good: nothing can be asked any more. */
bool keeper_ended(struct keeper *keeper);

/* ---- For ask.c ------------------------------------------------------------------------------- */

struct keeper_process {
    int socket;
    pid_t pid; /* of the first; 0: it has ended */
};

bool process_start(struct keeper_process *process, const struct keeper_settings *settings,
                   const struct keeper_begin *begin, char *error, size_t size);
enum asked {
    ANSWERED,
    NOT_ASKED,    /* no socket pair could be made: nothing was begun */
    NOT_ANSWERED, /* it ended or did not answer in time: the call may have been made */
};
enum asked process_ask(const struct keeper_process *process, const struct message *request,
                       struct message *reply, int64_t patience_ms);
bool process_ended(struct keeper_process *process);
void process_end(struct keeper_process *process); /* and waits until both have ended */

#endif
