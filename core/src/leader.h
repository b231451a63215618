/*
 * Elects the process of a dyno that reads its job queues, by a record lock on an empty file in the
 * system's folder for temporary files. The kernel ties a lock of this kind to its process: it ends
 * with the process, and a forked child does not have it.
 */
#ifndef DS_LEADER_H
#define DS_LEADER_H

#include <stdbool.h>

enum { DS_LEADER_PATH_SIZE = 512 };

/* Writes the path of the lock file for a dyno and the URL it reports to. The path does not reveal
 * the URL. */
void ds_leader_path(char path[DS_LEADER_PATH_SIZE], const char *folder, const char *dyno,
                    const char *url);

/*
 * Tries to take the lock for a topic ("" is one more topic). Returns true if this process has it
 * now or had it before. *file is kept between calls; it is -1 at first and in a forked child.
 * Returns false if another process has the lock (errno is 0) or if it can't be taken (errno says
 * why).
 */
bool ds_leader_lead(const char *path, const char *topic, int *file);

/*
 * A descriptor that becomes readable when the process that has the lock has ended, for the caller
 * to close; -1 if there is none. Nobody waits for the lock itself: the kernel would count that as a
 * step towards a deadlock, and could refuse the app a lock of its own.
 */
int ds_leader_watch(int file, const char *topic);

/* Releases this process's locks for all topics, also those that other users of the file in this
 * process took. */
void ds_leader_resign(const char *path, int *file);

#endif
