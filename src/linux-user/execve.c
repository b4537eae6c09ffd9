/*
 * execve: another program takes the place of this one.
 *
 * A program for the guest's machine is run by braid itself, executed anew with the same options; so
 * is a script whose interpreter is one.  Everything else is the host's to execute.  All checks that
 * can fail are made before, so that the caller gets the errors the kernel would give.
 *
 * A guest program goes to the kernel all the same, which may have it run through binfmt_misc, where braid
 * cannot do it as well: if the file gives rights to whoever executes it (set-user-ID,
 * set-group-ID, capabilities), and if braid does not find itself because there is no /proc.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "linux-user/limits.h"
#include "linux-user/own-env.h"
#include "linux-user/loader.h"
#include "linux-user/path.h"
#include "linux-user/process-control.h"
#include "linux-user/process.h"
#include "linux-user/ptrace.h"
#include "linux-user/procfs.h"
#include "linux-user/seccomp.h"
#include "linux-user/user-signal.h"
#include "linux-user/syscall.h"
#include "util/error.h"
#include "util/log.h"
#include "util/strutil.h"
#include "util/vec.h"

#define MAX_SCRIPTS 5
#define MAX_ARGS (1u << 20)

/* Strings for the host: those of the guest stay where they are, `owned` ones are ours. */
typedef Vec(char *) StringList;

typedef struct ExecRequest {
    char *path;             /* what the program is called, for a script's argument list */
    const char *target;     /* the guest program as a host path, for braid */
    const char *called;     /* `path` before any interpreter line: the process's name */
    int fd;                 /* the file, or -1 */
    StringList args, envs, owned;
    StringList plain;       /* args as the guest gave them, should the host execute the file */
    StringList host_args;   /* braid's own command line */
    bool by_fd;             /* execveat with an empty path: keep fd open for braid */
} ExecRequest;

static char *own(ExecRequest *r, char *s)
{
    vec_push(&r->owned, s);
    return s;
}

/* The pointers of a NULL-terminated array of the guest. */
static int64_t read_list(StringList *out, uint64_t addr)
{
    for (unsigned n = 0; addr; n++, addr += 8) {
        uint64_t p;
        if (!user_read_u64(addr, &p)) {
            return -EFAULT;
        }
        if (!p) {
            break;
        }
        if (!user_range_ok(p, 1)) {
            return -EFAULT;
        }
        if (n == MAX_ARGS) {
            return -E2BIG;
        }
        vec_push(out, g2h(p));
    }
    return 0;
}

static ExecRequest *request_new(GuestThread *t)
{
    ExecRequest *r = xcalloc(1, sizeof(*r));
    r->fd = -1;
    t->exec_request = r;
    return r;
}

void execve_abandon(void *request)
{
    ExecRequest *r = request;
    for (size_t i = 0; i < r->owned.len; i++) {
        free(r->owned.data[i]);
    }
    vec_free(&r->owned);
    vec_free(&r->args);
    vec_free(&r->envs);
    vec_free(&r->plain);
    vec_free(&r->host_args);
    free(r);
}

static int64_t request_fail(GuestThread *t, ExecRequest *r, int64_t ret)
{
    if (r->fd >= 0) {
        close(r->fd);
    }
    t->exec_request = NULL;
    execve_abandon(r);
    return ret;
}

/* Replace argv[0] by the interpreter line: interp [arg] path argv[1]... */
static void prepend_script(ExecRequest *r, char *interp, char *arg)
{
    StringList args = VEC_INIT;
    vec_push(&args, interp);
    if (arg) {
        vec_push(&args, arg);
    }
    vec_push(&args, r->path);
    for (size_t i = 1; i < r->args.len; i++) {
        vec_push(&args, r->args.data[i]);
    }
    vec_free(&r->args);
    memcpy(&r->args, &args, sizeof(args));
    r->path = interp;
}

/* A copy of the string that the kernel will not see change. */
static int64_t copy_path(UserPath *p, const char *path)
{
    if (strlen(path) >= sizeof(p->guest)) {
        return -ENAMETOOLONG;
    }
    strcpy(p->guest, path);
    path_resolve(p, true);
    return 0;
}

/*
 * What is to be executed in the end.  Returns 1 if by braid, 0 if by the host, or -errno.
 */
static int64_t find_program(ExecRequest *r, UserPath *p)
{
    uint16_t machine = user_process.abi->elf_machine;
    for (unsigned depth = 0; depth < MAX_SCRIPTS; depth++) {
        char *exe = procfs_read_exe(p->guest);
        if (exe) {
            strcpy(p->guest, exe);
            r->path = own(r, exe);
            p->host = p->guest;
        }
        if (r->fd < 0 && !r->by_fd) {
            r->fd = open(p->host, O_RDONLY | O_CLOEXEC);
        }
        if (r->fd < 0) {
            return errno == EACCES ? 0 : -errno;    /* executable but not readable, perhaps */
        }
        FileKind kind = file_kind(r->fd, machine);
        if (kind != FILE_KIND_SCRIPT && kind != FILE_KIND_GUEST_ELF) {
            return 0;
        }
        if (!r->by_fd && faccessat(AT_FDCWD, p->host, X_OK, AT_EACCESS)) {
            return -errno;
        }
        if (kind == FILE_KIND_GUEST_ELF) {
            r->target = r->by_fd ? r->path : own(r, xstrdup(p->host));
            return 1;
        }
        char *interp, *arg;
        if (!script_parse(r->fd, &interp, &arg)) {
            return -ENOEXEC;
        }
        own(r, interp);
        if (arg) {
            own(r, arg);
        }
        prepend_script(r, interp, arg);
        close(r->fd);
        r->fd = -1;
        r->by_fd = false;
        int64_t ret = copy_path(p, interp);
        if (ret) {
            return ret;
        }
    }
    return -ELOOP;
}

/* The real call: with this mask, and not begun if a signal is pending. */
static int64_t exec_host(GuestThread *t, int dirfd, const char *path, char **argv, char **envp,
                         int flags, SigSet mask)
{
    int64_t ret = safe_syscall6(t, SYS_rt_sigprocmask, SIG_SETMASK, (uintptr_t)&mask, 0,
                                sizeof(mask), 0, 0);
    if (!ret) {
        ret = safe_syscall6(t, SYS_execveat, (uint64_t)(int64_t)dirfd, (uintptr_t)path,
                            (uintptr_t)argv, (uintptr_t)envp, (uint64_t)flags, 0);
    }
    signal_set_mask(t, t->sigmask);
    return ret;
}

/* Would the kernel change the caller's rights for this file? */
static bool file_gives_rights(int fd)
{
    struct stat st;
    return fd >= 0 && ((!fstat(fd, &st) && st.st_mode & (S_ISUID | S_ISGID)) ||
                       fgetxattr(fd, "security.capability", NULL, 0) > 0);
}

/* What the guest put under the names that braid uses here must not be taken for braid's word. */
static void drop_own_variables(StringList *envs)
{
    size_t n = 0;
    for (size_t i = 0; i < envs->len; i++) {
        if (!own_env_has(envs->data[i])) {
            envs->data[n++] = envs->data[i];
        }
    }
    envs->len = n;
}

/* braid [options] -0 argv[0] -- path argv[1]...; `gdb`: its -g, or NULL */
static int64_t exec_braid_under(GuestThread *t, ExecRequest *r, char *gdb)
{
    StringList *args = &r->host_args;
    char *const *opts = user_process.opt->reexec_options;
    vec_push(args, (char *)error_program_name());
    for (unsigned i = 0; opts && opts[i]; i++) {
        vec_push(args, opts[i]);
    }
    if (user_process.opt->sysroot) {    /* which may have been relative */
        const char *sysroot = path_sysroot();
        vec_push(args, (char *)"-L");
        vec_push(args, (char *)(sysroot ? sysroot : "/"));
    }
    if (gdb) {
        vec_push(args, (char *)"-g");
        vec_push(args, gdb);
    }
    vec_push(args, (char *)"-0");
    vec_push(args, r->args.len ? r->args.data[0] : (char *)"");
    if (r->by_fd) {
        int fd = dup(r->fd);    /* not close-on-exec */
        if (fd < 0) {
            return -errno;
        }
        close(r->fd);
        r->fd = fd;
        vec_push(args, (char *)"-execfd");
        vec_push(args, own(r, str_format("%d", fd)));
    }
    vec_push(args, (char *)"--");
    vec_push(args, (char *)r->target);
    for (size_t i = 1; i < r->args.len; i++) {
        vec_push(args, r->args.data[i]);
    }
    vec_push(args, NULL);
    drop_own_variables(&r->envs);
    vec_push(&r->envs, own(r, limits_save()));
    vec_push(&r->envs, own(r, str_format(NAME_VARIABLE "=%s", r->called)));
    int filters = seccomp_save(t);
    if (filters < -1) {
        return filters;
    }
    if (filters >= 0) {
        vec_push(&r->envs, own(r, str_format(SECCOMP_FD_VARIABLE "=%d", filters)));
    }
    char *trace = tracee_save(t);
    if (trace) {
        vec_push(&r->envs, own(r, trace));
    }
    vec_push(&r->envs, NULL);
    /* A tracer sends what braid can take only when it has set up its handlers. */
    int64_t ret = exec_host(t, user_process.self_fd, "", args->data, r->envs.data, AT_EMPTY_PATH,
                            trace ? ~(SigSet)0 : t->sigmask);
    if (filters >= 0) {
        close(filters);
    }
    return ret;
}

static int64_t exec_braid(GuestThread *t, ExecRequest *r)
{
    const UserDebugger *debugger = t->group == &user_process.group ? user_process.opt->debugger : NULL;
    char *gdb = debugger ? debugger->exec_begin(t->cpu) : NULL;
    int64_t ret = exec_braid_under(t, r, gdb ? own(r, gdb) : NULL);
    if (gdb) {
        debugger->exec_failed();
    }
    return ret;
}

static int64_t exec_common(GuestThread *t, ExecRequest *r, UserPath *p, const uint64_t lists[2],
                           int dirfd, const char *host_path, int flags)
{
    int64_t ret = read_list(&r->args, lists[0]);
    if (!ret) {
        ret = read_list(&r->envs, lists[1]);
    }
    for (size_t i = 0; i < r->args.len; i++) {
        vec_push(&r->plain, r->args.data[i]);
    }
    vec_push(&r->plain, NULL);
    if (!ret) {
        r->called = r->path;
        ret = find_program(r, p);
    }
    bool by_braid = ret == 1;
    if (by_braid && user_process.self_fd >= 0 && (t->seccomp || !file_gives_rights(r->fd))) {
        ret = exec_braid(t, r);
    } else if (ret >= 0 && t->seccomp) {
        /* It would run without the filters, which are not about the host's calls. */
        log_item(LOG_UNIMP, "execve: a program of the host under seccomp filters\n");
        ret = -EACCES;
    } else if (ret >= 0) {
        vec_push(&r->envs, NULL);
        limits_to_host();
        ret = exec_host(t, dirfd, host_path, r->plain.data, r->envs.data, flags,
                        t->sigmask);
        limits_from_host();
        if (by_braid && ret == -ENOEXEC && user_process.self_fd >= 0) {
            r->envs.len--;
            ret = exec_braid(t, r);     /* nobody is registered */
        }
    }
    return request_fail(t, r, ret);
}

int64_t sys_execve(GuestThread *t, const uint64_t a[6])
{
    UserPath p;
    int64_t ret = path_read(&p, a[0], true);
    if (ret) {
        return ret;
    }
    ExecRequest *r = request_new(t);
    char *host = own(r, xstrdup(p.host));
    r->path = own(r, xstrdup(p.guest));
    return exec_common(t, r, &p, a + 1, AT_FDCWD, host, 0);
}

/* The file that execveat(dirfd, path, flags) names, opened for reading; -errno. */
static int open_at(int dirfd, const char *path, int flags)
{
    char link[64];
    if (!*path) {
        if (!(flags & AT_EMPTY_PATH)) {
            return -ENOENT;
        }
        snprintf(link, sizeof(link), "/proc/self/fd/%d", dirfd);
        int fd = fcntl(dirfd, F_GETFD) < 0 ? -1 : open(link, O_RDONLY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
    }
    int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC |
                                     (flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0));
    return fd < 0 ? -errno : fd;
}

int64_t sys_execveat(GuestThread *t, const uint64_t a[6])
{
    UserPath p;
    int dirfd = (int)a[0], flags = (int)a[4];
    int64_t ret = path_read(&p, a[1], !(flags & AT_SYMLINK_NOFOLLOW));
    if (ret) {
        return ret;
    }
    if (flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) {
        return -EINVAL;
    }
    ExecRequest *r = request_new(t);
    char *host = own(r, xstrdup(p.host));
    if (p.guest[0] == '/' || (dirfd == AT_FDCWD && p.guest[0])) {
        r->path = own(r, xstrdup(p.guest));
    } else {
        r->fd = open_at(dirfd, p.guest, flags);
        if (r->fd < 0) {
            ret = r->fd;
            return request_fail(t, r, ret);
        }
        r->by_fd = true;
        r->path = own(r, p.guest[0] ? str_format("/dev/fd/%d/%s", dirfd, p.guest)
                                    : str_format("/dev/fd/%d", dirfd));
    }
    return exec_common(t, r, &p, a + 2, dirfd, host, flags);
}
