/*
 * The command line except `serve`: "dynoscaled app add shop". Each command calls a resource of the
 * API: through the socket of the service that runs on the data folder, or in this process if none
 * does.
 */
#ifndef CLI_H
#define CLI_H

/* Like main: arguments[1] is the command. Returns the exit status: 0, 1 if the command failed, 2 if
 * the command line is wrong; both with a sentence on standard error. */
int cli_main(int count, char **arguments);

/* The commands, one a line, as `dynoscaled --help` shows them below `serve`. */
extern const char cli_help[];

#endif
