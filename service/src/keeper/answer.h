/*
 * The keeper's side: does what a message asks for, with the key. Messages may come from a process
 * that an attacker controls, so nothing in them is trusted.
 */
#ifndef KEEPER_ANSWER_H
#define KEEPER_ANSWER_H

#include "keeper/keeper.h"
#include "keeper/message.h"

/* What is asked for: the first number of a message. Its fields, and those of the reply, stand in
 * ask.c and answer.c in the same order. */
enum keeper_verb {
    VERB_HELLO,
    VERB_DERIVE,
    VERB_MARK,
    VERB_KNOWS,
    VERB_SEAL_CREDENTIAL,
    VERB_SEAL_CHANNEL,
    VERB_SEAL_GRANT,
    VERB_CHECK,
    VERB_RENEW,
    VERB_READ,
    VERB_SET,
    VERB_UNDO,
    VERB_TOLD,
    VERB_TELL,
    VERB_GRANT_RENEW,
    VERB_GRANT_APP,
    VERB_GRANT_CONFIG,
    VERB_GRANT_READY,
    VERB_GRANT_CREDENTIAL,
    VERB_FACTOR_MAKE,
    VERB_FACTOR_STEP,
    VERBS,
};

struct answerer {
    struct keeper_settings settings;
    struct vault *vault;
    /* What VERB_HELLO also returns; NULL: nothing. */
    const void *greeting;
    size_t greeting_length;
};

bool answerer_begin(struct answerer *answerer, const struct keeper_settings *settings, char *error,
                    size_t size);
void answerer_end(struct answerer *answerer);

/* Whether a request starts a program: only those run on a thread that may. Does not consume the
 * request. */
bool answer_starts_program(const struct message *request);

/* Fills the reply, which must be empty. False: the request is malformed, and there is no reply. */
bool answer(const struct answerer *answerer, struct message *request, struct message *reply);

#endif
