/*
 * The command line: everything but `serve`. A command is a call of the API, over the socket in the
 * data folder where a service runs on it, else in this process.
 */
#ifndef CLI_H
#define CLI_H

#include <stdbool.h>
#include <stddef.h>

/* Runs `dynoscaled COMMAND ARGUMENTS...`, arguments[0] being the command. Returns the exit code: 0
 * done, 1 refused, failed or differs, 2 wrong usage. */
int cli_main(int count, char **arguments);

/* What `dynoscaled --help` says of these commands, one a line. */
extern const char cli_usage[];

/* The data folder without --data: $DYNOSCALED_DATA, else ./dynoscaled-data if there is one, else
 * /var/lib/dynoscaled for root if there is one, else $XDG_DATA_HOME/dynoscaled or
 * ~/.local/share/dynoscaled. False with a sentence where none of these can be told. */
bool cli_data_folder(char *folder, size_t size, char *error, size_t error_size);

#endif
