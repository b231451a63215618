/*
 * Counts the connections of each peer: an IPv4 address, or the /64 of an IPv6 address, which is
 * what one subscriber gets.
 */
#ifndef PEERS_H
#define PEERS_H

#include <stdbool.h>

#include "http/address.h"

struct peers;

struct peers *peers_new(void);
void peers_free(struct peers *peers);

/* Counts one more. False: the peer has `most` already, or memory has run out. */
bool peers_add(struct peers *peers, const struct address *address, int most);
/* Counts one less. */
void peers_remove(struct peers *peers, const struct address *address);

#endif
