/*
 * A program on this machine that reads and sets the formation. It is set by the command line
 * alone, since it runs what it is told to.
 *
 *     PROGRAM ARGUMENTS... read TYPE     prints a whole number, or JSON: {"ordered": 3, "up": 2,
 *                                        "booting": 1, "stopping": 0, "limit": 10,
 *                                        "releasing": false}, of which only `ordered` must be there
 *     PROGRAM ARGUMENTS... set TYPE N    has N dynos run; N is absolute, so it may be called again
 *
 * Exit status 0: done. 75 (EX_TEMPFAIL): locked by a release, tried again. 77 (EX_NOPERM): needs a
 * person. Any other: failed, tried again. The last line on standard error is shown to people.
 *
 * It has PATH, HOME, USER, LANG, TZ and TMPDIR of ours, DYNOSCALE_APP, and for `set`
 * DYNOSCALE_REASON. Settings: {"command": ["./scale", "arg"], "directory": "/srv/shop"}; the
 * directory is what a relative program is relative to.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platforms/platform.h"
#include "platforms/run.h"

enum { MOST_ARGUMENTS = 64, LONGEST_ARGUMENT = 4096, STATUS_LOCKED = 75, STATUS_REFUSED = 77 };

static bool check_arguments(const json_t *command, char *error, size_t size) {
    size_t i;
    const json_t *argument;
    json_array_foreach(command, i, argument) {
        if (!json_is_string(argument) || json_string_length(argument) > LONGEST_ARGUMENT ||
            strlen(json_string_value(argument)) != json_string_length(argument)) {
            snprintf(error, size,
                     "command: argument %zu must be a string of at most %d bytes without NUL", i,
                     LONGEST_ARGUMENT);
            return false;
        }
    }
    return true;
}

static bool command_check(const json_t *settings, const char *secret, char *error, size_t size) {
    const json_t *command = json_object_get(settings, "command");
    const json_t *directory = json_object_get(settings, "directory");
    if (secret) {
        snprintf(error, size, "a command takes no secret: give the program its own");
        return false;
    }
    if (!json_is_array(command) || json_array_size(command) == 0 ||
        json_array_size(command) > MOST_ARGUMENTS) {
        snprintf(error, size, "command: must be the program and its arguments, 1 to %d strings",
                 MOST_ARGUMENTS);
        return false;
    }
    if (!check_arguments(command, error, size)) return false;
    const char *program = json_string_value(json_array_get(command, 0));
    if (!*program) {
        snprintf(error, size, "command: the program's name is empty");
        return false;
    }
    if (directory && (!json_is_string(directory) || json_string_value(directory)[0] != '/')) {
        snprintf(error, size, "directory: must be a path that begins with /");
        return false;
    }
    if (!directory && strchr(program, '/') && program[0] != '/') {
        snprintf(error, size, "directory: must be given, since %s is relative to it", program);
        return false;
    }
    return true;
}

/* Adds "NAME=value" unless the variable is not set. */
static void set_variable(char **environment, size_t *count, const char *name, const char *value) {
    size_t size = strlen(name) + (value ? strlen(value) : 0) + 2;
    char *entry = value ? malloc(size) : NULL;
    if (!entry) return;
    snprintf(entry, size, "%s=%s", name, value);
    environment[(*count)++] = entry;
}

static struct platform_answer answer_of(const struct run_result *run, const char *what,
                                        const struct platform_app *app) {
    const char *colon = *run->last_line ? ": " : "";
    switch (run->end) {
    case RUN_EXITED:
        if (run->status == 0) return platform_ok();
        return platform_trouble(run->status == STATUS_LOCKED    ? PLATFORM_LOCKED
                                : run->status == STATUS_REFUSED ? PLATFORM_REFUSED
                                                                : PLATFORM_FAILED,
                                "%s ended with status %d%s%s", what, run->status, colon,
                                run->last_line);
    case RUN_SIGNALLED:
        return platform_trouble(PLATFORM_FAILED, "%s was ended by signal %d%s%s", what, run->status,
                                colon, run->last_line);
    case RUN_NOT_FOUND:
        return platform_trouble(PLATFORM_REFUSED, "%s can't be run: %s", what, run->reason);
    case RUN_TIMED_OUT:
        return platform_trouble(PLATFORM_FAILED, "%s did not end within %lld ms and was killed%s%s",
                                what, (long long)app->deadline_ms, colon, run->last_line);
    case RUN_TOO_LONG:
        return platform_trouble(PLATFORM_FAILED, "%s printed more than %d bytes and was killed",
                                what, RUN_OUTPUT);
    case RUN_IMPOSSIBLE:
        break;
    }
    return platform_trouble(PLATFORM_FAILED, "%s could not be started: %s", what, run->reason);
}

/* Runs the program with the arguments of this call. Fills `what` with its name for errors. */
static struct platform_answer call(const struct platform_app *app, const char *verb,
                                   const char *process, const char *number, const char *reason,
                                   struct run_result *run, char what[96]) {
    const json_t *command = json_object_get(app->settings, "command"), *argument;
    char *arguments[MOST_ARGUMENTS + 4] = {NULL}, *environment[16];
    size_t count = 0, variables = 0, i;
    json_array_foreach(command, i, argument) arguments[count++] =
        (char *)json_string_value(argument);
    snprintf(what, 96, "%.60s %s %.20s", arguments[0], verb, process);
    arguments[count++] = (char *)verb;
    arguments[count++] = (char *)process;
    if (number) arguments[count++] = (char *)number;
    arguments[count] = NULL;
    static const char *const inherited[] = {"PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR"};
    for (i = 0; i < sizeof inherited / sizeof *inherited; i++)
        set_variable(environment, &variables, inherited[i], getenv(inherited[i]));
    set_variable(environment, &variables, "DYNOSCALE_APP", app->app);
    set_variable(environment, &variables, "DYNOSCALE_REASON", reason);
    environment[variables] = NULL;
    run_program(run, arguments, environment,
                json_string_value(json_object_get(app->settings, "directory")), app->deadline_ms);
    while (variables > 0) free(environment[--variables]);
    return answer_of(run, what, app);
}

static struct platform_answer command_read(const struct platform_app *app, const char *process,
                                           struct platform_formation *formation) {
    *formation = platform_unknown;
    struct run_result *run = malloc(sizeof *run);
    if (!run) return platform_trouble(PLATFORM_FAILED, "no memory to run a program");
    char what[96];
    struct platform_answer answer = call(app, "read", process, NULL, NULL, run, what);
    if (answer.result == PLATFORM_OK)
        answer = platform_read_answer(formation, run->output, run->length, what);
    free(run);
    return answer;
}

static struct platform_answer command_set(const struct platform_app *app, const char *process,
                                          int dynos, const char *reason) {
    struct run_result *run = malloc(sizeof *run);
    if (!run) return platform_trouble(PLATFORM_FAILED, "no memory to run a program");
    char what[96], number[16];
    snprintf(number, sizeof number, "%d", dynos);
    struct platform_answer answer = call(app, "set", process, number, reason, run, what);
    free(run);
    return answer;
}

const struct platform platform_command = {.kind = "command",
                                          .local_only = true,
                                          .read_every_s = 10,
                                          .check = command_check,
                                          .read = command_read,
                                          .set = command_set};
