/*
 * What the tests of ptrace() share: the raw call, the machine's registers, and waiting.
 */
#ifndef TRACING_H
#define TRACING_H

#include <elf.h>
#include <linux/ptrace.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include "test.h"

/* Words of NT_PRSTATUS.  ARG1 is the second argument: the first shares its register with the result here. */
#if defined(__riscv)
enum { REG_PC_ = 0, REG_SP_ = 2, REG_RESULT = 10, REG_ARG1 = 11, REG_NR = 17, NREGS = 32 };
#define BREAK_INSN 0x9002ul         /* c.ebreak */
#define BREAK_MASK 0xfffful
#define BREAK_LEN 0                 /* how far pc is behind it */
#elif defined(__x86_64__)
enum { REG_PC_ = 16, REG_SP_ = 19, REG_RESULT = 10, REG_ARG1 = 13, REG_NR = 15, NREGS = 27 };
#define BREAK_INSN 0xccul
#define BREAK_MASK 0xfful
#define BREAK_LEN 1
#else
#error "no registers"
#endif

#define EVENT_STATUS(event, sig) ((event) << 16 | (sig) << 8 | 0x7f)
#define STOP_STATUS(sig) ((sig) << 8 | 0x7f)

static inline long pt(long request, pid_t pid, unsigned long addr, unsigned long data)
{
    return syscall(SYS_ptrace, request, pid, addr, data);
}

#define PT(request, pid, addr, data) \
    CHECK(pt(request, pid, (unsigned long)(addr), (unsigned long)(data)) != -1, #request " of %d: %s", \
          (int)(pid), strerror(errno))

static inline unsigned long peek(pid_t pid, const void *addr)
{
    unsigned long value;

    PT(PTRACE_PEEKDATA, pid, addr, &value);
    return value;
}

static inline void get_regs(pid_t pid, unsigned long regs[NREGS])
{
    struct iovec v = { regs, NREGS * sizeof(*regs) };

    PT(PTRACE_GETREGSET, pid, NT_PRSTATUS, &v);
    CHECK(v.iov_len == NREGS * sizeof(*regs), "%zu", v.iov_len);
}

static inline void set_regs(pid_t pid, const unsigned long regs[NREGS])
{
    struct iovec v = { (void *)regs, NREGS * sizeof(*regs) };

    PT(PTRACE_SETREGSET, pid, NT_PRSTATUS, &v);
}

static inline unsigned long event_message(pid_t pid)
{
    unsigned long message = 0;

    PT(PTRACE_GETEVENTMSG, pid, 0, &message);
    return message;
}

/* The next status of this child or tracee. */
static inline int wait_for(pid_t pid)
{
    int status = 0;
    pid_t got;

    while ((got = waitpid(pid, &status, __WALL)) == -1 && errno == EINTR) {
    }
    CHECK(got == pid, "waited for %d, got %d: %s", (int)pid, (int)got, strerror(errno));
    return status;
}

#define WAIT(pid, expected)                                                           \
    do {                                                                              \
        int status_ = wait_for(pid), expected_ = (expected);                          \
        CHECK(status_ == expected_, "status %x, not %x", status_, expected_);         \
    } while (0)

/* A child that has the caller trace it, and is stopped before body(). */
static inline pid_t start_traced(void (*body)(void), unsigned long options)
{
    pid_t pid = fork();

    CHECK_ERRNO(pid >= 0);
    if (!pid) {
        CHECK_ERRNO(pt(PTRACE_TRACEME, 0, 0, 0) == 0);
        raise(SIGSTOP);
        body();
        _exit(0);
    }
    WAIT(pid, STOP_STATUS(SIGSTOP));
    PT(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_EXITKILL | options);
    return pid;
}

/* A child that nobody traces yet; it dies with the caller. */
static inline pid_t start_child(void (*body)(void))
{
    pid_t pid = fork();

    CHECK_ERRNO(pid >= 0);
    if (!pid) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        body();
        _exit(0);
    }
    return pid;
}

/* Until the process sleeps in the kernel. */
static inline void await_sleep(pid_t pid)
{
    char path[32], text[256], state = 0;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    for (int i = 0; state != 'S'; i++) {
        FILE *f = fopen(path, "r");

        CHECK(f && i < 60000, "%s: %c", path, state);
        CHECK_ERRNO(fgets(text, sizeof(text), f) != NULL);
        fclose(f);
        state = strrchr(text, ')')[2];
        sleep_ms(1);
    }
}

/* Memory that parents and children share. */
static inline void *share(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    CHECK_ERRNO(p != MAP_FAILED);
    return p;
}

#endif
