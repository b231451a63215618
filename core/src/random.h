/*
 * Random numbers from the system, which differ in every process and every forked child.
 */
#ifndef DS_RANDOM_H
#define DS_RANDOM_H

#include <stdint.h>

enum { DS_RANDOM_KEY_SIZE = 33 }; /* 128 bits in hex, and a NUL */

/* May block for the first moments of a system's life: not for the path of a request. */
uint64_t ds_random(void);
void ds_random_key(char key[DS_RANDOM_KEY_SIZE]);

#endif
