/*
 * Descriptors that are none of the standard ones. In a process that was started with 0, 1 or 2
 * closed the next file or socket would get that number, and what the app writes to its standard
 * error would go there.
 */
#ifndef DS_DESCRIPTOR_H
#define DS_DESCRIPTOR_H

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* The descriptor, or a copy of it with a higher number in its place; -1 with errno. */
static inline int ds_descriptor_above_standard(int descriptor) {
    if (descriptor < 0 || descriptor > STDERR_FILENO) return descriptor;
    int above = fcntl(descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int error = errno;
    close(descriptor);
    errno = error;
    return above;
}

#endif
