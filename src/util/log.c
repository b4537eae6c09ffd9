/*
 * The log's stream, its settings, and -dfilter.
 *
 * One context. The stream and its settings are guarded by ctx.lock (rank LOG), which
 * nests per thread through a depth kept in the thread; the flags that other threads test
 * without the lock are the atomics of log_flags. Ranges of -dfilter are immutable once
 * published, and an old list is kept, because a reader may still be in it; it changes at
 * most a few times.
 *
 * Descriptor: opened once, moved above the numbers that guests use, close-on-exec,
 * appending, so that after fork() parent and child cannot overwrite each other's lines.
 * The stream's buffer is flushed at the end of each section, which makes a section that
 * fits the buffer one write().
 */
#include "util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/error.h"
#include "util/lock.h"
#include "util/own-fd.h"
#include "util/strutil.h"

#define LOG_BUFFER (64 * 1024)

_Static_assert(LOG_N_ITEMS <= 32, "items are bits of a uint32_t");

typedef struct LogRange {
    uint64_t first, last; /* both included */
} LogRange;

typedef struct LogFilter {
    size_t n;
    struct LogFilter *older; /* kept for readers that are still in it */
    LogRange ranges[];
} LogFilter;

typedef struct LogContext {
    Mutex lock;
    /* guarded by lock */
    FILE *stream;       /* NULL until something is written */
    char *path;         /* of -D, with %d unexpanded; NULL = stderr */
    char *buffer;
    /* atomic */
    LogFilter *filter;  /* [LOG-FILTER] */
    int fd;             /* of the stream, or -1 */
} LogContext;

LogFlags log_flags;
static LogContext ctx = { .lock = MUTEX_INIT(LOG), .fd = -1 };
static _Thread_local unsigned log_depth;

static const struct {
    const char *name;
    const char *help;
} items[] = {
#define LOG_ITEM(id, name, help) { name, help },
#include "util/log-items.def"
#undef LOG_ITEM
};

static void close_stream_locked(void)
{
    if (ctx.stream && ctx.stream != stderr) {
        own_fd_remove(ctx.fd);
        fclose(ctx.stream);
    }
    ctx.stream = NULL;
    __atomic_store_n(&ctx.fd, -1, __ATOMIC_RELAXED);
}

/* Takes over the descriptor. Returns false with errno set, descriptor closed. */
static bool use_fd_locked(int fd)
{
    int high = own_fd_add(fd);
    FILE *stream = fdopen(high, "a");
    if (!stream) {
        int err = errno;
        own_fd_remove(high);
        close(high);
        errno = err;
        return false;
    }
    close_stream_locked();
    if (!ctx.buffer) {
        ctx.buffer = xmalloc(LOG_BUFFER);
    }
    setvbuf(stream, ctx.buffer, _IOFBF, LOG_BUFFER);
    ctx.stream = stream;
    __atomic_store_n(&ctx.fd, high, __ATOMIC_RELAXED);
    return true;
}

bool log_move_fd(int fd)
{
    bool moved = false;
    mutex_lock(&ctx.lock);
    if (ctx.stream && ctx.stream != stderr && ctx.fd == fd) {
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        moved = copy >= 0 && use_fd_locked(copy);
    }
    mutex_unlock(&ctx.lock);
    return moved;
}

/* The first %d becomes the process id. */
static char *expand_path(const char *path)
{
    const char *mark = strstr(path, "%d");
    if (!mark) {
        return xstrdup(path);
    }
    return str_format("%.*s%ld%s", (int)(mark - path), path, (long)getpid(), mark + 2);
}

static bool open_path_locked(const char *path, bool append, char **err)
{
    char *name = expand_path(path);
    int fd = open(
        name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (append ? 0 : O_TRUNC), 0666);
    bool ok = fd >= 0 && use_fd_locked(fd);
    if (!ok) {
        *err = str_format("cannot write the log file '%s': %s", name, strerror(errno));
    }
    free(name);
    return ok;
}

/* The stream as it should be now. Falls back to nothing: /dev/null, if even stderr is
 * gone. */
static void open_stream_locked(void)
{
    int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    if (fd < 0) {
        fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    }
    if (fd < 0 || !use_fd_locked(fd)) {
        ctx.stream = stderr;
    }
}

FILE *log_lock(void)
{
    if (log_depth++ == 0) {
        mutex_lock(&ctx.lock);
        if (!ctx.stream) {
            open_stream_locked();
        }
    }
    return ctx.stream;
}

void log_unlock(void)
{
    braid_debug_assert(log_depth > 0);
    if (log_depth == 1) {
        fflush(ctx.stream);
        mutex_unlock(&ctx.lock);
    }
    log_depth--;
}

void log_vprintf(const char *fmt, va_list ap)
{
    int saved = errno;
    vfprintf(log_lock(), fmt, ap);
    log_unlock();
    errno = saved;
}

void log_printf(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    log_vprintf(fmt, ap);
    va_end(ap);
}

static const char *item_name_at(const void *unused, size_t i)
{
    return i < LOG_N_ITEMS ? items[i].name : "all";
}

static bool find_item(const char *word, size_t len, uint32_t *mask, char **err)
{
    if (len == 3 && memcmp(word, "all", 3) == 0) {
        *mask |= LOG_ALL & ~(uint32_t)LOG_NOCHAIN;
        return true;
    }
    for (unsigned i = 0; i < LOG_N_ITEMS; i++) {
        if (strlen(items[i].name) == len && memcmp(items[i].name, word, len) == 0) {
            *mask |= 1u << i;
            return true;
        }
    }
    const char *near = str_nearest(word, len, item_name_at, NULL, LOG_N_ITEMS + 1);
    *err = near ? str_format("unknown log item '%.*s'; did you mean '%s'?", (int)len,
                             word, near)
                : str_format("unknown log item '%.*s'; '-d help' lists them", (int)len,
                             word);
    return false;
}

bool log_set_items(const char *list, char **err)
{
    uint32_t mask = 0;
    while (*list) {
        size_t len = strcspn(list, ",");
        if (len && !find_item(list, len, &mask, err)) {
            return false;
        }
        list += len + (list[len] == ',');
    }
    log_set_mask(mask);
    return true;
}

void log_set_mask(uint32_t mask)
{
    __atomic_store_n(&log_flags.items, mask, __ATOMIC_RELAXED);
}

uint32_t log_get_mask(void)
{
    return __atomic_load_n(&log_flags.items, __ATOMIC_RELAXED);
}

void log_print_items(FILE *out)
{
    for (unsigned i = 0; i < LOG_N_ITEMS; i++) {
        fprintf(out, "  %-14s %s\n", items[i].name, items[i].help);
    }
    fprintf(out, "  %-14s %s\n", "all", "all of them but nochain");
}

bool log_set_file(const char *path, bool append, char **err)
{
    bool ok = true;
    log_lock();
    if (path) {
        ok = open_path_locked(path, append, err);
    } else {
        open_stream_locked();
    }
    if (ok) {
        free(ctx.path);
        ctx.path = path ? xstrdup(path) : NULL;
    }
    log_unlock();
    return ok;
}

int log_get_fd(void)
{
    return __atomic_load_n(&ctx.fd, __ATOMIC_RELAXED);
}

bool log_filter_match_slow(uint64_t addr)
{
    /* [LOG-FILTER] pairs with publish_filter(). */
    const LogFilter *f = __atomic_load_n(&ctx.filter, __ATOMIC_ACQUIRE);
    for (size_t i = 0; f && i < f->n; i++) {
        if (addr >= f->ranges[i].first && addr <= f->ranges[i].last) {
            return true;
        }
    }
    return !f;
}

/* "start+size", "start-size" or "start..end"; an empty range is an error. */
static bool parse_range(const char *word, size_t len, LogRange *out)
{
    size_t n = strcspn(word, "+-.");
    uint64_t start, arg;
    if (n >= len || !str_parse_u64(word, n, &start)) {
        return false;
    }
    bool dots = word[n] == '.';
    if (dots && word[n + 1] != '.') {
        return false;
    }
    size_t skip = n + (dots ? 2 : 1);
    if (skip >= len || !str_parse_u64(word + skip, len - skip, &arg)) {
        return false;
    }
    if (dots) {
        *out = (LogRange){ start, arg };
        return start <= arg;
    }
    if (arg == 0) {
        return false;
    }
    if (word[n] == '+') {
        *out = (LogRange){ start, start + (arg - 1) };
        return out->last >= start;
    }
    *out = (LogRange){ start - (arg - 1), start };
    return out->first <= start;
}

static void publish_filter(LogFilter *f)
{
    mutex_lock(&ctx.lock);
    if (f) {
        f->older = __atomic_load_n(&ctx.filter, __ATOMIC_RELAXED);
        /* [LOG-FILTER] pairs with log_filter_match_slow(). */
        __atomic_store_n(&ctx.filter, f, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&log_flags.has_filter, f != NULL, __ATOMIC_RELAXED);
    mutex_unlock(&ctx.lock);
}

bool log_set_filter(const char *list, char **err)
{
    if (!list || !*list) {
        publish_filter(NULL);
        return true;
    }
    size_t n = 1;
    for (const char *p = list; *p; p++) {
        n += *p == ',';
    }
    LogFilter *f = xcalloc(1, sizeof(*f) + n * sizeof(LogRange));
    for (const char *p = list; f->n < n; f->n++) {
        size_t len = strcspn(p, ",");
        if (!parse_range(p, len, &f->ranges[f->n])) {
            *err =
                str_format("'%.*s' is no address range; write start+size, start-size or "
                           "start..end",
                           (int)len, p);
            free(f);
            return false;
        }
        p += len + 1;
    }
    publish_filter(f);
    return true;
}

void log_fork_prepare(void)
{
    mutex_lock(&ctx.lock);
    if (ctx.stream) {
        fflush(ctx.stream);
    }
}

void log_fork_parent(void)
{
    mutex_unlock(&ctx.lock);
}

void log_fork_child(void)
{
    if (ctx.path && strstr(ctx.path, "%d")) {
        char *err = NULL;
        if (!open_path_locked(ctx.path, false, &err)) {
            warn("%s", err);
            free(err);
        }
    }
    mutex_unlock(&ctx.lock);
}
