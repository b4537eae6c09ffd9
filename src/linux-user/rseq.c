/*
 * Restartable sequences: a thread registers a struct in which it finds the number of its CPU, and in
 * which it announces the critical section that it is about to enter.
 *
 * While a section runs, exec/section.c keeps everybody else stopped; so a section can be interrupted
 * only by itself (a fault, or a section without an end), or where exec/ did not yet know that it
 * is one.  Then it is aborted as the kernel would, at the thread's next way through its run loop, and
 * exec/ is told.
 *
 * The CPU's number is true when a thread comes out of the run loop and may grow stale while it
 * computes; as sections exclude each other whatever their CPUs, that is no more than an old answer
 * of getcpu(2).
 *
 * Owned by the thread, but rseq_section_at(): any translator, under page locks.
 */
#include "linux-user/rseq.h"

#include <linux/rseq.h>
#include <sched.h>
#include <string.h>

#include "linux-user/syscall.h"
#include "linux-user/user-signal.h"
#include "util/log.h"

#define ORIGINAL_SIZE 32
#define LONGEST_SECTION 4096

/* struct rseq as far as we know it. */
typedef struct GuestRseq {
    uint32_t cpu_id_start, cpu_id;
    uint64_t section;
    uint32_t flags, node_id, mm_cid;
} GuestRseq;
_Static_assert(sizeof(GuestRseq) == 32 && offsetof(GuestRseq, mm_cid) == 24, "linux/rseq.h");

/* struct rseq_cs. */
typedef struct GuestSection {
    uint32_t version, flags;
    uint64_t start, size, abort;
} GuestSection;
_Static_assert(sizeof(GuestSection) == 32, "linux/rseq.h");

bool rseq_section_at(vaddr descriptor, vaddr pc, vaddr *end)
{
    GuestSection s;
    /* Most of what programs store is no pointer: asked first, that costs no fault. */
    if (descriptor % 8 || !(user_page_flags(descriptor) & PAGE_READ) ||
        !user_read(&s, descriptor, sizeof(s)) || s.version || s.start != pc ||
        !s.size || s.size > LONGEST_SECTION || s.abort - pc < s.size) {
        return false;
    }
    *end = pc + s.size;
    return true;
}

/* cpu_id_start, cpu_id, and the two that follow the flags. */
static bool write_ids(uint64_t at, uint32_t start, uint32_t cpu, uint32_t node, uint32_t mm_cid)
{
    uint32_t ids[2] = { start, cpu }, more[2] = { node, mm_cid };
    return user_write(at, ids, sizeof(ids)) &&
           user_write(at + offsetof(GuestRseq, node_id), more, sizeof(more));
}

static bool store_cpu(GuestThread *t)
{
    unsigned cpu = 0, node = 0;
    getcpu(&cpu, &node);
    t->rseq_cpu = cpu;
    return write_ids(t->rseq, cpu, cpu, node, cpu);
}

/* The thread is somewhere inside: on with the abort handler, if it is one. */
static bool abort_section(GuestThread *t, const GuestSection *s)
{
    uint32_t sig;
    if (!user_read_u32(s->abort - 4, &sig) || sig != t->rseq_sig) {
        return false;
    }
    t->cpu->env.pc = s->abort;
    return true;
}

static bool leave_section(GuestThread *t, uint64_t descriptor)
{
    GuestSection s;
    vaddr end;
    if (!user_read(&s, descriptor, sizeof(s))) {
        return false;
    }
    if (rseq_section_at(descriptor, s.start, &end)) {
        exec_learn_section(t->cpu, s.start, end);
    }
    if (t->cpu->env.pc - s.start < s.size && !abort_section(t, &s)) {
        return false;
    }
    return user_write_u64(t->rseq + offsetof(GuestRseq, section), 0);
}

void rseq_update_slow(GuestThread *t)
{
    uint64_t section;
    bool ok = user_read_u64(t->rseq + offsetof(GuestRseq, section), &section);
    if (ok && section) {
        ok = leave_section(t, section);
    }
    if (ok && (uint32_t)sched_getcpu() != t->rseq_cpu) {
        ok = store_cpu(t);
    }
    if (!ok) {
        t->rseq = 0;
        signal_deliver_fault(t, SIGSEGV, SI_KERNEL, 0);
    }
}

static int64_t unregister(GuestThread *t, uint64_t addr, uint32_t len, uint32_t sig)
{
    if (!t->rseq || addr != t->rseq || len != t->rseq_len) {
        return -EINVAL;
    }
    if (sig != t->rseq_sig) {
        return -EPERM;
    }
    t->rseq = 0;
    return write_ids(addr, 0, (uint32_t)RSEQ_CPU_ID_UNINITIALIZED, 0, 0) ? 0 : -EFAULT;
}

int64_t sys_rseq(GuestThread *t, const uint64_t a[6])
{
    uint64_t addr = a[0];
    uint32_t len = (uint32_t)a[1], sig = (uint32_t)a[3];
    int flags = (int)a[2];
    if (flags == RSEQ_FLAG_UNREGISTER) {
        return unregister(t, addr, len, sig);
    }
    if (flags) {
        return -EINVAL;
    }
    if (t->rseq) {
        return addr != t->rseq || len != t->rseq_len ? -EINVAL
               : sig != t->rseq_sig                  ? -EPERM : -EBUSY;
    }
    if (len < ORIGINAL_SIZE || addr % RSEQ_ALIGN) {
        return -EINVAL;
    }
    if (!user_range_ok(addr, len)) {
        return -EFAULT;
    }
    t->rseq = addr;
    t->rseq_len = len;
    t->rseq_sig = sig;
    if (!user_write_u64(addr + offsetof(GuestRseq, section), 0) || !store_cpu(t)) {
        t->rseq = 0;
        return -EFAULT;
    }
    return 0;
}
