/*
 * rseq: the C library's registration, the CPU's number, errors of the system call; and
 * critical sections: threads that add to counters of their CPUs without any atomic
 * instruction, under signals, lose nothing; a signal inside a section leads to its abort
 * handler, and a membarrier waits for sections.
 *
 * test-native: yes
 */
#include <linux/membarrier.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/rseq.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include "test.h"

#define CPUS 1024
#define THREADS 6

#ifndef RSEQ_SIG
#define RSEQ_SIG 0xf1401073     /* csrr mhartid, x0 */
#endif

static struct { _Alignas(64) uint64_t count; } counter[CPUS];

static _Thread_local _Alignas(32) struct rseq private_area;

static long rseq_call(void *area, unsigned len, int flags, unsigned sig)
{
    return syscall(SYS_rseq, area, len, flags, sig);
}

/* The C library's, or where it does not register any our own. */
static struct rseq *own_area(void)
{
    return __rseq_size ? (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset)
                       : &private_area;
}

static bool register_thread(void)
{
    if (!__rseq_size && rseq_call(&private_area, 32, 0, RSEQ_SIG)) {
        CHECK(errno == ENOSYS, "rseq: %s", strerror(errno));
        return false;
    }
    return true;
}

/*
 * counter[cpu] += 1 if the section ran through on this CPU: returns 0; 1 if it was aborted,
 * 2 if the CPU is another one.
 */
static int add_one(struct rseq *area, uint32_t cpu, uint64_t *count)
{
#if defined(__riscv)
    __asm__ goto(
        ".pushsection __rseq_cs, \"aw\"\n\t"
        ".balign 32\n\t"
        "3: .4byte 0, 0\n\t"
        ".8byte 1f, 2f - 1f, 4f\n\t"
        ".popsection\n\t"
        "la t0, 3b\n\t"
        "sd t0, 8(%[area])\n\t"
        "1: lw t1, 4(%[area])\n\t"
        "bne t1, %[cpu], %l[other]\n\t"
        "ld t1, 0(%[count])\n\t"
        "addi t1, t1, 1\n\t"
        "sd t1, 0(%[count])\n\t"
        "2:\n\t"
        "j 5f\n\t"
        ".balign 4\n\t"
        ".4byte %[sig]\n\t"
        "4: j %l[aborted]\n\t"
        "5:\n\t"
        : : [area] "r"(area), [cpu] "r"((long)(int)cpu), [count] "r"(count), [sig] "i"(RSEQ_SIG)
        : "t0", "t1", "memory" : other, aborted);
#else
    __asm__ goto(
        ".pushsection __rseq_cs, \"aw\"\n\t"
        ".balign 32\n\t"
        "3: .long 0, 0\n\t"
        ".quad 1f, 2f - 1f, 4f\n\t"
        ".popsection\n\t"
        "leaq 3b(%%rip), %%rax\n\t"
        "movq %%rax, 8(%[area])\n\t"
        "1: cmpl %[cpu], 4(%[area])\n\t"
        "jne %l[other]\n\t"
        "movq (%[count]), %%rax\n\t"
        "addq $1, %%rax\n\t"
        "movq %%rax, (%[count])\n\t"
        "2:\n\t"
        "jmp 5f\n\t"
        ".byte 0x0f, 0xb9, 0x3d\n\t"
        ".long %c[sig]\n\t"
        "4: jmp %l[aborted]\n\t"
        "5:\n\t"
        : : [area] "r"(area), [cpu] "r"(cpu), [count] "r"(count), [sig] "i"(RSEQ_SIG)
        : "rax", "memory", "cc" : other, aborted);
#endif
    return 0;
aborted:
    return 1;
other:
    return 2;
}

/* A section that never ends by itself: 1 when it was aborted. */
static int spin_until_aborted(struct rseq *area, volatile int *inside)
{
#if defined(__riscv)
    __asm__ goto(
        ".pushsection __rseq_cs, \"aw\"\n\t"
        ".balign 32\n\t"
        "3: .4byte 0, 0\n\t"
        ".8byte 1f, 2f - 1f, 4f\n\t"
        ".popsection\n\t"
        "la t0, 3b\n\t"
        "sd t0, 8(%[area])\n\t"
        "1: li t1, 1\n\t"
        "sw t1, 0(%[inside])\n\t"
        "6: j 6b\n\t"
        "2:\n\t"
        ".balign 4\n\t"
        ".4byte %[sig]\n\t"
        "4: j %l[aborted]\n\t"
        : : [area] "r"(area), [inside] "r"(inside), [sig] "i"(RSEQ_SIG)
        : "t0", "t1", "memory" : aborted);
#else
    __asm__ goto(
        ".pushsection __rseq_cs, \"aw\"\n\t"
        ".balign 32\n\t"
        "3: .long 0, 0\n\t"
        ".quad 1f, 2f - 1f, 4f\n\t"
        ".popsection\n\t"
        "leaq 3b(%%rip), %%rax\n\t"
        "movq %%rax, 8(%[area])\n\t"
        "1: movl $1, (%[inside])\n\t"
        "6: jmp 6b\n\t"
        "2:\n\t"
        ".byte 0x0f, 0xb9, 0x3d\n\t"
        ".long %c[sig]\n\t"
        "4: jmp %l[aborted]\n\t"
        : : [area] "r"(area), [inside] "r"(inside), [sig] "i"(RSEQ_SIG)
        : "rax", "memory", "cc" : aborted);
#endif
    return 0;
aborted:
    return 1;
}

static volatile sig_atomic_t signals;

static void on_signal(int sig, siginfo_t *info, void *context)
{
    signals++;
}

static void *count_up(void *arg)
{
    struct rseq *area = own_area();

    register_thread();
    for (unsigned long i = 0; i < scaled(20000);) {
        uint32_t cpu = __atomic_load_n(&area->cpu_id_start, __ATOMIC_RELAXED);

        CHECK(cpu < CPUS, "cpu %u", cpu);
        if (!add_one(area, cpu, &counter[cpu].count)) {
            i++;
        }
    }
    return NULL;
}

static void check_counters(void)
{
    struct itimerval often = { { 0, 300 }, { 0, 300 } }, off = { { 0, 0 }, { 0, 0 } };
    pthread_t t[THREADS];
    uint64_t sum = 0;

    set_handler(SIGALRM, on_signal, SA_RESTART);
    CHECK_ERRNO(setitimer(ITIMER_REAL, &often, NULL) == 0);
    for (int i = 0; i < THREADS; i++) {
        t[i] = start_thread(count_up, NULL);
    }
    for (int i = 0; i < THREADS; i++) {
        join_thread(t[i]);
    }
    CHECK_ERRNO(setitimer(ITIMER_REAL, &off, NULL) == 0);
    for (int i = 0; i < CPUS; i++) {
        sum += counter[i].count;
    }
    CHECK(sum == THREADS * scaled(20000), "%lu of %lu", (unsigned long)sum,
          THREADS * scaled(20000));
}

/* Again and again: on a busy machine the first may come before the section is entered. */
static const struct itimerval alarms = { { 0, 50000 }, { 0, 50000 } };

static void check_abort(void)
{
    const struct itimerval none = { { 0, 0 }, { 0, 0 } };
    volatile int inside = 0;

    CHECK_ERRNO(setitimer(ITIMER_REAL, &alarms, NULL) == 0);
    CHECK(spin_until_aborted(own_area(), &inside) == 1 && inside, "not aborted");
    CHECK_ERRNO(setitimer(ITIMER_REAL, &none, NULL) == 0);
    CHECK(own_area()->rseq_cs == 0, "the section is still announced");
}

static void check_cpu(void)
{
    cpu_set_t all, one;
    struct rseq *area = own_area();

    CHECK_ERRNO(sched_getaffinity(0, sizeof(all), &all) == 0);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &all)) {
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            CHECK_ERRNO(sched_setaffinity(0, sizeof(one), &one) == 0);
            CHECK((int)area->cpu_id == cpu && (int)area->cpu_id_start == cpu &&
                      sched_getcpu() == cpu, "on CPU %d, said %u", cpu, area->cpu_id);
        }
    }
    CHECK_ERRNO(sched_setaffinity(0, sizeof(all), &all) == 0);
}

/* With the C library's registration taken away, in a child that does nothing else. */
static void check_calls(void)
{
    static _Alignas(64) char area[64];
    struct rseq *own = own_area();
    unsigned len = 32;

    CHECK(rseq_call(own, len, 0, RSEQ_SIG) == -1 && errno == EBUSY, "twice: %d", errno);
    CHECK(rseq_call(area, len, 0, RSEQ_SIG) == -1 && errno == EINVAL, "another: %d", errno);
    CHECK(rseq_call(own, len, 0, 1) == -1 && errno == EPERM, "signature: %d", errno);
    CHECK(rseq_call(own, len, 1, 1) == -1 && errno == EPERM, "signature: %d", errno);
    CHECK(rseq_call(area, len, 1, RSEQ_SIG) == -1 && errno == EINVAL, "area: %d", errno);
    CHECK(rseq_call(own, len, 1, RSEQ_SIG) == 0, "unregister: %s", strerror(errno));
    CHECK((int)own->cpu_id == -1 && own->cpu_id_start == 0, "cpu %d", (int)own->cpu_id);
    CHECK(rseq_call(own, len, 1, RSEQ_SIG) == -1 && errno == EINVAL, "again: %d", errno);
    CHECK(rseq_call(area + 8, len, 0, 5) == -1 && errno == EINVAL, "alignment: %d", errno);
    CHECK(rseq_call(area, 16, 0, 5) == -1 && errno == EINVAL, "length: %d", errno);
    CHECK(rseq_call(area, len, 2, 5) == -1 && errno == EINVAL, "flags: %d", errno);
    CHECK(rseq_call(area, len, 0, 5) == 0, "register: %s", strerror(errno));
    CHECK(((struct rseq *)area)->cpu_id < CPUS, "cpu %d", (int)((struct rseq *)area)->cpu_id);
}

/* The abort handler has no signature in front of it: the kernel's answer is SIGSEGV. */
static void bad_signature(void)
{
    static _Alignas(32) struct rseq area;
    volatile int inside = 0;

    rseq_call(own_area(), 32, 1, RSEQ_SIG);
    CHECK_ERRNO(rseq_call(&area, 32, 0, RSEQ_SIG ^ 1) == 0);
    struct rlimit_none { long cur, max; } none = { 0, 0 };
    syscall(SYS_prlimit64, 0, 4 /* RLIMIT_CORE */, &none, NULL);
    CHECK_ERRNO(setitimer(ITIMER_REAL, &alarms, NULL) == 0);
    spin_until_aborted(&area, &inside);
}

static int child(void (*body)(void))
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        body();
        _exit(7);
    }
    CHECK_ERRNO(pid > 0 && waitpid(pid, &status, 0) == pid);
    return status;
}

int main(void)
{
    int status;

    if (!register_thread()) {
        printf("no rseq here\n");
        return 0;
    }
    check_cpu();
    check_counters();
    check_abort();
    status = child(check_calls);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7, "calls: %#x", status);
    status = child(bad_signature);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "bad signature: %#x", status);
    CHECK_ERRNO(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, 0, 0) == 0);
    CHECK_ERRNO(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 0, 0) == 0);
    return 0;
}
