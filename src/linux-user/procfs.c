/*
 * /proc/self as the guest expects it: exe, maps, cmdline, auxv, stat, status; and /proc/cpuinfo.
 *
 * Of other guest processes the host shows what procfs_publish() has told it there; only exe has to be asked for.
 *
 * /proc/self/fd does not show braid's own descriptors.
 *
 * The contents are made when the file is opened and live in a memory file.  maps is the host's
 * own list, reduced to the guest's part and with the guest's idea of executable.
 */
#include "linux-user/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "linux-user/process.h"
#include "linux-user/ptrace.h"
#include "linux-user/seccomp.h"
#include "linux-user/user-mem.h"
#include "util/error.h"
#include "util/own-fd.h"

typedef bool ProcWriter(FILE *out);

static const char *map_name(uint64_t start, uint64_t end, const char *name)
{
    if (start >= user_mem.stack_start && end <= user_mem.stack_end) {
        return "[stack]";
    }
    if (start >= user_mem.brk_start && end <= user_mem.brk + USER_PAGE_SIZE && !*name) {
        return "[heap]";
    }
    return start == user_process.vdso_addr ? "[vdso]" : name;
}

/* The guest's parts of one line of the host's list. */
static void visit_line_locked(const char *line, GuestMapVisit *visit, void *opaque)
{
    unsigned long long hs, he, offset;
    char perms[8], dev[32], name[4096];
    unsigned long inode;
    int used = 0;
    if (sscanf(line, "%llx-%llx %7s %llx %31s %lu %n", &hs, &he, perms, &offset, dev, &inode,
               &used) < 6 || hs < user_mem.guest_base) {
        return;
    }
    snprintf(name, sizeof(name), "%s", used ? line + used : "");
    name[strcspn(name, "\n")] = 0;
    uint64_t start = hs - user_mem.guest_base, end = he - user_mem.guest_base;
    for (uint32_t i = vma_find_locked(start); i < user_mem.nvma; i++) {
        const Vma *v = &user_mem.vma[i];
        uint64_t s = v->start > start ? v->start : start;
        uint64_t e = v->end < end ? v->end : end;
        if (v->start >= end) {
            break;
        }
        if (!(v->flags & VMA_HOST)) {
            GuestMap m = {
                .start = s, .end = e, .flags = (unsigned)v->flags, .shared = perms[3] == 's',
                .offset = inode ? offset + (s - start) : 0, .inode = inode, .dev = dev,
                .name = map_name(s, e, name),
            };
            visit(&m, opaque);
        }
    }
}

bool procfs_maps_foreach(GuestMapVisit *visit, void *opaque)
{
    mmap_lock();
    FILE *in = fopen("/proc/thread-self/maps", "re");
    char *line = NULL;
    size_t cap = 0;
    while (in && getline(&line, &cap, in) > 0) {
        visit_line_locked(line, visit, opaque);
    }
    mmap_unlock();
    free(line);
    if (in) {
        fclose(in);
    }
    return in != NULL;
}

static void write_map(const GuestMap *m, void *opaque)
{
    char dev_inode[64];
    snprintf(dev_inode, sizeof(dev_inode), "%s %lu", m->dev, m->inode);
    fprintf(opaque, "%08llx-%08llx %c%c%c%c %08llx %s%*s%s\n", (unsigned long long)m->start,
            (unsigned long long)m->end, m->flags & PAGE_READ ? 'r' : '-',
            m->flags & PAGE_WRITE ? 'w' : '-', m->flags & PAGE_EXEC ? 'x' : '-',
            m->shared ? 's' : 'p', (unsigned long long)m->offset, dev_inode,
            *m->name ? 20 : 0, "", m->name);
}

static bool write_maps(FILE *out)
{
    return procfs_maps_foreach(write_map, out);
}

static bool write_cmdline(FILE *out)
{
    for (int i = 0; i < user_process.argc; i++) {
        fwrite(user_process.argv[i], 1, strlen(user_process.argv[i]) + 1, out);
    }
    return true;
}

static bool write_auxv(FILE *out)
{
    fwrite(user_process.auxv, sizeof(uint64_t), user_process.auxv_len, out);
    return true;
}

/* The host's line with the addresses of the guest: fields 23, 26-30 (proc(5)). */
static bool write_stat(FILE *out)
{
    char line[2048];
    FILE *in = fopen("/proc/self/stat", "re");
    if (!in) {
        return false;
    }
    bool ok = fgets(line, sizeof(line), in) != NULL;
    fclose(in);
    char *rest = ok ? strrchr(line, ')') : NULL;
    if (!rest) {
        return false;
    }
    fprintf(out, "%.*s)", (int)(rest - line), line);
    int field = 3;
    for (char *save, *w = strtok_r(rest + 1, " \n", &save); w; w = strtok_r(NULL, " \n", &save)) {
        switch (field++) {
        case 26: fprintf(out, " %llu", (unsigned long long)user_mem.exec_start); break;
        case 27: fprintf(out, " %llu", (unsigned long long)user_mem.exec_end); break;
        case 28: fprintf(out, " %llu", (unsigned long long)user_mem.arg_start); break;
        case 45: fprintf(out, " %llu", (unsigned long long)user_mem.data_start); break;
        case 46: fprintf(out, " %llu", (unsigned long long)user_mem.data_end); break;
        case 47: fprintf(out, " %llu", (unsigned long long)user_mem.brk_start); break;
        default: fprintf(out, " %s", w);
        }
    }
    fputc('\n', out);
    return true;
}

/* The signals that the guest ignores (or catches). */
static SigSet disposed(GuestThread *t, bool caught)
{
    SigSet set = 0;
    mutex_lock(&t->sighand->lock);
    for (int sig = 1; sig <= GUEST_NSIG; sig++) {
        uint64_t handler = t->sighand->action[sig - 1].handler;
        if (caught ? handler > 1 : handler == 1) {      /* SIG_IGN is 1 */
            set |= SIG_BIT(sig);
        }
    }
    mutex_unlock(&t->sighand->lock);
    return set;
}

/* The host's lines, with the calling thread's signals and filters as the guest has set them. */
static bool write_status(FILE *out)
{
    GuestThread *t = thread_of(cpu_current());
    FILE *in = fopen("/proc/self/status", "re");
    char *line = NULL;
    size_t cap = 0;
    while (in && getline(&line, &cap, in) > 0) {
        if (!strncmp(line, "SigIgn:", 7) || !strncmp(line, "SigCgt:", 7)) {
            fprintf(out, "%.7s\t%016llx\n", line, (unsigned long long)disposed(t, line[3] == 'C'));
        } else if (!strncmp(line, "Seccomp:", 8)) {
            fprintf(out, "Seccomp:\t%d\n", (int)seccomp_get_mode(t));
        } else if (!strncmp(line, "Seccomp_filters:", 16)) {
            fprintf(out, "Seccomp_filters:\t%u\n", seccomp_count(t));
        } else {
            fputs(line, out);
        }
    }
    free(line);
    if (in) {
        fclose(in);
    }
    return in != NULL;
}

static bool write_cpuinfo(FILE *out)
{
    cpu_set_t set;
    unsigned n = sched_getaffinity(0, sizeof(set), &set) ? 1 : (unsigned)CPU_COUNT(&set);
    user_process.abi->write_cpuinfo(out, n);
    return true;
}

/* What comes behind /proc/self/, /proc/thread-self/ or /proc/<own pid>/; NULL if none of these. */
static const char *self_part(const char *path)
{
    if (strncmp(path, "/proc/", 6)) {
        return NULL;
    }
    path += 6;
    if (!strncmp(path, "self/", 5)) {
        return path + 5;
    }
    if (!strncmp(path, "thread-self/", 12)) {
        return path + 12;
    }
    char *end;
    long pid = strtol(path, &end, 10);
    return end != path && *end == '/' && pid == getpid() ? end + 1 : NULL;
}

static bool is_self_exe(const char *path)
{
    const char *part = self_part(path);
    return part && !strcmp(part, "exe");
}

/* ---- /proc/self/fd ---- */

/* The number that the text is, if it is one of braid's descriptors. */
static bool is_own_number(const char *text)
{
    char *end;
    unsigned long fd = strtoul(text, &end, 10);
    return end != text && (*end == 0 || *end == '/') && fd <= INT_MAX && own_fd_is((int)fd);
}

/* What comes behind fd/ or fdinfo/ of this process, for a path as self_part() wants it; or NULL. */
static const char *fd_part(const char *path)
{
    const char *part = self_part(path);
    if (part && !strncmp(part, "task/", 5)) {
        part = strchr(part + 5, '/');
        part = part ? part + 1 : NULL;
    }
    if (!part) {
        return NULL;
    }
    size_t len = !strncmp(part, "fdinfo", 6) ? 6 : !strncmp(part, "fd", 2) ? 2 : 0;
    return !len || (part[len] && part[len] != '/') ? NULL : part + len + (part[len] == '/');
}

bool procfs_hides(const char *path)
{
    const char *number = !strncmp(path, "/dev/fd/", 8) ? path + 8 : fd_part(path);
    return number && is_own_number(number);
}

/*
 * Is fd the directory fd or fdinfo of some process?  By its name alone: in a namespace the number may not
 * be the one that getpid() says.
 */
static bool is_fd_directory(int fd)
{
    char link[64], path[PATH_MAX];
    struct statfs fs;
    if (fstatfs(fd, &fs) || fs.f_type != PROC_SUPER_MAGIC) {
        return false;
    }
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof(path) - 1);
    path[n < 0 ? 0 : n] = 0;
    const char *last = strrchr(path, '/');
    return last && (!strcmp(last, "/fd") || !strcmp(last, "/fdinfo"));
}

/* One of braid's own: of this process, or of another one under braid that has it too. */
static bool is_own_entry(int dir, const char *name)
{
    char there[64], here[64], a[PATH_MAX], b[PATH_MAX];
    if (!is_own_number(name)) {
        return false;
    }
    snprintf(there, sizeof(there), "../fd/%.20s", name);
    snprintf(here, sizeof(here), "/proc/self/fd/%.20s", name);
    ssize_t n = readlinkat(dir, there, a, sizeof(a));
    return n > 0 && n == readlink(here, b, sizeof(b)) && !memcmp(a, b, (size_t)n);
}

int64_t procfs_filter_entries(int fd, uint64_t addr, int64_t n)
{
    /* struct linux_dirent64: d_reclen at 16, d_name at 19 */
    if (own_fd_next(0) == UINT_MAX || !is_fd_directory(fd)) {
        return n;
    }
    uint8_t *buf = xmalloc((size_t)n);
    int64_t kept = 0, ret = -EFAULT;
    if (user_read(buf, addr, (size_t)n)) {
        for (int64_t i = 0; i < n;) {
            uint16_t len;
            memcpy(&len, buf + i + 16, sizeof(len));
            if (!is_own_entry(fd, (char *)buf + i + 19)) {
                memmove(buf + kept, buf + i, len);
                kept += len;
            }
            i += len;
        }
        ret = user_write(addr, buf, (size_t)kept) ? kept : -EFAULT;
    }
    free(buf);
    return ret;
}

static int64_t make_file(ProcWriter *writer, int flags)
{
    int fd = memfd_create("proc", flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
    if (fd < 0) {
        return -errno;
    }
    int copy = dup(fd);
    FILE *out = copy < 0 ? NULL : fdopen(copy, "w");
    bool ok = out && writer(out);
    if (out) {
        fclose(out);
    } else if (copy >= 0) {
        close(copy);
    }
    if (!ok) {
        close(fd);
        return -EACCES;
    }
    lseek(fd, 0, SEEK_SET);
    return fd;
}

/* ---- other processes ---- */

/* In the auxiliary vector that the host shows: the address of the path of the guest's program. */
#define AT_BRAID_EXE 0x62726169640001ull

void procfs_publish(void)
{
    uint64_t auxv[array_size(user_process.auxv) + 2], base = user_mem.guest_base;
    bool data = user_mem.data_start;
    uint64_t data_start = data ? user_mem.data_start : user_mem.exec_end;
    uint64_t data_end = data ? user_mem.data_end : user_mem.exec_end;
    auxv[0] = AT_BRAID_EXE;
    auxv[1] = (uintptr_t)user_process.exe_path;
    memcpy(auxv + 2, user_process.auxv, user_process.auxv_len * sizeof(*auxv));
    /* The break is the host's own and stays where it is.  A kernel that knows no PR_SET_MM_MAP goes on showing braid's. */
    struct prctl_mm_map map = {
        .start_code = user_mem.exec_start + base, .end_code = user_mem.exec_end + base,
        .start_data = data_start + base, .end_data = data_end + base,
        .start_brk = (uintptr_t)sbrk(0), .brk = (uintptr_t)sbrk(0),
        .start_stack = user_mem.arg_start + base,
        .arg_start = user_mem.arg_start + base, .arg_end = user_mem.arg_end + base,
        .env_start = user_mem.arg_end + base, .env_end = user_mem.env_end + base,
        .auxv = (void *)auxv, .auxv_size = (uint32_t)(user_process.auxv_len + 2) * sizeof(*auxv),
        .exe_fd = (uint32_t)-1,
    };
    prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0);
}

/* A string in another process's memory, to be freed, or NULL. */
static char *read_string(pid_t pid, uint64_t addr)
{
    char buf[PATH_MAX];
    size_t n = 0;
    while (n < sizeof(buf)) {
        size_t part = USER_PAGE_SIZE - ((addr + n) & ~USER_PAGE_MASK);
        part = part < sizeof(buf) - n ? part : sizeof(buf) - n;
        struct iovec here = { buf + n, part }, there = { (void *)(uintptr_t)(addr + n), part };
        if (process_vm_readv(pid, &here, 1, &there, 1, 0) != (ssize_t)part) {
            return NULL;
        }
        if (memchr(buf + n, 0, part)) {
            return xstrdup(buf);
        }
        n += part;
    }
    return NULL;
}

static char *read_exe_of_other(pid_t pid)
{
    char path[64];
    uint64_t auxv[2 * 64], exe = 0;
    if (!tracer_is_braid(pid)) {
        return NULL;
    }
    snprintf(path, sizeof(path), "/proc/%d/auxv", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, auxv, sizeof(auxv));
    if (fd >= 0) {
        close(fd);
    }
    for (ssize_t i = 0; !exe && i + 1 < n / (ssize_t)sizeof(*auxv); i += 2) {
        exe = auxv[i] == AT_BRAID_EXE ? auxv[i + 1] : 0;
    }
    return exe ? read_string(pid, exe) : NULL;
}

/* The number of the process or thread in "/proc/PID/name" or "/proc/PID/task/TID/name", and the name; or 0. */
static pid_t process_part(const char *path, const char **name)
{
    int pid, tid, used = 0;
    if (strncmp(path, "/proc/", 6)) {
        return 0;
    }
    if (sscanf(path, "/proc/%d/task/%d/%n", &pid, &tid, &used) != 2 || !used) {
        tid = 0;
        used = 0;
        if (sscanf(path, "/proc/%d/%n", &tid, &used) != 1 || !used) {
            return 0;
        }
    }
    *name = path + used;
    return tid;
}

char *procfs_read_exe(const char *path)
{
    const char *name;
    size_t len;
    if (is_self_exe(path)) {
        return user_process.exe_path ? xstrdup(user_process.exe_path) : NULL;
    }
    pid_t pid = process_part(path, &name);
    if (!pid || strcmp(name, "exe")) {
        return NULL;
    }
    char *exe = tracer_read_proc(thread_of(cpu_current()), pid, name, &len);
    return exe ? exe : read_exe_of_other(pid);
}

static int64_t open_exe(const char *path, int flags)
{
    char *exe = procfs_read_exe(path);
    if (!exe) {
        return -ENOSYS;
    }
    int fd = open(exe, flags);
    int64_t ret = fd < 0 ? -errno : fd;
    free(exe);
    return ret;
}

/* auxv of a thread that the caller traces, whatever the host says. */
static int64_t open_auxv(const char *path, int flags)
{
    const char *name;
    pid_t pid = process_part(path, &name);
    size_t len;
    char *text = pid && !strcmp(name, "auxv")
                     ? tracer_read_proc(thread_of(cpu_current()), pid, name, &len) : NULL;
    if (!text) {
        return -ENOSYS;
    }
    int fd = memfd_create("proc", flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
    if (fd >= 0 && pwrite(fd, text, len, 0) < 0) {
        close(fd);
        fd = -1;
    }
    free(text);
    return fd < 0 ? -errno : fd;
}

/* Breakpoints come by way of this file: from now on a tracee looks at its code again whenever it goes on. */
static void note_memory_file(const char *path, int flags)
{
    const char *last = strrchr(path, '/');
    if ((flags & O_ACCMODE) != O_RDONLY && !strcmp(last, "/mem")) {
        __atomic_store_n(&user_process.writes_memory, 1, __ATOMIC_RELAXED);
    }
}

int64_t procfs_open(const char *path, int flags)
{
    static const struct { const char *name; ProcWriter *writer; } files[] = {
        { "maps", write_maps }, { "cmdline", write_cmdline }, { "auxv", write_auxv },
        { "stat", write_stat }, { "status", write_status },
    };
    if (!strcmp(path, "/proc/cpuinfo")) {
        return make_file(write_cpuinfo, flags);
    }
    const char *part = self_part(path);
    note_memory_file(path, flags);
    int64_t fd = open_exe(path, flags);
    if (fd != -ENOSYS) {
        return fd;
    }
    if (!part) {
        return open_auxv(path, flags);
    }
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (!strcmp(part, files[i].name)) {
            return make_file(files[i].writer, flags);
        }
    }
    return -ENOSYS;
}
