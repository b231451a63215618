/*
 * Loaded into a service (LD_PRELOAD) to break what it does with its data's files: dynoscaled.db,
 * -wal, -journal. What is to happen stands in a file of numbers that the test writes while the
 * service runs ($FAULTS_ORDERS, see struct orders); each change that was made is written to a
 * journal ($FAULTS_JOURNAL), from which the test makes the files again as a loss of power could
 * have left them.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum fault { NONE, KILL_BEFORE, KILL_AFTER, FAIL_WRITES, FAIL_SYNCS, STOP };

struct orders {
    _Atomic int64_t fault;
    _Atomic int64_t calls; /* how many calls pass before it happens; counts down */
    _Atomic int64_t times; /* how many fail then; counts down */
    _Atomic int64_t error; /* errno of those */
    _Atomic int64_t done;  /* how many faults there were; counts up */
};

enum change { WRITTEN = 1, SYNCED, CUT, REMOVED };
struct record {
    int64_t change, file, offset, length; /* and the bytes, of WRITTEN */
};

enum { FILES = 4096 };
static const char *const names[] = {"/dynoscaled.db", "/dynoscaled.db-wal",
                                    "/dynoscaled.db-journal"};
static _Atomic unsigned char files[FILES]; /* by descriptor: 1 + which of these; 0: another */
static struct orders *orders;
static int journal = -1;

static int (*real_open)(const char *, int, ...);
static int (*real_close)(int);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_fdatasync)(int), (*real_fsync)(int), (*real_ftruncate)(int, off_t);
static int (*real_unlink)(const char *);

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

__attribute__((constructor)) static void begin(void) {
    *(void **)&real_open = real("open64");
    *(void **)&real_close = real("close");
    *(void **)&real_pwrite = real("pwrite64");
    *(void **)&real_fdatasync = real("fdatasync");
    *(void **)&real_fsync = real("fsync");
    *(void **)&real_ftruncate = real("ftruncate64");
    *(void **)&real_unlink = real("unlink");
    const char *path = getenv("FAULTS_ORDERS");
    int file = path ? real_open(path, O_RDWR | O_CLOEXEC) : -1;
    void *memory = file < 0
                       ? MAP_FAILED
                       : mmap(NULL, sizeof *orders, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory != MAP_FAILED) orders = memory;
    if (file >= 0) real_close(file);
    path = getenv("FAULTS_JOURNAL");
    if (path) journal = real_open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

static int which(const char *path) {
    size_t length = strlen(path);
    for (int i = 0; i < 3; i++) {
        size_t own = strlen(names[i]);
        if (length >= own && strcmp(path + length - own, names[i]) == 0) return i + 1;
    }
    return 0;
}

static int file_of(int descriptor) {
    return descriptor >= 0 && descriptor < FILES ? atomic_load(&files[descriptor]) : 0;
}

static void note(int change, int file, off_t offset, const void *bytes, size_t length) {
    struct record record = {change, file, offset, (int64_t)length};
    struct iovec parts[] = {{&record, sizeof record}, {(void *)bytes, length}};
    if (journal >= 0 && writev(journal, parts, change == WRITTEN ? 2 : 1) < 0) abort();
}

/* Whether the call is to fail; kills, stops. `sync`: which of the two kinds of calls it is. */
static int fails(int sync) {
    if (!orders) return 0;
    int64_t fault = atomic_load(&orders->fault);
    if (fault == NONE || (fault == FAIL_WRITES && sync) || (fault == FAIL_SYNCS && !sync)) return 0;
    if (atomic_fetch_sub(&orders->calls, 1) > 0) return 0;
    if (fault == KILL_BEFORE) kill(getpid(), SIGKILL);
    if (fault == KILL_BEFORE || fault == KILL_AFTER) return 0;
    if (fault == STOP) {
        if (atomic_fetch_sub(&orders->times, 1) <= 0) return 0;
        atomic_fetch_add(&orders->done, 1);
        kill(getpid(), SIGSTOP);
        return 0;
    }
    if (atomic_fetch_sub(&orders->times, 1) <= 0) return 0;
    atomic_fetch_add(&orders->done, 1);
    errno = (int)atomic_load(&orders->error);
    return 1;
}

static void after(void) {
    if (orders && atomic_load(&orders->fault) == KILL_AFTER && atomic_load(&orders->calls) < 0)
        kill(getpid(), SIGKILL);
}

int open64(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
    va_end(more);
    int descriptor = real_open(path, flags, mode);
    if (descriptor >= 0 && descriptor < FILES)
        atomic_store(&files[descriptor], (unsigned char)which(path));
    return descriptor;
}

int close(int descriptor) {
    if (file_of(descriptor)) atomic_store(&files[descriptor], 0);
    return real_close(descriptor);
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t length, off_t offset) {
    int file = file_of(descriptor);
    if (!file) return real_pwrite(descriptor, bytes, length, offset);
    if (fails(0)) return -1;
    ssize_t written = real_pwrite(descriptor, bytes, length, offset);
    if (written > 0) note(WRITTEN, file, offset, bytes, (size_t)written);
    after();
    return written;
}

static int sync_by(int (*how)(int), int descriptor) {
    int file = file_of(descriptor);
    if (!file) return how(descriptor);
    if (fails(1)) return -1;
    int result = how(descriptor);
    if (result == 0) note(SYNCED, file, 0, NULL, 0);
    after();
    return result;
}

int fdatasync(int descriptor) { return sync_by(real_fdatasync, descriptor); }
int fsync(int descriptor) { return sync_by(real_fsync, descriptor); }

int ftruncate64(int descriptor, off_t length) {
    int file = file_of(descriptor);
    if (!file) return real_ftruncate(descriptor, length);
    if (fails(0)) return -1;
    int result = real_ftruncate(descriptor, length);
    if (result == 0) note(CUT, file, length, NULL, 0);
    after();
    return result;
}

int unlink(const char *path) {
    int file = which(path);
    int result = real_unlink(path);
    if (file && result == 0) note(REMOVED, file, 0, NULL, 0);
    return result;
}
