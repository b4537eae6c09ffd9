/*
 * ptrace() as a tracer calls it.
 *
 * A thread has a list of its tracees, in which only it looks: ptrace() is refused to any other.  For each
 * there is a copy of its record from when it stopped; requests read and change the copy, and resuming
 * writes it back.
 */
#include "linux-user/ptrace.h"

#include <elf.h>
#include <limits.h>
#include <linux/ptrace.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "linux-user/iovec.h"
#include "linux-user/process.h"
#include "linux-user/syscall.h"
#include "util/error.h"
#include "util/log.h"

#define KNOWN_OPTIONS (0xffu | PTRACE_O_EXITKILL)
#define FORK_OPTIONS (PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE)

/* ---- the list ---- */

Traced *tracer_find(GuestThread *t, pid_t tid)
{
    Traced *d = t->traced;
    while (d && d->tid != tid) {
        d = d->next;
    }
    return d;
}

Traced *tracer_add(GuestThread *t, pid_t tid)
{
    Traced *d = xcalloc(1, sizeof(*d));
    d->tid = tid;
    d->next = t->traced;
    t->traced = d;
    return d;
}

void tracer_remove(GuestThread *t, pid_t tid)
{
    for (Traced **p = &t->traced; *p; p = &(*p)->next) {
        if ((*p)->tid == tid) {
            Traced *d = *p;
            *p = d->next;
            free(d);
            return;
        }
    }
}

void tracer_free(GuestThread *t)
{
    while (t->traced) {
        tracer_remove(t, t->traced->tid);
    }
}

void tracer_note_write(GuestThread *t)
{
    for (Traced *d = t->traced; d; d = d->next) {
        d->memory_changed = true;
    }
}

/* ---- the host's side ---- */

static int64_t host_ptrace(long request, pid_t tid, uint64_t addr, uint64_t data)
{
    return host_syscall(SYS_ptrace, request, tid, addr, data);
}

/* The event of exec instead of a signal, always; the children that the guest wants. */
uint64_t tracer_host_options(uint32_t options)
{
    return PTRACE_O_TRACEEXEC | (options & (FORK_OPTIONS | PTRACE_O_EXITKILL));
}

bool tracer_is_braid(pid_t tid)
{
    char path[64];
    struct stat here, there;
    snprintf(path, sizeof(path), "/proc/%d/exe", (int)tid);
    return user_process.self_fd >= 0 && !fstat(user_process.self_fd, &here) &&
           !stat(path, &there) && here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

bool tracer_copy(const Traced *d, bool write, uint64_t remote, void *local, size_t n)
{
    struct iovec here = { local, n }, there = { (void *)(uintptr_t)remote, n };
    ssize_t k = write ? process_vm_writev(d->tid, &here, 1, &there, 1, 0)
                      : process_vm_readv(d->tid, &here, 1, &there, 1, 0);
    return k == (ssize_t)n;
}

/* A field of /proc/TID/status; false if there is none. */
static bool read_status(pid_t tid, const char *format, void *value)
{
    char path[64], line[128];
    bool found = false;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
    FILE *f = fopen(path, "re");
    while (f && !found && fgets(line, sizeof(line), f)) {
        found = sscanf(line, format, value) == 1;
    }
    if (f) {
        fclose(f);
    }
    return found;
}

pid_t tracer_find_tgid(pid_t tid)
{
    int tgid;
    return read_status(tid, "Tgid: %d", &tgid) ? tgid : 0;
}

bool tracer_is_runnable(pid_t tid)
{
    char state;
    return read_status(tid, "State: %c", &state) && state == 'R';
}

int64_t tracer_call(Traced *d)
{
    d->called = true;
    siginfo_t mark;
    memset(&mark, 0, sizeof(mark));
    mark.si_signo = SIGBUS;
    mark.si_code = PTRACE_MARK_CALL;
    return host_syscall(SYS_rt_tgsigqueueinfo, tracer_find_tgid(d->tid), d->tid, SIGBUS, &mark);
}

int64_t tracer_answer(GuestThread *t, Traced *d, PtraceResume how, uint32_t sig)
{
    PtraceRecord *r = &d->rec;
    r->resume = how;
    r->signal = sig;
    r->options = d->options;
    r->memory_changed = d->memory_changed ||
                        __atomic_load_n(&user_process.writes_memory, __ATOMIC_RELAXED);
    r->state = PTRACE_STATE_RESUMED;
    if (!tracer_copy(d, true, d->record, r, sizeof(*r))) {
        return -ESRCH;
    }
    d->memory_changed = d->stopped = d->reported = false;
    return host_ptrace(how == PTRACE_RESUME_DETACH ? PTRACE_DETACH : PTRACE_CONT, d->tid, 0, 0);
}

/* ---- attach ---- */

static int64_t attach(GuestThread *t, pid_t tid, bool seize, uint64_t options)
{
    if (options & ~(uint64_t)KNOWN_OPTIONS) {
        return -EIO;
    }
    if (!tracer_is_braid(tid)) {
        return kill(tid, 0) && errno == ESRCH ? -ESRCH : -EPERM;
    }
    uint64_t host_options = tracer_host_options((uint32_t)options);
    int64_t ret = seize ? host_ptrace(PTRACE_SEIZE, tid, 0, host_options)
                        : host_ptrace(PTRACE_ATTACH, tid, 0, 0);
    if (ret) {
        return ret;
    }
    tracer_remove(t, tid);
    Traced *d = tracer_add(t, tid);
    d->seized = seize;
    d->named = true;
    d->options = (uint32_t)options;
    tracer_call(d);
    tracer_settle(t, tid);
    return 0;
}

/* ---- what a stopped tracee is asked ---- */

static int64_t peek(const Traced *d, uint64_t addr, uint64_t data)
{
    uint64_t value;
    if (d->known && addr >= d->rec.task_size) {
        return -EIO;
    }
    int64_t ret = host_ptrace(PTRACE_PEEKDATA, d->tid, addr + d->rec.guest_base, (uintptr_t)&value);
    return ret ? ret : user_write_u64(data, value) ? 0 : -EFAULT;
}

static int64_t poke(GuestThread *t, const Traced *d, uint64_t addr, uint64_t data)
{
    if (d->known && addr >= d->rec.task_size) {
        return -EIO;
    }
    tracer_note_write(t);
    return host_ptrace(PTRACE_POKEDATA, d->tid, addr + d->rec.guest_base, data);
}

static int64_t regset(Traced *d, uint64_t type, uint64_t data, bool set)
{
    struct iovec v;
    bool fp = type == NT_PRFPREG;
    size_t size = fp ? user_process.abi->core_fpregs_size : user_process.abi->core_gregs_size;
    uint8_t *regs = fp ? d->rec.fpregs : d->rec.gregs;
    if (d->host_stop) {
        return -EIO;
    }
    if (!user_read(&v, data, sizeof(v))) {
        return -EFAULT;
    }
    if ((type != NT_PRSTATUS && !fp) || v.iov_len % sizeof(uint64_t)) {
        return -EINVAL;
    }
    v.iov_len = v.iov_len < size ? v.iov_len : size;
    uint64_t at = (uintptr_t)v.iov_base;
    if (set ? !user_read(regs, at, v.iov_len) : !user_write(at, regs, v.iov_len)) {
        return -EFAULT;
    }
    if (set) {
        *(fp ? &d->rec.fpregs_changed : &d->rec.regs_changed) = true;
    }
    return user_write(data, &v, sizeof(v)) ? 0 : -EFAULT;
}

static int64_t siginfo(Traced *d, uint64_t data, bool set)
{
    siginfo_t info;
    if (d->host_stop) {
        int64_t ret = set ? -EINVAL : host_ptrace(PTRACE_GETSIGINFO, d->tid, 0, (uintptr_t)&info);
        return ret ? ret : user_write(data, &info, sizeof(info)) ? 0 : -EFAULT;
    }
    if (!d->rec.info.si_signo) {
        return -EINVAL;     /* a group stop */
    }
    if (set) {
        d->rec.info_changed = true;
        return user_read(&d->rec.info, data, sizeof(info)) ? 0 : -EFAULT;
    }
    return user_write(data, &d->rec.info, sizeof(info)) ? 0 : -EFAULT;
}

static int64_t signal_mask(Traced *d, uint64_t size, uint64_t data, bool set)
{
    if (size != sizeof(SigSet)) {
        return -EINVAL;
    }
    if (d->host_stop) {
        return -EIO;
    }
    if (set) {
        d->rec.sigmask_changed = true;
        return user_read_u64(data, &d->rec.sigmask) ? 0 : -EFAULT;
    }
    return user_write_u64(data, d->rec.sigmask) ? 0 : -EFAULT;
}

static int64_t syscall_info(const Traced *d, uint64_t size, uint64_t data)
{
    struct ptrace_syscall_info info;
    size_t full = offsetof(struct ptrace_syscall_info, entry);
    const PtraceRecord *r = &d->rec;
    memset(&info, 0, sizeof(info));
    info.arch = user_process.abi->audit_arch;
    if (!d->host_stop) {
        info.op = (uint8_t)r->syscall_op;
        info.instruction_pointer = r->pc;
        info.stack_pointer = r->sp;
    }
    switch (info.op) {
    case PTRACE_SYSCALL_INFO_ENTRY:
        info.entry.nr = r->nr;
        memcpy(info.entry.args, r->args, sizeof(info.entry.args));
        full += sizeof(info.entry);
        break;
    case PTRACE_SYSCALL_INFO_EXIT:
        info.exit.rval = r->rval;
        info.exit.is_error = (uint64_t)r->rval >= (uint64_t)-4095;
        full += offsetof(struct ptrace_syscall_info, exit.is_error) + 1 -
                offsetof(struct ptrace_syscall_info, exit);
        break;
    case PTRACE_SYSCALL_INFO_SECCOMP:
        info.seccomp.nr = r->nr;
        memcpy(info.seccomp.args, r->args, sizeof(info.seccomp.args));
        info.seccomp.ret_data = r->seccomp_data;
        full += offsetof(struct ptrace_syscall_info, seccomp.ret_data) + 4 -
                offsetof(struct ptrace_syscall_info, seccomp);
        break;
    default:
        break;
    }
    return user_write(data, &info, size < full ? size : full) ? (int64_t)full : -EFAULT;
}

static int64_t set_options(Traced *d, uint64_t options)
{
    if (options & ~(uint64_t)KNOWN_OPTIONS) {
        return -EINVAL;
    }
    int64_t ret = host_ptrace(PTRACE_SETOPTIONS, d->tid, 0, tracer_host_options((uint32_t)options));
    if (!ret) {
        d->options = (uint32_t)options;
    }
    return ret;
}

/* ---- going on ---- */

static int64_t resume(GuestThread *t, Traced *d, PtraceResume how, uint64_t sig)
{
    if (sig > GUEST_NSIG) {
        return -EIO;
    }
    d->want_syscall = how == PTRACE_RESUME_SYSCALL;
    int64_t ret;
    pid_t tid = d->tid;
    if (d->host_stop) {
        d->host_stop = d->stopped = d->reported = false;
        if (how == PTRACE_RESUME_DETACH) {
            ret = host_ptrace(PTRACE_DETACH, d->tid, 0, sig);
        } else {
            tracer_call(d);
            ret = host_ptrace(PTRACE_CONT, d->tid, 0, 0);
            tracer_settle(t, tid);
        }
    } else {
        ret = tracer_answer(t, d, how, (uint32_t)sig);
    }
    if (how == PTRACE_RESUME_DETACH) {
        tracer_remove(t, tid);
    }
    return ret;
}

static int64_t listen(Traced *d)
{
    if (!d->seized || !d->host_stop) {
        return -EIO;
    }
    int64_t ret = host_ptrace(PTRACE_LISTEN, d->tid, 0, 0);
    if (!ret) {
        d->host_stop = d->stopped = d->reported = false;
    }
    return ret;
}

static int64_t interrupt(Traced *d)
{
    if (!d->seized) {
        return -EIO;
    }
    d->want_stop = true;
    return tracer_call(d);
}

static int64_t peek_siginfo(pid_t tid, uint64_t addr, uint64_t data)
{
    return host_pointer(&addr) && host_pointer(&data)
               ? host_ptrace(PTRACE_PEEKSIGINFO, tid, addr, data) : -EFAULT;
}

static int64_t request_stopped(GuestThread *t, Traced *d, long request, uint64_t addr,
                               uint64_t data)
{
    switch (request) {
    case PTRACE_PEEKTEXT: case PTRACE_PEEKDATA: return peek(d, addr, data);
    case PTRACE_POKETEXT: case PTRACE_POKEDATA: return poke(t, d, addr, data);
    case PTRACE_GETREGSET: return regset(d, addr, data, false);
    case PTRACE_SETREGSET: return regset(d, addr, data, true);
    case PTRACE_GETSIGINFO: return siginfo(d, data, false);
    case PTRACE_SETSIGINFO: return siginfo(d, data, true);
    case PTRACE_GETSIGMASK: return signal_mask(d, addr, data, false);
    case PTRACE_SETSIGMASK: return signal_mask(d, addr, data, true);
    case PTRACE_PEEKSIGINFO: return peek_siginfo(d->tid, addr, data);
    case PTRACE_GETEVENTMSG: return user_write_u64(data, d->rec.message) ? 0 : -EFAULT;
    case PTRACE_GET_SYSCALL_INFO: return syscall_info(d, addr, data);
    case PTRACE_SETOPTIONS: return set_options(d, data);
    case PTRACE_CONT: return resume(t, d, PTRACE_RESUME_CONT, data);
    case PTRACE_SYSCALL: return resume(t, d, PTRACE_RESUME_SYSCALL, data);
    case PTRACE_DETACH: return resume(t, d, PTRACE_RESUME_DETACH, data);
    case PTRACE_LISTEN: return listen(d);
    default:
        /* riscv has no single step, and no registers but in sets */
        log_item(LOG_UNIMP, "unsupported ptrace request %ld\n", request);
        return -EIO;
    }
}

int64_t sys_ptrace(GuestThread *t, const uint64_t a[6])
{
    long request = (long)a[0];
    pid_t tid = (pid_t)a[1];
    switch (request) {
    case PTRACE_TRACEME: return tracee_traceme(t);
    case PTRACE_ATTACH: return attach(t, tid, false, 0);
    case PTRACE_SEIZE: return a[2] ? -EIO : attach(t, tid, true, a[3]);
    default: break;
    }
    Traced *d = tracer_find(t, tid);
    if (!d || !d->stopped) {
        tracer_pump(t);     /* nobody has waited for the stop yet, perhaps */
        d = tracer_find(t, tid);
    }
    if (!d) {
        return -ESRCH;
    }
    switch (request) {
    case PTRACE_INTERRUPT: return interrupt(d);
    case PTRACE_KILL: return kill(tid, SIGKILL) ? -errno : 0;
    default: return d->stopped ? request_stopped(t, d, request, a[2], a[3]) : -ESRCH;
    }
}

/* ---- /proc ---- */

void *tracer_read_proc(GuestThread *t, pid_t pid, const char *name, size_t *len)
{
    const Traced *d = tracer_find(t, pid);
    if (!d || !d->known) {
        return NULL;
    }
    bool auxv = !strcmp(name, "auxv");
    size_t size = auxv ? sizeof(user_process.auxv) : PATH_MAX;
    uint64_t *buf = xcalloc(1, size + 1);
    if (!tracer_copy(d, false, auxv ? d->rec.auxv : d->rec.exe_path, buf, size)) {
        free(buf);
        return NULL;
    }
    *len = size;
    if (auxv) {
        unsigned i = 0;
        while (i < size / 16 - 1 && buf[2 * i]) {
            i++;
        }
        *len = (i + 1) * 16;
    } else {
        *len = strlen((char *)buf);
    }
    return buf;
}
