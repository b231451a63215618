#include "ingest/tokens.h"

#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "people/token.h"

struct token {
    uint8_t hash[TOKEN_HASH_SIZE];
    int64_t app, expires_s;
};

struct tokens {
    size_t count, room;
    bool failed;
    struct token *all; /* by hash */
};

static int by_hash(const void *one, const void *other) {
    return memcmp(((const struct token *)one)->hash, ((const struct token *)other)->hash,
                  TOKEN_HASH_SIZE);
}

static bool add(void *context, const uint8_t *hash, int64_t app, int64_t expires_s) {
    struct tokens *tokens = context;
    void *array = array_grown(tokens->all, &tokens->room, tokens->count + 1, sizeof *tokens->all);
    tokens->failed = !array;
    if (!array) return false;
    tokens->all = array;
    struct token *token = &tokens->all[tokens->count++];
    *token = (struct token){.app = app, .expires_s = expires_s};
    memcpy(token->hash, hash, TOKEN_HASH_SIZE);
    return true;
}

struct tokens *tokens_read(struct store *store) {
    struct tokens *tokens = calloc(1, sizeof *tokens);
    if (!tokens) return NULL;
    if (!report_token_each(store, add, tokens) || tokens->failed) {
        tokens_free(tokens);
        return NULL;
    }
    if (tokens->count > 0) qsort(tokens->all, tokens->count, sizeof *tokens->all, by_hash);
    return tokens;
}

void tokens_free(struct tokens *tokens) {
    if (!tokens) return;
    free(tokens->all);
    free(tokens);
}

/* Searches by the hash, so the time it takes reveals nothing about a token. */
int64_t tokens_app(const struct tokens *tokens, const char *token, int64_t now_s) {
    struct token wanted = {0};
    if (tokens->count == 0) return 0;
    token_hash(wanted.hash, token, strlen(token));
    const struct token *found =
        bsearch(&wanted, tokens->all, tokens->count, sizeof *tokens->all, by_hash);
    if (!found || (found->expires_s != 0 && found->expires_s <= now_s)) return 0;
    return found->app;
}
