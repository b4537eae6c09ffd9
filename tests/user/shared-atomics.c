/*
 * Processes of one thread each that share memory: additions, compare and swap, a lock, and an algorithm that
 * needs its barriers lose nothing.  Memory from before fork(), from a file that each maps for itself, from a
 * mapping that becomes writable later, and from shmat().
 *
 * test-native: yes
 * test-time: 60
 */
#include <sys/shm.h>
#include <sys/wait.h>
#include "test.h"

enum { PROCESSES = 4 };

typedef struct Shared {
    _Alignas(64) _Atomic uint32_t ready;
    _Alignas(64) _Atomic uint32_t sum32;
    _Alignas(64) _Atomic uint64_t sum64;
    _Alignas(64) _Atomic uint8_t sum8;
    _Alignas(64) _Atomic uint32_t swapped;
    _Alignas(64) _Atomic uint32_t lock;
    uint64_t locked;                    /* under `lock` */
    _Alignas(64) _Atomic int wants[2];  /* Peterson's algorithm, of the first two */
    _Alignas(64) _Atomic int turn;
    uint64_t excluded;
} Shared;

/* Somebody who is in has to go on; sched_yield() would leave the processors to the whole machine. */
static void wait_a_little(unsigned *spins)
{
    if (++*spins % 100000 == 0) {
        sleep_ms(1);
    }
}

static void add_everywhere(Shared *s)
{
    uint32_t old = atomic_load_explicit(&s->swapped, memory_order_relaxed);
    unsigned spins = 0;

    atomic_fetch_add(&s->sum32, 1);
    atomic_fetch_add_explicit(&s->sum64, 3, memory_order_relaxed);
    atomic_fetch_add(&s->sum8, 1);
    while (!atomic_compare_exchange_weak(&s->swapped, &old, old + 5)) {
    }
    while (atomic_exchange_explicit(&s->lock, 1, memory_order_acquire)) {
        wait_a_little(&spins);
    }
    s->locked++;
    atomic_store_explicit(&s->lock, 0, memory_order_release);
}

static void add_excluded(Shared *s, int me)
{
    int other = !me;
    unsigned spins = 0;

    atomic_store(&s->wants[me], 1);
    atomic_store(&s->turn, other);
    while (atomic_load(&s->wants[other]) && atomic_load(&s->turn) == other) {
        wait_a_little(&spins);
    }
    s->excluded++;
    atomic_store_explicit(&s->wants[me], 0, memory_order_release);
}

static void work(Shared *s, int me, unsigned long rounds)
{
    unsigned spins = 0;

    atomic_fetch_add(&s->ready, 1);
    while (atomic_load(&s->ready) < PROCESSES) {
        wait_a_little(&spins);
    }
    for (unsigned long i = 0; i < rounds; i++) {
        add_everywhere(s);
        if (me < 2) {
            add_excluded(s, me);
        }
    }
}

/* What a process does to have the memory, given what was made before fork(). */
typedef Shared *Attach(int fd, int id, Shared *inherited);

static Shared *attach_inherited(int fd, int id, Shared *inherited)
{
    return inherited;
}

static Shared *map(int fd, int prot)
{
    void *p = mmap(NULL, sizeof(Shared), prot, MAP_SHARED, fd, 0);

    CHECK_ERRNO(p != MAP_FAILED);
    return p;
}

static Shared *attach_file(int fd, int id, Shared *inherited)
{
    return map(fd, PROT_READ | PROT_WRITE);
}

static Shared *attach_later(int fd, int id, Shared *inherited)
{
    Shared *s = map(fd, PROT_READ);

    CHECK_ERRNO(mprotect(s, sizeof(*s), PROT_READ | PROT_WRITE) == 0);
    return s;
}

static Shared *attach_shm(int fd, int id, Shared *inherited)
{
    void *p = shmat(id, NULL, 0);

    CHECK_ERRNO(p != (void *)-1);
    return p;
}

/* In a process of its own, which has not shared anything before. */
static void check(Attach *attach)
{
    unsigned long rounds = scaled(50000), n = PROCESSES * rounds;
    int fd = memfd_create("shared", 0), id = -1, status;
    Shared *s = NULL;
    pid_t pid[PROCESSES];

    CHECK_ERRNO(fd >= 0 && ftruncate(fd, sizeof(*s)) == 0);
    if (attach == attach_inherited) {
        s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        CHECK_ERRNO(s != MAP_FAILED);
    } else if (attach == attach_shm) {
        id = shmget(IPC_PRIVATE, sizeof(*s), IPC_CREAT | 0600);
        CHECK_ERRNO(id >= 0);
    }
    for (int i = 0; i < PROCESSES; i++) {
        pid[i] = fork();
        CHECK_ERRNO(pid[i] >= 0);
        if (!pid[i]) {
            work(attach(fd, id, s), i, rounds);
            _exit(0);
        }
    }
    for (int i = 0; i < PROCESSES; i++) {
        CHECK_ERRNO(waitpid(pid[i], &status, 0) == pid[i]);
        CHECK(status == 0, "%x", status);
    }
    s = attach(fd, id, s);
    if (id >= 0) {
        shmctl(id, IPC_RMID, NULL);
    }
    CHECK(s->sum32 == n, "%u of %lu", s->sum32, n);
    CHECK(s->sum64 == 3 * n, "%lu of %lu", (unsigned long)s->sum64, 3 * n);
    CHECK(s->sum8 == (uint8_t)n, "%u of %u", s->sum8, (uint8_t)n);
    CHECK(s->swapped == 5 * n, "%u of %lu", s->swapped, 5 * n);
    CHECK(s->locked == n, "%lu of %lu", (unsigned long)s->locked, n);
    CHECK(s->excluded == 2 * rounds, "%lu of %lu", (unsigned long)s->excluded, 2 * rounds);
}

int main(void)
{
    static Attach *const all[] = { attach_inherited, attach_file, attach_later, attach_shm };
    int status;

    for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++) {
        pid_t pid = fork();

        CHECK_ERRNO(pid >= 0);
        if (!pid) {
            check(all[i]);
            _exit(0);
        }
        CHECK_ERRNO(waitpid(pid, &status, 0) == pid);
        CHECK(status == 0, "way %u: %x", i, status);
    }
    return 0;
}
