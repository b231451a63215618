/*
 * Which process of a dyno reads its job queues: a record lock on an empty file in the system's
 * folder for temporary files. Of all locks it is the one that the kernel ties to the process: it
 * ends with it, and a forked child does not have it.
 */
#ifndef DS_LEADER_H
#define DS_LEADER_H

#include <stdbool.h>

enum { DS_LEADER_PATH_SIZE = 512 };

/* Writes the file's path for a dyno and the URL it reports to, which the path does not show. */
void ds_leader_path(char path[DS_LEADER_PATH_SIZE], const char *folder, const char *dyno,
                    const char *url);

/*
 * Tries to take the lock for a topic ("" for all), or sees that this process has it. *file is kept
 * from call to call, -1 at first and in a forked child. False when another process has it (errno
 * 0), or when there can be none (errno says why).
 */
bool ds_leader_lead(const char *path, const char *topic, int *file);

/*
 * A descriptor that can be read from once the process that has the lock has ended, for the caller
 * to close; -1 where there is none to be had. Nobody waits for the lock itself: the kernel counts
 * that as a step towards a deadlock, and would refuse the app a lock of its own.
 */
int ds_leader_watch(int file, const char *topic);

/* Lets go of the locks for all topics, where this process has them: whoever else in the process
 * uses the file loses them, too. */
void ds_leader_resign(const char *path, int *file);

#endif
