/*
 * The sealed form: a version byte, 4 bytes of the key's hash (which say which key), a random nonce
 * of 24 bytes, and the secret encrypted by XChaCha20-Poly1305 with `about` as associated data.
 */
#define _GNU_SOURCE /* O_CLOEXEC, asprintf */
#include "people/vault.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    KEY_BYTES = crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
    NONCE_BYTES = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    TAG_BYTES = crypto_aead_xchacha20poly1305_ietf_ABYTES,
    NAME_BYTES = 4,
    KEYS = 8,
    FILE_BYTES = 1024,
    FORM = 1,
    HEAD_BYTES = 1 + NAME_BYTES + NONCE_BYTES,
};

struct vault {
    int count;
    unsigned char keys[KEYS][KEY_BYTES];
    unsigned char names[KEYS][NAME_BYTES];
};

/* Also quotes, which an environment file may contain. */
static bool is_separator(char c) { return c && strchr(", \n\r\"'", c); }

static bool add_key(struct vault *vault, const char *text, size_t length) {
    size_t bytes = 0;
    unsigned char *key;
    if (vault->count == KEYS) return false;
    key = vault->keys[vault->count];
    if (sodium_base642bin(key, KEY_BYTES, text, length, NULL, &bytes, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
        bytes != KEY_BYTES)
        return false;
    unsigned char hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(hash, key, KEY_BYTES);
    memcpy(vault->names[vault->count++], hash, NAME_BYTES);
    return true;
}

static bool read_keys(struct vault *vault, const char *text, const char *where, char *error,
                      size_t size) {
    static const char variable[] = "DYNOSCALED_KEY=";
    while (*text) {
        while (is_separator(*text)) text++;
        if (strncmp(text, variable, sizeof variable - 1) == 0) text += sizeof variable - 1;
        while (is_separator(*text)) text++;
        size_t length = 0;
        while (text[length] && !is_separator(text[length])) length++;
        if (length > 0 && !add_key(vault, text, length)) break;
        text += length;
    }
    if (!*text && vault->count > 0) return true;
    snprintf(error, size,
             "%s does not hold a key: 32 random bytes in base64 are needed (at most %d of them, "
             "separated by commas), as `head -c 32 /dev/urandom | base64` makes them",
             where, KEYS);
    return false;
}

static bool write_whole(int file, const char *text) {
    size_t left = strlen(text);
    while (left > 0) {
        ssize_t written = write(file, text, left);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        text += written;
        left -= (size_t)written;
    }
    return fsync(file) == 0;
}

/* Writes the key under another name and links it into place, so that the file is complete or
 * missing, and the first of two processes wins. */
static bool make_file(const char *path, char *error, size_t size) {
    unsigned char key[KEY_BYTES];
    char text[64];
    char *made = NULL;
    if (asprintf(&made, "%s.%ld", path, (long)getpid()) < 0) return false;
    int file = open(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    randombytes_buf(key, sizeof key);
    sodium_bin2base64(text, sizeof text, key, sizeof key, sodium_base64_VARIANT_ORIGINAL);
    memcpy(text + strlen(text), "\n", 2);
    bool done = file >= 0 && write_whole(file, text);
    if (done && link(made, path) != 0 && errno != EEXIST) done = false;
    if (!done)
        snprintf(error, size, "the key file %s could not be made: %s", path, strerror(errno));
    if (file >= 0) close(file);
    unlink(made);
    free(made);
    sodium_memzero(key, sizeof key);
    sodium_memzero(text, sizeof text);
    return done;
}

static bool read_file(struct vault *vault, const char *path, char *error, size_t size) {
    char text[FILE_BYTES];
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        snprintf(error, size, "the key file %s can't be opened: %s%s", path, strerror(errno),
                 errno == EACCES ? "; root, or the unit that root starts, can" : "");
        return false;
    }
    bool done = false;
    ssize_t length = read(file, text, sizeof text - 1);
    if (length < 0 || fstat(file, &status) != 0) {
        snprintf(error, size, "the key file %s can't be read: %s", path, strerror(errno));
    } else if (status.st_mode & 077) {
        snprintf(error, size, "the key file %s can be read by others: chmod 600 it", path);
    } else {
        text[length] = '\0';
        done = read_keys(vault, text, path, error, size);
    }
    close(file);
    sodium_memzero(text, sizeof text);
    return done;
}

static bool fill(struct vault *vault, const char *folder, char *error, size_t size) {
    const char *given = getenv("DYNOSCALED_KEY");
    if (given && *given) return read_keys(vault, given, "DYNOSCALED_KEY", error, size);
    char *path = NULL;
    if (asprintf(&path, "%s/key", folder) < 0) {
        snprintf(error, size, "there is no memory left");
        return false;
    }
    bool done = (access(path, F_OK) == 0 || make_file(path, error, size)) &&
                read_file(vault, path, error, size);
    free(path);
    return done;
}

struct vault *vault_open(const char *folder, char *error, size_t size) {
    if (sodium_init() < 0) {
        snprintf(error, size, "there is no source of random numbers");
        return NULL;
    }
    struct vault *vault = sodium_malloc(sizeof *vault);
    if (!vault) {
        snprintf(error, size, "there is no memory left for the keys");
        return NULL;
    }
    memset(vault, 0, sizeof *vault);
    if (fill(vault, folder, error, size)) return vault;
    vault_free(vault);
    return NULL;
}

void vault_free(struct vault *vault) { sodium_free(vault); }

void *vault_seal(const struct vault *vault, const char *about, const char *secret, size_t *length) {
    size_t secret_length = strlen(secret);
    unsigned char *sealed = malloc(HEAD_BYTES + secret_length + TAG_BYTES);
    if (!sealed) return NULL;
    unsigned char *nonce = sealed + 1 + NAME_BYTES;
    sealed[0] = FORM;
    memcpy(sealed + 1, vault->names[0], NAME_BYTES);
    randombytes_buf(nonce, NONCE_BYTES);
    crypto_aead_xchacha20poly1305_ietf_encrypt(
        sealed + HEAD_BYTES, NULL, (const unsigned char *)secret, secret_length,
        (const unsigned char *)about, strlen(about), NULL, nonce, vault->keys[0]);
    *length = HEAD_BYTES + secret_length + TAG_BYTES;
    return sealed;
}

/* The key whose name the sealed bytes hold; NULL: there is none. */
static const unsigned char *key_of(const struct vault *vault, const unsigned char *name) {
    for (int i = 0; i < vault->count; i++)
        if (memcmp(vault->names[i], name, NAME_BYTES) == 0) return vault->keys[i];
    return NULL;
}

char *vault_unseal(const struct vault *vault, const char *about, const void *sealed,
                   size_t length) {
    const unsigned char *bytes = sealed;
    if (!bytes || length < HEAD_BYTES + TAG_BYTES || bytes[0] != FORM) return NULL;
    const unsigned char *key = key_of(vault, bytes + 1);
    if (!key) return NULL;
    size_t secret_length = length - HEAD_BYTES - TAG_BYTES;
    char *secret = malloc(secret_length + 1);
    if (!secret) return NULL;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(
            (unsigned char *)secret, NULL, NULL, bytes + HEAD_BYTES, length - HEAD_BYTES,
            (const unsigned char *)about, strlen(about), bytes + 1 + NAME_BYTES, key) != 0) {
        free(secret);
        return NULL;
    }
    secret[secret_length] = '\0';
    return secret;
}

bool vault_derive(const struct vault *vault, int key, const char *purpose,
                  char derived[VAULT_DERIVED_SIZE]) {
    unsigned char made[32];
    if (!vault || key < 0 || key >= vault->count) return false;
    crypto_generichash(made, sizeof made, (const unsigned char *)purpose, strlen(purpose),
                       vault->keys[key], KEY_BYTES);
    sodium_bin2base64(derived, VAULT_DERIVED_SIZE, made, sizeof made,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(made, sizeof made);
    return true;
}

void vault_wipe(char *secret) {
    if (!secret) return;
    sodium_memzero(secret, strlen(secret));
    free(secret);
}

/* ---- Which key ------------------------------------------------------------------------------- */

static const char marked[] = "dynoscaled", about_mark[] = "mark";
enum { MARK_BYTES = HEAD_BYTES + sizeof marked - 1 + TAG_BYTES };

char *vault_mark(const struct vault *vault) {
    size_t length = 0;
    unsigned char *sealed = vault_seal(vault, about_mark, marked, &length);
    char *text = sealed ? malloc(2 * length + 1) : NULL;
    if (text) sodium_bin2hex(text, 2 * length + 1, sealed, length);
    free(sealed);
    return text;
}

bool vault_knows(const struct vault *vault, const char *mark) {
    unsigned char sealed[MARK_BYTES];
    size_t length = 0;
    if (sodium_hex2bin(sealed, sizeof sealed, mark, strlen(mark), NULL, &length, NULL) != 0)
        return false;
    char *opened = vault_unseal(vault, about_mark, sealed, length);
    bool known = opened != NULL;
    vault_wipe(opened);
    return known;
}
