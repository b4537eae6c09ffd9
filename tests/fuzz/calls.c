/*
 * A guest program that makes random system calls with random arguments: nothing of it may crash or hang
 * braid.  Not for libFuzzer, for a harness inside braid's process would close its own descriptors and unmap
 * itself; the guest cannot.
 *
 * usage: calls SEED BATCHES
 * Started by run-calls.py in namespaces and an empty directory.  Each batch is a child with its own
 * seed, so that `calls SEED 1` repeats one; a batch that still runs after 5 seconds is killed, which is no
 * failure: a guest may wait for ever.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096ul
#define CALLS_PER_BATCH 400

static uint64_t state;
static char *writable, *read_only, *none;   /* each two pages; read_only is followed by none */
static int fds[8];

static uint64_t rnd(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/*
 * Calls that end the batch or the machine's peace: power, time, swap, modules; signals to whoever
 * it may be; sleeping until somebody wakes us; registers from nowhere.
 */
static bool forbidden(unsigned nr)
{
    static const unsigned list[] = {
        SYS_exit, SYS_exit_group, SYS_reboot, SYS_kill, SYS_tkill, SYS_tgkill, SYS_rt_sigqueueinfo,
        SYS_rt_tgsigqueueinfo, SYS_pidfd_send_signal, SYS_kexec_load, SYS_init_module, SYS_finit_module,
        SYS_delete_module, SYS_swapon, SYS_swapoff, SYS_settimeofday, SYS_clock_settime, SYS_adjtimex,
        SYS_clock_adjtime, SYS_acct, SYS_syslog, SYS_vhangup, SYS_setdomainname, SYS_sethostname,
        SYS_pivot_root, SYS_mount, SYS_umount2, SYS_quotactl, SYS_sync, SYS_syncfs, SYS_ioprio_set,
        SYS_sched_setscheduler, SYS_sched_setattr, SYS_rt_sigsuspend, SYS_setpriority, SYS_process_mrelease,
        SYS_prlimit64, SYS_setrlimit, SYS_rt_sigreturn, SYS_seccomp,
    };
    for (unsigned i = 0; i < sizeof(list) / sizeof(*list); i++) {
        if (list[i] == nr) {
            return true;
        }
    }
    return false;
}

static uint64_t address(void)
{
    static const uint64_t fixed[] = { 0, 1, 8, 0x1000, 1ull << 38, (1ull << 46) - 8, 1ull << 46,
                                      1ull << 47, 0x7ffffffff000, 0x8000000000000000, ~0ull, ~7ull };
    switch (rnd() % 8) {
    case 0: return fixed[rnd() % (sizeof(fixed) / sizeof(*fixed))];
    case 1: return (uintptr_t)read_only + rnd() % (2 * PAGE);
    case 2: return (uintptr_t)read_only + 2 * PAGE - rnd() % 64;    /* runs into `none` */
    case 3: return (uintptr_t)none + rnd() % (2 * PAGE);
    case 4: return (uintptr_t)writable + 2 * PAGE - rnd() % 64;     /* runs into read_only */
    default: return (uintptr_t)writable + (rnd() % (2 * PAGE) & ~7ul);
    }
}

static uint64_t argument(void)
{
    switch (rnd() % 8) {
    case 0: return rnd() % 16;
    case 1: return (uint64_t)fds[rnd() % 8];
    case 2: return rnd() % 4 ? 1ull << rnd() % 64 : ~0ull >> rnd() % 64;
    case 3: return (uint64_t)-(int64_t)(rnd() % 128);
    case 4: return rnd() % 3 * PAGE;
    default: return address();
    }
}

static void fill_memory(void)
{
    for (unsigned i = 0; i < 64; i++) {
        uint64_t v = argument();
        memcpy(writable + (rnd() % (2 * PAGE) & ~7ul), &v, 8);
    }
    memcpy(writable + 64, "/proc/self/status", 18);
    memcpy(writable + 128, "file", 5);
    memcpy(writable + 192, ".", 2);
}

static void nothing(int sig)
{
}

static void *idle(void *arg)
{
    for (;;) {
        sleep(1);
    }
    return NULL;
}

/* Signals that would end the batch, and the one that wakes what sleeps. */
static void set_signals(void)
{
    struct sigaction sa = { .sa_handler = nothing };
    struct itimerval soon = { { 0, 3000 }, { 0, 3000 } };
    sigset_t empty;
    for (int sig = 1; sig < 32; sig++) {
        if (sig != SIGSEGV && sig != SIGBUS && sig != SIGILL && sig != SIGTRAP) {
            sigaction(sig, &sa, NULL);
        }
    }
    sigemptyset(&empty);
    sigprocmask(SIG_SETMASK, &empty, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
}

static void make_things(void)
{
    char *base = mmap(NULL, 6 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    writable = base;
    read_only = base + 2 * PAGE;
    none = base + 4 * PAGE;
    fill_memory();
    memcpy(read_only, writable, 2 * PAGE);
    mprotect(read_only, 2 * PAGE, PROT_READ);
    mprotect(none, 2 * PAGE, PROT_NONE);
    fds[0] = open("file", O_RDWR | O_CREAT, 0600);
    fds[1] = open(".", O_RDONLY | O_DIRECTORY);
    if (pipe(fds + 2) || socketpair(AF_UNIX, SOCK_STREAM, 0, fds + 4)) {
        _exit(1);
    }
    fds[6] = eventfd(0, 0);
    fds[7] = 1000;
    pthread_t id;
    if (rnd() % 2) {
        pthread_create(&id, NULL, idle, NULL);
    }
}

static int batch(void)
{
    make_things();
    for (unsigned i = 0; i < CALLS_PER_BATCH; i++) {
        unsigned nr = rnd() % 64 ? (unsigned)(rnd() % 3 ? rnd() % 300 : 424 + rnd() % 45) : (unsigned)(rnd() % 4096);
        uint64_t a[6];
        if (i % 16 == 0) {
            set_signals();
            mmap(writable, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
            fill_memory();
        }
        for (unsigned k = 0; k < 6; k++) {
            a[k] = argument();
        }
        if ((nr == SYS_clone && !(a[0] & CLONE_VFORK)) || nr == SYS_clone3 || forbidden(nr)) {
            continue;       /* children would multiply */
        }
        if (getenv("CALLS_LOG")) {
            char text[160];
            int n = snprintf(text, sizeof(text), "%u: %u(%lx, %lx, %lx, %lx, %lx, %lx)\n", i, nr, a[0], a[1], a[2],
                             a[3], a[4], a[5]);
            syscall(SYS_write, 2, text, n);
        }
        syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        return 2;
    }
    uint64_t seed = strtoull(argv[1], NULL, 0);
    unsigned long batches = strtoul(argv[2], NULL, 0);
    unsigned finished = 0, died = 0, late = 0;
    for (unsigned long n = 0; n < batches; n++) {
        pid_t pid = fork();
        if (pid == 0) {
            state = (seed + n) * 0x9e3779b97f4a7c15ull + 1;
            rnd();
            setpgid(0, 0);
            struct rlimit small = { 64 << 20, 64 << 20 }, few = { 200, 200 }, seconds = { 10, 10 };
            setrlimit(RLIMIT_FSIZE, &small);
            setrlimit(RLIMIT_NPROC, &few);
            setrlimit(RLIMIT_CPU, &seconds);
            _exit(batch());
        }
        int status = 0;
        for (unsigned ms = 0; waitpid(pid, &status, WNOHANG) == 0; ms++) {
            if (ms == 5000) {
                late++;
            }
            if (ms >= 5000) {
                kill(pid, SIGKILL);
            }
            usleep(1000);
        }
        finished += WIFEXITED(status);
        died += WIFSIGNALED(status);
        if (WIFEXITED(status) && WEXITSTATUS(status)) {
            printf("seed %llu ended with status %d\n", (unsigned long long)(seed + n), WEXITSTATUS(status));
            return 1;       /* an assertion of braid's: a batch ends with 0 */
        }
        kill(-pid, SIGKILL);
        while (waitpid(-1, &status, WNOHANG) > 0) {
        }
    }
    printf("%lu batches: %u to the end, %u by a signal, %u killed after 5 s\n", batches, finished, died, late);
    return 0;
}
