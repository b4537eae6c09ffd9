/*
 * Resource limits.  RLIMIT_AS, RLIMIT_DATA and RLIMIT_STACK are about memory that in a process of
 * braid's is braid's as well: its code buffer, its own stack.  They are kept here and never given to
 * the host while a guest program runs; mmap.c and stack.c ask for them.  They pass through execve()
 * in the environment.  All others are the host's.
 *
 * Any guest thread; a limit is written under limits.lock, and its soft part read without.
 */
#include "linux-user/limits.h"

#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "linux-user/process.h"
#include "linux-user/syscall.h"
#include "util/lock.h"
#include "util/strutil.h"

enum { N_LIMITS = 3 };
static const int resources[N_LIMITS] = { RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK };

static struct {
    Mutex lock;
    /* guarded by lock; rlim_cur is also read without it (atomic) */
    struct rlimit guest[N_LIMITS];
    /* constant after limits_init() */
    struct rlimit host[N_LIMITS];
} limits = { .lock = MUTEX_INIT(LEAF) };

static int find(int resource)
{
    for (int i = 0; i < N_LIMITS; i++) {
        if (resources[i] == resource) {
            return i;
        }
    }
    return -1;
}

void limits_init(void)
{
    struct rlimit *l = limits.guest;
    for (int i = 0; i < N_LIMITS; i++) {
        if (getrlimit(resources[i], &limits.host[i])) {
            limits.host[i] = (struct rlimit){ RLIM_INFINITY, RLIM_INFINITY };
        }
        l[i] = limits.host[i];
    }
    const char *text = getenv(LIMITS_VARIABLE);
    if (text) {
        unsigned long long v[2 * N_LIMITS];
        if (sscanf(text, "%llu,%llu,%llu,%llu,%llu,%llu", &v[0], &v[1], &v[2], &v[3], &v[4],
                   &v[5]) == 2 * N_LIMITS) {
            for (int i = 0; i < N_LIMITS; i++) {
                l[i] = (struct rlimit){ v[2 * i], v[2 * i + 1] };
            }
        }
    }
}

char *limits_save(void)
{
    mutex_lock(&limits.lock);
    const struct rlimit *l = limits.guest;
    char *text = str_format(LIMITS_VARIABLE "=%llu,%llu,%llu,%llu,%llu,%llu",
                            (unsigned long long)l[0].rlim_cur, (unsigned long long)l[0].rlim_max,
                            (unsigned long long)l[1].rlim_cur, (unsigned long long)l[1].rlim_max,
                            (unsigned long long)l[2].rlim_cur, (unsigned long long)l[2].rlim_max);
    mutex_unlock(&limits.lock);
    return text;
}

void limits_fork_child(void)
{
    mutex_reinit(&limits.lock);
}

uint64_t limits_soft(int resource)
{
    return __atomic_load_n(&limits.guest[find(resource)].rlim_cur, __ATOMIC_RELAXED);
}

void limits_to_host(void)
{
    for (int i = 0; i < N_LIMITS; i++) {
        setrlimit(resources[i], &limits.guest[i]);
    }
}

void limits_from_host(void)
{
    for (int i = 0; i < N_LIMITS; i++) {
        struct rlimit back = limits.host[i], now;
        /* A hard limit that went down stays down. */
        if (!getrlimit(resources[i], &now) && now.rlim_max < back.rlim_max) {
            back.rlim_max = now.rlim_max;
            back.rlim_cur = back.rlim_cur < now.rlim_max ? back.rlim_cur : now.rlim_max;
        }
        setrlimit(resources[i], &back);
    }
}

/* ---- system calls ---- */

/* Our own limits obey the kernel's rules: prlimit(2). */
static int64_t own_call(int i, const struct rlimit *new_lim, struct rlimit *old)
{
    int64_t ret = 0;
    mutex_lock(&limits.lock);
    *old = limits.guest[i];
    if (new_lim && new_lim->rlim_cur > new_lim->rlim_max) {
        ret = -EINVAL;
    } else if (new_lim && new_lim->rlim_max > old->rlim_max &&
               !process_has_capability(CAP_SYS_RESOURCE)) {
        ret = -EPERM;
    } else if (new_lim) {
        __atomic_store_n(&limits.guest[i].rlim_cur, new_lim->rlim_cur, __ATOMIC_RELAXED);
        limits.guest[i].rlim_max = new_lim->rlim_max;
    }
    mutex_unlock(&limits.lock);
    return ret;
}

static int64_t limit_call(pid_t pid, int resource, uint64_t new_addr, uint64_t old_addr)
{
    struct rlimit new_lim, old;
    int own = !pid || pid == getpid() ? find(resource) : -1;
    if (new_addr && !user_read(&new_lim, new_addr, sizeof(new_lim))) {
        return -EFAULT;
    }
    const struct rlimit *set = new_addr ? &new_lim : NULL;
    int64_t ret = own >= 0 ? own_call(own, set, &old)
                           : host_syscall(SYS_prlimit64, pid, resource, set, &old);
    return !ret && old_addr && !user_write(old_addr, &old, sizeof(old)) ? -EFAULT : ret;
}

int64_t sys_getrlimit(GuestThread *t, const uint64_t a[6])
{
    return a[1] ? limit_call(0, (int)a[0], 0, a[1]) : -EFAULT;
}

int64_t sys_setrlimit(GuestThread *t, const uint64_t a[6])
{
    return a[1] ? limit_call(0, (int)a[0], a[1], 0) : -EFAULT;
}

int64_t sys_prlimit64(GuestThread *t, const uint64_t a[6])
{
    return limit_call((pid_t)a[0], (int)a[1], a[2], a[3]);
}
