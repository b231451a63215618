/*
 * Inside the command line: how a command calls the API and prints.
 */
#ifndef CLI_INSIDE_H
#define CLI_INSIDE_H

#include "api/cli.h"
#include "api/resources.h"

enum { CLI_DONE = 0, CLI_REFUSED = 1, CLI_USAGE = 2, CLI_OPTIONS = 16, CLI_ARGUMENTS = 64 };

struct cli_option {
    const char *name;  /* "zone", of --zone */
    const char *value; /* NULL: a switch */
};

struct cli_command;

struct cli {
    const struct cli_command *command;
    const char *data; /* of --data; NULL: the usual one */
    bool json;
    int count; /* of arguments, without the command's own words */
    char *arguments[CLI_ARGUMENTS];
    int option_count;
    struct cli_option options[CLI_OPTIONS];
    char **rest; /* what stood behind -- ; NULL: there was none */
    int rest_count;

    char folder[1024];
    bool connected; /* a service runs on the folder */
    bool quiet;     /* cli_call prints nothing about a refusal */
    struct store *store;
    struct keeper *keeper;
    char *public_url;
};

struct cli_command {
    const char *name;      /* "app add" */
    const char *arguments; /* "APP [--zone ZONE]" */
    const char *options;   /* "zone= json": those with = take a value */
    int least, most;       /* arguments */
    bool makes;            /* makes the data folder where there is none */
    const char *help;
    int (*run)(struct cli *cli);
};
extern const struct cli_command cli_commands[];
extern const size_t cli_command_count;

/* Whether an option was given, and its value; NULL without one. */
bool cli_given(const struct cli *cli, const char *name);
const char *cli_value(const struct cli *cli, const char *name);

/* Prints "dynoscaled: SENTENCE" on standard error and gives the exit code. */
int cli_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same, when memory ran out. */
int cli_no_memory(void);

/* ---- Calls ----------------------------------------------------------------------------------- */

struct cli_request {
    enum http_method method;
    const char *path; /* parts as cli_path makes them */
    const char *query, *type, *body, *accept, *if_match;
    size_t body_length; /* 0 with a body: its strlen */
};

struct cli_reply {
    int status;
    struct text body;
    json_t *json; /* NULL where it is none */
};

/* True: an answer with a status below 400 came; else an error was printed. Free the reply in any
 * case. */
bool cli_call(struct cli *cli, const struct cli_request *request, struct cli_reply *reply);
void cli_reply_free(struct cli_reply *reply);

/* What most commands do: makes one call, frees its path and body, and prints its answer as it came
 * if --json was given. CLI_DONE, or CLI_REFUSED after an error was printed. *print: the caller
 * prints the answer. */
int cli_do(struct cli *cli, enum http_method method, char *path, struct text *body,
           struct cli_reply *reply, bool *print);
void cli_close(struct cli *cli);

/* Finds the data folder and whether a service runs on it; if none does, opens the data. False: an
 * error was printed. */
bool cli_folder(struct cli *cli);
bool cli_open(struct cli *cli);
/* What store_open is given: $DYNOSCALED_DATABASE, else the folder. */
const char *cli_place(const struct cli *cli);

/* Formats a path; each %s is percent-encoded. The caller frees it. NULL: an error was printed. */
char *cli_path(const char *format, ...);
/* Adds name=value to a query, encoded; does nothing if the value is NULL. */
void cli_query(struct text *query, const char *name, const char *value);
/* Adds "name":"value" to an object that begins with {; does nothing if the value is NULL. */
void cli_member(struct text *object, const char *name, const char *value);

/* A copy, which the caller frees. NULL: an error was printed. */
char *cli_copy(const char *text);
/* Reads a whole file, or standard input for "-". NULL: an error was printed. */
char *cli_read_file(const char *name, size_t *length);
/* Reads a password: from a terminal twice, else the first line of standard input; "" if that is
 * empty. NULL: an error was printed. Wipe and free it. */
char *cli_read_password(const char *person);

/* ---- Printing -------------------------------------------------------------------------------- */

/* A table whose columns are as wide as their widest cell. */
struct cli_table {
    int columns;
    size_t count, room;
    char **cells;
};
/* A row of `columns` texts, copied; a NULL text is "-". */
void cli_row(struct cli_table *table, const char *const *cells);
void cli_print_table(struct cli_table *table); /* and frees it */
/* Whether memory ran out for a cell of any table. */
bool cli_table_lost(void);

/* "2026-11-29 10:42:00" in a time zone, without the date if it is within a day of now; "-" for
 * 0. */
const char *cli_moment(char text[32], const json_t *epoch, const char *zone);
/* A member's text or number for a cell; "-": there is none. */
const char *cli_cell(char text[64], const json_t *object, const char *member);
const char *cli_string(const json_t *object, const char *member); /* "" where there is none */

/* The commands. */
int cli_app_add(struct cli *cli);
int cli_app_list(struct cli *cli);
int cli_app_remove(struct cli *cli);
int cli_app_token(struct cli *cli);
int cli_app_zone(struct cli *cli);
int cli_platform_set(struct cli *cli);
int cli_platform_show(struct cli *cli);
int cli_platform_test(struct cli *cli);
int cli_platform_remove(struct cli *cli);
int cli_notify_add(struct cli *cli);
int cli_notify_list(struct cli *cli);
int cli_notify_test(struct cli *cli);
int cli_notify_remove(struct cli *cli);
int cli_notify_told(struct cli *cli);
int cli_rules_get(struct cli *cli);
int cli_rules_check(struct cli *cli);
int cli_rules_plan(struct cli *cli);
int cli_rules_put(struct cli *cli);
int cli_rules_history(struct cli *cli);
int cli_rules_rollback(struct cli *cli);
int cli_trial(struct cli *cli);
int cli_status(struct cli *cli);
int cli_explain(struct cli *cli);
int cli_ledger(struct cli *cli);
int cli_replay(struct cli *cli);
int cli_pause(struct cli *cli);
int cli_boost(struct cli *cli);
int cli_resume(struct cli *cli);
int cli_switch(struct cli *cli);
int cli_token_add(struct cli *cli);
int cli_token_list(struct cli *cli);
int cli_token_remove(struct cli *cli);
int cli_user_add(struct cli *cli);
int cli_user_list(struct cli *cli);
int cli_user_remove(struct cli *cli);
int cli_user_role(struct cli *cli);
int cli_user_password(struct cli *cli);
int cli_user_link(struct cli *cli);
int cli_user_factor(struct cli *cli);
int cli_user_factors(struct cli *cli);
int cli_audit(struct cli *cli);
int cli_series(struct cli *cli);
int cli_export(struct cli *cli);
int cli_backup(struct cli *cli);
int cli_restore(struct cli *cli);
int cli_move(struct cli *cli);
int cli_doctor(struct cli *cli);
int cli_heroku_manifest(struct cli *cli);
int cli_heroku_check(struct cli *cli);

#endif
