/*
 * A guest thread that is traced: where it stops, and what the tracer may change there.
 *
 * Everything but the part of the host's handler runs on the thread itself, outside cpu_exec() and
 * without locks; the record is the tracer's while the thread is stopped.  Whether the thread is traced
 * at all only the host knows for certain: a thread that thinks so and is not gets its own mark back, and
 * then knows better.
 */
#include "linux-user/ptrace.h"

#include <linux/ptrace.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linux-user/clone.h"
#include "linux-user/process.h"
#include "linux-user/syscall.h"
#include "linux-user/user-signal.h"
#include "util/error.h"
#include "util/strutil.h"

#define CALL_PRESENT 0x80u
#define SYSGOOD_BIT 0x80
/* The kernel's own results of interrupted calls, which only a tracer sees. */
#define ERESTARTSYS 512
#define ERESTARTNOHAND 514

struct Tracee {
    PtraceRecord rec;
    bool seized;
    bool known;             /* a tracer has answered */
    bool syscalls;          /* stop at them */
    uint32_t options;
    int interrupted;        /* the call at pc has been: ERESTARTSYS, ERESTARTNOHAND, or 0 */
    pid_t former_tid;       /* of the thread that executed this program */
};

static Tracee *begin(GuestThread *t)
{
    if (!t->trace_memory) {
        t->trace_memory = xcalloc(1, sizeof(*t->trace_memory));
    }
    memset(t->trace_memory, 0, sizeof(*t->trace_memory));
    t->trace = t->trace_memory;
    return t->trace;
}

void tracee_free(GuestThread *t)
{
    free(t->trace_memory);
    t->trace = t->trace_memory = NULL;
}

/* ---- a stop ---- */

/* `skip`: how far behind the thread's pc the tracer shall see it. */
static void fill_record(GuestThread *t, PtraceRecord *r, unsigned skip)
{
    CPUState *cpu = t->cpu;
    const LinuxAbi *abi = user_process.abi;
    cpu->env.pc += skip;
    abi->core_gregs(cpu, r->gregs);
    abi->core_fpregs(cpu, r->fpregs);
    r->pc = cpu->env.pc;
    cpu->env.pc -= skip;
    r->sp = cpu->env.reg[abi->sp_reg];
    r->seized = t->trace->seized;
    r->options = t->trace->options;
    r->guest_base = user_mem.guest_base;
    r->task_size = user_mem.task_size;
    r->auxv = (uintptr_t)user_process.auxv;
    r->exe_path = (uintptr_t)user_process.exe_path;
    r->sigmask = t->sigmask;
    r->resume = PTRACE_RESUME_CONT;
    r->signal = 0;
    r->regs_changed = r->fpregs_changed = r->info_changed = false;
    r->sigmask_changed = r->memory_changed = false;
}

static void take_answer(GuestThread *t, unsigned skip)
{
    Tracee *tr = t->trace;
    PtraceRecord *r = &tr->rec;
    const LinuxAbi *abi = user_process.abi;
    if (r->regs_changed) {
        abi->set_gregs(t->cpu, r->gregs);
        t->cpu->env.pc -= skip;
    }
    if (r->fpregs_changed) {
        abi->set_fpregs(t->cpu, r->fpregs);
    }
    if (r->sigmask_changed) {
        signal_set_mask(t, r->sigmask);
    }
    if (r->memory_changed) {
        tb_invalidate_range(0, user_mem.task_size);
        tb_quiesce(t->cpu);
    }
    tr->known = true;
    tr->options = r->options;
    tr->syscalls = r->resume == PTRACE_RESUME_SYSCALL;
    if (r->resume == PTRACE_RESUME_DETACH) {
        t->trace = NULL;
    }
}

static uint32_t get_state(const PtraceRecord *r)
{
    return __atomic_load_n(&r->state, __ATOMIC_RELAXED);
}

static void set_state(PtraceRecord *r, PtraceState state)
{
    __atomic_store_n(&r->state, state, __ATOMIC_RELAXED);
}

/*
 * Stop and report `code`; the record has the rest.  False if there is no tracer: nothing has happened.
 * Afterwards t->trace may be NULL.
 */
static bool stop(GuestThread *t, int code, unsigned skip)
{
    PtraceRecord *r = &t->trace->rec;
    siginfo_t mark;
    memset(&mark, 0, sizeof(mark));
    mark.si_signo = SIGBUS;
    mark.si_code = PTRACE_MARK_STOP;
    mark.si_value.sival_ptr = r;
    fill_record(t, r, skip);
    r->code = (uint32_t)code;
    set_state(r, PTRACE_STATE_STOPPED);
    /* Again if the kernel had a SIGBUS for this thread already, and dropped this one. */
    while (get_state(r) == PTRACE_STATE_STOPPED) {
        syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), SIGBUS, &mark);
    }
    if (get_state(r) == PTRACE_STATE_ORPHANED) {
        t->trace = NULL;
        return false;
    }
    set_state(r, PTRACE_STATE_RUNNING);
    take_answer(t, skip);
    return true;
}

static void fill_info(PtraceRecord *r, int sig, int code)
{
    memset(&r->info, 0, sizeof(r->info));
    r->info.si_signo = sig;
    r->info.si_code = code;
    r->info.si_pid = (pid_t)syscall(SYS_gettid);
    r->info.si_uid = getuid();
}

/* PTRACE_EVENT_... `event`. */
static void event_stop(GuestThread *t, unsigned event, uint64_t message, unsigned skip)
{
    PtraceRecord *r = &t->trace->rec;
    int code = SIGTRAP | (int)event << 8;
    fill_info(r, SIGTRAP, code);
    r->message = message;
    r->syscall_op = PTRACE_SYSCALL_INFO_NONE;
    stop(t, code, skip);
}

static unsigned insn_size(void)
{
    return user_process.abi->syscall_insn_size;
}

/* ---- how it begins ---- */

int64_t tracee_traceme(GuestThread *t)
{
    if (!tracer_is_braid(getppid())) {
        return -EPERM;      /* it would meet braid's stops and another machine's registers */
    }
    int64_t ret = host_syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0);
    if (!ret) {
        begin(t);
    }
    return ret;
}

static void set_call(GuestThread *t, uint32_t word)
{
    __atomic_store_n(&t->ptrace_call, CALL_PRESENT | word, __ATOMIC_RELAXED);
}

bool tracee_handle_mark_sigsafe(GuestThread *t, int sig, siginfo_t *info, bool *deliver)
{
    *deliver = false;
    if (sig != SIGBUS) {
        return false;
    }
    switch (info->si_code) {
    case PTRACE_MARK_STOP:
        if (t->trace_memory && info->si_ptr == &t->trace_memory->rec) {
            set_state(&t->trace_memory->rec, PTRACE_STATE_ORPHANED);
        }
        return true;
    case PTRACE_MARK_CALL:
        set_call(t, (uint32_t)info->si_value.sival_int);
        info->si_signo = 0;
        *deliver = true;
        return true;
    case PTRACE_MARK_SIGNAL:
    case PTRACE_MARK_SIGNAL_SEIZED:
        if (!t->trace && !tracee_is_called(t)) {
            set_call(t, info->si_code == PTRACE_MARK_SIGNAL_SEIZED ? PTRACE_CALL_SEIZED : 0);
        }
        ptrace_unpack(info);
        *deliver = true;
        return true;
    default:
        return false;
    }
}

void tracee_return_signal_sigsafe(int sig, siginfo_t *info)
{
    if (sig == SIGBUS && (info->si_code == PTRACE_MARK_SIGNAL ||
                          info->si_code == PTRACE_MARK_SIGNAL_SEIZED)) {
        int err = errno;
        ptrace_unpack(info);
        syscall(SYS_rt_sigqueueinfo, getpid(), info->si_signo, info);
        errno = err;
    }
}

static void hold_sigstop(GuestThread *t)
{
    siginfo_t info;
    memset(&info, 0, sizeof(info));
    info.si_signo = SIGSTOP;
    signal_hold(t, &info);
}

void tracee_answer_call(GuestThread *t)
{
    uint32_t call = __atomic_exchange_n(&t->ptrace_call, 0, __ATOMIC_RELAXED);
    if (!call) {
        return;
    }
    Tracee *tr = t->trace ? t->trace : begin(t);
    tr->seized = call & PTRACE_CALL_SEIZED;
    tr->options = call >> 8;
    tr->syscalls = call & PTRACE_CALL_SYSCALL;
    if (call & PTRACE_CALL_SIGSTOP) {
        hold_sigstop(t);
    }
    if (call & PTRACE_CALL_STOP) {
        event_stop(t, PTRACE_EVENT_STOP, 0, 0);
    } else if (call & PTRACE_CALL_GROUP_STOP_MASK) {
        PtraceRecord *r = &tr->rec;
        memset(&r->info, 0, sizeof(r->info));       /* there is none in such a stop */
        r->syscall_op = PTRACE_SYSCALL_INFO_NONE;
        stop(t, (int)((call & PTRACE_CALL_GROUP_STOP_MASK) >> 4) + SIGSTOP - 1, 0);
    }
}

/* ---- signals ---- */

bool tracee_signal_stop(GuestThread *t, int *sig, siginfo_t *info, bool forced)
{
    PtraceRecord *r = &t->trace->rec;
    r->info = *info;
    r->message = 0;
    r->syscall_op = PTRACE_SYSCALL_INFO_NONE;
    int reported = *sig;
    if (!stop(t, reported, 0)) {
        return true;
    }
    *sig = (int)r->signal;
    if (!*sig) {
        return false;
    }
    if (r->info_changed) {
        *info = r->info;
    }
    if (info->si_signo != *sig) {
        memset(info, 0, sizeof(*info));
        info->si_signo = *sig;
        info->si_pid = getppid();
        info->si_uid = getuid();
    }
    if (t->sigmask & SIG_BIT(*sig) && !(forced && *sig == reported)) {
        syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), *sig, info);
        return false;
    }
    return true;
}

siginfo_t tracee_pass_mark(int sig)
{
    siginfo_t mark;
    memset(&mark, 0, sizeof(mark));
    mark.si_signo = sig;
    mark.si_code = PTRACE_MARK_PASS;
    return mark;
}

/* ---- system calls ---- */

/* False: the thread is no longer traced, or does not stop here. */
static bool syscall_stop(GuestThread *t, unsigned op, unsigned skip)
{
    PtraceRecord *r = &t->trace->rec;
    int code = SIGTRAP | (t->trace->options & PTRACE_O_TRACESYSGOOD ? SYSGOOD_BIT : 0);
    fill_info(r, SIGTRAP, code);
    r->syscall_op = op;
    r->message = op == PTRACE_SYSCALL_INFO_ENTRY ? PTRACE_EVENTMSG_SYSCALL_ENTRY
                                                 : PTRACE_EVENTMSG_SYSCALL_EXIT;
    if (!stop(t, code, skip)) {
        return false;
    }
    if (r->signal) {
        syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), r->signal);
    }
    return true;
}

/* The tracer may have changed the call, but not its first argument, for the result is in that register. */
static bool reread_call(GuestThread *t, uint64_t *nr, uint64_t a[6])
{
    uint64_t first = a[0];
    user_process.abi->get_syscall(t->cpu, nr, a);
    if ((int)*nr == -1) {
        user_process.abi->finish_syscall(t->cpu, (int64_t)a[0]);
        return false;
    }
    a[0] = first;
    return true;
}

static bool has_option(const GuestThread *t, unsigned event)
{
    return t->trace && t->trace->options & 1u << event;
}

bool tracee_seccomp_stop(GuestThread *t, uint32_t data, uint64_t *nr, uint64_t a[6], bool *skip)
{
    if (!has_option(t, PTRACE_EVENT_SECCOMP)) {
        return false;
    }
    PtraceRecord *r = &t->trace->rec;
    int code = SIGTRAP | PTRACE_EVENT_SECCOMP << 8;
    fill_info(r, SIGTRAP, code);
    r->message = r->seccomp_data = data;
    r->syscall_op = PTRACE_SYSCALL_INFO_SECCOMP;
    r->nr = *nr;
    memcpy(r->args, a, sizeof(r->args));
    if (!stop(t, code, insn_size())) {
        return false;
    }
    *skip = !reread_call(t, nr, a);
    return true;
}

bool tracee_syscall_enter(GuestThread *t, uint64_t *nr, uint64_t a[6])
{
    PtraceRecord *r = &t->trace->rec;
    if (!t->trace->syscalls) {
        return true;
    }
    r->nr = *nr;
    memcpy(r->args, a, sizeof(r->args));
    return !syscall_stop(t, PTRACE_SYSCALL_INFO_ENTRY, insn_size()) || reread_call(t, nr, a);
}

/* The call has a result, or none but its registers are as they shall be. */
static void exit_stop(GuestThread *t)
{
    uint64_t nr, a[6];
    if (t->trace && t->trace->syscalls) {
        user_process.abi->get_syscall(t->cpu, &nr, a);
        t->trace->rec.rval = (int64_t)a[0];     /* the first argument's register is the result's */
        syscall_stop(t, PTRACE_SYSCALL_INFO_EXIT, 0);
    }
}

/*
 * It has been interrupted and will be made again: what happens to it then depends on the signal, which is
 * delivered next.
 */
static void exit_stop_interrupted(GuestThread *t, int kind)
{
    uint8_t before[PTRACE_REGS_MAX];
    const LinuxAbi *abi = user_process.abi;
    if (!t->trace->syscalls) {
        return;
    }
    abi->core_gregs(t->cpu, before);
    abi->finish_syscall(t->cpu, -kind);
    exit_stop(t);
    if (t->trace && t->trace->rec.regs_changed) {
        t->trace->interrupted = 0;
    } else {
        abi->set_gregs(t->cpu, before);
    }
}

void tracee_syscall_exit(GuestThread *t, int64_t ret)
{
    bool pending = __atomic_load_n(&t->signal_pending, __ATOMIC_RELAXED);
    if (!t->trace) {
        begin(t);
    }
    if (ret == -BRAID_NOT_STARTED) {
        exit_stop_interrupted(t, ERESTARTSYS);
    } else if (ret == -BRAID_ERESTARTSYS || (ret == -EINTR && pending)) {
        t->trace->interrupted = ret == -EINTR ? ERESTARTNOHAND : ERESTARTSYS;
        exit_stop_interrupted(t, t->trace->interrupted);
    } else {
        if (ret != -BRAID_NO_RESULT) {
            user_process.abi->finish_syscall(t->cpu, ret);
        }
        exit_stop(t);
    }
}

void tracee_finish_interrupted(GuestThread *t, const GuestSigaction *act)
{
    int kind = t->trace->interrupted;
    t->trace->interrupted = 0;
    if (kind == ERESTARTNOHAND || (kind == ERESTARTSYS && !(act->flags & SA_RESTART))) {
        user_process.abi->finish_syscall(t->cpu, -EINTR);
    }
}

void tracee_forget_interrupted(GuestThread *t)
{
    t->trace->interrupted = 0;
}

/* ---- new threads and processes ---- */

/* As the kernel chooses among its three events. */
static unsigned clone_event(uint64_t flags, int exit_signal)
{
    return flags & CLONE_VFORK      ? PTRACE_EVENT_VFORK
           : exit_signal != SIGCHLD ? PTRACE_EVENT_CLONE : PTRACE_EVENT_FORK;
}

Tracee *tracee_for_child(GuestThread *t, uint64_t flags, int exit_signal)
{
    if (flags & CLONE_UNTRACED || !has_option(t, clone_event(flags, exit_signal))) {
        return NULL;
    }
    Tracee *child = xcalloc(1, sizeof(*child));
    child->seized = t->trace->seized;
    child->options = t->trace->options;
    return child;
}

void tracee_child_begins(GuestThread *t)
{
    if (!t->trace) {
        return;
    }
    if (t->trace->seized) {
        set_call(t, PTRACE_CALL_SEIZED | PTRACE_CALL_STOP | t->trace->options << 8);
        signal_note_call(t);
    } else {
        hold_sigstop(t);
    }
}

void tracee_clone_event(GuestThread *t, uint64_t flags, int exit_signal, pid_t child)
{
    unsigned event = clone_event(flags, exit_signal);
    if (child > 0 && !(flags & CLONE_UNTRACED) && has_option(t, event)) {
        event_stop(t, event, (uint64_t)child, insn_size());
    }
}

void tracee_prepare_vfork(GuestThread *t, uint64_t flags)
{
    if (flags & CLONE_UNTRACED || !has_option(t, PTRACE_EVENT_VFORK)) {
        return;
    }
    if (!t->trace->known) {
        stop(t, 0, insn_size());    /* the tracer learns where the record is */
    }
    if (t->trace) {
        PtraceRecord *r = &t->trace->rec;
        int code = SIGTRAP | PTRACE_EVENT_VFORK << 8;
        fill_record(t, r, insn_size());
        fill_info(r, SIGTRAP, code);
        r->syscall_op = PTRACE_SYSCALL_INFO_NONE;
        r->code = (uint32_t)code;
        set_state(r, PTRACE_STATE_PREPARED);
    }
}

void tracee_end_vfork(GuestThread *t, uint64_t flags, pid_t child)
{
    if (!t->trace || flags & CLONE_UNTRACED) {
        return;
    }
    if (get_state(&t->trace->rec) == PTRACE_STATE_RESUMED) {
        take_answer(t, insn_size());
    }
    if (t->trace) {
        set_state(&t->trace->rec, PTRACE_STATE_RUNNING);
    }
    if (child > 0 && has_option(t, PTRACE_EVENT_VFORK_DONE)) {
        event_stop(t, PTRACE_EVENT_VFORK_DONE, (uint64_t)child, insn_size());
    }
}

void tracee_exit_event(GuestThread *t, int status)
{
    if (has_option(t, PTRACE_EVENT_EXIT)) {
        /* By a signal, or inside a call. */
        event_stop(t, PTRACE_EVENT_EXIT, (uint32_t)status, status & 0x7f ? 0 : insn_size());
    }
}

/* ---- execve ---- */

char *tracee_save(GuestThread *t)
{
    const Tracee *tr = t->trace;
    return !tr ? NULL
               : str_format(TRACEE_VARIABLE "=%u,%d,%d,%d,%d,%llu", tr->options, tr->seized,
                            tr->known, tr->syscalls, (int)syscall(SYS_gettid),
                            (unsigned long long)t->sigmask);
}

void tracee_load(GuestThread *t, const char *text)
{
    Tracee *tr = begin(t);
    unsigned options = 0;
    int seized = 0, known = 0, syscalls = 0, tid = 0;
    unsigned long long mask = 0;
    sscanf(text, "%u,%d,%d,%d,%d,%llu", &options, &seized, &known, &syscalls, &tid, &mask);
    tr->options = options;
    tr->seized = seized;
    tr->known = known;
    tr->syscalls = syscalls;
    tr->former_tid = tid;
    t->sigmask = mask;
}

void tracee_exec_stop(GuestThread *t)
{
    if (!t->trace) {
        return;
    }
    if (has_option(t, PTRACE_EVENT_EXEC)) {
        event_stop(t, PTRACE_EVENT_EXEC, (uint64_t)t->trace->former_tid, 0);
    } else if (!t->trace->seized && t->trace->known) {
        /* The host sends it if the tracer's braid has not asked it for the event. */
        kill(getpid(), SIGTRAP);
    }
    exit_stop(t);
}
