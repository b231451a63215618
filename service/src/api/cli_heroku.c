/* dynoscaled heroku ...: for who runs the service as Heroku's add-on. */
#include <stdio.h>
#include <string.h>

#include "addon/check.h"
#include "api/cli_inside.h"

static bool is_address(const char *url) {
    return strncmp(url, "https://", 8) == 0 || strncmp(url, "http://", 7) == 0;
}

int cli_heroku_manifest(struct cli *cli) {
    const char *id = cli_value(cli, "id"), *url = cli->arguments[0];
    const char *folder = cli_value(cli, "directory");
    char error[400] = "there is no memory left";
    if (!is_address(url))
        return cli_fail(CLI_USAGE, "the service's public address is needed, as "
                                   "https://scale.example.com");
    if (!addon_make_manifest(folder ? folder : ".", id ? id : "dynoscale", url, error,
                             sizeof error))
        return cli_fail(CLI_REFUSED, "%s", error);
    puts("Wrote addon-manifest.json, which Heroku gets: heroku addons:admin:manifest:push\n"
         "and heroku.json, which the service gets: dynoscaled serve --heroku-addon heroku.json\n\n"
         "Both hold secrets. Put the OAuth client's secret and your plans into heroku.json, and\n"
         "then try it: dynoscaled heroku check heroku.json URL");
    return CLI_DONE;
}

int cli_heroku_check(struct cli *cli) {
    static struct addon_settings settings;
    char error[600];
    if (!is_address(cli->arguments[1]))
        return cli_fail(CLI_USAGE, "the address of a running service is needed");
    if (!addon_read_settings(&settings, cli->arguments[0], error, sizeof error))
        return cli_fail(CLI_USAGE, "%s", error);
    if (!*settings.id) return cli_fail(CLI_USAGE, "%s names no manifest", cli->arguments[0]);
    int wrong = addon_check(&settings, cli->arguments[1]);
    if (wrong == 0) puts("\nHeroku would refuse nothing of this.");
    else printf("\nHeroku would refuse this: %d of these are not as it asks.\n", wrong);
    return wrong ? CLI_REFUSED : CLI_DONE;
}
