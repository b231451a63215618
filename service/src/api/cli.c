/* The command line: finds the command, its arguments and options; prints help. */
#define _GNU_SOURCE /* strchrnul */
#include "api/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/cli_inside.h"

const struct cli_command cli_commands[] = {
    {"app add", "APP [--zone ZONE]", "zone=", 1, 1, true,
     "Adds an app and prints what to set for it: the address for its reports is shown this once.",
     cli_app_add},
    {"app list", "", "", 0, 0, false, "Lists the apps and how they are.", cli_app_list},
    {"app remove", "APP [--confirm APP]", "confirm=", 1, 1, false,
     "Removes an app with its measurements, rules, decisions and audit log. Asks for the name once "
     "more, unless --confirm gives it.",
     cli_app_remove},
    {"app token", "APP [--overlap SECONDS]", "overlap=", 1, 1, false,
     "Makes a new address for reports. The old one works for a day more, or for --overlap.",
     cli_app_token},
    {"app zone", "APP ZONE", "", 2, 2, false, "Sets an app's time zone.", cli_app_zone},
    {"platform set",
     "APP command -- PROGRAM [ARGUMENTS...] | APP webhook URL [--secret-stdin] | APP heroku --app "
     "NAME [--limit DYNOS] [--no-webhooks] [--secret-stdin|--code-stdin] | APP kubernetes "
     "[TYPE=NAME...] [--namespace NS] [--server URL] [--ca-file FILE] [--secret-stdin] | APP "
     "render "
     "TYPE=ID... --secret-stdin | APP fly|scalingo [TYPE=NAME...] [--app NAME] [--region NAME] "
     "--secret-stdin | APP ecs [TYPE=NAME...] --region NAME [--cluster NAME] --secret-stdin | APP "
     "railway TYPE=ID... --environment ID --secret-stdin | APP pull",
     "secret-stdin code-stdin force app= limit= no-webhooks namespace= server= ca-file= region= "
     "cluster= environment= api= auth=",
     2, 20, false,
     "Sets what runs the dynos and tries it at once. A program is called as `PROGRAM ARGUMENTS... "
     "read TYPE` and `... set TYPE N`. A webhook's secret is made and shown this once, or read "
     "from "
     "standard input. Heroku's API key is read from standard input, or is HEROKU_API_KEY in the "
     "environment; with --code-stdin an OAuth grant's code is read. With `pull` nothing is called: "
     "another scaler asks for the number. --force sets it though the platform refused.",
     cli_platform_set},
    {"platform show", "APP", "", 1, 1, false, "Shows the platform, never its credential.",
     cli_platform_show},
    {"platform test", "APP", "", 1, 1, false, "Reads the formation now.", cli_platform_test},
    {"platform remove", "APP", "", 1, 1, false, "Forgets the platform and its credential.",
     cli_platform_remove},
    {"rules get", "APP [--version N]", "version=", 1, 1, false,
     "Prints the rules as they were written (YAML), or as JSON with --json.", cli_rules_get},
    {"rules check", "FILE [--zone ZONE]", "zone=", 1, 1, false,
     "Says whether rules are right; needs no service and no data. - is standard input.",
     cli_rules_check},
    {"rules plan", "APP FILE", "", 2, 2, false,
     "Shows what the rules would change, and what they would decide now.", cli_rules_plan},
    {"rules put", "APP FILE [--if-version N]", "if-version=", 2, 2, false,
     "Replaces the rules. With --if-version only if that version is in force still.",
     cli_rules_put},
    {"rules history", "APP", "", 1, 1, false, "Lists the versions of the rules.",
     cli_rules_history},
    {"rules rollback", "APP VERSION", "", 2, 2, false, "Puts an earlier version in force.",
     cli_rules_rollback},
    {"trial", "APP FILE [--days N] [--from TIME] [--to TIME] [--process PROCESS]",
     "days= from= to= process=", 2, 2, false,
     "Shows what the rules of FILE would have done in the last 7 days, beside those in force.",
     cli_trial},
    {"status", "[APP]", "", 0, 1, false,
     "Shows each process: dynos, queue time, the rule in force, the last decision.", cli_status},
    {"explain", "APP PROCESS [--at TIME]", "at=", 2, 2, false,
     "Shows a decision with all that went into it.", cli_explain},
    {"ledger", "APP PROCESS [--from TIME] [--to TIME] [--changes]", "from= to= changes", 2, 2,
     false, "Lists decisions; with --changes without holds.", cli_ledger},
    {"replay", "APP PROCESS [--from TIME] [--to TIME]", "from= to=", 2, 2, false,
     "Decides again what was decided, from what was known then. Exit code 1 where it differs.",
     cli_replay},
    {"pause", "APP PROCESS [--until TIME] [--down]", "until= down", 2, 2, false,
     "Scales no more for an hour, or until a time; with --down not down.", cli_pause},
    {"boost", "APP PROCESS DYNOS [--until TIME]", "until=", 3, 3, false,
     "Keeps at least so many dynos for an hour, or until a time.", cli_boost},
    {"resume", "APP PROCESS", "", 2, 2, false, "Ends a pause and a boost.", cli_resume},
    {"switch", "APP PROCESS on|off", "", 3, 3, false,
     "Switches scaling on or off. Off: decided and shown, not done.", cli_switch},
    {"notify add", "APP email|slack|webhook TARGET [--tells KINDS]", "tells=", 3, 3, false,
     "Tells what happens to an app: by e-mail to an address, or to an incoming webhook's URL. "
     "KINDS "
     "are some of maximum, silent, platform, others, futile, scaled, weekly, separated by commas; "
     "by default all but scaled. For a webhook the secret that signs is printed, this once.",
     cli_notify_add},
    {"notify list", "APP", "", 1, 1, false, "Lists whom an app's notices go to.", cli_notify_list},
    {"notify test", "APP ID", "", 2, 2, false, "Sends a test notice now.", cli_notify_test},
    {"notify remove", "APP ID", "", 2, 2, false, "Tells it no more.", cli_notify_remove},
    {"notify told", "APP [--limit N]", "limit=", 1, 1, false, "What was told, newest first.",
     cli_notify_told},
    {"token add", "--scope read|operate|write|admin [--app APP] [--name NAME] [--expires TIME]",
     "scope= app= name= expires=", 0, 0, false, "Makes a token of the API, shown this once.",
     cli_token_add},
    {"token list", "", "", 0, 0, false, "Lists the tokens.", cli_token_list},
    {"token remove", "ID", "", 1, 1, false, "Removes a token.", cli_token_remove},
    {"user add", "NAME [--role read|operate|admin] [--link]", "role= link", 1, 1, true,
     "Adds a person. The password is read from the terminal, or the first line of standard input; "
     "with --link, or where that is empty, a link is printed with which the person sets it. The "
     "first person is an admin, others may read, unless --role says otherwise.",
     cli_user_add},
    {"user list", "", "", 0, 0, false, "Lists the people.", cli_user_list},
    {"user remove", "NAME", "", 1, 1, false, "Removes a person; the sessions end.",
     cli_user_remove},
    {"user role", "NAME read|operate|admin", "", 2, 2, false, "Changes what a person may do.",
     cli_user_role},
    {"user password", "NAME", "", 1, 1, false,
     "Sets a password, read from the terminal or the first line of standard input; sessions end.",
     cli_user_password},
    {"user link", "[NAME]", "", 0, 1, true,
     "Prints a new link with which a person sets a password; without NAME the link for the first "
     "person, while there is none.",
     cli_user_link},
    {"user factor", "NAME off", "", 2, 2, false,
     "Resets the second factor of a person who has lost it; the sessions end.", cli_user_factor},
    {"user factors", "required|optional", "", 1, 1, false,
     "Says whether everybody who signs in by a password needs a second factor.", cli_user_factors},
    {"audit", "[APP] [--limit N]", "limit=", 0, 1, false, "Shows who did what.", cli_audit},
    {"series", "APP SOURCE [--from TIME] [--to TIME] [--step SECONDS] [--signal NAME]",
     "from= to= step= signal=", 2, 2, false, "Shows what was measured.", cli_series},
    {"export", "APP [FILE]", "", 1, 2, false,
     "Writes all that is kept of an app as lines of JSON, without secrets.", cli_export},
    {"backup", "FILE", "", 1, 1, false,
     "Copies all data of one moment into a new file, while the service runs.", cli_backup},
    {"restore", "FILE [--replace]", "replace", 1, 1, true,
     "Puts a copy into an empty data folder; with --replace over the data that is there.",
     cli_restore},
    {"move", "FROM TO | FROM --cancel", "cancel", 1, 2, false,
     "Copies all data into another store, which is empty: a folder, or a database as "
     "postgresql://USER@HOST/DATABASE. Stop all services first. A move that was broken off is "
     "begun "
     "again by the same command; --cancel lets services use FROM again.",
     cli_move},
    {"doctor", "[--backup FILE] [--env FILE]", "backup= env=", 0, 0, false,
     "Looks at all that the service needs: its folder, disk, key, clock and data, its public "
     "address, each app's newest report and platform, the last backup. Says what to do. Exit code "
     "1 "
     "where something is broken. --backup: a copy of the data, or a dump, whose age counts. --env: "
     "the file with the service's environment, as /etc/dynoscaled.env.",
     cli_doctor},
    {"heroku manifest", "URL [--id ID] [--directory DIR]", "id= directory=", 1, 1, false,
     "Writes what makes a service at this public address an add-on of Heroku's: its manifest and "
     "its settings, with new secrets.",
     cli_heroku_manifest},
    {"heroku check", "FILE URL", "", 2, 2, false,
     "Plays Heroku's side against a running service, with the settings that it has, and says what "
     "Heroku would refuse. Makes a resource and removes it again.",
     cli_heroku_check},
};
const size_t cli_command_count = sizeof cli_commands / sizeof *cli_commands;

const char cli_help[] =
    "  app add|list|remove|token|zone      apps, and where their reports go\n"
    "  platform set|show|test|remove       what runs an app's dynos\n"
    "  rules get|check|plan|put|history|rollback\n"
    "                                      how an app is scaled\n"
    "  trial                               what other rules would have done\n"
    "  status, explain, ledger, replay     what happens, and why\n"
    "  pause, boost, resume, switch        orders for a time\n"
    "  series, export                      what was measured\n"
    "  notify add|list|test|remove|told    whom to tell what happens to an app\n"
    "  token add|list|remove               tokens of the API\n"
    "  user add|list|remove|role|password|link|factor|factors\n"
    "                                      people who sign in\n"
    "  audit                               who did what\n"
    "  backup, restore, move               copies of all data\n"
    "  doctor                              whether all is well, and what to do\n"
    "  heroku manifest|check               being an add-on of Heroku's\n"
    "\n"
    "Each takes --data DIR, --json and --help. Times are written as 10:42, 2026-11-29T10:42:00Z,\n"
    "-2h, +30m, now, or epoch seconds.\n";

int cli_fail(int code, const char *format, ...) {
    va_list values;
    va_start(values, format);
    fputs("dynoscaled: ", stderr);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    va_end(values);
    return code;
}

int cli_no_memory(void) { return cli_fail(CLI_REFUSED, "there is no memory left"); }

bool cli_given(const struct cli *cli, const char *name) {
    for (int i = 0; i < cli->option_count; i++)
        if (strcmp(cli->options[i].name, name) == 0) return true;
    return false;
}

const char *cli_value(const struct cli *cli, const char *name) {
    for (int i = cli->option_count - 1; i >= 0; i--)
        if (strcmp(cli->options[i].name, name) == 0) return cli->options[i].value;
    return NULL;
}

/* ---- Arguments ------------------------------------------------------------------------------- */

static void print_help(const struct cli_command *command) {
    printf("usage: dynoscaled %s %s\n\n%s\n\nAlso: --data DIR, --json.\n", command->name,
           command->arguments, command->help);
}

static int wrong_usage(const struct cli_command *command) {
    fprintf(stderr, "usage: dynoscaled %s %s\n", command->name, command->arguments);
    return CLI_USAGE;
}

/* The command that the arguments begin with; *words: how many words its name has. */
static const struct cli_command *find_command(int count, char **arguments, int *words) {
    for (size_t i = 0; i < cli_command_count; i++) {
        const char *name = cli_commands[i].name, *blank = strchr(name, ' ');
        size_t first = (size_t)(strchrnul(name, ' ') - name);
        if (strlen(arguments[0]) != first || strncmp(arguments[0], name, first) != 0) continue;
        if (blank && (count < 2 || strcmp(arguments[1], blank + 1) != 0)) continue;
        *words = blank ? 2 : 1;
        return &cli_commands[i];
    }
    return NULL;
}

/* For "app" alone or an unknown word: prints the commands that exist. */
static int no_command(int count, char **arguments) {
    size_t length = strlen(arguments[0]);
    bool found = false;
    bool asked =
        count > 1 && (strcmp(arguments[1], "--help") == 0 || strcmp(arguments[1], "-h") == 0);
    FILE *to = asked ? stdout : stderr;
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *command = &cli_commands[i];
        if (strncmp(command->name, arguments[0], length) != 0 || command->name[length] != ' ')
            continue;
        fprintf(to, "%s dynoscaled %s %s\n", found ? "      " : "usage:", command->name,
                command->arguments);
        found = true;
    }
    if (found) return asked ? CLI_DONE : CLI_USAGE;
    return cli_fail(CLI_USAGE, "there is no command “%.40s”; dynoscaled --help lists them",
                    arguments[0]);
}

/* Whether the command knows the option (of `length` bytes); *takes: it has a value. */
static bool knows_option(const struct cli_command *command, const char *name, size_t length,
                         bool *takes) {
    const char *at = command->options;
    while (*at) {
        size_t word = strcspn(at, " ");
        *takes = at[word - 1] == '=';
        if (word - *takes == length && strncmp(at, name, length) == 0) return true;
        at += word;
        at += strspn(at, " ");
    }
    return false;
}

/* Takes "--name", "--name=value" or "--name value". Returns how many arguments that was; 0:
 * wrong. */
static int take_option(struct cli *cli, char **arguments, int left) {
    char *name = arguments[0] + 2, *value = strchr(name, '=');
    size_t length = value ? (size_t)(value - name) : strlen(name);
    bool takes = false, data = length == 4 && strncmp(name, "data", 4) == 0;
    if (length == 4 && strncmp(name, "json", 4) == 0 && !value) {
        cli->json = true;
        return 1;
    }
    if (!data && !knows_option(cli->command, name, length, &takes)) {
        cli_fail(0, "%s knows no option %s", cli->command->name, arguments[0]);
        return 0;
    }
    if ((data || takes) && !value && left < 2) {
        cli_fail(0, "%s needs a value", arguments[0]);
        return 0;
    }
    if (!data && !takes && value) {
        cli_fail(0, "--%.*s takes no value", (int)length, name);
        return 0;
    }
    const char *given = value ? value + 1 : data || takes ? arguments[1] : NULL;
    if (value) *value = '\0';
    if (data) cli->data = given;
    else if (cli->option_count < CLI_OPTIONS)
        cli->options[cli->option_count++] = (struct cli_option){name, given};
    return !value && given ? 2 : 1;
}

/* False: an error was printed. */
static bool take_arguments(struct cli *cli, int count, char **arguments) {
    for (int i = 0; i < count;) {
        char *argument = arguments[i];
        if (strcmp(argument, "--") == 0) {
            cli->rest = arguments + i + 1;
            cli->rest_count = count - i - 1;
            return true;
        }
        bool option = argument[0] == '-' && argument[1] == '-';
        int taken = option ? take_option(cli, arguments + i, count - i) : 1;
        if (taken == 0) return false;
        if (!option) {
            if (cli->count == CLI_ARGUMENTS) return false;
            cli->arguments[cli->count++] = argument;
        }
        i += taken;
    }
    return true;
}

static bool asks_help(int count, char **arguments) {
    for (int i = 0; i < count && strcmp(arguments[i], "--") != 0; i++)
        if (strcmp(arguments[i], "--help") == 0 || strcmp(arguments[i], "-h") == 0) return true;
    return false;
}

/* Options may also stand before the command: `--data DIR status`. They are moved behind it. */
static int leading_options(int count, char **arguments) {
    int moved = 0;
    while (moved < count && strncmp(arguments[moved], "--", 2) == 0 && arguments[moved][2]) {
        bool data = strcmp(arguments[moved], "--data") == 0;
        moved += data && moved + 1 < count ? 2 : 1;
    }
    return moved;
}

static int run(int count, char **arguments) {
    int words = 0;
    struct cli cli = {.json = false};
    cli.command = find_command(count, arguments, &words);
    if (!cli.command) return no_command(count, arguments);
    if (asks_help(count, arguments)) {
        print_help(cli.command);
        return CLI_DONE;
    }
    if (!take_arguments(&cli, count - words, arguments + words)) return wrong_usage(cli.command);
    if (cli.count < cli.command->least || cli.count > cli.command->most)
        return wrong_usage(cli.command);
    int code = cli.command->run(&cli);
    cli_close(&cli);
    if (fflush(stdout) != 0 && code == CLI_DONE)
        return cli_fail(CLI_REFUSED, "the output could not be written");
    if (cli_table_lost() && code == CLI_DONE)
        return cli_fail(CLI_REFUSED, "there is no memory left: the table is not whole");
    return code;
}

int cli_main(int count, char **arguments) {
    count--;
    arguments++;
    int leading = leading_options(count, arguments);
    if (count <= leading) return cli_fail(CLI_USAGE, "which command? dynoscaled --help lists them");
    if (leading == 0) return run(count, arguments);
    char **ordered = calloc((size_t)count, sizeof *ordered);
    if (!ordered) return cli_no_memory();
    /* The command's one or two words come first, so that its options can be recognised anywhere. */
    int words = 0;
    find_command(count - leading, arguments + leading, &words);
    if (words == 0) words = 1;
    memcpy(ordered, arguments + leading, (size_t)words * sizeof *ordered);
    memcpy(ordered + words, arguments, (size_t)leading * sizeof *ordered);
    memcpy(ordered + words + leading, arguments + leading + words,
           (size_t)(count - leading - words) * sizeof *ordered);
    int code = run(count, ordered);
    free(ordered);
    return code;
}
