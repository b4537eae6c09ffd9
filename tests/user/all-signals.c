/*
 * All signals from 1 to 64 can be caught, those of the C library included, by system calls alone; queued ones
 * keep their order, lower numbers come first; SIGSEGV and SIGBUS that are sent while they are blocked
 * wait like others, while code goes on being changed and faults are handled; set*id() reaches all threads;
 * cancellation does, a hundred times.
 *
 * test-native: yes
 */
#include "test.h"

#define LAST 64

typedef struct { void *handler; unsigned long flags; void *restorer; uint64_t mask; } KernelAction;
typedef struct { void *handler; unsigned long flags; uint64_t mask; } RiscvAction;

static _Atomic int seen[LAST + 1], order[200], n_seen;

static void note(int sig)
{
    seen[sig]++;
    order[n_seen++ % 200] = sig;
}

#ifdef __x86_64__
__asm__(".globl my_return\nmy_return: mov $15, %eax\n syscall\n");
extern char my_return[];
#define RESTORER my_return
#define SA_RESTORER_FLAG 0x04000000
#endif

static void install(int sig, void (*handler)(int))
{
#ifdef __riscv
    RiscvAction act = { (void *)handler, 0, ~0ull };
#else
    KernelAction act = { (void *)handler, SA_RESTORER_FLAG, RESTORER, ~0ull };
#endif
    CHECK(syscall(SYS_rt_sigaction, sig, &act, NULL, 8) == 0, "signal %d: %s", sig, strerror(errno));
}

static void set_mask(uint64_t mask)
{
    CHECK_ERRNO(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, 8) == 0);
}

static void check_each(void)
{
    for (int sig = 1; sig <= LAST; sig++) {
        if (sig != SIGKILL && sig != SIGSTOP) {
            install(sig, note);
        }
    }
    pid_t tid = (pid_t)syscall(SYS_gettid);
    set_mask(~0ull);
    for (int sig = LAST; sig >= 1; sig--) {
        if (sig != SIGKILL && sig != SIGSTOP && sig != SIGCONT) {    /* which takes SIGTSTP away */
            CHECK_ERRNO(syscall(SYS_tgkill, getpid(), tid, sig) == 0);
        }
    }
    CHECK(n_seen == 0, "all are blocked");
    uint64_t pending = 0;
    CHECK_ERRNO(syscall(SYS_rt_sigpending, &pending, 8) == 0);
    CHECK(pending == ~(1ull << (SIGKILL - 1) | 1ull << (SIGSTOP - 1) | 1ull << (SIGCONT - 1)), "pending %#lx",
          (long)pending);
    set_mask(0);
    CHECK_ERRNO(syscall(SYS_tgkill, getpid(), tid, SIGCONT) == 0);
    for (int sig = 1; sig <= LAST; sig++) {
        int expected = sig != SIGKILL && sig != SIGSTOP;
        CHECK(seen[sig] == expected, "signal %d came %d times", sig, seen[sig]);
    }
    /* Real-time signals, each of which blocks all others, come lowest first. */
    for (int i = 1, last = 0; i < n_seen; i++) {
        if (order[i] >= 34) {
            CHECK(order[i] > last, "signal %d came after %d", order[i], last);
            last = order[i];
        }
    }
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
    mprotect((void *)((uintptr_t)info->si_addr & ~(PAGE - 1)), PAGE, PROT_READ | PROT_WRITE);
    seen[sig] += 100;
}

/* Sent while blocked: they wait. */
static void check_sent_faults(void)
{
    for (int i = 0; i < 2; i++) {
        int sig = i ? SIGBUS : SIGSEGV;
        uint64_t mask = 1ull << (sig - 1), pending = 0;
        seen[sig] = 0;
        install(sig, note);
        set_mask(mask);
        CHECK_ERRNO(kill(getpid(), sig) == 0);
        CHECK_ERRNO(syscall(SYS_rt_sigpending, &pending, 8) == 0);
        CHECK(seen[sig] == 0 && pending == mask, "signal %d: pending %#lx", sig, (long)pending);
        set_mask(0);
        CHECK(seen[sig] == 1, "signal %d came %d times", sig, seen[sig]);
    }
    char *page = map_pages(1, PROT_READ);
    seen[SIGSEGV] = 0;
    set_handler(SIGSEGV, on_fault, 0);
    page[5] = 1;
    CHECK(seen[SIGSEGV] == 100 && page[5] == 1, "a fault after that: %d", seen[SIGSEGV]);
}

static _Atomic bool stop;

static void *compute(void *arg)
{
    while (!stop) {
        sched_yield();
    }
    return NULL;
}

static void *sleeper(void *arg)
{
    for (;;) {
        sleep_ms(1000);
    }
    return NULL;
}

static void check_broadcast(void)
{
    pthread_t ids[8];
    void *result;

    for (int i = 0; i < 8; i++) {
        ids[i] = start_thread(compute, NULL);
    }
    for (unsigned long i = 0; i < scaled(50); i++) {
        CHECK_ERRNO(setresuid(getuid(), geteuid(), (uid_t)-1) == 0);
        CHECK_ERRNO(setresgid(getgid(), getegid(), (gid_t)-1) == 0);
    }
    stop = true;
    for (int i = 0; i < 8; i++) {
        join_thread(ids[i]);
    }
    for (unsigned long i = 0; i < scaled(100); i++) {
        ids[0] = start_thread(sleeper, NULL);
        if (i % 2) {
            sched_yield();
        }
        CHECK(pthread_cancel(ids[0]) == 0 && pthread_join(ids[0], &result) == 0 && result == PTHREAD_CANCELED,
              "cancel %lu", i);
    }
}

int main(void)
{
    check_broadcast();      /* before its signals are taken away */
    check_each();
    check_sent_faults();
    return 0;
}
