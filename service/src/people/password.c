#define _GNU_SOURCE /* strcasestr */
#include "people/password.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

_Static_assert(PASSWORD_HASH_SIZE > crypto_pwhash_argon2id_STRBYTES, "room for the hash");

enum { PASSES = 3, MEMORY = 32 << 20 };

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

/* The most used ones of 12 characters and more in published lists of leaked passwords. Shorter
 * ones are refused anyway. */
static const char *const common[] = {
    "123456789012",   "1234567890123",    "12345678901234",   "123456789123",
    "1234567891011",  "1q2w3e4r5t6y",     "1qaz2wsx3edc",     "1qazxsw23edc",
    "abcdefghijkl",   "abcd1234abcd",     "adminadmin123",    "administrator",
    "asdfghjkl123",   "changeme1234",     "changemechangeme", "correcthorsebatterystaple",
    "dynoscale123",   "football1234",     "iloveyou1234",     "letmein12345",
    "letmeinletmein", "microsoft123",     "password1234",     "password12345",
    "password123456", "passwordpassword", "princess1234",     "qazwsxedcrfv",
    "qwerty123456",   "qwertyqwerty",     "qwertyuiop12",     "qwertyuiop123",
    "qwertyuiop1234", "qwertyuiopasdf",   "superman1234",     "trustno1trustno1",
    "unknown12345",   "welcome12345",     "welcomewelcome",   "zaq12wsxcde3",
    "zxcvbnm12345",
};

static size_t characters(const char *text) {
    size_t count = 0;
    for (; *text; text++) count += (*text & 0xC0) != 0x80;
    return count;
}

/* Whether it is one part of at most 4 bytes, again and again: "aaaaaaaaaaaa", "abcabcabcabc". */
static bool repeats(const char *password) {
    size_t length = strlen(password);
    for (size_t part = 1; part <= 4; part++)
        if (length > part && memcmp(password, password + part, length - part) == 0) return true;
    return false;
}

static bool is_common(const char *password) {
    for (size_t i = 0; i < sizeof common / sizeof *common; i++)
        if (strcasecmp(password, common[i]) == 0) return true;
    return false;
}

/* Whether little is left of it without the name. */
static bool mostly_name(const char *password, const char *person) {
    size_t length = strlen(person);
    return length >= 3 && strcasestr(password, person) && strlen(password) < length + 6;
}

bool password_allowed(const char *password, const char *person, char *error, size_t size) {
    if (characters(password) < PASSWORD_SHORTEST) {
        snprintf(error, size,
                 "a password needs at least %d characters; several words are easy to "
                 "remember",
                 PASSWORD_SHORTEST);
    } else if (strlen(password) > PASSWORD_LONGEST) {
        snprintf(error, size, "a password may have at most %d bytes", PASSWORD_LONGEST);
    } else if (is_common(password) || repeats(password)) {
        snprintf(error, size, "this password is among those that are tried first; take another");
    } else if (mostly_name(password, person)) {
        snprintf(error, size, "the password is little more than the name; take another");
    } else {
        return true;
    }
    return false;
}

bool password_hash(char hash[PASSWORD_HASH_SIZE], const char *password) {
    if (sodium_init() < 0) return false;
    memset(hash, 0, PASSWORD_HASH_SIZE);
    pthread_mutex_lock(&one_at_a_time);
    bool done = crypto_pwhash_argon2id_str(hash, password, strlen(password), PASSES, MEMORY) == 0;
    pthread_mutex_unlock(&one_at_a_time);
    return done;
}

/* A hash of a password that nobody knows, made once with the parameters in use. */
static const char *nobodys(void) {
    static char hash[PASSWORD_HASH_SIZE];
    if (!hash[0]) {
        char password[33] = {0};
        for (size_t i = 0; i < 32; i++) password[i] = (char)('!' + randombytes_uniform(90));
        if (crypto_pwhash_argon2id_str(hash, password, 32, PASSES, MEMORY) != 0) hash[0] = '\0';
    }
    return hash;
}

/* $argon2id$v=19$m=32768,t=3,p=1$SALT$HASH, as password_hash makes it. */
struct parts {
    unsigned long long passes;
    size_t memory;
    unsigned char salt[crypto_pwhash_argon2id_SALTBYTES], hash[32];
};

static bool part_of(const char **text, unsigned char *bytes, size_t size) {
    size_t length;
    const char *end;
    if (sodium_base642bin(bytes, size, *text, strlen(*text), NULL, &length, &end,
                          sodium_base64_VARIANT_ORIGINAL_NO_PADDING) != 0)
        return false;
    *text = end + 1;
    return length == size && (*end == '$' || *end == '\0');
}

static bool parts_of(const char *hash, struct parts *parts) {
    unsigned long kilobytes, passes;
    int length = 0;
    sscanf(hash, crypto_pwhash_argon2id_STRPREFIX "v=19$m=%lu,t=%lu,p=1$%n", &kilobytes, &passes,
           &length);
    if (length == 0) return false;
    parts->memory = kilobytes * 1024;
    parts->passes = passes;
    const char *text = hash + length;
    return part_of(&text, parts->salt, sizeof parts->salt) &&
           part_of(&text, parts->hash, sizeof parts->hash);
}

/* Not by libsodium's own comparison, which calls a password wrong if memory ran out. */
static bool is_right(const char *hash, const char *password) {
    struct parts parts;
    unsigned char made[sizeof parts.hash];
    errno = 0;
    if (!parts_of(hash, &parts)) return false;
    if (crypto_pwhash_argon2id(made, sizeof made, password, strlen(password), parts.salt,
                               parts.passes, parts.memory, crypto_pwhash_ALG_ARGON2ID13) != 0) {
        errno = ENOMEM;
        return false;
    }
    bool right = sodium_memcmp(made, parts.hash, sizeof made) == 0;
    errno = 0;
    return right;
}

bool password_right(const char *hash, const char *password, bool *outdated) {
    *outdated = false;
    errno = ENOMEM;
    if (sodium_init() < 0) return false;
    pthread_mutex_lock(&one_at_a_time);
    const char *compared = hash ? hash : nobodys();
    bool right = *compared && is_right(compared, password);
    int trouble = *compared ? errno : ENOMEM;
    pthread_mutex_unlock(&one_at_a_time);
    errno = trouble;
    if (!right || !hash) return false;
    *outdated = crypto_pwhash_argon2id_str_needs_rehash(hash, PASSES, MEMORY) != 0;
    return true;
}
