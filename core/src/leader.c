#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* O_CLOEXEC, O_NOFOLLOW */
#endif
#include "leader.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* FNV-1a: apps of one machine are told apart, the token is not given away. */
static uint64_t hash_of(uint64_t hash, const char *text) {
    for (; *text; text++) hash = (hash ^ (unsigned char)*text) * 0x100000001B3U;
    return hash;
}

void ds_leader_path(char path[DS_LEADER_PATH_SIZE], const char *folder, const char *dyno,
                    const char *url) {
    uint64_t hash = hash_of(hash_of(0xCBF29CE484222325U, url), dyno);
    snprintf(path, DS_LEADER_PATH_SIZE, "%s/dynoscale-%lu-%016" PRIx64 ".lock", folder,
             (unsigned long)geteuid(), hash);
}

/* A file of ours alone: a link or a file that somebody else put there is not locked. */
static int open_file(const char *path) {
    struct stat found;
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (file < 0) return -1;
    if (fstat(file, &found) == 0 && S_ISREG(found.st_mode) && found.st_uid == geteuid())
        return file;
    close(file);
    errno = EPERM;
    return -1;
}

bool ds_leader_lead(const char *path, int *file) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (*file < 0) *file = open_file(path);
    if (*file < 0) return false;
    if (fcntl(*file, F_SETLK, &lock) == 0) return true;
    if (errno == EACCES || errno == EAGAIN) errno = 0;
    return false;
}
