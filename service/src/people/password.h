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

/* Whether it may be used: length in characters, not made of what common ones are made of (a word or
 * two, runs along the keyboard, years), nor of the person's name or of one thing repeated. False
 * with a sentence. No rules about kinds of characters. */
bool password_allowed(const char *password, const char *person, char *error, size_t size);

/* False without memory. */
bool password_hash(char hash[PASSWORD_HASH_SIZE], const char *password);

/* `hash` NULL (there is no such person): takes as long, and is false. *outdated: it is right, and
 * its hash was made with other parameters than are used now. False with errno ENOMEM: there was no
 * memory to find out. */
bool password_right(const char *hash, const char *password, bool *outdated);

#endif
