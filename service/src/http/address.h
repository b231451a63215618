/*
 * Addresses: of listeners as settings name them, of clients for logs and limits, of proxies that
 * are trusted to name their client.
 */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { ADDRESS_TEXT_SIZE = 46, ADDRESS_NETWORKS = 16 }; /* INET6_ADDRSTRLEN */

/* A numeric address as 16 bytes, IPv4 as ::ffff:a.b.c.d, so that both forms are equal. */
struct address {
    uint8_t bytes[16];
};

/* Reads "203.0.113.7", "2001:db8::1" or "[2001:db8::1]"; false for anything else. */
bool address_read(struct address *address, const char *text, size_t length);
void address_write(char text[ADDRESS_TEXT_SIZE], const struct address *address);
bool address_of_socket(struct address *address, const struct sockaddr *socket);

/* Networks: "127.0.0.1, 10.0.0.0/8, ::1". */
struct address_networks {
    int count;
    struct address network[ADDRESS_NETWORKS];
    int bits[ADDRESS_NETWORKS];
};
/* NULL text: none. False with a sentence. */
bool address_read_networks(struct address_networks *networks, const char *text, char *error,
                           size_t size);
bool address_in(const struct address_networks *networks, const struct address *address);

/* A listener's address: "127.0.0.1:8080", "[::]:443", "localhost:0". False with a sentence. */
bool address_split(const char *text, char *host, size_t host_size, char *port, size_t port_size,
                   char *error, size_t size);

#endif
