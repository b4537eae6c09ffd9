/*
 * -strace and -d strace: one line per system call, from the table's signatures, in QEMU's form:
 *
 *   1234 openat(AT_FDCWD,"/etc/passwd",O_RDONLY|O_CLOEXEC) = 3
 *   1234 read(3,0x2aaab2a0,4096) = -1 errno=9 (Bad file descriptor)
 *
 * With one thread the call is written before it is made, so that one that hangs can be seen; with
 * more the line is written when the call returns, so that lines stay whole.  Text is made in a
 * buffer of the thread's own.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "linux-user/process.h"
#include "linux-user/syscall.h"
#include "util/log.h"

#define STRING_MAX 200
#define BYTES_MAX 32

typedef struct TraceLine {
    char text[1536];
    size_t len;
    bool begun;         /* the call's part has been written */
} TraceLine;

static _Thread_local TraceLine line;

typedef struct FlagName {
    uint64_t value;
    const char *name;
} FlagName;

#define F(x) { (uint64_t)(x), #x }
static const FlagName open_flags[] = {
    F(O_CREAT), F(O_EXCL), F(O_NOCTTY), F(O_TRUNC), F(O_APPEND), F(O_NONBLOCK), F(O_SYNC),
    F(O_DSYNC), F(O_ASYNC), F(O_DIRECT), F(O_TMPFILE), F(O_DIRECTORY), F(O_NOFOLLOW),
    F(O_NOATIME), F(O_CLOEXEC), F(O_PATH), { 0100000, "O_LARGEFILE" }, { 0, NULL }
};
static const FlagName prot_flags[] = {
    F(PROT_READ), F(PROT_WRITE), F(PROT_EXEC), { 0, NULL }
};
static const FlagName map_flags[] = {
    F(MAP_SHARED), F(MAP_PRIVATE), F(MAP_FIXED), F(MAP_ANONYMOUS), F(MAP_NORESERVE),
    F(MAP_POPULATE), F(MAP_STACK), F(MAP_HUGETLB), F(MAP_LOCKED), F(MAP_GROWSDOWN),
    F(MAP_DENYWRITE), { 0x100000, "MAP_FIXED_NOREPLACE" }, { 0, NULL }
};
static const FlagName clone_flags[] = {
    F(CLONE_VM), F(CLONE_FS), F(CLONE_FILES), F(CLONE_SIGHAND), F(CLONE_PIDFD),
    F(CLONE_PTRACE), F(CLONE_VFORK), F(CLONE_PARENT), F(CLONE_THREAD), F(CLONE_NEWNS),
    F(CLONE_SYSVSEM), F(CLONE_SETTLS), F(CLONE_PARENT_SETTID), F(CLONE_CHILD_CLEARTID),
    F(CLONE_CHILD_SETTID), F(CLONE_NEWUSER), F(CLONE_NEWPID), F(CLONE_NEWNET), { 0, NULL }
};
static const FlagName clocks[] = {
    F(CLOCK_REALTIME), F(CLOCK_MONOTONIC), F(CLOCK_PROCESS_CPUTIME_ID),
    F(CLOCK_THREAD_CPUTIME_ID), F(CLOCK_MONOTONIC_RAW), F(CLOCK_REALTIME_COARSE),
    F(CLOCK_MONOTONIC_COARSE), F(CLOCK_BOOTTIME), { 0, NULL }
};
static const FlagName futex_ops[] = {
    F(FUTEX_WAIT), F(FUTEX_WAKE), F(FUTEX_REQUEUE), F(FUTEX_CMP_REQUEUE), F(FUTEX_WAKE_OP),
    F(FUTEX_LOCK_PI), F(FUTEX_UNLOCK_PI), F(FUTEX_TRYLOCK_PI), F(FUTEX_WAIT_BITSET),
    F(FUTEX_WAKE_BITSET), F(FUTEX_WAIT_REQUEUE_PI), F(FUTEX_CMP_REQUEUE_PI), { 0, NULL }
};
#undef F

static void put(const char *fmt, ...) attr_printf(1, 2);
static void put(const char *fmt, ...)
{
    va_list ap;
    size_t room = sizeof(line.text) - line.len;
    va_start(ap, fmt);
    int n = vsnprintf(line.text + line.len, room, fmt, ap);
    va_end(ap);
    if (n > 0) {
        line.len += (size_t)n < room ? (size_t)n : room - 1;
    }
}

static void put_flags(uint64_t v, const FlagName *names, bool begun)
{
    for (; names->name; names++) {
        if (names->value && (v & names->value) == names->value) {
            put("%s%s", begun ? "|" : "", names->name);
            v &= ~names->value;
            begun = true;
        }
    }
    if (v || !begun) {
        put("%s0x%" PRIx64, begun ? "|" : "", v);
    }
}

static void put_name(uint64_t v, const FlagName *names)
{
    for (; names->name; names++) {
        if (names->value == v) {
            put("%s", names->name);
            return;
        }
    }
    put("%" PRId64, (int64_t)v);
}

static void put_quoted(const char *s, size_t n, bool cut)
{
    put("\"");
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        switch (c) {
        case '\n': put("\\n"); break;
        case '\t': put("\\t"); break;
        case '\r': put("\\r"); break;
        case '"': case '\\': put("\\%c", c); break;
        default: put(c < 32 || c > 126 ? "\\%03o" : "%c", c);
        }
    }
    put(cut ? "\"..." : "\"");
}

static void put_string(uint64_t addr)
{
    char buf[STRING_MAX];
    long n = addr ? user_read_string(buf, addr, sizeof(buf)) : -EFAULT;
    if (n == -ENAMETOOLONG) {
        put_quoted(buf, sizeof(buf), true);
    } else if (n >= 0) {
        put_quoted(buf, (size_t)n, false);
    } else {
        put(addr ? "0x%" PRIx64 : "NULL", addr);
    }
}

static void put_bytes(uint64_t addr, uint64_t len)
{
    char buf[BYTES_MAX];
    size_t n = user_read_partial(buf, addr, len < sizeof(buf) ? len : sizeof(buf));
    if (!n) {
        put("0x%" PRIx64, addr);
    } else {
        put_quoted(buf, n, len > n);
    }
}

static void put_open_flags(uint64_t v)
{
    static const char *const modes[] = { "O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE" };
    put("%s", modes[v & 3]);
    if (v & ~3ull) {
        put_flags(v & ~3ull, open_flags, true);
    }
}

static void put_timespec(uint64_t addr)
{
    struct timespec ts;
    if (addr && user_read(&ts, addr, sizeof(ts))) {
        put("{tv_sec=%lld,tv_nsec=%ld}", (long long)ts.tv_sec, ts.tv_nsec);
    } else {
        put(addr ? "0x%" PRIx64 : "NULL", addr);
    }
}

static void put_signal(int sig)
{
    const char *name = sigabbrev_np(sig);
    if (name) {
        put("SIG%s", name);
    } else {
        put("%d", sig);
    }
}

static void put_futex_op(uint64_t v)
{
    put_name(v & FUTEX_CMD_MASK, futex_ops);
    put("%s%s", v & FUTEX_PRIVATE_FLAG ? "|FUTEX_PRIVATE_FLAG" : "",
        v & FUTEX_CLOCK_REALTIME ? "|FUTEX_CLOCK_REALTIME" : "");
}

static void put_arg(char kind, uint64_t v, uint64_t next)
{
    switch (kind) {
    case 'd': case 'f': put("%d", (int)v); break;
    case 'u': put("%" PRIu64, v); break;
    case 'l': put("%" PRId64, (int64_t)v); break;
    case 'o': put("0%o", (unsigned)v); break;
    case 's': put_string(v); break;
    case 'b': put_bytes(v, next); break;
    case 't': put_timespec(v); break;
    case 'O': put_open_flags(v); break;
    case 'M': v ? put_flags(v, prot_flags, false) : put("PROT_NONE"); break;
    case 'A': put_flags(v, map_flags, false); break;
    case 'S': put_signal((int)v); break;
    case 'c': put_name(v, clocks); break;
    case 'k': put_futex_op(v); break;
    case 'C':
        put_flags(v & ~(uint64_t)CSIGNAL, clone_flags, false);
        if (v & CSIGNAL) {
            put("|");
            put_signal((int)(v & CSIGNAL));
        }
        break;
    case 'D':
        (int)v == AT_FDCWD ? put("AT_FDCWD") : put("%d", (int)v);
        break;
    case 'p': case 'B':
        put(v ? "0x%" PRIx64 : "NULL", v);
        break;
    default:
        put("0x%" PRIx64, v);
    }
}

/* Calls that may well never return are written at once. */
static bool never_returns(uint64_t nr)
{
    return nr == 93 || nr == 94 || nr == 139 || nr == 221;
}

void strace_enter(GuestThread *t, uint64_t nr, const uint64_t a[6])
{
    const char *name = NULL, *sig = "xxxxxx";
    if (nr < SYSCALL_MAX && syscall_table[nr].name) {
        name = syscall_table[nr].name;
        sig = syscall_table[nr].sig;
    } else {
        name = user_process.abi->arch_syscall_name(nr);
    }
    line.len = 0;
    line.text[0] = 0;
    put("%d ", t->tid);
    if (name) {
        put("%s(", name);
    } else {
        put("Unknown syscall %" PRIu64 "(", nr);
    }
    for (int i = 0; i < 6 && sig[i]; i++) {
        if (i) {
            put(",");
        }
        put_arg(sig[i], a[i], i < 5 ? a[i + 1] : 0);
    }
    put(")");
    line.begun = never_returns(nr) ||
                 __atomic_load_n(&t->group->nthreads, __ATOMIC_RELAXED) == 1;
    if (line.begun) {
        log_printf(nr == 93 || nr == 94 ? "%s\n" : "%s", line.text);
    }
}

void strace_result(GuestThread *t, uint64_t nr, const uint64_t a[6], int64_t ret)
{
    const char *call = line.begun ? "" : line.text;
    switch (ret) {
    case -BRAID_NO_RESULT:
        log_printf("%s\n", call);
        return;
    case -BRAID_NOT_STARTED:
    case -BRAID_ERESTARTSYS:
        log_printf("%s = ? (a signal is pending)\n", call);
        return;
    default:
        break;
    }
    if (ret < 0 && ret > -4096) {
        log_printf("%s = -1 errno=%d (%s)\n", call, (int)-ret, strerror((int)-ret));
    } else if (ret > 0xffff || ret < 0) {
        log_printf("%s = 0x%016" PRIx64 "\n", call, (uint64_t)ret);
    } else {
        log_printf("%s = %" PRId64 "\n", call, ret);
    }
}

void strace_signal(GuestThread *t, int sig, const siginfo_t *info)
{
    line.len = 0;
    put("--- ");
    put_signal(sig);
    put(" {si_signo=");
    put_signal(sig);
    put(", si_code=%d, ", info->si_code);
    if (info->si_code > 0 && sig != SIGCHLD) {
        put("si_addr=%p} ---", info->si_addr);
    } else {
        put("si_pid=%d, si_uid=%u} ---", info->si_pid, info->si_uid);
    }
    log_printf("%s\n", line.text);
}
