#define _GNU_SOURCE
#include "keeper/filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"

/* Sanitizers start processes that inspect this one, for their reports. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define MACHINE 0
#elif defined __x86_64__
#define MACHINE AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define MACHINE AUDIT_ARCH_AARCH64
#else
#define MACHINE 0 /* unknown machine: nothing is refused */
#endif

#define FIELD(name)    offsetof(struct seccomp_data, name)
#define LOAD(offset)   BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)
#define SAY(what)      BPF_STMT(BPF_RET | BPF_K, what)
#define REFUSE(number) SECCOMP_RET_ERRNO | (number)
/* Two instructions: refuse the call of this number. */
#define REFUSED(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), SAY(REFUSE(EPERM))

/* System calls by another machine's numbers could mean anything: they end the process. */
#define BEGINNING                                                          \
    LOAD(FIELD(arch)), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MACHINE, 1, 0), \
        SAY(SECCOMP_RET_KILL_PROCESS), LOAD(FIELD(nr)),                    \
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000U, 0, 1), SAY(REFUSE(EPERM))

#ifdef __NR_fork
#define OLD_FORKS REFUSED(__NR_fork), REFUSED(__NR_vfork),
#else
#define OLD_FORKS
#endif

/* Programs and processes. Threads may be started: the flags of clone can be checked, those of
 * clone3 can't, so the C library is made to use clone. */
#define PROCESSES                                                                            \
    REFUSED(__NR_execve), REFUSED(__NR_execveat), OLD_FORKS REFUSED(__NR_ptrace),            \
        REFUSED(__NR_process_vm_readv), REFUSED(__NR_process_vm_writev), REFUSED(__NR_kcmp), \
        REFUSED(__NR_pidfd_getfd), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone3, 0, 1),   \
        SAY(REFUSE(ENOSYS))
#define THREADS_ALONE                                                                 \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone, 0, 3), LOAD(FIELD(args[0])),      \
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0), SAY(REFUSE(EPERM)), \
        SAY(SECCOMP_RET_ALLOW)

/* The machine: its file systems, kernel, clock and names, and ways around these rules. */
#define MACHINES                                                                                   \
    REFUSED(__NR_mount), REFUSED(__NR_umount2), REFUSED(__NR_move_mount), REFUSED(__NR_open_tree), \
        REFUSED(__NR_fsopen), REFUSED(__NR_fsmount), REFUSED(__NR_fsconfig), REFUSED(__NR_fspick), \
        REFUSED(__NR_pivot_root), REFUSED(__NR_chroot), REFUSED(__NR_unshare),                     \
        REFUSED(__NR_setns), REFUSED(__NR_swapon), REFUSED(__NR_swapoff), REFUSED(__NR_reboot),    \
        REFUSED(__NR_init_module), REFUSED(__NR_finit_module), REFUSED(__NR_delete_module),        \
        REFUSED(__NR_kexec_load), REFUSED(__NR_bpf), REFUSED(__NR_perf_event_open),                \
        REFUSED(__NR_userfaultfd), REFUSED(__NR_io_uring_setup), REFUSED(__NR_io_uring_enter),     \
        REFUSED(__NR_io_uring_register), REFUSED(__NR_keyctl), REFUSED(__NR_add_key),              \
        REFUSED(__NR_request_key), REFUSED(__NR_settimeofday), REFUSED(__NR_clock_settime),        \
        REFUSED(__NR_clock_adjtime), REFUSED(__NR_adjtimex), REFUSED(__NR_sethostname),            \
        REFUSED(__NR_setdomainname), REFUSED(__NR_acct), REFUSED(__NR_quotactl),                   \
        REFUSED(__NR_name_to_handle_at), REFUSED(__NR_open_by_handle_at),                          \
        REFUSED(__NR_personality)

#define CONNECTIONS REFUSED(__NR_listen), REFUSED(__NR_accept), REFUSED(__NR_accept4)

static void install(struct sock_filter *filter, size_t count) {
    static atomic_bool told;
    const struct sock_fprog program = {.len = (unsigned short)count, .filter = filter};
    if (MACHINE && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0)
        return;
    if (!MACHINE || atomic_exchange(&told, true)) return;
    log_line(LOG_WARN, "serve", "system calls can't be limited here: %s", strerror(errno));
}

void filter_service(void) {
    struct sock_filter filter[] = {BEGINNING, PROCESSES, MACHINES, THREADS_ALONE,
                                   SAY(SECCOMP_RET_ALLOW)};
    install(filter, sizeof filter / sizeof *filter);
}

void filter_caller(void) {
    struct sock_filter filter[] = {BEGINNING,   PROCESSES,     MACHINES,
                                   CONNECTIONS, THREADS_ALONE, SAY(SECCOMP_RET_ALLOW)};
    install(filter, sizeof filter / sizeof *filter);
}
