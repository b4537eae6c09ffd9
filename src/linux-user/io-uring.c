/*
 * io_uring, and the one call of the older asynchronous I/O that takes a signal mask.
 *
 * The rings are memory that the guest and the host's kernel share without braid: entries have the
 * same layout on all machines, and with a guest base of 0 the addresses in them are the host's.  With
 * another base there is no io_uring.  What remains to be done is the signal mask of io_uring_enter(),
 * a wait that no signal may slip past, and the one structure an entry may point at that x86-64 lays out
 * unlike all others: struct epoll_event.  The kernel has read it when the entry is submitted, so for the
 * length of io_uring_enter() such entries point at a copy.  That excludes rings that are read
 * without a call (SQPOLL), or whose memory braid has not seen mapped.
 *
 * Rings are known by their inodes, so that it does not matter through which descriptor one is used, and a child of fork()
 * knows those of its parent.
 *
 * Any guest thread; the table of rings has a lock, which fork takes too.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <linux/io_uring.h>

#include "linux-user/io-uring.h"
#include "linux-user/process.h"
#include "linux-user/structs.h"
#include "linux-user/syscall.h"
#include "linux-user/user-signal.h"
#include "util/error.h"
#include "util/lock.h"
#include "util/own-fd.h"

#ifndef IORING_ENTER_EXT_ARG
#define IORING_ENTER_EXT_ARG 8
#endif

/* struct io_uring_getevents_arg. */
typedef struct GeteventsArg {
    uint64_t sigmask;
    uint32_t sigmask_size, min_wait_usec;
    uint64_t ts;
} GeteventsArg;

#define SETUP_SQE128 (1u << 10)
#define SETUP_NO_MMAP (1u << 14)
#define SETUP_NO_SQARRAY (1u << 16)
#define REGISTER_RESIZE_RINGS 33u
#define REGISTER_USE_REGISTERED_RING (1u << 31)

typedef struct Ring {
    uint64_t id;                    /* ring_id() */
    struct io_sqring_offsets off;
    uint32_t flags;
    uint64_t sq, sqes;              /* where the guest has mapped them, or 0 */
    int fd;                         /* a descriptor that led to it the last time */
    bool registered;                /* some thread knows it without a descriptor */
} Ring;

typedef struct RingContext {
    Mutex lock;                     /* rank LEAF */
    /* guarded by lock */
    Ring *rings;
    size_t room;
    uint32_t n;                     /* atomic */
} RingContext;

static RingContext ctx = { .lock = MUTEX_INIT(LEAF) };

/*
 * The ring behind a descriptor, whatever its number; 0: none.  Since Linux 5.12 each has an inode of its own, whose
 * number has 32 bits.
 */
static uint64_t ring_id(int fd)
{
    struct stat st;
    return own_fd_is(fd) || fstat(fd, &st) ? 0 : (uint64_t)st.st_dev << 32 ^ st.st_ino;
}

static Ring *find_ring_locked(uint64_t id)
{
    for (uint32_t i = 0; id && i < ctx.n; i++) {
        if (ctx.rings[i].id == id) {
            return &ctx.rings[i];
        }
    }
    return NULL;
}

/* Forget the rings that seem to be closed. */
static void drop_dead_rings_locked(void)
{
    uint32_t n = 0;
    if (__atomic_load_n(&user_process.sharers, __ATOMIC_RELAXED)) {
        return;     /* processes with other descriptors use the same table */
    }
    for (uint32_t i = 0; i < ctx.n; i++) {
        const Ring *r = &ctx.rings[i];
        if (r->registered || ring_id(r->fd) == r->id) {
            ctx.rings[n++] = *r;
        }
    }
    __atomic_store_n(&ctx.n, n, __ATOMIC_RELAXED);
}

static void note_ring(int fd, const struct io_uring_params *p)
{
    uint64_t id = ring_id(fd);
    mutex_lock(&ctx.lock);
    Ring *r = find_ring_locked(id);
    if (!r && ctx.n == ctx.room) {
        drop_dead_rings_locked();
        if (ctx.n >= ctx.room / 2) {
            ctx.room = ctx.room ? 2 * ctx.room : 16;
            ctx.rings = xrealloc(ctx.rings, ctx.room * sizeof(Ring));
        }
    }
    if (!r) {
        r = &ctx.rings[ctx.n];
        __atomic_store_n(&ctx.n, ctx.n + 1, __ATOMIC_RELAXED);
    }
    *r = (Ring){ .id = id, .off = p->sq_off, .flags = p->flags, .fd = fd };
    mutex_unlock(&ctx.lock);
}

void io_uring_note_mapping(int fd, uint64_t offset, uint64_t addr)
{
    if (!__atomic_load_n(&ctx.n, __ATOMIC_RELAXED) ||
        (offset != IORING_OFF_SQ_RING && offset != IORING_OFF_SQES)) {
        return;
    }
    uint64_t id = ring_id(fd);
    mutex_lock(&ctx.lock);
    Ring *r = find_ring_locked(id);
    if (r) {
        *(offset == IORING_OFF_SQES ? &r->sqes : &r->sq) = addr;
        r->fd = fd;
    }
    mutex_unlock(&ctx.lock);
}

void io_uring_fork_prepare(void)
{
    mutex_lock(&ctx.lock);
}

void io_uring_fork_done(void)
{
    mutex_unlock(&ctx.lock);
}

int64_t sys_io_uring_setup(GuestThread *t, const uint64_t a[6])
{
    struct io_uring_params p;
    if (user_mem.guest_base) {
        return -ENOSYS;
    }
    if (!user_read(&p, a[1], sizeof(p))) {
        return -EFAULT;
    }
    if (p.flags & IORING_SETUP_SQPOLL) {
        return -EPERM;              /* as to unprivileged callers before Linux 5.11 */
    }
    if (p.flags & (SETUP_NO_MMAP | SETUP_NO_SQARRAY)) {
        return -EINVAL;             /* as before Linux 6.6 */
    }
    int64_t fd = host_syscall(SYS_io_uring_setup, (unsigned)a[0], &p);
    if (fd < 0) {
        return fd;
    }
    if (!user_write(a[1], &p, sizeof(p))) {
        close((int)fd);
        return -EFAULT;
    }
    note_ring((int)fd, &p);
    return fd;
}

/* The kernel has given numbers to rings: `n` of the updates at `addr`. */
static void note_registered(GuestThread *t, uint64_t addr, uint64_t n)
{
    struct io_uring_rsrc_update u;
    for (uint64_t i = 0; i < n && user_read(&u, addr + i * sizeof(u), sizeof(u)); i++) {
        uint64_t id = ring_id((int)u.data);
        mutex_lock(&ctx.lock);
        Ring *r = find_ring_locked(id);
        if (r && u.offset < array_size(t->rings)) {
            r->registered = true;
            t->rings[u.offset] = id;
        }
        mutex_unlock(&ctx.lock);
    }
}

int64_t sys_io_uring_register(GuestThread *t, const uint64_t a[6])
{
    uint32_t op = (uint32_t)a[1] & ~REGISTER_USE_REGISTERED_RING;
    uint64_t arg = a[2];
    if (user_mem.guest_base) {
        return -ENOSYS;
    }
    if (!host_pointer(&arg)) {
        return -EFAULT;
    }
    if (op == REGISTER_RESIZE_RINGS) {
        return -EINVAL;             /* as before Linux 6.13: it moves the rings */
    }
    int64_t ret = safe_syscall6(t, SYS_io_uring_register, (uint64_t)(int)a[0], a[1], arg, a[3], 0, 0);
    if (op == IORING_REGISTER_RING_FDS && ret > 0) {
        note_registered(t, a[2], (uint64_t)ret);
    }
    return ret;
}

/* Entries that point at copies for the time of a call. */
typedef struct Conversion {
    unsigned n;
    struct ConvertedEntry {
        uint64_t where, addr;       /* the entry's field, and what the guest wrote there */
        struct epoll_event ev;
    } *entries;
} Conversion;

static void convert_entry(Conversion *c, uint64_t entry, unsigned max)
{
    struct io_uring_sqe sqe;
    GuestEpollEvent g;
    if (!user_read(&sqe, entry, sizeof(sqe)) || sqe.opcode != IORING_OP_EPOLL_CTL ||
        sqe.len == EPOLL_CTL_DEL || !user_read(&g, sqe.addr, sizeof(g))) {
        return;
    }
    if (!c->entries) {
        c->entries = xmalloc(max * sizeof(*c->entries));
    }
    struct ConvertedEntry *e = &c->entries[c->n];
    e->where = entry + offsetof(struct io_uring_sqe, addr);
    e->addr = sqe.addr;
    e->ev = (struct epoll_event){ .events = g.events, .data.u64 = g.data };
    c->n += user_write_u64(e->where, (uintptr_t)&e->ev);
}

/* The ring that io_uring_enter() is about: a descriptor, or a number among the thread's registered rings. */
static Ring named_ring(const GuestThread *t, uint32_t arg, bool registered)
{
    uint64_t id = !registered ? ring_id((int)arg) : arg < array_size(t->rings) ? t->rings[arg] : 0;
    mutex_lock(&ctx.lock);
    Ring *r = find_ring_locked(id);
    if (r && !registered) {
        r->fd = (int)arg;
    }
    Ring found = r ? *r : (Ring){ .id = 0 };
    mutex_unlock(&ctx.lock);
    return found;
}

static void convert_begin(Conversion *c, Ring r, uint32_t submit)
{
    uint32_t head, tail, mask, index;
    if (!r.sq || !r.sqes || !user_read_u32(r.sq + r.off.head, &head) ||
        !user_read_u32(r.sq + r.off.tail, &tail) || !user_read_u32(r.sq + r.off.ring_mask, &mask)) {
        return;
    }
    uint32_t max = tail - head < submit ? tail - head : submit;
    max = max <= mask ? max : mask + 1;
    unsigned shift = r.flags & SETUP_SQE128 ? 7 : 6;
    for (uint32_t i = 0; i < max; i++) {
        if (user_read_u32(r.sq + r.off.array + 4ull * ((head + i) & mask), &index) && index <= mask) {
            convert_entry(c, r.sqes + ((uint64_t)index << shift), max);
        }
    }
}

static void convert_end(Conversion *c)
{
    for (unsigned i = 0; i < c->n; i++) {
        user_write_u64(c->entries[i].where, c->entries[i].addr);
    }
    free(c->entries);
}

/* The guest's mask at `addr` is in force until signal_mask_end(); 0 or -errno. */
static int64_t begin_mask(GuestThread *t, uint64_t addr, uint64_t size, SigSet *host)
{
    SigSet set;
    if (size != sizeof(set)) {
        return -EINVAL;
    }
    if (!user_read(&set, addr, sizeof(set))) {
        return -EFAULT;
    }
    signal_mask_begin(t, set);
    *host = signal_host_mask(t->sigmask);
    return 0;
}

int64_t sys_io_uring_enter(GuestThread *t, const uint64_t a[6])
{
    GeteventsArg arg;
    SigSet host;
    uint64_t pointer = a[4], size = a[5], mask = a[4];
    bool extended = (unsigned)a[3] & IORING_ENTER_EXT_ARG;
    if (user_mem.guest_base) {
        return -ENOSYS;
    }
    if (extended) {
        /* A kernel that knows more than this would say so in IORING_FEAT_ bits. */
        if (size != sizeof(arg)) {
            return -EINVAL;
        }
        if (!user_read(&arg, a[4], sizeof(arg)) || !host_pointer(&arg.ts)) {
            return -EFAULT;
        }
        mask = arg.sigmask;
        pointer = (uintptr_t)&arg;
    }
    if (mask) {
        int64_t ret = begin_mask(t, mask, extended ? arg.sigmask_size : size, &host);
        if (ret) {
            return ret;
        }
        arg.sigmask = (uintptr_t)&host;
        pointer = extended ? pointer : (uintptr_t)&host;
    }
    Conversion c = { 0 };
    if (a[1]) {
        convert_begin(&c, named_ring(t, (uint32_t)a[0], a[3] & IORING_ENTER_REGISTERED_RING), (uint32_t)a[1]);
    }
    int64_t ret = safe_syscall6(t, SYS_io_uring_enter, (uint64_t)(int)a[0], a[1], a[2], a[3],
                                pointer, size);
    convert_end(&c);
    if (mask) {
        signal_mask_end(t, ret);
    }
    return ret;
}

int64_t sys_io_pgetevents(GuestThread *t, const uint64_t a[6])
{
    uint64_t events = a[3], timeout = a[4], sig[2] = { 0, 0 };  /* address and size of the mask */
    SigSet host;
    if (!host_pointer(&events) || !host_pointer(&timeout) ||
        (a[5] && !user_read(sig, a[5], sizeof(sig)))) {
        return -EFAULT;
    }
    if (sig[0]) {
        int64_t ret = begin_mask(t, sig[0], sig[1], &host);
        if (ret) {
            return ret;
        }
    }
    uint64_t host_sig[2] = { sig[0] ? (uintptr_t)&host : 0, sizeof(host) };
    int64_t ret = safe_syscall6(t, SYS_io_pgetevents, a[0], a[1], a[2], events, timeout,
                                (uintptr_t)host_sig);
    if (sig[0]) {
        signal_mask_end(t, ret);
    }
    return ret;
}
