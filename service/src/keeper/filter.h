/*
 * What a thread, and all that it starts from then on, can't ask the system for any more. A refusal
 * is an error of the call (EPERM), never the end of the process. Where the kernel has no such
 * filters nothing is refused, and that is logged.
 */
#ifndef KEEPER_FILTER_H
#define KEEPER_FILTER_H

/* The service: starts no process and no program, looks into no other process, mounts nothing. */
void filter_service(void);
/* A keeper's thread that calls over the network: the same, and takes no connection. */
void filter_caller(void);

#endif
