#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* SOCK_CLOEXEC */
#endif
#define CURL_DISABLE_DEPRECATION /* an older name of an option is used with older libraries */
#include "platforms/client.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "clock.h"
#include "url.h"

enum { LONGEST_URL = 2000 };

/* ---- Addresses ---------------------------------------------------------------------------- */

static bool inside(uint32_t address, uint32_t network, int bits) {
    return (address ^ network) >> (32 - bits) == 0;
}

/* False for addresses in IANA's special-purpose registry that are not globally reachable. */
static bool public_v4(uint32_t address) {
    static const struct {
        uint32_t network;
        int bits;
    } others[] = {
        {0x00000000, 8},  /* this host */
        {0x0A000000, 8},  /* private */
        {0x64400000, 10}, /* shared, RFC 6598 */
        {0x7F000000, 8},  /* loopback */
        {0xA9FE0000, 16}, /* link-local, and the metadata services of clouds */
        {0xAC100000, 12}, /* private */
        {0xC0000000, 24}, /* IETF protocols */
        {0xC0000200, 24}, /* documentation */
        {0xC0586300, 24}, /* 6to4 relays */
        {0xC0A80000, 16}, /* private */
        {0xC6120000, 15}, /* benchmarks */
        {0xC6336400, 24}, /* documentation */
        {0xCB007100, 24}, /* documentation */
        {0xE0000000, 3},  /* multicast, reserved, broadcast */
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (inside(address, others[i].network, others[i].bits)) return false;
    return true;
}

static uint32_t four_bytes(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static bool public_v6(const uint8_t address[16]) {
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    static const uint8_t nat64[12] = {0x00, 0x64, 0xFF, 0x9B};
    if (memcmp(address, mapped, 12) == 0 || memcmp(address, nat64, 12) == 0)
        return public_v4(four_bytes(address + 12));
    uint32_t first = four_bytes(address);
    if (first >> 16 == 0x2002) return public_v4(four_bytes(address + 2)); /* 6to4 */
    if (first == 0x20010DB8) return false;                                /* documentation */
    if (first >> 9 == 0x20010000 >> 9) return false; /* IETF protocols, Teredo among them */
    return first >> 29 == 1;                         /* 2000::/3, global unicast */
}

bool client_public_address(const struct sockaddr *address) {
    if (address->sa_family == AF_INET)
        return public_v4(ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr));
    if (address->sa_family == AF_INET6)
        return public_v6(((const struct sockaddr_in6 *)address)->sin6_addr.s6_addr);
    return false;
}

static bool tls_alone;

void client_insist_on_tls(void) { tls_alone = true; }
bool client_insists_on_tls(void) { return tls_alone; }

static const char *hosts = "";

void client_call_hosts(const char *names) { hosts = names; }

static bool is_host(const char *name, size_t length, const char *host) {
    size_t host_length = strlen(host);
    if (length > 1 && name[0] == '*' && name[1] == '.') {
        name++, length--;
        if (host_length <= length) return false;
        host += host_length - length, host_length = length;
    }
    return host_length == length && strncasecmp(name, host, length) == 0;
}

/* By libcurl's own reading of the URL, so that none is called that was read differently here. */
static bool may_call(const char *url) {
    static const char between[] = ", ";
    char *host = NULL;
    if (!*hosts) return true;
    CURLU *parts = curl_url();
    bool may = false;
    if (parts && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK)
        for (const char *at = hosts + strspn(hosts, between); *at && !may;) {
            size_t length = strcspn(at, between);
            may = is_host(at, length, host);
            at += length;
            at += strspn(at, between);
        }
    curl_free(host);
    curl_url_cleanup(parts);
    return may;
}

bool client_check_url(const char *url, char *error, size_t size) {
    const char *host = NULL;
    if (strlen(url) > LONGEST_URL || !ds_url_valid(url)) {
        snprintf(error, size, "must be an http or https URL of at most %d bytes", LONGEST_URL);
        return false;
    }
    if (tls_alone && strncasecmp(url, "https:", 6) != 0) {
        snprintf(error, size, "must be an https URL: this service insists on TLS (--tls-only)");
        return false;
    }
    ds_url_authority(url, &host);
    if (host && strstr(url, "://") && host != strstr(url, "://") + 3) {
        snprintf(error, size, "must not hold a user or a password");
        return false;
    }
    if (!may_call(url)) {
        snprintf(error, size, "must be at a host that this service may call (--call-hosts)");
        return false;
    }
    return true;
}

void client_sign(struct client_signature *signature, const char *secret, int64_t now_s,
                 const char *text, size_t length) {
    unsigned char mac[crypto_auth_hmacsha256_BYTES];
    char hex[sizeof mac * 2 + 1], stamp[32];
    crypto_auth_hmacsha256_state state;
    snprintf(stamp, sizeof stamp, "%" PRId64 ".", now_s);
    crypto_auth_hmacsha256_init(&state, (const unsigned char *)secret, strlen(secret));
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)stamp, strlen(stamp));
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)text, length);
    crypto_auth_hmacsha256_final(&state, mac);
    sodium_bin2hex(hex, sizeof hex, mac, sizeof mac);
    snprintf(signature->timestamp, sizeof signature->timestamp, "Dynoscale-Timestamp: %" PRId64,
             now_s);
    snprintf(signature->value, sizeof signature->value, "Dynoscale-Signature: v1=%s", hex);
}

/* ---- The call ----------------------------------------------------------------------------- */

struct transfer {
    const struct client_request *request;
    struct client_answer *answer;
    bool too_long;
};

/* Called for each address that is tried, after the name was resolved: so a name can't pass the
 * check with one address and then be called at another. */
static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *peer) {
    struct transfer *transfer = context;
    (void)purpose;
    if (!transfer->request->private_addresses && !client_public_address(&peer->addr)) {
        transfer->answer->address_refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(peer->family, peer->socktype | SOCK_CLOEXEC, peer->protocol);
}

static size_t take_body(char *data, size_t size, size_t count, void *context) {
    struct transfer *transfer = context;
    struct text *body = &transfer->answer->body;
    size_t length = size * count;
    transfer->too_long = length > transfer->request->longest - body->length;
    if (transfer->too_long) return 0;
    text_add(body, data, length);
    return body->failed ? 0 : length;
}

/* Copies the value of a header with that name ("retry-after:"); false: it is another header. */
static bool header_value(char *value, size_t size, const char *data, size_t length,
                         const char *name) {
    size_t name_length = strlen(name);
    if (length < name_length || strncasecmp(data, name, name_length) != 0) return false;
    data += name_length, length -= name_length;
    while (length > 0 && (*data == ' ' || *data == '\t')) data++, length--;
    while (length > 0 && (unsigned char)data[length - 1] <= ' ') length--;
    snprintf(value, size, "%.*s", (int)(length < size ? length : size - 1), data);
    return true;
}

/* Reads seconds or a date (RFC 9110, 10.2.3); -1: neither. */
static int retry_after(const char *value) {
    char *end;
    long long seconds = strtoll(value, &end, 10);
    if (end == value || *end) {
        time_t at_s = curl_getdate(value, NULL);
        if (at_s == -1) return -1;
        seconds = at_s - ds_clock_wall_ns() / 1000000000;
        if (seconds < 0) seconds = 0;
    }
    if (seconds < 0) return -1;
    return seconds < CLIENT_RETRY_S ? (int)seconds : CLIENT_RETRY_S;
}

static size_t take_header(char *data, size_t size, size_t count, void *context) {
    struct transfer *transfer = context;
    struct client_answer *answer = transfer->answer;
    size_t length = size * count;
    char value[64];
    if (header_value(value, sizeof value, data, length, "retry-after:"))
        answer->retry_after_s = retry_after(value);
    if (transfer->request->header)
        header_value(answer->header, sizeof answer->header, data, length,
                     transfer->request->header);
    return length;
}

static void set_protocols(CURL *easy) {
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, tls_alone ? "https" : "http,https");
#else
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS,
                     (long)(CURLPROTO_HTTPS | (tls_alone ? 0 : CURLPROTO_HTTP)));
#endif
}

/* Sets whom to trust, and how the request is signed. */
static void set_trust(CURL *easy, const struct client_request *request) {
    if (request->authority) {
        struct curl_blob blob = {.data = (void *)(uintptr_t)request->authority,
                                 .len = strlen(request->authority),
                                 .flags = CURL_BLOB_COPY};
        curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob);
    }
    if (request->signed_for) {
        curl_easy_setopt(easy, CURLOPT_AWS_SIGV4, request->signed_for);
        curl_easy_setopt(easy, CURLOPT_USERPWD, request->key);
    }
}

static void set_options(CURL *easy, struct transfer *transfer, struct curl_slist *headers,
                        char *error) {
    const struct client_request *request = transfer->request;
    set_protocols(easy);
    set_trust(easy, request);
    curl_easy_setopt(easy, CURLOPT_URL, request->url);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    if (request->body) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body);
    }
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_CERTINFO, request->certificate ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->deadline_ms);
#if LIBCURL_VERSION_NUM >= 0x075700
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* the deadline also ends a slow resolver */
#endif
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* nor one from the environment */
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
}

static struct curl_slist *header_list(const struct client_request *request) {
    const char *const *headers = request->headers;
    struct curl_slist *list = curl_slist_append(NULL, "User-Agent: dynoscaled");
    /* Do not wait for a 100. libcurl would sign this header too, though it is not sent. */
    if (list && !request->signed_for) curl_slist_append(list, "Expect:");
    for (; headers && *headers && list; headers++) curl_slist_append(list, *headers);
    return list;
}

static void explain(struct transfer *transfer, CURLcode code, const char *error) {
    struct client_answer *answer = transfer->answer;
    answer->status = 0;
    text_clear(&answer->body);
    if (answer->address_refused)
        snprintf(answer->reason, sizeof answer->reason,
                 "its address is private, and the operator has not allowed that");
    else if (transfer->too_long)
        snprintf(answer->reason, sizeof answer->reason, "its answer is longer than %zu bytes",
                 transfer->request->longest);
    else if (code == CURLE_OPERATION_TIMEDOUT)
        snprintf(answer->reason, sizeof answer->reason, "no answer within %lld ms",
                 (long long)transfer->request->deadline_ms);
    else
        snprintf(answer->reason, sizeof answer->reason, "%s",
                 *error ? error : curl_easy_strerror(code));
}

/* When the server's own certificate ends, which is the first of its chain. */
static int64_t certificate_end(CURL *easy) {
    static const char name[] = "Expire date:";
    struct curl_certinfo *chain = NULL;
    if (curl_easy_getinfo(easy, CURLINFO_CERTINFO, &chain) != CURLE_OK || !chain ||
        chain->num_of_certs < 1)
        return 0;
    for (struct curl_slist *line = chain->certinfo[0]; line; line = line->next) {
        if (strncmp(line->data, name, sizeof name - 1) != 0) continue;
        time_t end = curl_getdate(line->data + sizeof name - 1, NULL);
        return end < 0 ? 0 : (int64_t)end;
    }
    return 0;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static void begin(void) { curl_global_init(CURL_GLOBAL_DEFAULT); }
void client_begin(void) { pthread_once(&once, begin); }

void client_call(const struct client_request *request, struct client_answer *answer) {
    client_begin();
    *answer = (struct client_answer){.retry_after_s = -1};
    struct transfer transfer = {.request = request, .answer = answer};
    char error[CURL_ERROR_SIZE] = "";
    if (!request->of_operator && !may_call(request->url)) {
        snprintf(answer->reason, sizeof answer->reason,
                 "its host is none that the operator lets this service call");
        answer->address_refused = true;
        return;
    }
    CURL *easy = curl_easy_init();
    struct curl_slist *headers = easy ? header_list(request) : NULL;
    if (headers) {
        set_options(easy, &transfer, headers, error);
        CURLcode code = curl_easy_perform(easy);
        long status = 0;
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        answer->status = (int)status;
        if (request->certificate) answer->certificate_ends_s = certificate_end(easy);
        if (code != CURLE_OK) explain(&transfer, code, error);
    } else {
        snprintf(answer->reason, sizeof answer->reason, "no memory for the request");
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(easy);
}

void client_answer_free(struct client_answer *answer) { text_free(&answer->body); }
