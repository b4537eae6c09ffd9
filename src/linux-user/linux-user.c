/*
 * Start of a guest program, and the run loop of its threads.
 *
 * linux_user_main() runs alone; each guest thread then has a cpu_loop() of its own, which
 * holds no lock between events.
 */
#include "linux-user/linux-user.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "linux-user/limits.h"
#include "linux-user/loader.h"
#include "linux-user/mmap.h"
#include "linux-user/own-env.h"
#include "linux-user/path.h"
#include "linux-user/process-control.h"
#include "linux-user/process.h"
#include "linux-user/procfs.h"
#include "linux-user/ptrace.h"
#include "linux-user/rseq.h"
#include "linux-user/seccomp.h"
#include "linux-user/user-signal.h"
#include "linux-user/syscall.h"
#include "linux-user/user-mem.h"
#include "linux-user/vdso.h"
#include "util/bitops.h"
#include "util/error.h"
#include "util/log.h"
#include "util/own-fd.h"
#include "util/strutil.h"
#include "util/vec.h"

/* Position-independent programs: above the libraries, with room for the heap above. */
#define PIE_BASE 0x60000000ull
#define MAX_SCRIPTS 5

UserProcess user_process = { .sysroot_fd = -1, .self_fd = -1 };

/* ---- the run loop ---- */

static void handle_syscall(GuestThread *t)
{
    const LinuxAbi *abi = user_process.abi;
    uint64_t nr, a[6];
    abi->get_syscall(t->cpu, &nr, a);
    int64_t ret = -BRAID_NO_RESULT;
    if (likely(!t->trace) || tracee_syscall_enter(t, &nr, a)) {
        ret = syscall_run(t, nr, a);
    }
    if (unlikely(t->trace != NULL)) {
        tracee_syscall_exit(t, ret);
        return;
    }
    switch (ret) {
    case -BRAID_NO_RESULT:
    case -BRAID_NOT_STARTED:
        return;
    case -BRAID_ERESTARTSYS:
    case -EINTR:
        if (tracee_is_called(t)) {
            tracee_syscall_exit(t, ret);    /* by a tracer that has come meanwhile */
            return;
        }
        if (ret == -BRAID_ERESTARTSYS && !signal_pending_wants_eintr(t)) {
            return;
        }
        ret = -EINTR;
        break;
    default:
        break;
    }
    abi->finish_syscall(t->cpu, ret);
}

/* With a debugger, which may change registers before and after. */
static void handle_syscall_watched(GuestThread *t)
{
    const UserDebugger *debugger = user_process.opt->debugger;
    uint64_t nr, a[6];
    vaddr pc = t->cpu->env.pc;
    user_process.abi->get_syscall(t->cpu, &nr, a);
    debugger->syscall(t->cpu, nr, false);
    handle_syscall(t);
    /* A call that begins again behind a signal has not returned. */
    if (!t->exiting && t->cpu->env.pc != pc) {
        debugger->syscall(t->cpu, nr, true);
    }
}

/* An instruction cannot be fetched: not mapped, not executable, or behind the end of a file. */
static void handle_fetch_fault(GuestThread *t)
{
    vaddr addr = t->cpu->fault_addr;
    uint8_t byte;
    /* Both under the lock, or the page may be taken away between. */
    mmap_lock();
    unsigned flags = user_page_flags(addr);
    bool readable = user_read(&byte, addr, 1);
    mmap_unlock();
    if (!(flags & PAGE_EXEC)) {
        signal_deliver_fault(t, SIGSEGV, flags ? SEGV_ACCERR : SEGV_MAPERR, addr);
    } else if (!readable) {
        signal_deliver_fault(t, SIGBUS, BUS_ADRERR, addr);
    }
    /* Otherwise the mapping was just being changed: try again. */
}

static void handle_memory_fault(GuestThread *t)
{
    CPUState *cpu = t->cpu;
    int code = cpu->fault_signal_code;
    if (cpu->fault_signal == SIGSEGV) {
        code = user_page_flags(cpu->fault_addr) ? SEGV_ACCERR : SEGV_MAPERR;
    }
    signal_deliver_fault(t, cpu->fault_signal, code, cpu->fault_addr);
}

static void handle_event(GuestThread *t, int reason)
{
    CPUState *cpu = t->cpu;
    switch (reason) {
    case 0:
        break;
    case EXIT_REASON_SYSCALL:
        if (unlikely(user_process.opt->debugger != NULL)) {
            handle_syscall_watched(t);
        } else {
            handle_syscall(t);
        }
        break;
    case EXIT_REASON_BREAKPOINT:
        signal_deliver_fault(t, SIGTRAP, TRAP_BRKPT, cpu->env.pc);
        break;
    case EXIT_REASON_ILLEGAL:
        signal_deliver_fault(t, SIGILL, ILL_ILLOPC, cpu->env.pc);
        break;
    case EXIT_REASON_MISALIGNED:
    case EXIT_REASON_MISALIGNED_JUMP: /* the kernel reports epc here, not the data's address or the target */
        signal_deliver_fault(t, SIGBUS, BUS_ADRALN, cpu->env.pc);
        break;
    case EXIT_REASON_FETCH_FAULT:
        handle_fetch_fault(t);
        break;
    case EXIT_REASON_MEMORY_FAULT:
        handle_memory_fault(t);
        break;
    case EXIT_REASON_DEBUG:
        if (user_process.opt->debugger) {
            user_process.opt->debugger->stop(cpu);
        }
        break;
    case EXIT_REASON_YIELD:
    case EXIT_REASON_WAIT:
        sched_yield();
        break;
    default:
        error_bug(__FILE__, __LINE__, __func__, "exit reason %d", reason);
    }
}

void cpu_loop(CPUState *cpu)
{
    GuestThread *t = thread_of(cpu);
    while (!t->exiting) {
        rseq_update(t);
        signal_deliver_pending(t);
        handle_event(t, cpu_exec(cpu));
    }
    thread_end(t);
}

/* ---- start-up ---- */

static const LinuxAbi *find_abi(uint16_t machine)
{
    static const LinuxAbi *const all[] = { &linux_abi_riscv64 };
    for (size_t i = 0; i < array_size(all); i++) {
        if (all[i]->elf_machine == machine) {
            return all[i];
        }
    }
    fatal("no Linux support for this guest");
}

static void open_sysroot(const char *dir)
{
    if (!dir || !*dir) {
        return;
    }
    char *path = realpath(dir, NULL);
    int fd = path ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd < 0) {
        fatal_usage("-L %s: %s", dir, strerror(errno));
    }
    if (!strcmp(path, "/")) {
        close(fd);
        free(path);
        return;
    }
    user_process.sysroot = path;
    user_process.sysroot_fd = own_fd_add(fd);
}

static void open_self(void)
{
    int fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    if (fd >= 0) {
        user_process.self_fd = own_fd_add(fd);
    }
}

/* envp with -E and -U applied. */
static char **edit_environment(const LinuxUserOptions *opt, char **envp)
{
    Vec(char *) v = VEC_INIT;
    for (; *envp; envp++) {
        if (!own_env_has(*envp)) {
            vec_push(&v, *envp);
        }
    }
    for (unsigned k = 0; k < opt->n_env_edits; k++) {
        const EnvEdit *e = &opt->env_edits[k];
        size_t len = strcspn(e->name, "=");
        for (size_t i = 0; i < v.len;) {
            if (!strncmp(v.data[i], e->name, len) && v.data[i][len] == '=') {
                memmove(&v.data[i], &v.data[i + 1], (v.len - i - 1) * sizeof(*v.data));
                v.len--;
            } else {
                i++;
            }
        }
        if (!e->unset) {
            vec_push(&v, (char *)e->name);
        }
    }
    vec_push(&v, NULL);
    return v.data;
}

/* Report why a program cannot be run; the caller returns the status. */
static int refuse(int status, char *err)
{
    fprintf(stderr, "%s: %s\n", error_program_name(), err);
    free(err);
    return status;
}

/* The program and its arguments, with interpreter lines followed. */
typedef struct Program {
    ElfFile exe, interp;
    char **argv;
    int argc;
    const char *name;       /* as the guest knows it */
} Program;

static bool follow_script(Program *p, int fd)
{
    char *interp, *arg;
    if (!script_parse(fd, &interp, &arg)) {
        return false;
    }
    int extra = arg ? 2 : 1, n = 0;
    char **argv = xcalloc((size_t)(p->argc + extra + 1), sizeof(*argv));
    argv[n++] = interp;
    if (arg) {
        argv[n++] = arg;
    }
    argv[n++] = (char *)p->name;
    for (int i = 1; i < p->argc; i++) {
        argv[n++] = p->argv[i];
    }
    p->argv = argv;
    p->argc = n;
    p->name = interp;
    return true;
}

/* Where /proc/self/exe shall lead: to the file itself if we were given it, whatever its path says. */
static char *find_exe_path(int given_fd, const char *path)
{
    char link[64], out[PATH_MAX];
    if (given_fd >= 0) {
        snprintf(link, sizeof(link), "/proc/self/fd/%d", given_fd);
        ssize_t n = readlink(link, out, sizeof(out) - 1);
        if (n > 0) {
            out[n] = 0;
            return xstrdup(out);
        }
    }
    return realpath(path, NULL);
}

/* `fd` is the program if it was opened for us, or -1. */
static int open_program(Program *p, int fd, char **err)
{
    uint16_t machine = user_process.abi->elf_machine;
    UserPath path;
    for (unsigned depth = 0; depth < MAX_SCRIPTS; depth++) {
        if (strlen(p->name) >= sizeof(path.guest)) {
            *err = str_format("cannot run '%.40s...': %s", p->name, strerror(ENAMETOOLONG));
            return LOADER_CANNOT_EXECUTE;
        }
        strcpy(path.guest, p->name);
        path.host = path.guest;
        if (depth) {
            path_resolve(&path, true);
        }
        int status = elf_open(&p->exe, fd, path.host, p->name, machine, err);
        if (p->exe.fd < 0 || file_kind(p->exe.fd, machine) != FILE_KIND_SCRIPT ||
            !follow_script(p, p->exe.fd)) {
            user_process.exe_path = find_exe_path(fd, path.host);
            return status;
        }
        fd = -1;
        elf_close(&p->exe);
        free(*err);
        *err = NULL;
    }
    *err = str_format("cannot run '%s': too many interpreters", p->name);
    return LOADER_CANNOT_EXECUTE;
}

static int open_interp(Program *p, char **err)
{
    if (!p->exe.interp) {
        p->interp.fd = -1;
        return LOADER_OK;
    }
    UserPath path;
    snprintf(path.guest, sizeof(path.guest), "%s", p->exe.interp);
    path_resolve(&path, true);
    int status = elf_open(&p->interp, -1, path.host, p->exe.interp, user_process.abi->elf_machine,
                          err);
    if (status == LOADER_NOT_FOUND) {
        free(*err);
        *err = str_format("cannot run '%s': its loader '%s' was not found; -L says where the "
                          "guest's libraries are", p->name, p->exe.interp);
    }
    return status;
}

/* Where the guest's address 0 shall be. */
static void choose_address_space(const LinuxUserOptions *opt, const ElfFile *exe)
{
    uint64_t base = opt->guest_base, size = opt->reserved_va;
    if (!base && !size &&
        (exe->eh.e_type == ET_DYN || user_mem_host_free(exe->lo, exe->hi))) {
        user_mem_init(0, 0);
        return;
    }
    for (uint64_t s = size ? size : 1ull << 40;; s >>= 1) {
        uint64_t at = base ? base : user_mem_pick_base(s);
        void *p = at ? mmap((void *)(uintptr_t)at, s, PROT_NONE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE,
                            -1, 0) : MAP_FAILED;
        if (p == (void *)(uintptr_t)at && p != MAP_FAILED) {
            munmap(p, s);
            user_mem_init(at, s);
            return;
        }
        if (size || s <= 1ull << 31) {
            fatal("cannot reserve %llu MiB of address space for the guest",
                  (unsigned long long)s >> 20);
        }
    }
}

/* Map everything; *entry and *sp are where the program starts. */
static int load(const LinuxUserOptions *opt, Program *p, char **envp, uint64_t *entry,
                uint64_t *sp, char **err)
{
    int status = elf_map(&p->exe, user_mem.low_top ? PIE_BASE : 0, err);
    if (!status && p->exe.interp) {
        status = elf_map(&p->interp, 0, err);
    }
    if (status) {
        return status;
    }
    user_brk_init(align_up(p->exe.brk, USER_PAGE_SIZE));
    user_mem.exec_start = p->exe.code_start;
    user_mem.exec_end = p->exe.code_end;
    user_mem.data_start = p->exe.data_start;
    user_mem.data_end = p->exe.data_end;
    vdso_map();
    *entry = p->exe.interp ? p->interp.entry : p->exe.entry;
    StackInfo info = {
        .exe = &p->exe,
        .interp_base = p->exe.interp ? p->interp.bias : 0,
        .exec_fn = p->name,
        .argv = p->argv,
        .argc = p->argc,
        .envp = envp,
    };
    return stack_build(&info, opt->stack_size, sp, err);
}

static CPUState *make_first_thread(const LinuxUserOptions *opt, uint64_t entry, uint64_t sp)
{
    CPUState *cpu = cpu_create(opt->guest);
    if (!cpu) {
        fatal("out of memory for a CPU");
    }
    GuestThread *t = thread_new(cpu);
    t->is_main = true;
    t->tid = getpid();
    t->group = &user_process.group;
    t->group->nthreads = 1;
    cpu_thread_init(cpu);
    user_process.abi->start(cpu, entry, sp);
    signal_thread_init(t, NULL);
    signal_init(t);
    const char *trace = getenv(TRACEE_VARIABLE);
    if (trace) {
        tracee_load(t, trace);
    }
    signal_set_mask(t, t->sigmask);
    const char *filters = getenv(SECCOMP_FD_VARIABLE);
    if (filters) {
        seccomp_load(t, atoi(filters));
    }
    return cpu;
}

static void set_process_name(const char *path)
{
    const char *base = strrchr(path, '/');
    prctl(PR_SET_NAME, base ? base + 1 : path);
}

int linux_user_main(const LinuxUserOptions *opt, int argc, char **argv, char **envp)
{
    Program p = { .argv = argv, .argc = argc, .name = argv[0] };
    char *err = NULL;
    uint64_t entry, sp;
    user_process.opt = opt;
    if (opt->from_kernel) {
        own_env_clear();    /* this may be set-user-ID */
    }
    user_process.abi = find_abi(opt->guest->elf_machine);
    limits_init();
    own_fd_startup_begin();
    open_sysroot(opt->sysroot);
    open_self();
    if (opt->argv0) {
        p.argv = xcalloc((size_t)argc + 1, sizeof(*argv));
        memcpy(p.argv, argv, (size_t)argc * sizeof(*argv));
        p.argv[0] = (char *)opt->argv0;
    }
    int status = open_program(&p, (int)opt->exec_fd, &err);
    if (!status) {
        status = open_interp(&p, &err);
    }
    if (status) {
        return refuse(status, err);
    }
    choose_address_space(opt, &p.exe);
    ExecConfig config = opt->exec;
    config.guest = opt->guest;
    config.guest_base = user_mem.guest_base;
    config.page_flags = user_page_flags;
    config.section_at = rseq_section_at;
    exec_init(&config);
    envp = edit_environment(opt, envp);
    status = load(opt, &p, envp, &entry, &sp, &err);
    if (status) {
        return refuse(status, err);
    }
    user_process.argv = p.argv;
    user_process.argc = p.argc;
    procfs_publish();
    if (!opt->from_kernel) {
        const char *name = getenv(NAME_VARIABLE);
        set_process_name(name ? name : argv[0]);
    }
    elf_close(&p.exe);
    elf_close(&p.interp);
    own_fd_startup_end();
    CPUState *cpu = make_first_thread(opt, entry, sp);
    if (opt->debugger) {
        opt->debugger->stop(cpu);
    }
    tracee_exec_stop(thread_of(cpu));
    cpu_loop(cpu);
    return 0;
}
