/*
 * Messages that end the program, and the dump hooks of assertions.
 *
 * Any thread may fail, several at once: each message is formatted into one buffer and
 * leaves in one write, without a lock, because the failing thread may hold any. The table
 * of hooks is changed rarely (start-up) and read only while dying, so its entries are
 * atomics and its changes are serialised by a leaf lock.
 */
#include "util/error.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/lock.h"

typedef struct ErrorContext {
    const char *program; /* atomic */
    Mutex lock;          /* guards changes of the hooks */
    struct {
        ErrorDumpHook *fn; /* atomic [ERROR-HOOK]: NULL = free */
        void *opaque;
    } hooks[ERROR_MAX_HOOKS];
    void (*farewell)(void); /* atomic [ERROR-HOOK] */
} ErrorContext;

static ErrorContext ctx = { .program = "braid", .lock = MUTEX_INIT(LEAF) };
static _Thread_local bool thread_is_dying;

void error_set_program_name(const char *argv0)
{
    const char *slash = argv0 ? strrchr(argv0, '/') : NULL;
    const char *name = slash ? slash + 1 : argv0;
    __atomic_store_n(&ctx.program, name && *name ? name : "braid", __ATOMIC_RELAXED);
}

const char *error_program_name(void)
{
    return __atomic_load_n(&ctx.program, __ATOMIC_RELAXED);
}

/* "prog: <kind>message\n" in one write, cut if it is very long. */
static void error_vsay(const char *kind, const char *fmt, va_list ap) attr_printf(2, 0);
static void error_vsay(const char *kind, const char *fmt, va_list ap)
{
    char buf[2048];
    int saved = errno;
    size_t room = sizeof(buf) - 1;
    int n = snprintf(buf, room, "%s: %s", error_program_name(), kind);
    size_t len = n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
    errno = saved; /* for %m */
    n = vsnprintf(buf + len, room - len, fmt, ap);
    if (n > 0) {
        len += (size_t)n < room - len ? (size_t)n : room - len - 1;
    }
    buf[len++] = '\n';
    fflush(stdout);
    for (size_t done = 0; done < len;) {
        ssize_t w = write(STDERR_FILENO, buf + done, len - done);
        if (w < 0 && errno != EINTR) {
            break;
        }
        done += w > 0 ? (size_t)w : 0;
    }
    errno = saved;
}

void fatal_usage(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    error_vsay("", fmt, ap);
    va_end(ap);
    exit(2);
}

void fatal(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    error_vsay("", fmt, ap);
    va_end(ap);
    exit(1);
}

void warn(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    error_vsay("warning: ", fmt, ap);
    va_end(ap);
}

void error_add_dump_hook(ErrorDumpHook *hook, void *opaque)
{
    mutex_lock(&ctx.lock);
    for (int i = 0; i < ERROR_MAX_HOOKS; i++) {
        if (!__atomic_load_n(&ctx.hooks[i].fn, __ATOMIC_RELAXED)) {
            __atomic_store_n(&ctx.hooks[i].opaque, opaque, __ATOMIC_RELAXED);
            /* [ERROR-HOOK] pairs with error_run_hooks(). */
            __atomic_store_n(&ctx.hooks[i].fn, hook, __ATOMIC_RELEASE);
            mutex_unlock(&ctx.lock);
            return;
        }
    }
    mutex_unlock(&ctx.lock);
    braid_assert_msg(false, "more than %d dump hooks", ERROR_MAX_HOOKS);
}

void error_remove_dump_hook(ErrorDumpHook *hook, void *opaque)
{
    mutex_lock(&ctx.lock);
    for (int i = 0; i < ERROR_MAX_HOOKS; i++) {
        if (__atomic_load_n(&ctx.hooks[i].fn, __ATOMIC_RELAXED) == hook &&
            __atomic_load_n(&ctx.hooks[i].opaque, __ATOMIC_RELAXED) == opaque) {
            __atomic_store_n(&ctx.hooks[i].fn, NULL, __ATOMIC_RELAXED);
            break;
        }
    }
    mutex_unlock(&ctx.lock);
}

static void error_run_hooks(FILE *out)
{
    for (int i = 0; i < ERROR_MAX_HOOKS; i++) {
        /* [ERROR-HOOK] pairs with error_add_dump_hook(). */
        ErrorDumpHook *fn = __atomic_load_n(&ctx.hooks[i].fn, __ATOMIC_ACQUIRE);
        if (fn) {
            fn(out, __atomic_load_n(&ctx.hooks[i].opaque, __ATOMIC_RELAXED));
            fflush(out);
        }
    }
}

void error_set_farewell(void (*fn)(void))
{
    /* [ERROR-HOOK] pairs with say_farewell_sigsafe(). */
    __atomic_store_n(&ctx.farewell, fn, __ATOMIC_RELEASE);
}

static void say_farewell_sigsafe(void)
{
    /* [ERROR-HOOK] pairs with error_set_farewell(). */
    void (*fn)(void) = __atomic_load_n(&ctx.farewell, __ATOMIC_ACQUIRE);
    if (fn) {
        fn();
    }
}

void error_die_of_signal_sigsafe(int sig)
{
    say_farewell_sigsafe();
    signal(sig, SIG_DFL);
    raise(sig);     /* it is blocked until the handler returns, or ends the program here */
}

/* The default action of SIGABRT, whatever handler the guest's needs have put there. */
attr_noreturn static void error_die(void)
{
    sigset_t set;
    say_farewell_sigsafe();
    signal(SIGABRT, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, SIGABRT);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    raise(SIGABRT);
    _exit(134);
}

static void error_vbug(const char *file, int line, const char *func, const char *fmt,
                       va_list ap) attr_printf(4, 0);
static void error_vbug(const char *file, int line, const char *func, const char *fmt,
                       va_list ap)
{
    char where[512];
    const char *src = strstr(file, "src/");
    snprintf(where, sizeof(where), "bug in braid: %s:%d: %s: ", src ? src : file, line,
             func);
    error_vsay(where, fmt, ap);
}

void error_bug(const char *file, int line, const char *func, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    error_vbug(file, line, func, fmt, ap);
    va_end(ap);
    if (!thread_is_dying) {
        thread_is_dying = true;
        error_run_hooks(stderr);
    }
    error_die();
}

static void *check_memory(void *p, size_t size)
{
    if (unlikely(!p)) {
        fatal("out of memory: %zu bytes", size);
    }
    return p;
}

void *xmalloc(size_t size)
{
    return check_memory(malloc(size ? size : 1), size);
}

void *xcalloc(size_t n, size_t size)
{
    return check_memory(calloc(n ? n : 1, size ? size : 1), n * size);
}

void *xrealloc(void *p, size_t size)
{
    return check_memory(realloc(p, size ? size : 1), size);
}

char *xstrdup(const char *s)
{
    size_t n = strlen(s) + 1;
    return memcpy(xmalloc(n), s, n);
}
