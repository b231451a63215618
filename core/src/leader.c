#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* O_CLOEXEC, O_NOFOLLOW, syscall */
#endif
#include "leader.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/syscall.h>
#endif

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

/*
 * Whether the descriptor is the path's file. It is not where something cleaned the folder up: who
 * comes now locks a new file. Nor where something closed all descriptors: the number may be that of
 * a file of the app's by now.
 */
static bool is_file_of(const char *path, int file) {
    struct stat there, ours;
    return lstat(path, &there) == 0 && fstat(file, &ours) == 0 && there.st_dev == ours.st_dev &&
           there.st_ino == ours.st_ino;
}

bool ds_leader_lead(const char *path, int *file) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (*file >= 0 && !is_file_of(path, *file)) *file = -1; /* not ours to close, maybe */
    if (*file < 0) *file = open_file(path);
    if (*file < 0) return false;
    if (fcntl(*file, F_SETLK, &lock) == 0) return true;
    if (errno == EACCES || errno == EAGAIN) errno = 0;
    return false;
}

/* The process that has the lock; 0 where there is none, or none that can be named here. */
static pid_t holder_of(int file) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(file, F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK || lock.l_pid < 0) return 0;
    return lock.l_pid;
}

int ds_leader_watch(int file) {
#ifdef SYS_pidfd_open
    pid_t holder = file < 0 ? 0 : holder_of(file);
    if (holder == 0) return -1;
    int ended = (int)syscall(SYS_pidfd_open, holder, 0);
    /* It has the lock still: so its number was not another process's when it was looked up. */
    if (ended < 0 || holder_of(file) == holder) return ended;
    close(ended);
#else
    (void)file;
#endif
    return -1;
}

void ds_leader_resign(const char *path, int *file) {
    if (*file >= 0 && is_file_of(path, *file)) close(*file);
    *file = -1;
}
