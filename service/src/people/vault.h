/*
 * Seals secrets that must be read again (platforms' credentials) with a key from the environment
 * (DYNOSCALED_KEY, 32 bytes in base64) or a file DIR/key (0600), which is made at first. Either may
 * hold several keys, separated by commas or blanks: the first seals, all of them open, so that a
 * key can be replaced without a moment in which nothing opens. Any thread.
 *
 * DIR/key may be a link to a file that only root reads and that a unit gives to the service as its
 * environment (DYNOSCALED_KEY=...): then commands that root runs use the same key, and nobody else
 * makes another one by mistake.
 */
#ifndef VAULT_H
#define VAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vault;

struct vault *vault_open(const char *folder, char *error, size_t size);
void vault_free(struct vault *vault);

/* Seals a secret. The caller frees the bytes; NULL without memory. `about` (the app's name) must be
 * the same for unsealing. */
void *vault_seal(const struct vault *vault, const char *about, const char *secret, size_t *length);
/* The secret, ended by NUL; pass it to vault_wipe. NULL: sealed with another key or another
 * `about`, or damaged. */
char *vault_unseal(const struct vault *vault, const char *about, const void *sealed, size_t length);
void vault_wipe(char *secret);

/*
 * Derives a secret from a key and a purpose. It is always the same, so it is stored nowhere. Key 0
 * is the one that seals; false: there is no key with that number. Make new ones with key 0; compare
 * with all keys.
 */
enum { VAULT_DERIVED_SIZE = 44 }; /* 43 characters of base64url */
bool vault_derive(const struct vault *vault, int key, const char *purpose,
                  char derived[VAULT_DERIVED_SIZE]);

/* A text by which the same key can be recognised; the caller frees it. */
char *vault_mark(const struct vault *vault);
bool vault_knows(const struct vault *vault, const char *mark);

#endif
