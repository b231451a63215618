/*
 * Messages between the service and its keeper: whole numbers, texts and bytes, in an order that
 * both sides know. A message is wiped when it is freed, since it may hold a credential.
 */
#ifndef MESSAGE_H
#define MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct message {
    unsigned char *bytes;
    size_t length, room;
    size_t at;   /* of what is read next */
    bool failed; /* memory ran out, or what was read is not there */
};

#define MESSAGE_EMPTY ((struct message){0})

void message_wipe(struct message *message);

void message_put_int(struct message *message, int64_t number);
/* NULL stays NULL. */
void message_put_text(struct message *message, const char *text);
void message_put_bytes(struct message *message, const void *bytes, size_t length);

/* Read in the order in which they were put. Results live as long as the message. Once a read has
 * failed, all later ones fail: 0, NULL. */
int64_t message_int(struct message *message);
const char *message_text(struct message *message);
const void *message_bytes(struct message *message, size_t *length);

/* Over a connected stream socket. False: the other side has ended, or sent no valid message. */
bool message_send(int socket, const struct message *message);
bool message_receive(int socket, struct message *message);

#endif
