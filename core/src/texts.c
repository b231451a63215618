/* The texts of both command lines. ASCII, which any terminal shows. */
#include "dynoscale_cli.h"

#include <stddef.h>

#define SETTING(id, name, variable, standard, meaning) \
    "  " variable "  (in code: " name ")\n      " meaning "\n      default: " standard "\n"

static const char SETTINGS[] = "Settings:\n" DYNOSCALE_SETTINGS(
    SETTING) "  DYNOSCALE_DEV is another name of DYNOSCALE_DEV_MODE.\n"
             "  For the connection: https_proxy, http_proxy, all_proxy, no_proxy,\n"
             "  SSL_CERT_FILE, SSL_CERT_DIR.\n"
             "\n"
             "Code wins over a framework's configuration (config.dynoscale.* in Rails,\n"
             "DYNOSCALE = {...} in Django's settings), that over the environment. A wrong\n"
             "value is one warning that names it, and the value before it stays.\n";

static const char DETAILS[] =
    "Looks, in this order, at the version and what it is made of; the settings\n"
    "that are given, and where; whether a process with them reports; whether the\n"
    "service's name resolves, the connection and its TLS work, and the service\n"
    "takes a report, sent without samples; whether this machine's clock is near\n"
    "the service's; and, with --url, whether your app gets the router's stamp.\n"
    "What is not well comes with what to do.\n"
    "\n"
    "It sees the environment that it is started in, not what the app gives in\n"
    "code or in its framework's configuration. It records nothing; without --url,\n"
    "the app does not notice it.\n"
    "\n"
    "Exit status: 0 all is well, 1 there is something to mend, 2 wrong usage.\n";

static const char *const TEXTS[DYNOSCALE_TEXT_COUNT] = {
    [DYNOSCALE_TEXT_ABOUT] =
        "Dynoscale's agent measures how long requests and jobs wait, and reports it.",

    [DYNOSCALE_TEXT_SETTINGS] = SETTINGS,
    [DYNOSCALE_TEXT_DOCTOR] = "is my application sending data?",

    [DYNOSCALE_TEXT_DETAILS] = DETAILS,
    [DYNOSCALE_TEXT_URL] =
        "an address of the app, such as http://127.0.0.1:3000/: sends it one GET, stamped 1 s ago, "
        "and tells whether the agent in there saw the stamp; start the app with "
        "DYNOSCALE_SERVER_TIMING=on for it. The app counts it like any other request.",
    [DYNOSCALE_TEXT_TIMEOUT] = "how long an answer may take, in seconds, up to 60 (default: 15)",
    [DYNOSCALE_TEXT_JSON] = "print one object of JSON",
    [DYNOSCALE_TEXT_WRONG_URL] = "--url is not an http or https address",
};

static const char *const NAMES[DYNOSCALE_TEXT_COUNT] = {
#define X(id, name) name,
    DYNOSCALE_TEXTS(X)
#undef X
};

const char *dynoscale_text_name(dynoscale_text text) {
    return (unsigned)text < DYNOSCALE_TEXT_COUNT ? NAMES[text] : NULL;
}

const char *dynoscale_text_of(dynoscale_text text) {
    return (unsigned)text < DYNOSCALE_TEXT_COUNT ? TEXTS[text] : NULL;
}
