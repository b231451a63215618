/*
 * Runs a program to its end, without a shell, and gives what it printed. For platforms/ alone.
 */
#ifndef RUN_H
#define RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RUN_OUTPUT = 16 * 1024, RUN_LINE = 160 };

enum run_end {
    RUN_EXITED,     /* status */
    RUN_SIGNALLED,  /* status: the signal's number */
    RUN_NOT_FOUND,  /* there is no such program, or it may not be run: reason */
    RUN_TIMED_OUT,  /* it, and all of its process group, was killed */
    RUN_TOO_LONG,   /* it printed more than RUN_OUTPUT bytes, and was killed */
    RUN_IMPOSSIBLE, /* the system had no process, descriptor or memory left: reason */
};

struct run_result {
    enum run_end end;
    int status;
    size_t length;
    char output[RUN_OUTPUT];  /* of its standard output, not ended by NUL */
    char last_line[RUN_LINE]; /* of its standard error: the last line that is not blank, or "" */
    char reason[RUN_LINE];
};

/*
 * `arguments` is ended by NULL, its first is the program: a path, or a name that is looked for on
 * the PATH. It runs in `directory` (NULL: ours) with exactly `environment`, its standard input is
 * /dev/null, no other descriptor of ours is inherited, and it leads a session of its own. Whatever
 * it left running when it ended by itself keeps running. Blocks for at most deadline_ms.
 */
void run_program(struct run_result *result, char *const arguments[], char *const environment[],
                 const char *directory, int64_t deadline_ms);

#endif
