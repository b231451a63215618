#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* O_CLOEXEC, O_NOFOLLOW, syscall */
#endif
#include "leader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/syscall.h>
#endif

#include "descriptor.h"
#include "digest.h"

/* Distinguishes the apps of one machine. The URL's token can't be computed from it. */
static void name_of(char name[2 * DS_DIGEST_SIZE + 1], const char *dyno, const char *url) {
    char text[DS_LEADER_PATH_SIZE];
    uint8_t of_url[DS_DIGEST_SIZE], of_both[DS_DIGEST_SIZE];
    ds_digest(of_url, url, strlen(url));
    memcpy(text, of_url, sizeof of_url);
    size_t length = sizeof of_url;
    length += (size_t)snprintf(text + length, sizeof text - length, "%s", dyno);
    ds_digest(of_both, text, length);
    for (int i = 0; i < DS_DIGEST_SIZE; i++) snprintf(name + 2 * i, 3, "%02x", of_both[i]);
}

void ds_leader_path(char path[DS_LEADER_PATH_SIZE], const char *folder, const char *dyno,
                    const char *url) {
    char name[2 * DS_DIGEST_SIZE + 1];
    name_of(name, dyno, url);
    snprintf(path, DS_LEADER_PATH_SIZE, "%s/dynoscale-%lu-%.16s.lock", folder,
             (unsigned long)geteuid(), name);
}

/*
 * Each topic has a byte of the file, chosen by a hash; two topics share one once in some hundred
 * million pairs. Bytes past the end of a file can be locked.
 */
static struct flock lock_for(const char *topic) {
    uint32_t hash = 0x811C9DC5U; /* FNV-1a */
    for (; *topic; topic++) hash = (hash ^ (unsigned char)*topic) * 0x01000193U;
    return (struct flock){
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)(hash & 0x3FFFFFFF), .l_len = 1};
}

/* Only our own file: a link, or a file that somebody else put there, is not locked. */
static int open_file(const char *path) {
    struct stat found;
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    file = ds_descriptor_above_standard(file);
    if (file < 0) return -1;
    if (fstat(file, &found) == 0 && S_ISREG(found.st_mode) && found.st_uid == geteuid())
        return file;
    close(file);
    errno = EPERM;
    return -1;
}

/*
 * Whether the descriptor still belongs to the file at the path. Not if the folder was cleaned up:
 * then the next process locks a new file. Not if all descriptors were closed: then the number may
 * belong to a file of the app's.
 */
static bool is_file_of(const char *path, int file) {
    struct stat there, ours;
    return lstat(path, &there) == 0 && fstat(file, &ours) == 0 && there.st_dev == ours.st_dev &&
           there.st_ino == ours.st_ino;
}

bool ds_leader_lead(const char *path, const char *topic, int *file) {
    struct flock lock = lock_for(topic);
    if (*file >= 0 && !is_file_of(path, *file)) *file = -1; /* not ours to close, maybe */
    if (*file < 0) *file = open_file(path);
    if (*file < 0) return false;
    if (fcntl(*file, F_SETLK, &lock) == 0) return true;
    if (errno == EACCES || errno == EAGAIN) errno = 0;
    return false;
}

#ifdef SYS_pidfd_open
/* The process that has the lock; 0 if there is none, or its number is not visible here. */
static pid_t holder_of(int file, const char *topic) {
    struct flock lock = lock_for(topic);
    if (fcntl(file, F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK || lock.l_pid < 0) return 0;
    return lock.l_pid;
}
#endif

int ds_leader_watch(int file, const char *topic) {
#ifdef SYS_pidfd_open
    pid_t holder = file < 0 ? 0 : holder_of(file, topic);
    if (holder == 0) return -1;
    int ended = (int)syscall(SYS_pidfd_open, holder, 0);
    /* It still has the lock, so the number was not another process's when it was looked up. */
    if (ended < 0 || holder_of(file, topic) == holder) return ended;
    close(ended);
#else
    (void)file, (void)topic;
#endif
    return -1;
}

void ds_leader_resign(const char *path, int *file) {
    if (*file >= 0 && is_file_of(path, *file)) close(*file);
    *file = -1;
}
