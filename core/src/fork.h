/*
 * What happens around a fork.
 */
#ifndef DS_FORK_H
#define DS_FORK_H

#include <stdbool.h>

/*
 * Has `before` called on the forking thread before every fork from now on, `after` after it in the
 * parent, and `in_child` in the child; once a process, whatever is given later. They run for every
 * `system` of a root process too: `in_child` may only store to memory. False when the system has no
 * memory for it.
 */
bool ds_fork_watch(void (*before)(void), void (*after)(void), void (*in_child)(void));

#endif
