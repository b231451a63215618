/*
 * What happens in a forked child.
 */
#ifndef DS_FORK_H
#define DS_FORK_H

#include <stdbool.h>

/*
 * Has `in_child` called in every forked child from now on; once a process, whatever is given later.
 * It runs before anything else in the child, for every `system` of a root process too, and may only
 * store to memory. False when the system has no memory for it.
 */
bool ds_fork_watch(void (*in_child)(void));

#endif
