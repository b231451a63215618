/*
 * Limits the system calls of a thread, and of all that it starts from then on. A refused call fails
 * with EPERM; it never ends the process. A kernel without such filters refuses nothing, and that is
 * logged.
 */
#ifndef KEEPER_FILTER_H
#define KEEPER_FILTER_H

/* The service: can start no process or program, look into no other process, mount nothing. */
void filter_service(void);
/* A keeper's thread that calls over the network: the same, and can't accept connections. */
void filter_caller(void);

#endif
