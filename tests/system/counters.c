/*
 * What `perf stat` and `perf record` need of a machine, asked of Linux in the guest (perf_event_open(2)): counters of
 * cycles and instructions, for one mode only too, samples at overflows, and the firmware's counters.
 *
 * Prints "counters: ok", or what is wrong.
 */
#include <linux/perf_event.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define RING_PAGES 8
#define PERIOD 500000
/* Raw events with this bit are the firmware's ("riscv-pmu-sbi" in Linux). */
#define FIRMWARE (1ull << 63)
#define ILLEGAL_INSN 4

static void fail(const char *what)
{
    printf("counters: %s\n", what);
    exit(1);
}

static int event_open(struct perf_event_attr *a, int leader)
{
    a->size = sizeof(*a);
    int fd = (int)syscall(SYS_perf_event_open, a, 0, -1, leader, 0);
    if (fd < 0) {
        perror("counters: perf_event_open");
        exit(1);
    }
    return fd;
}

static uint64_t value(int fd)
{
    uint64_t v;
    if (read(fd, &v, 8) != 8) {
        fail("a counter cannot be read");
    }
    return v;
}

static uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Some processor time, with hardly a system call. */
static void __attribute__((noinline)) spin(unsigned ms)
{
    for (uint64_t end = cpu_ns() + ms * 1000000ull; cpu_ns() < end;) {
        for (volatile int i = 0; i < 1000000; i++) {
        }
    }
}

/*
 * One group, so that all count at the same times: cycles in both modes, in U, in S; instructions.  False: U and S are
 * not all, as happens when the host's scheduler comes between the start of one counter and the next.
 */
static bool check_counting(void)
{
    struct perf_event_attr all = { .type = PERF_TYPE_HARDWARE, .config = PERF_COUNT_HW_CPU_CYCLES, .disabled = 1 };
    struct perf_event_attr user = all, kernel = all, insns = all;
    all.exclude_hv = user.exclude_kernel = kernel.exclude_user = 1;
    user.disabled = kernel.disabled = insns.disabled = 0;
    insns.config = PERF_COUNT_HW_INSTRUCTIONS;
    int a = event_open(&all, -1), u = event_open(&user, a), k = event_open(&kernel, a), i = event_open(&insns, a);
    ioctl(a, PERF_EVENT_IOC_ENABLE, 0);
    spin(20);
    for (int n = 0; n < 2000; n++) {
        syscall(SYS_getppid);
    }
    ioctl(a, PERF_EVENT_IOC_DISABLE, 0);
    uint64_t va = value(a), vu = value(u), vk = value(k), vi = value(i), sum = vu + vk;
    printf("cycles: %llu, U %llu, S %llu; instructions %llu\n", (unsigned long long)va, (unsigned long long)vu,
           (unsigned long long)vk, (unsigned long long)vi);
    if (!vu || !vk || !vi) {
        fail("something does not count");
    }
    spin(5);
    if (value(a) != va || value(i) != vi) {
        fail("a counter that was stopped counts");
    }
    close(a), close(u), close(k), close(i);
    return sum < va + va / 10 && sum > va - va / 10;
}

/* How many samples are in the ring; *here: of them in this program. */
static unsigned count_samples(const struct perf_event_mmap_page *head, uint64_t size, unsigned *here)
{
    extern char __executable_start[], etext[];
    const uint8_t *ring = (const uint8_t *)head + head->data_offset;
    unsigned n = 0;
    *here = 0;
    for (uint64_t at = head->data_tail; at < head->data_head;) {
        struct perf_event_header h;
        uint64_t ip;
        memcpy(&h, ring + at % size, sizeof(h));        /* records are multiples of 8 bytes, and so is the ring */
        if (h.type == PERF_RECORD_SAMPLE) {
            memcpy(&ip, ring + (at + sizeof(h)) % size, 8);
            *here += ip >= (uintptr_t)__executable_start && ip < (uintptr_t)etext;
            n++;
        }
        at += h.size;
    }
    return n;
}

static void check_sampling(void)
{
    struct perf_event_attr attr = { .type = PERF_TYPE_HARDWARE, .config = PERF_COUNT_HW_CPU_CYCLES, .disabled = 1,
                                    .sample_period = PERIOD, .sample_type = PERF_SAMPLE_IP, .exclude_kernel = 1 };
    uint64_t size = RING_PAGES * 4096;
    int fd = event_open(&attr, -1);
    void *ring = mmap(NULL, 4096 + size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (ring == MAP_FAILED) {
        fail("no ring of samples");
    }
    /* An interrupt that comes late, on a busy host, stands for several, and may find the kernel. */
    unsigned here = 0, n = 0;
    uint64_t periods = 0;
    for (int tries = 0; here < 10 && tries < 50; tries++) {
        ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
        spin(20);
        ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
        periods = value(fd) / PERIOD;
        n = count_samples(ring, size, &here);
    }
    printf("samples: %u, %u of the program, periods %llu\n", n, here, (unsigned long long)periods);
    if (here < 10 || n > periods + 1) {
        fail("there are too few samples, or too many");
    }
    munmap(ring, 4096 + size);
    close(fd);
}

static void skip_instruction(int sig, siginfo_t *info, void *context)
{
    ((ucontext_t *)context)->uc_mcontext.__gregs[REG_PC] += 4;
}

static void check_firmware(void)
{
    struct perf_event_attr attr = { .type = PERF_TYPE_RAW, .config = FIRMWARE | ILLEGAL_INSN };
    struct sigaction act = { .sa_sigaction = skip_instruction, .sa_flags = SA_SIGINFO };
    sigaction(SIGILL, &act, NULL);
    int fd = event_open(&attr, -1);
    for (int i = 0; i < 5; i++) {
        asm volatile(".4byte 0xffffffff" ::: "memory");
    }
    if (value(fd) != 5) {
        printf("illegal instructions: %llu of 5\n", (unsigned long long)value(fd));
        fail("the firmware counts otherwise");
    }
    close(fd);
}

int main(void)
{
    for (int tries = 1; !check_counting(); tries++) {
        if (tries == 20) {
            fail("U and S are not all");
        }
    }
    check_sampling();
    check_firmware();
    puts("counters: ok");
    return 0;
}
