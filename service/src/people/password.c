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

/* The parts of which the longer passwords (12 characters and more) in published lists are made: one
 * or two of these words, runs along the keyboard, years, and a few more characters. Shorter
 * passwords are refused anyway. All in small letters. */
static const char *const words[] = {
    "abc",          "abcd",       "access",      "admin",      "administrator", "alexander",
    "amanda",       "amazon",     "america",     "andrew",     "android",       "angel",
    "anthony",      "apple",      "april",       "arsenal",    "asdf",          "ashley",
    "asshole",      "august",     "autumn",      "azerty",     "baby",          "bailey",
    "banana",       "barcelona",  "baseball",    "basketball", "batman",        "bear",
    "berlin",       "bitcoin",    "blessed",     "brazil",     "buster",        "butter",
    "canada",       "carlos",     "change",      "changeme",   "charlie",       "cheese",
    "chelsea",      "china",      "chocolate",   "christ",     "church",        "cisco",
    "coffee",       "computer",   "computer1",   "cookie",     "daniel",        "database",
    "debian",       "december",   "default",     "diamond",    "dollar",        "dragon",
    "dynoscale",    "dynoscaled", "eagle",       "elizabeth",  "england",       "facebook",
    "family",       "february",   "ferrari",     "flower",     "football",      "forever",
    "france",       "freedom",    "friday",      "friends",    "fuckyou",       "george",
    "germany",      "ginger",     "golden",      "golf",       "goodbye",       "google",
    "guest",        "hannah",     "harley",      "heaven",     "hello",         "heroku",
    "hockey",       "honda",      "horse",       "hunter",     "iamadmin",      "iloveyou",
    "india",        "internet",   "iphone",      "italy",      "january",       "japan",
    "jennifer",     "jessica",    "jesus",       "jordan",     "joshua",        "july",
    "june",         "juventus",   "killer",      "kitty",      "knight",        "letmein",
    "letmeinnow",   "lightning",  "linkedin",    "linux",      "lion",          "liverpool",
    "login",        "london",     "love",        "lovely",     "loveyou",       "maggie",
    "magic",        "manager",    "march",       "maria",      "master",        "matrix",
    "matthew",      "mercedes",   "merlin",      "mexico",     "michael",       "michelle",
    "microsoft",    "monday",     "money",       "monkey",     "mustang",       "mypass",
    "mypassword",   "naruto",     "newpassword", "nicole",     "ninja",         "nothing",
    "november",     "october",    "office",      "opensesame", "openup",        "oracle",
    "orange",       "paris",      "passw0rd",    "password",   "passwort",      "pepper",
    "phoenix",      "pirate",     "please",      "pokemon",    "porsche",       "princess",
    "private",      "puppy",      "pussy",       "qwerty",     "qwertz",        "realmadrid",
    "robert",       "root",       "russia",      "samantha",   "samsung",       "saturday",
    "scaling",      "secret",     "security",    "september",  "server",        "service",
    "shadow",       "silver",     "soccer",      "soldier",    "something",     "spain",
    "spiderman",    "spring",     "starwars",    "summer",     "sunday",        "sunshine",
    "superman",     "system",     "temp",        "tennis",     "test",          "testing",
    "thepassword",  "thomas",     "thunder",     "thursday",   "tiger",         "toyota",
    "trustno",      "trustno1",   "tuesday",     "twitter",    "ubuntu",        "unknown",
    "user",         "warrior",    "wednesday",   "welcome",    "whatever",      "william",
    "windows",      "winter",     "wizard",      "wolf",       "yamaha",        "yankees",
    "yourpassword", "youtube",    "zxcv",
};
static const char *const runs[] = {
    "1234567890",
    "0987654321",
    "qwertyuiop",
    "poiuytrewq",
    "asdfghjkl",
    "lkjhgfdsa",
    "zxcvbnm",
    "mnbvcxz",
    "abcdefghijklmnopqrstuvwxyz",
    "zyxwvutsrqponmlkjihgfedcba",
    "1q2w3e4r5t6y7u8i9o0p",
    "q1w2e3r4t5y6u7i8o9p0",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
    "1qazxsw23edcvfr4",
    "zaq12wsxcde34rfvbgt5",
    "qazwsxedcrfvtgbyhnujm",
    "qweasdzxc",
    "qweasdzxc123",
    "qwertyuiopasdfghjklzxcvbnm",
    "azertyuiop",
    "qwertzuiop",
    "1234567891011121314",
    "147258369",
    "159357",
    "!@#$%^&*()",
};
/* Common ones that are made of other words. */
static const char *const known[] = {"correcthorsebatterystaple", "correct horse battery staple"};

enum {
    COMMON_LONGEST = 40, /* longer ones are on no list */
    MOST_WORDS = 2,
    MOST_LOOSE = 4, /* characters that belong to no part */
    LEAST_RUN = 3,
};

static size_t characters(const char *text) {
    size_t count = 0;
    for (; *text; text++) count += (*text & 0xC0) != 0x80;
    return count;
}

/* Whether it repeats one part of at most 4 bytes: "aaaaaaaaaaaa", "abcabcabcabc". */
static bool repeats(const char *password) {
    size_t length = strlen(password);
    for (size_t part = 1; part <= 4; part++)
        if (length > part && memcmp(password, password + part, length - part) == 0) return true;
    return false;
}

/* Small letters; with `letters`, also letters for the digits and signs that people write in their
 * place. */
static char folded(char c, bool letters) {
    static const char from[] = "0134578@$!", to[] = "oleastbasi";
    if (c >= 'A' && c <= 'Z') return (char)(c - 'A' + 'a');
    const char *sign = letters && c ? strchr(from, c) : NULL;
    return sign ? to[sign - from] : c;
}

/* How much of `text` starts with the word, with or without letters for digits. */
static bool begins_with(const char *text, const char *word) {
    for (; *word; text++, word++)
        if (folded(*text, false) != *word && folded(*text, true) != *word) return false;
    return true;
}

static size_t along(const char *text, const char *run) {
    size_t length = 0;
    while (text[length] && folded(text[length], false) == run[length]) length++;
    return length;
}

/* The longest run along the keyboard, the alphabet or the digits, or of one repeated character. */
static size_t longest_run(const char *text) {
    size_t most = 1;
    while (text[most] && text[most] == text[0]) most++;
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++)
        for (const char *at = runs[i]; *at; at++) {
            size_t length = along(text, at);
            if (length > most) most = length;
        }
    return most;
}

static bool is_year(const char *text) {
    return (strncmp(text, "19", 2) == 0 || strncmp(text, "20", 2) == 0) && text[2] >= '0' &&
           text[2] <= '9' && text[3] >= '0' && text[3] <= '9';
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c & 0x80);
}

/* Remembers from where the rest can't be made of parts, so that it is tried only once. */
struct tried {
    const char *text;
    bool vain[COMMON_LONGEST + 1][MOST_WORDS + 1][MOST_LOOSE + 1];
};

/* Whether everything from `at` on consists of parts, with so many words and loose characters
 * left. */
static bool made_of_parts(struct tried *tried, size_t at, int left, int loose) {
    const char *text = tried->text + at;
    if (!*text) return true;
    if (tried->vain[at][left][loose]) return false;
    tried->vain[at][left][loose] =
        true; /* assumed until proven otherwise, and then nobody asks again */
    for (size_t run = longest_run(text); run >= LEAST_RUN; run--)
        if (made_of_parts(tried, at + run, left, loose)) return true;
    if (is_year(text) && made_of_parts(tried, at + 4, left, loose)) return true;
    for (size_t i = 0; left > 0 && i < sizeof words / sizeof *words; i++)
        if (begins_with(text, words[i]) &&
            made_of_parts(tried, at + strlen(words[i]), left - 1, loose))
            return true;
    return loose > 0 && !is_letter(*text) && made_of_parts(tried, at + 1, left, loose - 1);
}

static bool is_made_of_parts(const char *text) {
    struct tried tried = {.text = text};
    return made_of_parts(&tried, 0, MOST_WORDS, MOST_LOOSE);
}

static bool is_common(const char *password) {
    size_t length = strlen(password);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcasecmp(password, known[i]) == 0) return true;
    /* A common password written twice is common too. */
    size_t half = length / 2;
    char once[COMMON_LONGEST + 1];
    if (length > COMMON_LONGEST) return false;
    if (is_made_of_parts(password)) return true;
    if (length % 2 || memcmp(password, password + half, half) != 0) return false;
    memcpy(once, password, half);
    once[half] = '\0';
    return is_made_of_parts(once);
}

/* Whether little is left of the password without the person's name. */
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

/* The hash of a password that nobody knows, made once with the current parameters. */
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

/* libsodium's own comparison reports a wrong password when memory runs out, so it is not used. */
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
