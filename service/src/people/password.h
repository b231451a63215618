/*
 * Passwords: argon2id with 3 passes over 32 MiB (about 50 ms), one at a time, so that many sign-ins
 * at once cost time and not memory. Blocks: never on the loop's thread.
 */
#ifndef PASSWORD_H
#define PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

#include "store/people.h" /* PASSWORD_HASH_SIZE */

enum { PASSWORD_SHORTEST = 12, PASSWORD_LONGEST = 1024 };

/* Whether a new password may be used: it is long enough, not made of the parts of common passwords
 * (a word or two, runs along the keyboard, years), of the person's name, or of one repeated part.
 * False with a sentence. No rules about kinds of characters. */
bool password_allowed(const char *password, const char *person, char *error, size_t size);

/* False without memory. */
bool password_hash(char hash[PASSWORD_HASH_SIZE], const char *password);

/* Whether the password is right. `hash` NULL (no such person): takes as long, and returns false.
 * *outdated: it is right, but its hash was made with other parameters than those in use. False with
 * errno ENOMEM: memory ran out before it was known. */
bool password_right(const char *hash, const char *password, bool *outdated);

#endif
