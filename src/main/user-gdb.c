/*
 * braid-riscv64 -g: what the guest process is to the gdb stub.
 */
#include "main/user-gdb.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "debug/gdbstub.h"
#include "linux-user/path.h"
#include "linux-user/process.h"
#include "linux-user/thread.h"
#include "linux-user/user-mem.h"
#include "util/error.h"

/* A vCPU without a thread record is about to go. */
static uint64_t thread_id(CPUState *cpu)
{
    const GuestThread *t = thread_of(cpu);
    return t ? (uint64_t)t->tid : 0;
}

static void describe_thread(CPUState *cpu, char *buf, size_t size)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/task/%llu/comm", (unsigned long long)thread_id(cpu));
    FILE *f = fopen(path, "re");
    if (!f || !fgets(buf, (int)size, f)) {
        snprintf(buf, size, "thread");
    }
    buf[strcspn(buf, "\n")] = '\0';
    if (f) {
        fclose(f);
    }
}

static bool is_guest_memory(vaddr addr, size_t n)
{
    for (vaddr page = addr & ~4095ull; page < addr + n; page += 4096) {
        if (!user_page_flags(page)) {
            return false;
        }
    }
    return addr + n >= addr;
}

/* Through the kernel: it reads and writes what the guest itself may not (code, for one), and
   reports what is not there. */
static bool access_memory(vaddr addr, void *buf, size_t n, bool write)
{
    int fd = is_guest_memory(addr, n) ? open("/proc/self/mem", O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) {
        return false;
    }
    off_t at = (off_t)(user_mem.guest_base + addr);
    ssize_t k = write ? pwrite(fd, buf, n, at) : pread(fd, buf, n, at);
    close(fd);
    return k == (ssize_t)n;
}

static bool read_memory(CPUState *cpu, vaddr addr, void *buf, size_t n)
{
    return access_memory(addr, buf, n, false);
}

static bool write_memory(CPUState *cpu, vaddr addr, const void *buf, size_t n)
{
    bool done = access_memory(addr, (void *)buf, n, true);
    if (done) {
        tb_invalidate_range(addr, addr + n);
    }
    return done;
}

static size_t read_auxv(uint64_t offset, void *buf, size_t n)
{
    size_t size = user_process.auxv_len * sizeof(uint64_t);
    offset = offset < size ? offset : size;
    n = n < size - offset ? n : size - offset;
    memcpy(buf, (const char *)user_process.auxv + offset, n);
    return n;
}

static bool find_file(const char *path, bool follow, char *host, size_t size)
{
    UserPath p;
    if (strlen(path) >= sizeof(p.guest)) {
        return false;
    }
    strcpy(p.guest, path);
    path_resolve(&p, follow);
    return (size_t)snprintf(host, size, "%s", p.host) < size;
}

static void kill_guest(void)
{
    kill(getpid(), SIGKILL);
}

static const char *where;       /* set once, before the guest starts */

/* The first stop is the start of the program: wait for gdb now. */
static void stop(CPUState *cpu)
{
    if (where) {
        GdbTarget target = {
            .guest = cpu->guest,
            .pid = (uint64_t)getpid(),
            .exec_file = user_process.exe_path,
            .thread_id = thread_id,
            .describe_thread = describe_thread,
            .read_memory = read_memory,
            .write_memory = write_memory,
            .read_auxv = read_auxv,
            .kill = kill_guest,
            .find_file = find_file,
            .system_calls = true,
        };
        char *err = NULL;
        if (!gdb_start(where, &target, &err)) {
            fatal("%s", err);
        }
        where = NULL;
    }
    gdb_stop(cpu);
}

const UserDebugger *user_gdb(const char *w)
{
    static const UserDebugger debugger = {
        .stop = stop, .signal = gdb_signal, .syscall = gdb_syscall, .exit = gdb_exit,
        .fork_begin = gdb_fork_begin, .fork_parent = gdb_fork_parent, .fork_child = gdb_fork_child,
        .exec_begin = gdb_exec_begin, .exec_failed = gdb_exec_failed,
    };
    where = w;
    return &debugger;
}
