/*
 * ptrace() of others: attach and seize, in a loop, in a call, of one thread among several; interrupt and
 * detach; the events of fork, vfork, clone, exec and exit, and how the new tracees begin; stops of a
 * whole process; tracers that die; and all of it at once, as strace sees it.
 *
 * test-native: yes
 */
#include <poll.h>
#include <sched.h>
#include "tracing.h"

static struct {
    _Atomic long count;
    _Atomic int stage;
    _Atomic pid_t tid[4];
    _Atomic unsigned sleep_ms; /* of body_sleep() */
    int pipe[2];
} *shared;

static char *self;

static void body_loop(void)
{
    for (;;) {
        shared->count++;
    }
}

/* One sleep to be stopped in, then short ones until the tracer has seen what came of it. */
static void body_sleep(void)
{
    unsigned ms = shared->sleep_ms;
    struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

    shared->stage = 1;
    shared->count = nanosleep(&t, NULL) ? errno : 1000;
    while (shared->stage != 2) {
        sleep_ms(1);
    }
}

/* The loop goes round. */
static void await_progress(void)
{
    long before = shared->count;

    for (int i = 0; shared->count == before; i++) {
        CHECK(i < 60000, "no progress");
        sleep_ms(1);
    }
}

static void check_stopped(void)
{
    long before = shared->count;

    sleep_ms(5);
    CHECK(shared->count == before, "not stopped");
}

static void finish(pid_t pid)
{
    kill(pid, SIGKILL);
    WAIT(pid, SIGKILL);
}

/* ---- attach ---- */

static void check_attach(void)
{
    pid_t pid = start_child(body_loop);
    unsigned long regs[NREGS];

    for (int i = 0; i < 3; i++) {
        await_progress();
        PT(PTRACE_ATTACH, pid, 0, 0);
        WAIT(pid, STOP_STATUS(SIGSTOP));
        check_stopped();
        get_regs(pid, regs);
        CHECK(regs[REG_PC_] && regs[REG_SP_], "%lx %lx", regs[REG_PC_], regs[REG_SP_]);
        CHECK(peek(pid, self) == *(unsigned long *)self, "%lx", peek(pid, self));
        PT(PTRACE_DETACH, pid, 0, 0);
        CHECK(pt(PTRACE_DETACH, pid, 0, 0) == -1 && errno == ESRCH, "%d", errno);
    }
    await_progress();
    finish(pid);
}

static void check_seize(void)
{
    pid_t pid = start_child(body_loop);
    siginfo_t si;

    await_progress();
    CHECK(pt(PTRACE_SEIZE, pid, 1, 0) == -1 && errno == EIO, "%d", errno);
    CHECK(pt(PTRACE_SEIZE, pid, 0, 1 << 30) == -1 && errno == EIO, "%d", errno);
    PT(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD);
    await_progress();
    for (int i = 0; i < 3; i++) {
        PT(PTRACE_INTERRUPT, pid, 0, 0);
        WAIT(pid, EVENT_STATUS(PTRACE_EVENT_STOP, SIGTRAP));
        check_stopped();
        PT(PTRACE_GETSIGINFO, pid, 0, &si);
        CHECK(si.si_signo == SIGTRAP && si.si_code == (PTRACE_EVENT_STOP << 8 | SIGTRAP), "%d %x", si.si_signo,
              si.si_code);
        PT(PTRACE_CONT, pid, 0, 0);
        await_progress();
    }
    kill(pid, SIGUSR1);
    WAIT(pid, STOP_STATUS(SIGUSR1));
    PT(PTRACE_DETACH, pid, 0, SIGUSR2);
    WAIT(pid, SIGUSR2);
}

static void use_first_cpu(int policy)
{
    struct sched_param param = { 0 };
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(0, &set);
    CHECK_ERRNO(!sched_setaffinity(0, sizeof(set), &set) && !sched_setscheduler(0, policy, &param));
}

static void body_busy(void)
{
    use_first_cpu(SCHED_OTHER);
    for (;;) {
        __asm__ volatile("");
    }
}

static void body_starved(void)
{
    use_first_cpu(SCHED_IDLE);
    body_loop();
}

/* A tracee that hardly ever runs goes on although its tracer, once it has seized it, calls nobody any more. */
static void check_seize_starved(void)
{
    pid_t busy = start_child(body_busy), pid = start_child(body_starved);

    await_progress();
    PT(PTRACE_SEIZE, pid, 0, 0);
    await_progress();
    finish(pid);
    finish(busy);
}

static void trace_and_stop(pid_t pid, bool seize)
{
    if (seize) {
        PT(PTRACE_SEIZE, pid, 0, 0);
        PT(PTRACE_INTERRUPT, pid, 0, 0);
        WAIT(pid, EVENT_STATUS(PTRACE_EVENT_STOP, SIGTRAP));
    } else {
        PT(PTRACE_ATTACH, pid, 0, 0);
        WAIT(pid, STOP_STATUS(SIGSTOP));
    }
}

/* Whether the child was stopped in its sleep, and not after it: the machine may be busy. */
static bool interrupt_sleep(bool seize, unsigned ms)
{
    shared->stage = 0;
    shared->count = 0;
    shared->sleep_ms = ms;
    uint64_t start = now_ns();
    pid_t pid = start_child(body_sleep);

    while (!shared->stage) {
        sleep_ms(1);
    }
    await_sleep(pid);
    trace_and_stop(pid, seize);
    bool asleep = !shared->count;
    PT(PTRACE_CONT, pid, 0, 0);
    while (!shared->count) {
        sleep_ms(1);
    }
    CHECK(shared->count == 1000, "%ld", shared->count);
    CHECK(now_ns() - start >= ms * 1000000ull, "too early");
    shared->stage = 2;
    WAIT(pid, 0);
    return asleep;
}

/* Stopped in a call that is gone on with. */
static void check_interrupted_sleep(bool seize)
{
    for (unsigned ms = 40; !interrupt_sleep(seize, ms); ms *= 2) {
        CHECK(ms < 60000, "the stop never comes in time");
    }
}

static void body_vfork(void)
{
    pid_t pid = vfork();

    if (!pid) {
        shared->stage = 1;
        sleep_ms(scaled(300));
        _exit(7);
    }
    int status;
    shared->count = waitpid(pid, &status, 0) == pid ? status : -1;
    for (;;) {
        shared->stage++;
    }
}

/* A thread that sleeps where no signal wakes it stops when it can. */
static void check_attach_in_vfork(bool seize)
{
    shared->stage = 0;
    pid_t pid = start_child(body_vfork);

    while (!shared->stage) {
        sleep_ms(1);
    }
    trace_and_stop(pid, seize);
    PT(PTRACE_DETACH, pid, 0, 0);
    while (shared->stage < 10) {
        sleep_ms(1);
    }
    CHECK(shared->count == 7 << 8, "%lx", shared->count);
    finish(pid);
}

static void *thread_loop(void *arg)
{
    shared->tid[(long)arg] = gettid();
    for (;;) {
        if ((long)arg == 1) {
            shared->count++;
        } else {
            shared->stage++;
        }
    }
    return NULL;
}

static void body_threads(void)
{
    start_thread(thread_loop, (void *)1);
    thread_loop((void *)2);
}

static void check_one_thread(void)
{
    pid_t pid = start_child(body_threads), tid;
    int stage;

    await_progress();
    tid = shared->tid[1];
    PT(PTRACE_SEIZE, tid, 0, 0);
    PT(PTRACE_INTERRUPT, tid, 0, 0);
    WAIT(tid, EVENT_STATUS(PTRACE_EVENT_STOP, SIGTRAP));
    check_stopped();
    stage = shared->stage;
    for (int i = 0; shared->stage == stage; i++) {
        CHECK(i < 60000, "the other thread stands still, too");
        sleep_ms(1);
    }
    PT(PTRACE_DETACH, tid, 0, 0);
    await_progress();
    finish(pid);
}

/* ---- events ---- */

#define FORK_EVENTS (PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEVFORKDONE)

static void *thread_once(void *arg)
{
    shared->tid[0] = gettid();
    shared->stage++;
    return NULL;
}

static void body_family(void)
{
    int status;
    pid_t pid;

    while (!shared->stage) {
        sleep_ms(1);
    }
    pid = fork();
    if (!pid) {
        _exit(11);
    }
    waitpid(pid, &status, 0);
    pid = vfork();
    if (!pid) {
        _exit(12);
    }
    waitpid(pid, &status, 0);
    join_thread(start_thread(thread_once, NULL));
}

/* The next status but for SIGCHLD, which is passed on. */
static int next_status(pid_t pid)
{
    int status;

    while ((status = wait_for(pid)) == STOP_STATUS(SIGCHLD)) {
        PT(PTRACE_CONT, pid, 0, SIGCHLD);
    }
    return status;
}

#define WAIT_EVENT(pid, event)                                                    \
    do {                                                                          \
        int status_ = next_status(pid);                                           \
        CHECK(status_ == EVENT_STATUS(event, SIGTRAP), "status %x", status_);     \
    } while (0)

/* An event and the child's first stop; both go on. */
static pid_t new_tracee(pid_t pid, int event, bool seized)
{
    siginfo_t si;

    WAIT_EVENT(pid, event);
    PT(PTRACE_GETSIGINFO, pid, 0, &si);
    CHECK(si.si_signo == SIGTRAP && si.si_code == (event << 8 | SIGTRAP), "%d %x", si.si_signo, si.si_code);
    pid_t child = (pid_t)event_message(pid);
    CHECK(child > 0 && child != pid, "%d", child);
    WAIT(child, seized ? EVENT_STATUS(PTRACE_EVENT_STOP, SIGTRAP) : STOP_STATUS(SIGSTOP));
    CHECK(peek(child, self) == *(unsigned long *)self, "%lx", peek(child, self));
    PT(PTRACE_CONT, pid, 0, 0);     /* first: what the child does may be its end */
    PT(PTRACE_CONT, child, 0, 0);
    return child;
}

static void check_family(bool seize)
{
    pid_t pid, child;

    if (seize) {
        pid = start_child(body_family);
        PT(PTRACE_SEIZE, pid, 0, FORK_EVENTS | PTRACE_O_EXITKILL);
    } else {
        pid = start_traced(body_family, FORK_EVENTS);
        PT(PTRACE_CONT, pid, 0, 0);
    }
    shared->stage = 1;
    child = new_tracee(pid, PTRACE_EVENT_FORK, seize);
    WAIT(child, 11 << 8);
    child = new_tracee(pid, PTRACE_EVENT_VFORK, seize);
    WAIT(child, 12 << 8);
    WAIT_EVENT(pid, PTRACE_EVENT_VFORK_DONE);
    CHECK(event_message(pid) == (unsigned long)child, "%lx", event_message(pid));
    PT(PTRACE_CONT, pid, 0, 0);
    child = new_tracee(pid, PTRACE_EVENT_CLONE, seize);
    WAIT(child, 0);
    CHECK(shared->tid[0] == child, "%d %d", shared->tid[0], child);
    CHECK(next_status(pid) == 0, "status");
}

static void body_exec(void)
{
    execl("/proc/self/exe", "again", "child", NULL);
    _exit(1);
}

static void check_exec(void)
{
    unsigned long regs[NREGS];
    struct ptrace_syscall_info info;
    siginfo_t si;
    pid_t pid = start_traced(body_exec, 0);

    /* Without the option: a signal. */
    PT(PTRACE_CONT, pid, 0, 0);
    WAIT(pid, STOP_STATUS(SIGTRAP));
    PT(PTRACE_GETSIGINFO, pid, 0, &si);
    CHECK(si.si_code == SI_USER, "%d", si.si_code);
    PT(PTRACE_CONT, pid, 0, 0);
    WAIT(pid, 33 << 8);

    pid = start_traced(body_exec, PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXIT);
    PT(PTRACE_CONT, pid, 0, 0);
    WAIT(pid, EVENT_STATUS(PTRACE_EVENT_EXEC, SIGTRAP));
    CHECK(event_message(pid) == (unsigned long)pid, "%lx", event_message(pid));
    get_regs(pid, regs);
    CHECK(regs[REG_PC_] && peek(pid, (void *)regs[REG_SP_]) == 2, "argc %lx", peek(pid, (void *)regs[REG_SP_]));
    PT(PTRACE_SYSCALL, pid, 0, 0);
    WAIT(pid, STOP_STATUS(SIGTRAP | 0x80));
    PT(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info);
    CHECK(info.op == PTRACE_SYSCALL_INFO_EXIT && !info.exit.rval, "%d", info.op);
    PT(PTRACE_CONT, pid, 0, 0);
    WAIT(pid, EVENT_STATUS(PTRACE_EVENT_EXIT, SIGTRAP));
    CHECK(event_message(pid) == 33 << 8, "%lx", event_message(pid));
    PT(PTRACE_CONT, pid, 0, 0);
    WAIT(pid, 33 << 8);
}

static void *exec_thread(void *arg)
{
    body_exec();
    return NULL;
}

static void body_exec_in_thread(void)
{
    start_thread(exec_thread, NULL);
    for (;;) {
        pause();
    }
}

/* The thread takes the place of the process. */
static void check_exec_in_thread(void)
{
    pid_t pid = start_traced(body_exec_in_thread, PTRACE_O_TRACEEXEC | PTRACE_O_TRACECLONE), tid;

    PT(PTRACE_CONT, pid, 0, 0);
    tid = new_tracee(pid, PTRACE_EVENT_CLONE, false);
    WAIT(pid, EVENT_STATUS(PTRACE_EVENT_EXEC, SIGTRAP));
    CHECK(event_message(pid) == (unsigned long)tid, "%lx", event_message(pid));
    PT(PTRACE_CONT, pid, 0, 0);
    WAIT(pid, 33 << 8);
}

/* ---- the whole process ---- */

static void check_group_stop(void)
{
    pid_t pid = start_child(body_loop);

    await_progress();
    PT(PTRACE_SEIZE, pid, 0, PTRACE_O_EXITKILL);
    kill(pid, SIGTSTP);
    WAIT(pid, STOP_STATUS(SIGTSTP));
    PT(PTRACE_CONT, pid, 0, SIGSTOP);
    WAIT(pid, EVENT_STATUS(PTRACE_EVENT_STOP, SIGSTOP));
    check_stopped();
    PT(PTRACE_LISTEN, pid, 0, 0);
    check_stopped();
    kill(pid, SIGCONT);
    WAIT(pid, EVENT_STATUS(PTRACE_EVENT_STOP, SIGTRAP));
    PT(PTRACE_CONT, pid, 0, 0);
    WAIT(pid, STOP_STATUS(SIGCONT));
    PT(PTRACE_CONT, pid, 0, SIGCONT);
    await_progress();
    /* Dropped, it does nothing. */
    kill(pid, SIGSTOP);
    WAIT(pid, STOP_STATUS(SIGSTOP));
    PT(PTRACE_CONT, pid, 0, 0);
    await_progress();
    finish(pid);
}

/* Without SEIZE: such a stop looks like the signal, and the thread can go on alone. */
static void check_group_stop_attached(void)
{
    pid_t pid = start_child(body_loop);
    unsigned long regs[NREGS];
    siginfo_t si;

    await_progress();
    PT(PTRACE_ATTACH, pid, 0, 0);
    WAIT(pid, STOP_STATUS(SIGSTOP));
    PT(PTRACE_GETSIGINFO, pid, 0, &si);
    PT(PTRACE_CONT, pid, 0, SIGSTOP);
    WAIT(pid, STOP_STATUS(SIGSTOP));
    CHECK(pt(PTRACE_GETSIGINFO, pid, 0, (unsigned long)&si) == -1 && errno == EINVAL, "%d", errno);
    get_regs(pid, regs);
    CHECK(regs[REG_PC_], "%lx", regs[REG_PC_]);
    check_stopped();
    PT(PTRACE_CONT, pid, 0, 0);
    await_progress();
    kill(pid, SIGCONT);
    WAIT(pid, STOP_STATUS(SIGCONT));
    PT(PTRACE_CONT, pid, 0, SIGCONT);
    await_progress();
    finish(pid);
}

/* A tracer of `pid` that ends when it has stopped or is running. */
static void run_tracer(pid_t pid, unsigned long options, bool stopped)
{
    pid_t tracer = fork();

    if (!tracer) {
        PT(PTRACE_SEIZE, pid, 0, options);
        PT(PTRACE_INTERRUPT, pid, 0, 0);
        WAIT(pid, EVENT_STATUS(PTRACE_EVENT_STOP, SIGTRAP));
        if (!stopped) {
            PT(PTRACE_CONT, pid, 0, 0);
        }
        kill(getpid(), SIGKILL);
    }
    WAIT(tracer, SIGKILL);
}

static void check_dead_tracer(void)
{
    pid_t pid = start_child(body_loop);

    for (int i = 0; i < 4; i++) {
        await_progress();
        run_tracer(pid, 0, i & 1);
        await_progress();
    }
    /* And whoever comes then sees a thread like any other. */
    PT(PTRACE_ATTACH, pid, 0, 0);
    WAIT(pid, STOP_STATUS(SIGSTOP));
    PT(PTRACE_DETACH, pid, 0, 0);
    run_tracer(pid, PTRACE_O_EXITKILL, false);
    WAIT(pid, SIGKILL);
}

/* ---- everything at once ---- */

/* What strace -f does: see each call of the process and all that come of it.  Returns how often they stopped. */
static unsigned follow(pid_t pid, int expected)
{
    for (unsigned stops = 0;; stops++) {
        int status, sig, event;
        pid_t who = waitpid(-1, &status, __WALL);

        CHECK_ERRNO(who > 0);
        if (!WIFSTOPPED(status)) {
            if (who != pid) {
                continue;
            }
            CHECK(status == expected, "status %x", status);
            return stops;
        }
        sig = WSTOPSIG(status);
        event = status >> 16;
        if (event == PTRACE_EVENT_STOP && sig != SIGTRAP) {
            pt(PTRACE_LISTEN, who, 0, 0);
            continue;
        }
        if (event || sig == (SIGTRAP | 0x80)) {
            sig = 0;
        }
        /* It may have been killed meanwhile. */
        CHECK(pt(PTRACE_SYSCALL, who, 0, (unsigned long)sig) == 0 || errno == ESRCH, "%d", errno);
    }
}

/* Signals for children that have hardly begun, and for sleeping ones. */
static void body_stopper(void)
{
    while (!shared->stage) {
        sleep_ms(1);
    }
    for (unsigned long i = 0; i < scaled(40); i++) {
        int status;
        pid_t pid = fork();

        if (!pid) {
            for (;;) {
                if (i & 1) {
                    pause();
                }
            }
        }
        for (unsigned k = 0; k < i * 100; k++) {
            __asm__ volatile("");
        }
        kill(pid, SIGSTOP);
        CHECK_ERRNO(waitpid(pid, &status, WUNTRACED) == pid);
        CHECK(status == STOP_STATUS(SIGSTOP), "%x", status);
        kill(pid, SIGCONT);
        CHECK_ERRNO(waitpid(pid, &status, WCONTINUED) == pid);
        CHECK(WIFCONTINUED(status), "%x", status);
        kill(pid, SIGTERM);
        CHECK_ERRNO(waitpid(pid, &status, 0) == pid);
        CHECK(status == SIGTERM, "%x", status);
    }
    _exit(5);
}

static void on_usr1(int sig, siginfo_t *info, void *context)
{
    shared->count++;
}

static void *signalling(void *arg)
{
    for (unsigned long i = 0; i < scaled(100); i++) {
        raise(SIGUSR1);
        if (i % 20 == 0) {
            join_thread(start_thread(thread_once, NULL));
        }
    }
    return NULL;
}

/* Threads that come and go, and signals for each. */
static void body_threads_signals(void)
{
    pthread_t t[8];

    while (!shared->stage) {
        sleep_ms(1);
    }
    set_handler(SIGUSR1, on_usr1, SA_RESTART);
    shared->count = 0;
    for (int i = 0; i < 8; i++) {
        t[i] = start_thread(signalling, NULL);
    }
    for (int i = 0; i < 8; i++) {
        join_thread(t[i]);
    }
    CHECK(shared->count == 8 * (long)scaled(100), "%ld", shared->count);
    exit(6);
}

static void check_crowd(void (*body)(void), int expected)
{
    shared->stage = 0;
    pid_t pid = start_child(body);

    PT(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD | FORK_EVENTS | PTRACE_O_EXITKILL);
    PT(PTRACE_INTERRUPT, pid, 0, 0);
    WAIT(pid, EVENT_STATUS(PTRACE_EVENT_STOP, SIGTRAP));
    shared->stage = 1;
    PT(PTRACE_SYSCALL, pid, 0, 0);
    unsigned stops = follow(pid, expected << 8);
    CHECK(stops > scaled(100), "%u", stops);
}

int main(int argc, char **argv)
{
    if (argc == 2) {
        return 33;
    }
    self = (char *)main;
    shared = share(sizeof(*shared));
    check_attach();
    check_seize();
    check_seize_starved();
    check_interrupted_sleep(false);
    check_interrupted_sleep(true);
    check_attach_in_vfork(false);
    check_attach_in_vfork(true);
    check_one_thread();
    for (int seize = 0; seize < 2; seize++) {
        shared->stage = 0;
        check_family(seize);
    }
    check_exec();
    check_exec_in_thread();
    check_group_stop();
    check_group_stop_attached();
    check_dead_tracer();
    check_crowd(body_stopper, 5);
    check_crowd(body_threads_signals, 6);
    return 0;
}
