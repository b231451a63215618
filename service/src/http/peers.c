#include "http/peers.h"

#include <stdlib.h>
#include <string.h>

#include "random.h"

enum { BUCKETS = 4096 };

struct peer {
    struct peer *next;
    uint8_t key[16];
    int connections;
};

struct peers {
    uint64_t secret; /* so that nobody can choose addresses that all fall into one bucket */
    struct peer *buckets[BUCKETS];
};

struct peers *peers_new(void) {
    struct peers *peers = calloc(1, sizeof *peers);
    if (peers) peers->secret = ds_random() | 1;
    return peers;
}

void peers_free(struct peers *peers) {
    if (!peers) return;
    for (int i = 0; i < BUCKETS; i++)
        while (peers->buckets[i]) {
            struct peer *next = peers->buckets[i]->next;
            free(peers->buckets[i]);
            peers->buckets[i] = next;
        }
    free(peers);
}

static void key_of(uint8_t key[16], const struct address *address) {
    static const uint8_t ipv4[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    memcpy(key, address->bytes, 16);
    if (memcmp(key, ipv4, sizeof ipv4) != 0) memset(key + 8, 0, 8);
}

static struct peer **find(struct peers *peers, const uint8_t key[16]) {
    uint64_t halves[2];
    memcpy(halves, key, sizeof halves);
    uint64_t hash = (halves[0] ^ peers->secret) * 0x9e3779b97f4a7c15u;
    hash = (hash ^ (hash >> 29) ^ halves[1]) * (peers->secret);
    hash = (hash ^ (hash >> 32)) * 0x9e3779b97f4a7c15u;
    struct peer **at = &peers->buckets[(hash >> 40) % BUCKETS];
    while (*at && memcmp((*at)->key, key, 16) != 0) at = &(*at)->next;
    return at;
}

bool peers_add(struct peers *peers, const struct address *address, int most) {
    uint8_t key[16];
    key_of(key, address);
    struct peer **at = find(peers, key);
    if (!*at) {
        *at = calloc(1, sizeof **at);
        if (!*at) return false;
        memcpy((*at)->key, key, sizeof key);
    }
    if ((*at)->connections >= most) return false;
    (*at)->connections++;
    return true;
}

void peers_remove(struct peers *peers, const struct address *address) {
    uint8_t key[16];
    key_of(key, address);
    struct peer **at = find(peers, key);
    if (!*at || --(*at)->connections > 0) return;
    struct peer *gone = *at;
    *at = gone->next;
    free(gone);
}
