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

/* Sealed bytes that the caller frees; NULL without memory. `about` (the app's name) must be the
 * same to open. */
void *vault_seal(const struct vault *vault, const char *about, const char *secret, size_t *length);
/* The secret, ended by NUL; give it to vault_wipe. NULL: another key, another `about`, or damaged.
 */
char *vault_unseal(const struct vault *vault, const char *about, const void *sealed, size_t length);
void vault_wipe(char *secret);

/*
 * A secret made of a key and a purpose: the same each time, so that it is kept nowhere. Key 0 is
 * the one that seals; false where there is no key of that number. To make one take 0, to compare
 * with one try them all.
 */
enum { VAULT_DERIVED_SIZE = 44 }; /* 43 characters of base64url */
bool vault_derive(const struct vault *vault, int key, const char *purpose,
                  char derived[VAULT_DERIVED_SIZE]);

/* A text, which the caller frees, by which a vault with the same key is known again. */
char *vault_mark(const struct vault *vault);
bool vault_knows(const struct vault *vault, const char *mark);

#endif
