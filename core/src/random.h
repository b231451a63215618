/*
 * Random numbers from the system, different in every process and every forked child.
 */
#ifndef DS_RANDOM_H
#define DS_RANDOM_H

#include <stdint.h>

enum { DS_RANDOM_KEY_SIZE = 33 }; /* 128 bits in hex, and a NUL */

/* May block just after the system has booted: not for the request path. */
uint64_t ds_random(void);
void ds_random_key(char key[DS_RANDOM_KEY_SIZE]);

#endif
