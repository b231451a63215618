/*
 * How many connections each peer has: an IPv4 address, or the /64 of an IPv6 one, which is what
 * one subscriber has.
 */
#ifndef PEERS_H
#define PEERS_H

#include <stdbool.h>

#include "http/address.h"

struct peers;

struct peers *peers_new(void);
void peers_free(struct peers *peers);

/* One more of this peer, unless it has `most` already, or memory has run out. */
bool peers_add(struct peers *peers, const struct address *address, int most);
/* One less; there was one. */
void peers_remove(struct peers *peers, const struct address *address);

#endif
