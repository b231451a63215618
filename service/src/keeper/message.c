#include "keeper/message.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { FIRST_ROOM = 512, LONGEST = 4 << 20 };

void message_wipe(struct message *message) {
    if (message->bytes) sodium_memzero(message->bytes, message->room);
    free(message->bytes);
    *message = MESSAGE_EMPTY;
}

/* Never by realloc, which would leave a copy behind. */
static bool make_room(struct message *message, size_t more) {
    size_t wanted = message->length + more, room = message->room ? message->room : FIRST_ROOM;
    if (message->failed || more > LONGEST || wanted > LONGEST) return false;
    if (wanted <= message->room) return true;
    while (room < wanted) room *= 2;
    unsigned char *bytes = malloc(room);
    if (!bytes) return false;
    if (message->bytes) {
        memcpy(bytes, message->bytes, message->length);
        sodium_memzero(message->bytes, message->room);
        free(message->bytes);
    }
    message->bytes = bytes;
    message->room = room;
    return true;
}

static void put(struct message *message, const void *bytes, size_t length) {
    if (!make_room(message, length)) {
        message->failed = true;
        return;
    }
    if (length > 0) memcpy(message->bytes + message->length, bytes, length);
    message->length += length;
}

void message_put_int(struct message *message, int64_t number) {
    put(message, &number, sizeof number);
}

void message_put_bytes(struct message *message, const void *bytes, size_t length) {
    message_put_int(message, bytes ? (int64_t)length : -1);
    if (!bytes) return;
    put(message, bytes, length);
    put(message, "", 1); /* a NUL, so that a text can be used in place */
}

void message_put_text(struct message *message, const char *text) {
    message_put_bytes(message, text, text ? strlen(text) : 0);
}

int64_t message_int(struct message *message) {
    int64_t number = 0;
    if (message->failed || message->length - message->at < sizeof number) {
        message->failed = true;
        return 0;
    }
    memcpy(&number, message->bytes + message->at, sizeof number);
    message->at += sizeof number;
    return number;
}

const void *message_bytes(struct message *message, size_t *length) {
    int64_t told = message_int(message);
    *length = 0;
    if (message->failed || told == -1) return NULL;
    size_t left = message->length - message->at;
    if (told < 0 || (uint64_t)told >= left || message->bytes[message->at + (size_t)told] != '\0') {
        message->failed = true;
        return NULL;
    }
    const unsigned char *bytes = message->bytes + message->at;
    message->at += (size_t)told + 1;
    *length = (size_t)told;
    return bytes;
}

const char *message_text(struct message *message) {
    size_t length;
    const char *text = message_bytes(message, &length);
    if (!text || strlen(text) == length) return text;
    message->failed = true;
    return NULL;
}

/* ---- Over a socket --------------------------------------------------------------------------- */

static bool send_all(int socket, const void *bytes, size_t length) {
    for (const char *at = bytes; length > 0;) {
        ssize_t sent = send(socket, at, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        at += sent;
        length -= (size_t)sent;
    }
    return true;
}

static bool receive_all(int socket, void *bytes, size_t length) {
    for (char *at = bytes; length > 0;) {
        ssize_t received = recv(socket, at, length, 0);
        if (received < 0 && errno == EINTR) continue;
        if (received <= 0) return false;
        at += received;
        length -= (size_t)received;
    }
    return true;
}

bool message_send(int socket, const struct message *message) {
    uint64_t length = message->length;
    return !message->failed && send_all(socket, &length, sizeof length) &&
           send_all(socket, message->bytes, message->length);
}

bool message_receive(int socket, struct message *message) {
    uint64_t length;
    *message = MESSAGE_EMPTY;
    if (!receive_all(socket, &length, sizeof length) || length > LONGEST) return false;
    if (!make_room(message, (size_t)length) ||
        !receive_all(socket, message->bytes, (size_t)length)) {
        message_wipe(message);
        return false;
    }
    message->length = (size_t)length;
    return true;
}
