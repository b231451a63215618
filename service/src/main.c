/*
 * dynoscaled: hears how long requests and jobs wait, decides how many dynos there should be, has
 * the platform make it so, and explains why.
 */
#include <stdio.h>
#include <string.h>

#include "addon/setup.h"
#include "api/cli.h"
#include "dynoscale.h"
#include "platforms/client.h"
#include "serve/serve.h"
#include "settings.h"

static int print_help(FILE *to) {
    fprintf(to,
            "usage: dynoscaled COMMAND [ARGUMENTS...]\n\n"
            "  serve [--data DIR] [--listen ADDRESS]... [--public-url URL] ...\n"
            "      runs the service; dynoscaled serve --help shows all its settings\n"
            "%s"
            "\n  --version, --help\n",
            cli_help);
    return to == stdout ? 0 : 2;
}

static int print_serve_help(void) {
    struct text text = TEXT_EMPTY;
    settings_help(&text);
    printf("usage: dynoscaled serve [SETTINGS...]\n\n"
           "Each setting may also stand in the environment: --log-level is DYNOSCALED_LOG_LEVEL.\n"
           "The command line wins.\n\n%s",
           text.bytes ? text.bytes : "");
    text_free(&text);
    return 0;
}

static int run_serve(int count, char **arguments) {
    for (int i = 0; i < count; i++)
        if (strcmp(arguments[i], "--help") == 0 || strcmp(arguments[i], "-h") == 0)
            return print_serve_help();
    static struct settings settings;
    char error[1000];
    if (!settings_read(&settings, count, arguments, error, sizeof error)) {
        fprintf(stderr, "dynoscaled: %s\n", error);
        return 2;
    }
    if (!settings.show) return serve(&settings);
    struct text text = TEXT_EMPTY;
    settings_show(&text, &settings);
    fputs(text.bytes ? text.bytes : "", stdout);
    text_free(&text);
    return 0;
}

/* Commands that call platforms in their own process do so like the service, with the settings of
 * the environment. */
static bool configure_platforms(void) {
    static struct settings settings;
    char error[1000];
    bool read = settings_read(&settings, 0, NULL, error, sizeof error);
    if (read && settings.tls_only) client_insist_on_tls();
    if (read) client_call_hosts(settings.call_hosts);
    if (read && addon_configure(&settings, error, sizeof error)) return true;
    fprintf(stderr, "dynoscaled: %s\n", error);
    return false;
}

int main(int count, char **arguments) {
    if (count < 2) return print_help(stderr);
    const char *command = arguments[1];
    if (strcmp(command, "--version") == 0) {
        puts("dynoscaled " DYNOSCALE_VERSION);
        return 0;
    }
    if (strcmp(command, "--help") == 0 || strcmp(command, "-h") == 0 ||
        (strcmp(command, "help") == 0 && count == 2))
        return print_help(stdout);
    if (strcmp(command, "serve") == 0) return run_serve(count - 2, arguments + 2);
    if (!configure_platforms()) return 2;
    return cli_main(count, arguments);
}
