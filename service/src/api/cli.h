/*
 * The command line but for `serve`: "dynoscaled app add shop". Each command is a resource of the
 * API, called through the socket file of the service that runs on the folder, or in this process
 * where none does.
 */
#ifndef CLI_H
#define CLI_H

/* As main: arguments[1] is the command. Returns the exit status: 0, 1 where it failed, 2 where the
 * command line was wrong; both with a sentence on standard error. */
int cli_main(int count, char **arguments);

/* The commands, one a line, as `dynoscaled --help` shows them below `serve`. */
extern const char cli_help[];

#endif
