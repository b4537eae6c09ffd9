/*
 * Seccomp for the guest: its filters see the guest's call numbers, architecture and pc, so they are run
 * here, on every system call, and the host knows nothing of them.  What braid itself asks of the
 * host is never filtered.
 *
 * A filter is a classic BPF program, checked when it is installed as the kernel checks it: it ends, and
 * leaves neither its memory nor the 64 bytes it is about.  Filters form a tree of immutable
 * nodes that are never freed; a thread has a pointer to its newest.  Only SECCOMP_FILTER_FLAG_TSYNC
 * writes another thread's, under tree_lock, which also keeps threads from being born with what their
 * parent had before.
 *
 * SECCOMP_RET_USER_NOTIF is the host's, by a detour: seccomp-notify.c.
 *
 * The vDSO's fast calls pass unseen, as they do on Linux.
 */
#include "linux-user/seccomp.h"

#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "linux-user/process.h"
#include "linux-user/ptrace.h"
#include "linux-user/seccomp-notify.h"
#include "linux-user/syscall.h"
#include "linux-user/user-signal.h"
#include "util/error.h"
#include "util/log.h"

#ifndef SECCOMP_FILTER_FLAG_TSYNC_ESRCH
#define SECCOMP_FILTER_FLAG_TSYNC_ESRCH (1ul << 4)
#endif
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1ul << 5)
#endif
#define MAX_INSNS_PER_PATH 32768
#define KNOWN_FLAGS                                                                      \
    (SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW | \
     SECCOMP_FILTER_FLAG_TSYNC_ESRCH | SECCOMP_FILTER_FLAG_NEW_LISTENER |                  \
     SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)

struct SeccompFilter {
    const SeccompFilter *prev;
    uint32_t path_len;          /* of this filter and all before, as the kernel counts */
    uint32_t notifies;          /* 1: it has a listener */
    uint32_t len;
    struct sock_filter insn[];
};

static Mutex tree_lock = MUTEX_INIT(FORK);

/* ---- the programs ---- */

static bool jump_ok(const struct sock_filter *f, uint32_t pc, uint32_t len)
{
    if (f->code == (BPF_JMP | BPF_JA)) {
        return f->k < len - pc - 1;
    }
    return pc + f->jt + 1 < len && pc + f->jf + 1 < len;
}

static bool insn_ok(const struct sock_filter *f, uint32_t pc, uint32_t len)
{
    switch (f->code) {
    case BPF_LD | BPF_W | BPF_ABS:
        return f->k < sizeof(struct seccomp_data) && !(f->k & 3);
    case BPF_ALU | BPF_DIV | BPF_K:
        return f->k != 0;
    case BPF_ALU | BPF_LSH | BPF_K: case BPF_ALU | BPF_RSH | BPF_K:
        return f->k < 32;
    case BPF_LD | BPF_MEM: case BPF_LDX | BPF_MEM: case BPF_ST: case BPF_STX:
        return f->k < BPF_MEMWORDS;
    case BPF_JMP | BPF_JA:
    case BPF_JMP | BPF_JEQ | BPF_K: case BPF_JMP | BPF_JEQ | BPF_X:
    case BPF_JMP | BPF_JGE | BPF_K: case BPF_JMP | BPF_JGE | BPF_X:
    case BPF_JMP | BPF_JGT | BPF_K: case BPF_JMP | BPF_JGT | BPF_X:
    case BPF_JMP | BPF_JSET | BPF_K: case BPF_JMP | BPF_JSET | BPF_X:
        return jump_ok(f, pc, len);
    case BPF_LD | BPF_W | BPF_LEN: case BPF_LDX | BPF_W | BPF_LEN:
    case BPF_LD | BPF_IMM: case BPF_LDX | BPF_IMM:
    case BPF_RET | BPF_K: case BPF_RET | BPF_A:
    case BPF_MISC | BPF_TAX: case BPF_MISC | BPF_TXA:
    case BPF_ALU | BPF_NEG:
    case BPF_ALU | BPF_ADD | BPF_K: case BPF_ALU | BPF_ADD | BPF_X:
    case BPF_ALU | BPF_SUB | BPF_K: case BPF_ALU | BPF_SUB | BPF_X:
    case BPF_ALU | BPF_MUL | BPF_K: case BPF_ALU | BPF_MUL | BPF_X:
    case BPF_ALU | BPF_AND | BPF_K: case BPF_ALU | BPF_AND | BPF_X:
    case BPF_ALU | BPF_OR | BPF_K: case BPF_ALU | BPF_OR | BPF_X:
    case BPF_ALU | BPF_XOR | BPF_K: case BPF_ALU | BPF_XOR | BPF_X:
    case BPF_ALU | BPF_DIV | BPF_X: case BPF_ALU | BPF_LSH | BPF_X:
    case BPF_ALU | BPF_RSH | BPF_X:
        return true;
    default:
        return false;
    }
}

static bool program_ok(const struct sock_filter *f, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++) {
        if (!insn_ok(&f[i], i, len)) {
            return false;
        }
    }
    return BPF_CLASS(f[len - 1].code) == BPF_RET;
}

static uint32_t alu(unsigned op, uint32_t a, uint32_t b)
{
    switch (op) {
    case BPF_ADD: return a + b;
    case BPF_SUB: return a - b;
    case BPF_MUL: return a * b;
    case BPF_DIV: return a / b;
    case BPF_AND: return a & b;
    case BPF_OR: return a | b;
    case BPF_XOR: return a ^ b;
    case BPF_LSH: return a << (b & 31);
    case BPF_RSH: return a >> (b & 31);
    default: return -a;
    }
}

static bool jump_taken(unsigned op, uint32_t a, uint32_t b)
{
    switch (op) {
    case BPF_JEQ: return a == b;
    case BPF_JGT: return a > b;
    case BPF_JGE: return a >= b;
    default: return a & b;
    }
}

/* bpf(4), "BPF filter machine"; division by a zero X ends with 0. */
static uint32_t program_run(const SeccompFilter *p, const struct seccomp_data *data)
{
    uint32_t a = 0, x = 0, mem[BPF_MEMWORDS] = { 0 };
    const struct sock_filter *f = p->insn;
    for (;; f++) {
        uint32_t b = BPF_SRC(f->code) == BPF_X ? x : f->k;
        switch (BPF_CLASS(f->code)) {
        case BPF_LD:
        case BPF_LDX: {
            uint32_t v = f->k;
            if (BPF_MODE(f->code) == BPF_ABS) {
                memcpy(&v, (const uint8_t *)data + f->k, sizeof(v));
            } else if (BPF_MODE(f->code) == BPF_MEM) {
                v = mem[f->k];
            } else if (BPF_MODE(f->code) == BPF_LEN) {
                v = sizeof(*data);
            }
            *(BPF_CLASS(f->code) == BPF_LD ? &a : &x) = v;
            break;
        }
        case BPF_ST: mem[f->k] = a; break;
        case BPF_STX: mem[f->k] = x; break;
        case BPF_ALU:
            if (BPF_OP(f->code) == BPF_DIV && !b) {
                return 0;
            }
            a = alu(BPF_OP(f->code), a, b);
            break;
        case BPF_JMP:
            f += BPF_OP(f->code) == BPF_JA                ? f->k
                 : jump_taken(BPF_OP(f->code), a, b) ? f->jt : f->jf;
            break;
        case BPF_RET:
            return BPF_RVAL(f->code) == BPF_A ? a : f->k;
        default:
            if (BPF_MISCOP(f->code) == BPF_TAX) {
                x = a;
            } else {
                a = x;
            }
        }
    }
}

/* ---- the verdict ---- */

/* The strictest of all filters; of equals the newest.  *match is whose it is, NULL: nobody's. */
static uint32_t run_filters(const SeccompFilter *f, const struct seccomp_data *data,
                            const SeccompFilter **match)
{
    *match = NULL;
    uint32_t result = SECCOMP_RET_ALLOW;
    for (; f; f = f->prev) {
        uint32_t r = program_run(f, data);
        if ((int32_t)(r & SECCOMP_RET_ACTION_FULL) < (int32_t)(result & SECCOMP_RET_ACTION_FULL)) {
            result = r;
            *match = f;
        }
    }
    return result;
}

static void fill_info(siginfo_t *info, const struct seccomp_data *data, uint32_t errno_data)
{
    memset(info, 0, sizeof(*info));
    info->si_signo = SIGSYS;
    info->si_code = 1;          /* SYS_SECCOMP */
    info->si_errno = (int)errno_data;
    info->si_call_addr = (void *)(uintptr_t)data->instruction_pointer;
    info->si_syscall = data->nr;
    info->si_arch = data->arch;
}

static int64_t trap(GuestThread *t, const siginfo_t *info, uint64_t first_arg)
{
    user_process.abi->finish_syscall(t->cpu, (int64_t)first_arg);
    signal_deliver_forced(t, info);
    return -BRAID_NO_RESULT;
}

static int64_t kill_thread(GuestThread *t, const siginfo_t *info)
{
    static const uint64_t status[6] = { SIGSYS };
    if (t->in_vfork_child || __atomic_load_n(&t->group->nthreads, __ATOMIC_RELAXED) == 1) {
        signal_die(t, SIGSYS, info);
    }
    return sys_exit(t, status);
}

static bool strict_allows(uint64_t nr)
{
    return nr == 63 || nr == 64 || nr == 93 || nr == 139;   /* read write exit rt_sigreturn */
}

static bool filters_allow(GuestThread *t, uint64_t nr, const uint64_t a[6], int64_t *ret, bool traced);

/* Ask the tracer.  What it makes of the call is filtered once more, and then made here. */
static bool ask_tracer(GuestThread *t, uint64_t nr, const uint64_t a[6], uint32_t value, int64_t *ret)
{
    uint64_t args[6];
    bool skip;
    memcpy(args, a, sizeof(args));
    if (!tracee_seccomp_stop(t, value, &nr, args, &skip)) {
        *ret = -ENOSYS;
    } else if (skip) {
        *ret = -BRAID_NO_RESULT;
    } else if (filters_allow(t, nr, args, ret, true)) {
        *ret = syscall_dispatch(t, nr, args);
    }
    return false;
}

bool seccomp_allows_slow(GuestThread *t, uint64_t nr, const uint64_t a[6], int64_t *ret)
{
    if (t->seccomp_strict) {
        if (!strict_allows(nr)) {
            signal_die(t, SIGKILL, NULL);
        }
        return true;
    }
    return filters_allow(t, nr, a, ret, false);
}

/* traced: its tracer has seen it already. */
static bool filters_allow(GuestThread *t, uint64_t nr, const uint64_t a[6], int64_t *ret, bool traced)
{
    struct seccomp_data data = {
        .nr = (int)nr,
        .arch = user_process.abi->audit_arch,
        .instruction_pointer = t->cpu->env.pc + user_process.abi->syscall_insn_size,
    };
    memcpy(data.args, a, sizeof(data.args));
    /* [SECCOMP] pairs with the stores of install() and seccomp_inherit(). */
    const SeccompFilter *match;
    uint32_t r = run_filters(__atomic_load_n(&t->seccomp, __ATOMIC_ACQUIRE), &data, &match);
    uint32_t value = r & SECCOMP_RET_DATA;
    siginfo_t info;
    switch (r & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_ALLOW:
    case SECCOMP_RET_LOG:
        return true;
    case SECCOMP_RET_ERRNO:
        *ret = -(int64_t)(value > 4095 ? 4095 : value);
        return false;
    case SECCOMP_RET_TRAP:
        fill_info(&info, &data, value);
        *ret = trap(t, &info, a[0]);
        return false;
    case SECCOMP_RET_TRACE:
        return traced || ask_tracer(t, nr, a, value, ret);
    case SECCOMP_RET_USER_NOTIF:
        *ret = -ENOSYS;
        return match->notifies && seccomp_notify(t, nr, a, ret);
    case SECCOMP_RET_KILL_THREAD:
        fill_info(&info, &data, value);
        *ret = kill_thread(t, &info);
        return false;
    default:
        fill_info(&info, &data, value);
        signal_die(t, SIGSYS, &info);
    }
}

/* ---- installing ---- */

static bool may_install(void)
{
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 || process_has_capability(CAP_SYS_ADMIN);
}

/* A copy of the guest's struct sock_fprog, checked, without a predecessor. */
static int64_t read_filter(uint64_t addr, SeccompFilter **out)
{
    struct { uint16_t len, pad[3]; uint64_t filter; } prog;
    if (!user_read(&prog, addr, sizeof(prog))) {
        return -EFAULT;
    }
    if (!prog.len || prog.len > BPF_MAXINSNS) {
        return -EINVAL;
    }
    if (!may_install()) {
        return -EACCES;
    }
    size_t size = prog.len * sizeof(struct sock_filter);
    SeccompFilter *f = xcalloc(1, sizeof(*f) + size);
    f->len = prog.len;
    int64_t ret = !prog.filter                             ? -EINVAL
                  : !user_read(f->insn, prog.filter, size) ? -EFAULT
                  : program_ok(f->insn, f->len)          ? 0 : -EINVAL;
    if (ret) {
        free(f);
        return ret;
    }
    *out = f;
    return 0;
}

static bool is_ancestor(const SeccompFilter *old, const SeccompFilter *f)
{
    while (f && f != old) {
        f = f->prev;
    }
    return f == old;
}

typedef struct Sync {
    GuestThread *self;
    const SeccompFilter *base, *newest;
    pid_t refuses;
} Sync;

static void sync_check(CPUState *cpu, void *opaque)
{
    Sync *s = opaque;
    GuestThread *t = cpu->user_data;
    if (t && t != s->self && (t->seccomp_strict || !is_ancestor(t->seccomp, s->base))) {
        s->refuses = t->tid;
    }
}

static void sync_set(CPUState *cpu, void *opaque)
{
    Sync *s = opaque;
    GuestThread *t = cpu->user_data;
    if (t) {
        /* [SECCOMP] */
        __atomic_store_n(&t->seccomp, s->newest, __ATOMIC_RELEASE);
    }
}

static bool flags_ok(uint64_t flags)
{
    bool listener = flags & SECCOMP_FILTER_FLAG_NEW_LISTENER;
    return !(listener && flags & SECCOMP_FILTER_FLAG_TSYNC && !(flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH)) &&
           (listener || !(flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV));
}

/* The thread, or all of them, have a new filter.  A descriptor if it has a listener; else 0, -errno, or for
   TSYNC the thread that refuses. */
static int64_t publish_locked(GuestThread *t, SeccompFilter *f, uint64_t flags)
{
    Sync s = { .self = t, .base = t->seccomp, .newest = f };
    bool all = flags & SECCOMP_FILTER_FLAG_TSYNC;
    int64_t ret = 0;
    f->prev = t->seccomp;
    f->path_len = f->len + (f->prev ? f->prev->path_len + 4 : 0);
    f->notifies = flags & SECCOMP_FILTER_FLAG_NEW_LISTENER ? 1 : 0;
    if (f->path_len > MAX_INSNS_PER_PATH) {
        return -ENOMEM;
    }
    if (all) {
        cpu_foreach(sync_check, &s);
        if (s.refuses) {
            return flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH ? -ESRCH : s.refuses;
        }
    }
    if (f->notifies) {
        ret = seccomp_notify_listen(flags & (SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV |
                                             SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH));
        if (ret < 0) {
            return ret;
        }
    }
    if (all) {
        cpu_foreach(sync_set, &s);
    } else {
        /* [SECCOMP] read by this thread, and by TSYNC under the lock */
        __atomic_store_n(&t->seccomp, f, __ATOMIC_RELEASE);
    }
    return ret;
}

static int64_t install(GuestThread *t, uint64_t flags, uint64_t addr)
{
    SeccompFilter *f;
    if (flags & ~(uint64_t)KNOWN_FLAGS) {
        log_item(LOG_UNIMP, "seccomp: flags %llx\n", (unsigned long long)flags);
        return -EINVAL;
    }
    if (t->seccomp_strict || !flags_ok(flags)) {
        return -EINVAL;
    }
    int64_t ret = read_filter(addr, &f);
    if (ret) {
        return ret;
    }
    mutex_lock(&tree_lock);
    ret = publish_locked(t, f, flags);
    bool used = __atomic_load_n(&t->seccomp, __ATOMIC_RELAXED) == f;
    mutex_unlock(&tree_lock);
    if (!used) {
        free(f);
    }
    return ret;
}

static int64_t action_available(uint64_t addr)
{
    uint32_t action;
    if (!user_read_u32(addr, &action)) {
        return -EFAULT;
    }
    switch (action) {
    case SECCOMP_RET_KILL_PROCESS: case SECCOMP_RET_KILL_THREAD: case SECCOMP_RET_TRAP:
    case SECCOMP_RET_ERRNO: case SECCOMP_RET_TRACE: case SECCOMP_RET_LOG:
    case SECCOMP_RET_ALLOW: case SECCOMP_RET_USER_NOTIF:
        return 0;
    default:
        return -EOPNOTSUPP;
    }
}

static int64_t set_strict(GuestThread *t)
{
    if (t->seccomp) {
        return -EINVAL;
    }
    t->seccomp_strict = true;
    return 0;
}

int64_t sys_seccomp(GuestThread *t, const uint64_t a[6])
{
    switch ((unsigned)a[0]) {
    case SECCOMP_SET_MODE_STRICT:
        return a[1] || a[2] ? -EINVAL : set_strict(t);
    case SECCOMP_SET_MODE_FILTER:
        return install(t, (unsigned)a[1], a[2]);
    case SECCOMP_GET_ACTION_AVAIL:
        return a[1] ? -EINVAL : action_available(a[2]);
    case SECCOMP_GET_NOTIF_SIZES:
        return a[1] ? -EINVAL : seccomp_notify_sizes(a[2]);
    default:
        log_item(LOG_UNIMP, "seccomp operation %u\n", (unsigned)a[0]);
        return -EINVAL;
    }
}

int64_t seccomp_get_mode(const GuestThread *t)
{
    return t->seccomp_strict ? SECCOMP_MODE_STRICT : t->seccomp ? SECCOMP_MODE_FILTER : 0;
}

unsigned seccomp_count(const GuestThread *t)
{
    unsigned n = 0;
    for (const SeccompFilter *f = __atomic_load_n(&t->seccomp, __ATOMIC_ACQUIRE /* [SECCOMP] */); f; f = f->prev) {
        n++;
    }
    return n;
}

int64_t seccomp_set_mode(GuestThread *t, uint64_t mode, uint64_t filter)
{
    return mode == SECCOMP_MODE_STRICT   ? set_strict(t)
           : mode == SECCOMP_MODE_FILTER ? install(t, 0, filter) : -EINVAL;
}

/* ---- threads, fork, execve ---- */

void seccomp_inherit(GuestThread *child, const GuestThread *parent)
{
    mutex_lock(&tree_lock);
    /* [SECCOMP] */
    __atomic_store_n(&child->seccomp, parent->seccomp, __ATOMIC_RELEASE);
    child->seccomp_strict = parent->seccomp_strict;
    mutex_unlock(&tree_lock);
}

void seccomp_fork_child(void)
{
    /* A thread that is gone may have had it; each thread's pointer is whole at any moment. */
    mutex_reinit(&tree_lock);
}

/* The oldest filter first, each with its length in front, and whether it has a listener. */
static bool save_filter(const SeccompFilter *f, int fd)
{
    size_t size = f->len * sizeof(f->insn[0]);
    uint32_t head[2] = { f->len, f->notifies };
    return (!f->prev || save_filter(f->prev, fd)) &&
           write(fd, head, sizeof(head)) == sizeof(head) &&
           write(fd, f->insn, size) == (ssize_t)size;
}

int seccomp_save(const GuestThread *t)
{
    if (!t->seccomp) {
        return -1;
    }
    int fd = memfd_create("seccomp", 0);
    if (fd < 0) {
        return -errno;
    }
    if (!save_filter(t->seccomp, fd) || lseek(fd, 0, SEEK_SET)) {
        close(fd);
        return -ENOMEM;
    }
    return fd;
}

void seccomp_load(GuestThread *t, int fd)
{
    uint32_t head[2];
    while (read(fd, head, sizeof(head)) == sizeof(head)) {
        uint32_t len = head[0];
        ssize_t size = (ssize_t)(len * sizeof(struct sock_filter));
        if (!len || len > BPF_MAXINSNS) {
            fatal("seccomp filters of the program before are unreadable");
        }
        SeccompFilter *f = xcalloc(1, sizeof(*f) + (size_t)size);
        f->len = len;
        f->notifies = head[1];
        f->prev = t->seccomp;
        f->path_len = len + (f->prev ? f->prev->path_len + 4 : 0);
        if (read(fd, f->insn, (size_t)size) != size || !program_ok(f->insn, len)) {
            fatal("seccomp filters of the program before are unreadable");
        }
        t->seccomp = f;
    }
    close(fd);
}
