/*
 * Calls of Heroku's Platform API (https://devcenter.heroku.com/articles/platform-api-reference) and
 * of its identity service, and what each refusal means. Block; any thread. For platforms/ and
 * addon/.
 */
#ifndef HEROKU_API_H
#define HEROKU_API_H

#include "platforms/platform.h"
#include "text.h"

struct heroku_call {
    const char *method;
    const char *path;  /* "/apps/shop/formation": parts are checked before, not encoded here */
    const char *body;  /* JSON; NULL: none */
    const char *range; /* "version ..; order=desc,max=1"; NULL: none */
    const char *token; /* of access, or an API key */
    const char *what;  /* "the app shop", for sentences */
    int64_t deadline_ms;
    bool private_addresses;
};

struct heroku_reply {
    struct platform_answer answer; /* OK: a status of 2xx */
    int status;                    /* of HTTP; 0: no answer */
    int remaining;                 /* tokens of the rate limit that are left; -1: unknown */
    json_t *json;                  /* of a 2xx; NULL: none */
};

void heroku_api(const struct heroku_call *call, struct heroku_reply *reply);
void heroku_reply_free(struct heroku_reply *reply);

/*
 * A credential: the text of an API key, or of OAuth an object with access_token, refresh_token and
 * expires_s (epoch seconds), or only with the code of a grant, which becomes these.
 */
struct heroku_credential {
    char token[512], refresh[512], code[512]; /* "": none */
    int64_t expires_s;                        /* 0: never */
};
/* False with a sentence. */
bool heroku_read_credential(struct heroku_credential *credential, const char *secret, char *error,
                            size_t size);

/* {"code": "..."}, as a credential; the caller wipes and frees it. NULL without memory. */
char *heroku_code_credential(const char *code);

/* Like the platform's function: exchanges a code, or renews a token that is valid for less than ten
 * minutes, or (`now`) at once. */
struct platform_answer heroku_renew(const struct platform_app *app, int64_t now_s, bool now,
                                    char **secret);

/* A name of an app, or an id: a-z, 0-9 and -, at most 40. */
bool heroku_is_name(const char *text);

#endif
