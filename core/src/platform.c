#include "platform.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The platform's own name -------------------------------------------------------------- */

/* NULL where it is unset or empty. */
static const char *variable(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* Writes the value of a variable. Returns the variable's name, or NULL if it is unset. */
static const char *take(const char *name, char text[DS_PLATFORM_NAME_SIZE]) {
    const char *value = variable(name);
    if (!value) return NULL;
    snprintf(text, DS_PLATFORM_NAME_SIZE, "%s", value);
    return name;
}

/* Not joined by a point: an id of digits would look like a dyno's number. */
static const char *take_fly(char text[DS_PLATFORM_NAME_SIZE]) {
    const char *group = variable("FLY_PROCESS_GROUP"), *id = variable("FLY_MACHINE_ID");
    if (!id) return NULL;
    snprintf(text, DS_PLATFORM_NAME_SIZE, "%s-%s", group ? group : "app", id);
    return "FLY_MACHINE_ID";
}

/* http://169.254.170.2/v4/TASK-CONTAINER */
static const char *take_ecs(char text[DS_PLATFORM_NAME_SIZE]) {
    static const char name[] = "ECS_CONTAINER_METADATA_URI_V4";
    const char *address = variable(name);
    const char *task = address ? strstr(address, "/v4/") : NULL;
    if (!task) return NULL;
    task += strlen("/v4/");
    int length = (int)strcspn(task, "-/?");
    if (length == 0) return NULL;
    snprintf(text, DS_PLATFORM_NAME_SIZE, "%.*s", length, task);
    return name;
}

const char *ds_platform_name(char name[DS_PLATFORM_NAME_SIZE]) {
    const char *found = take("RENDER_INSTANCE_ID", name);
    if (!found) found = take_fly(name);
    if (!found) found = take("RAILWAY_REPLICA_ID", name);
    if (!found) found = take("CONTAINER", name); /* Scalingo: web-1 */
    if (!found) found = take_ecs(name);
    if (!found && variable("KUBERNETES_SERVICE_HOST")) found = take("HOSTNAME", name);
    return found;
}

/* ---- What a name says --------------------------------------------------------------------- */

/* The number at the end of NAME.NUMBER, or NULL. */
static const char *number_of(const char *dyno) {
    const char *point = strrchr(dyno, '.');
    if (!point || point == dyno || !point[1]) return NULL;
    return strspn(point + 1, "0123456789") == strlen(point + 1) ? point + 1 : NULL;
}

bool ds_platform_is_not_first(const char *dyno) {
    const char *number = number_of(dyno);
    return number && strcmp(number, "1") != 0;
}

/* PROCESS.NUMBER, PROCESS-ID or PROCESS-ID-ID. With more parts the process's own name has a dash:
 * run-jobs-12a34b56d-e78f9. */
static bool is_of_process(const char *dyno, const char *process) {
    size_t length = strlen(process);
    if (strncmp(dyno, process, length) != 0) return false;
    const char *rest = dyno + length;
    if (*rest == '.') return true;
    if (*rest != '-' || number_of(dyno)) return false;
    const char *second = strchr(rest + 1, '-');
    return !second || !strchr(second + 1, '-');
}

bool ds_platform_is_one_off(const char *dyno) {
    return is_of_process(dyno, "run") || is_of_process(dyno, "release") ||
           is_of_process(dyno, "scheduler") || is_of_process(dyno, "one-off");
}
