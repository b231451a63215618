#include "platforms/heroku_known.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

enum { TOKENS_MOST = 4500, TOKENS_A_MINUTE = 75, ACCOUNTS = 64, PRICES = 64 };

static const int64_t MOST_PAUSE_MS = 50 * 1000;
static const int64_t PRICES_MS = 24 * 3600 * 1000LL;
/* A reading takes one or two requests. */
static const int64_t MS_AN_APP = 60 * 1000 * 3 / TOKENS_A_MINUTE;

struct account {
    unsigned char hash[16];
    double remaining;
    int64_t at_ms; /* when that was known; 0: the slot is free */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct heroku_known **apps;
static int app_count, app_room;
static struct account accounts[ACCOUNTS];
static struct {
    char size[HEROKU_SIZE_SIZE];
    double a_month;
} prices[PRICES];
static int price_count;
static int64_t prices_ms = -1;

/* ---- Apps ----------------------------------------------------------------------------------- */

static void begin(struct heroku_known *known, int64_t app, const char *name,
                  const unsigned char account[16]) {
    unsigned told = known->told;
    memset(known, 0, sizeof *known);
    known->app = app;
    known->told = told;
    memcpy(known->account, account, 16);
    snprintf(known->name, sizeof known->name, "%s", name);
    known->formation_ms = known->dynos_ms = known->releases_ms = -1;
    known->heard_ms = known->renewed_ms = -1;
    known->releasing = -1;
}

static struct heroku_known *find(int64_t app) {
    for (int i = 0; i < app_count; i++)
        if (apps[i]->app == app) return apps[i];
    return NULL;
}

/* NULL without memory: then nothing is remembered, and each reading asks Heroku. */
static struct heroku_known *add(int64_t app) {
    if (app_count == app_room) {
        int room = app_room ? app_room * 2 : 16;
        struct heroku_known **more = realloc(apps, (size_t)room * sizeof(struct heroku_known *));
        if (!more) return NULL;
        apps = more;
        app_room = room;
    }
    struct heroku_known *known = calloc(1, sizeof *known);
    if (!known) return NULL;
    known->app = app;
    apps[app_count++] = known;
    return known;
}

void known_take(struct heroku_known *known, int64_t app, const char *name, const char *credential) {
    unsigned char account[16];
    crypto_generichash(account, sizeof account, (const unsigned char *)credential,
                       strlen(credential), NULL, 0);
    memset(known, 0, sizeof *known);
    pthread_mutex_lock(&lock);
    struct heroku_known *found = app ? find(app) : NULL;
    if (!found && app) found = add(app);
    if (!found) {
        begin(known, app, name, account);
    } else {
        bool same = memcmp(found->account, account, 16) == 0 && strcmp(found->name, name) == 0;
        if (!same) begin(found, app, name, account);
        *known = *found;
    }
    pthread_mutex_unlock(&lock);
}

void known_put(const struct heroku_known *known) {
    pthread_mutex_lock(&lock);
    struct heroku_known *found = known->app ? find(known->app) : NULL;
    if (found && memcmp(found->account, known->account, 16) == 0) {
        struct heroku_known told = *found;
        *found = *known;
        if (told.told != known->told) {
            found->told = told.told;
            found->formation_ms = found->dynos_ms = found->releases_ms = -1;
            found->heard_ms = told.heard_ms;
            if (!told.proof_ms) found->proof_ms = 0;
        }
    }
    pthread_mutex_unlock(&lock);
}

struct heroku_type *known_type(struct heroku_known *known, const char *name) {
    for (int i = 0; i < known->count; i++)
        if (strcmp(known->types[i].name, name) == 0) return &known->types[i];
    return NULL;
}

bool known_trusted(const struct heroku_known *known, int64_t now_ms) {
    bool proved = known->proof_ms == 0 || now_ms < known->proof_ms;
    return known->hook == HOOK_THERE && known->heard_ms >= 0 && proved;
}

/* ---- Accounts ------------------------------------------------------------------------------- */

/* The account's slot, or else the slot that was not used for the longest time. */
static struct account *account_of(const unsigned char hash[16], int64_t now_ms) {
    struct account *oldest = &accounts[0];
    for (int i = 0; i < ACCOUNTS; i++) {
        if (accounts[i].at_ms && memcmp(accounts[i].hash, hash, 16) == 0) return &accounts[i];
        if (accounts[i].at_ms < oldest->at_ms) oldest = &accounts[i];
    }
    memcpy(oldest->hash, hash, 16);
    oldest->remaining = TOKENS_MOST;
    oldest->at_ms = now_ms > 0 ? now_ms : 1;
    return oldest;
}

static void refill(struct account *account, int64_t now_ms) {
    if (now_ms > account->at_ms)
        account->remaining += (double)(now_ms - account->at_ms) * TOKENS_A_MINUTE / 60000;
    if (account->remaining > TOKENS_MOST) account->remaining = TOKENS_MOST;
    account->at_ms = now_ms > 0 ? now_ms : 1;
}

void known_spent(const unsigned char account[16], int remaining, int64_t now_ms) {
    pthread_mutex_lock(&lock);
    struct account *one = account_of(account, now_ms);
    refill(one, now_ms);
    one->remaining = remaining >= 0 ? remaining : one->remaining - 1;
    pthread_mutex_unlock(&lock);
}

int64_t known_pause_ms(const unsigned char account[16], int64_t now_ms) {
    int64_t sharing = 0;
    pthread_mutex_lock(&lock);
    struct account *one = account_of(account, now_ms);
    refill(one, now_ms);
    double left = one->remaining;
    for (int i = 0; i < app_count; i++)
        sharing += memcmp(apps[i]->account, account, 16) == 0 && !known_trusted(apps[i], now_ms);
    pthread_mutex_unlock(&lock);
    if (left < TOKENS_MOST / 15) return -1;
    int64_t pause_ms = sharing * MS_AN_APP;
    if (pause_ms < platform_operator.heroku_read_ms) pause_ms = platform_operator.heroku_read_ms;
    if (pause_ms > MOST_PAUSE_MS) pause_ms = MOST_PAUSE_MS;
    if (left < TOKENS_MOST / 5) return pause_ms * 4;
    return left < TOKENS_MOST / 2 ? pause_ms * 2 : pause_ms;
}

/* ---- What is told --------------------------------------------------------------------------- */

static struct heroku_known *told(int64_t app) {
    struct heroku_known *known = find(app);
    if (!known) return NULL;
    known->told++;
    known->heard_ms = ds_clock_monotonic_ms();
    return known;
}

bool known_tell_formation(int64_t app, const char *type, const char *size, int quantity) {
    pthread_mutex_lock(&lock);
    struct heroku_known *known = told(app);
    if (known) {
        struct heroku_type *one = known_type(known, type);
        known->proof_ms = 0;
        bool same = one && one->quantity == quantity && strcmp(one->size, size) == 0;
        /* If the webhook differs from what is known, both are read again: deliveries may arrive out
         * of order. */
        if (!same) known->formation_ms = known->dynos_ms = -1;
    }
    pthread_mutex_unlock(&lock);
    return known != NULL;
}

bool known_tell_dynos(int64_t app) {
    pthread_mutex_lock(&lock);
    struct heroku_known *known = told(app);
    if (known) known->dynos_ms = -1;
    pthread_mutex_unlock(&lock);
    return known != NULL;
}

bool known_tell_release(int64_t app) {
    pthread_mutex_lock(&lock);
    struct heroku_known *known = told(app);
    if (known) known->releases_ms = -1;
    pthread_mutex_unlock(&lock);
    return known != NULL;
}

/* ---- Prices --------------------------------------------------------------------------------- */

static double price_a_month(const json_t *cost) {
    const json_t *cents = json_object_get(cost, "cents");
    const char *unit = json_string_value(json_object_get(cost, "unit"));
    if (!json_is_integer(cents) || !unit) return -1;
    double money = (double)json_integer_value(cents) / 100;
    return strcmp(unit, "hour") == 0 ? money * 730 : strcmp(unit, "month") == 0 ? money : -1;
}

void known_set_prices(const json_t *sizes, int64_t now_ms) {
    size_t i;
    const json_t *size;
    pthread_mutex_lock(&lock);
    prices_ms = now_ms;
    if (json_array_size(sizes) > 0) price_count = 0;
    json_array_foreach(sizes, i, size) {
        const char *name = json_string_value(json_object_get(size, "name"));
        double a_month = price_a_month(json_object_get(size, "cost"));
        if (!name || strlen(name) >= HEROKU_SIZE_SIZE || a_month < 0 || price_count == PRICES)
            continue;
        memcpy(prices[price_count].size, name, strlen(name) + 1);
        prices[price_count++].a_month = a_month;
    }
    pthread_mutex_unlock(&lock);
}

bool known_prices_old(int64_t now_ms) {
    pthread_mutex_lock(&lock);
    bool old = prices_ms < 0 || now_ms - prices_ms >= PRICES_MS;
    pthread_mutex_unlock(&lock);
    return old;
}

double known_price(const char *size) {
    double found = -1;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < price_count; i++)
        if (strcmp(prices[i].size, size) == 0) found = prices[i].a_month;
    pthread_mutex_unlock(&lock);
    return found;
}

void known_clear(void) {
    pthread_mutex_lock(&lock);
    for (int i = 0; i < app_count; i++) free(apps[i]);
    free(apps);
    apps = NULL;
    app_count = app_room = price_count = 0;
    prices_ms = -1;
    memset(accounts, 0, sizeof accounts);
    pthread_mutex_unlock(&lock);
}
