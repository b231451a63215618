#define _GNU_SOURCE /* inet_pton and the like under -std=c11 */
#include "http/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool is_ipv4(const struct address *address) {
    return memcmp(address->bytes, mapped, sizeof mapped) == 0;
}

static void set_ipv4(struct address *address, const void *four_bytes) {
    memcpy(address->bytes, mapped, sizeof mapped);
    memcpy(address->bytes + sizeof mapped, four_bytes, 4);
}

bool address_read(struct address *address, const char *text, size_t length) {
    char copy[ADDRESS_TEXT_SIZE + 2];
    if (length > 2 && text[0] == '[' && text[length - 1] == ']') text++, length -= 2;
    if (length == 0 || length >= sizeof copy) return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    if (strlen(copy) != length) return false;
    struct in_addr four;
    if (inet_pton(AF_INET, copy, &four) == 1) {
        set_ipv4(address, &four);
        return true;
    }
    return inet_pton(AF_INET6, copy, address->bytes) == 1;
}

void address_write(char text[ADDRESS_TEXT_SIZE], const struct address *address) {
    if (is_ipv4(address))
        inet_ntop(AF_INET, address->bytes + sizeof mapped, text, ADDRESS_TEXT_SIZE);
    else inet_ntop(AF_INET6, address->bytes, text, ADDRESS_TEXT_SIZE);
}

bool address_of_socket(struct address *address, const struct sockaddr *socket) {
    if (socket->sa_family == AF_INET)
        set_ipv4(address, &((const struct sockaddr_in *)(const void *)socket)->sin_addr);
    else if (socket->sa_family == AF_INET6)
        memcpy(address->bytes, &((const struct sockaddr_in6 *)(const void *)socket)->sin6_addr, 16);
    else return false;
    return true;
}

/* "10.0.0.0/8" or an address, which is a network of one. */
static bool read_network(struct address_networks *networks, const char *text, size_t length) {
    struct address *network = &networks->network[networks->count];
    const char *slash = memchr(text, '/', length);
    size_t name = slash ? (size_t)(slash - text) : length;
    if (!address_read(network, text, name)) return false;
    int most = is_ipv4(network) ? 32 : 128;
    long bits = most;
    if (slash) {
        char digits[4] = "", *end;
        size_t count = length - name - 1;
        if (count == 0 || count >= sizeof digits) return false;
        memcpy(digits, slash + 1, count);
        bits = strtol(digits, &end, 10);
        if (digits[0] < '0' || digits[0] > '9' || *end || bits > most) return false;
    }
    networks->bits[networks->count++] = (int)bits + (128 - most);
    return true;
}

bool address_read_networks(struct address_networks *networks, const char *text, char *error,
                           size_t size) {
    networks->count = 0;
    while (text && *text) {
        size_t length = strcspn(text, ", ");
        if (length > 0 && networks->count == ADDRESS_NETWORKS) {
            snprintf(error, size, "there are more than %d addresses", ADDRESS_NETWORKS);
            return false;
        }
        if (length > 0 && !read_network(networks, text, length)) {
            snprintf(error, size, "\"%.*s\" is neither an address nor a network like 10.0.0.0/8",
                     (int)(length < 60 ? length : 60), text);
            return false;
        }
        text += length;
        text += strspn(text, ", ");
    }
    return true;
}

static bool same_bits(const uint8_t *one, const uint8_t *other, int bits) {
    if (memcmp(one, other, (size_t)bits / 8) != 0) return false;
    if (bits % 8 == 0) return true;
    return ((one[bits / 8] ^ other[bits / 8]) >> (8 - bits % 8)) == 0;
}

bool address_in(const struct address_networks *networks, const struct address *address) {
    for (int i = 0; i < networks->count; i++)
        if (same_bits(networks->network[i].bytes, address->bytes, networks->bits[i])) return true;
    return false;
}

static bool is_port(const char *text) {
    size_t length = strlen(text);
    return length > 0 && length <= 5 && strspn(text, "0123456789") == length && atoi(text) <= 65535;
}

bool address_split(const char *text, char *host, size_t host_size, char *port, size_t port_size,
                   char *error, size_t size) {
    const char *colon = strrchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : 0;
    bool literal = length > 2 && text[0] == '[' && text[length - 1] == ']';
    if (!colon || length == 0 || !is_port(colon + 1) ||
        (!literal && memchr(text, ':', length) != NULL)) {
        snprintf(error, size,
                 "\"%.100s\" is not an address to listen on: say 127.0.0.1:8080, [::1]:8080 or "
                 "unix:/path",
                 text);
        return false;
    }
    snprintf(port, port_size, "%s", colon + 1);
    if (literal) text++, length -= 2;
    snprintf(host, host_size, "%.*s", (int)length, text);
    return true;
}
