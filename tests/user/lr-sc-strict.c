/*
 * Store-conditional notices each store to its address, whatever value it leaves: plain,
 * floating-point, narrow and misaligned stores, those that run into the word from the
 * granule before, AMOs, compare and swap, another thread's pair.  Required when
 * LLSC_STRICT is set, else only printed.  A store beside the word does not keep the
 * pair from succeeding for ever; a free list that relies on LR/SC noticing ABA stays whole.
 *
 * test-native: no
 * test-time: 60
 */
#include "rv-code.h"

enum { NODES = 4, THREADS = 4 };

static bool strict;

/* ---- each way to store ---- */

static _Alignas(64) int64_t words[8];
#define X (&words[4])

typedef struct Way {
    const char *name;
    void (*store)(int64_t *at); /* changes *at and restores it, or does not change it */
} Way;

static void plain(int64_t *at)
{
    __atomic_store_n(at, 2, __ATOMIC_RELAXED);
    __atomic_store_n(at, 1, __ATOMIC_RELAXED);
}

static void silent(int64_t *at) { __atomic_store_n(at, 1, __ATOMIC_RELAXED); }
static void byte(int64_t *at) { __atomic_store_n((char *)at + 7, 0, __ATOMIC_RELAXED); }

static void word_of_fp(int64_t *at)
{
    __asm__ volatile("fmv.w.x ft0, zero\n fsw ft0, 4(%0)" : : "r"(at) : "ft0", "memory");
}

static void double_of_fp(int64_t *at)
{
    __asm__ volatile("fmv.d.x ft0, %1\n fsd ft0, 0(%0)"
                     : : "r"(at), "r"(1L) : "ft0", "memory");
}

/* Its first byte is seven before the word. */
static void reaches_in(int64_t *at)
{
    __asm__ volatile("sd %1, -7(%0)" : : "r"(at), "r"(1L << 56) : "memory");
}

static void inside(int64_t *at)
{
    __asm__ volatile("sw zero, 2(%0)" : : "r"(at) : "memory");
}

static void amo_add(int64_t *at)
{
    __atomic_fetch_add(at, 5, __ATOMIC_RELAXED);
    __atomic_fetch_sub(at, 5, __ATOMIC_RELAXED);
}

static void amo_swap_w(int64_t *at)
{
    __atomic_exchange_n((int32_t *)at, 1, __ATOMIC_RELAXED);
}

/* amocas.d of 1 with 1 */
static void cas(int64_t *at)
{
    long old = 1;

    __asm__ volatile(".insn r 0x2f, 3, 0x17, %0, %1, %2"
                     : "+&r"(old) : "r"(at), "r"(1L) : "memory");
}

/* amocas.q writes both words back. */
static void cas_pair(int64_t *at)
{
    register long low __asm__("t3") = 1, high __asm__("t4") = at[1];
    register long new_low __asm__("t5") = 1, new_high __asm__("t6") = at[1];

    __asm__ volatile(".insn r 0x2f, 4, 0x17, %0, %4, %2"
                     : "+&r"(low), "+&r"(high)
                     : "r"(new_low), "r"(new_high), "r"(at) : "memory");
}

static void pair(int64_t *at)
{
    long failed, value = 1;

    do {
        __asm__ volatile("lr.d zero, (%1)\n sc.d %0, %2, (%1)"
                         : "=&r"(failed) : "r"(at), "r"(value) : "memory");
    } while (failed);
}

static const Way ways[] = {
    { "store", plain },       { "silent store", silent }, { "byte", byte },
    { "fsw", word_of_fp },    { "fsd", double_of_fp },    { "from before", reaches_in },
    { "inside", inside },     { "amoadd", amo_add },      { "amoswap.w", amo_swap_w },
    { "amocas.d", cas },      { "amocas.q", cas_pair },   { "lr/sc", pair },
};
enum { WAYS = sizeof(ways) / sizeof(ways[0]) };

static _Atomic int turn = -1; /* the way that the other thread shall go; WAYS: end */

static void *other(void *arg)
{
    for (;;) {
        int now;

        while ((now = atomic_load(&turn)) < 0) {
            sched_yield();
        }
        if (now == WAYS) {
            return NULL;
        }
        ways[now].store(X);
        atomic_store(&turn, -1);
    }
}

static long lr(int64_t *at)
{
    long value;

    __asm__ volatile("lr.d.aqrl %0, (%1)" : "=r"(value) : "r"(at) : "memory");
    return value;
}

static long sc(int64_t *at, long value)
{
    long failed;

    __asm__ volatile("sc.d.aqrl %0, %2, (%1)"
                     : "=r"(failed) : "r"(at), "r"(value) : "memory");
    return failed;
}

static void check_ways(bool same_hart)
{
    int rounds = 50;

    for (int w = 0; w < WAYS; w++) {
        int unnoticed = 0;

        for (int i = 0; i < rounds; i++) {
            *X = 1;
            CHECK(lr(X) == 1, "lr");
            if (same_hart) {
                ways[w].store(X);
            } else {
                atomic_store(&turn, w);
                while (atomic_load(&turn) >= 0) {
                    sched_yield();
                }
            }
            CHECK(__atomic_load_n(X, __ATOMIC_RELAXED) == 1, "%s", ways[w].name);
            unnoticed += sc(X, 9) == 0;
            CHECK(*X == 1 || *X == 9, "%ld", (long)*X);
        }
        printf("%s %s: unnoticed %d of %d\n", same_hart ? "own" : "other's", ways[w].name,
               unnoticed, rounds);
        CHECK(!unnoticed || !strict, "%s went unnoticed", ways[w].name);
    }
}

/* ---- a neighbour that is stored to all the time ---- */

static _Atomic bool done;

static void *store_beside(void *arg)
{
    while (!atomic_load_explicit(&done, memory_order_relaxed)) {
        __atomic_store_n(X - 1, 1, __ATOMIC_RELAXED);
        __atomic_store_n(X + 1, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

static void check_neighbour(void)
{
    pthread_t id = start_thread(store_beside, NULL);
    long n = (long)scaled(2000);

    *X = 0;
    for (long i = 0; i < n; i++) {
        long old, failed;

        __asm__ volatile("1: lr.d %0, (%2)\n addi %0, %0, 1\n sc.d %1, %0, (%2)\n"
                         "   bnez %1, 1b"
                         : "=&r"(old), "=&r"(failed) : "r"(X) : "memory");
    }
    atomic_store(&done, true);
    join_thread(id);
    CHECK(*X == n, "%ld of %ld", (long)*X, n);
}

/* ---- a free list of few nodes, with no counter in its head ---- */

typedef struct Node {
    struct Node *next;
    _Atomic int owners;
} Node;

static Node nodes[NODES];
static Node *_Atomic head;
static Meeting all = { .threads = THREADS };
static _Atomic long taken_twice;

static Node *pop(void)
{
    Node *first, *next = NULL;
    long failed;

    do {
        __asm__ volatile("lr.d.aqrl %0, (%1)" : "=r"(first) : "r"(&head) : "memory");
        if (!first) {
            return NULL;
        }
        next = __atomic_load_n(&first->next, __ATOMIC_RELAXED);
        __asm__ volatile("sc.d.aqrl %0, %2, (%1)"
                         : "=r"(failed) : "r"(&head), "r"(next) : "memory");
    } while (failed);
    return first;
}

static void push(Node *n)
{
    Node *first;
    long failed;

    do {
        __asm__ volatile("lr.d.aqrl %0, (%1)" : "=r"(first) : "r"(&head) : "memory");
        __atomic_store_n(&n->next, first, __ATOMIC_RELAXED);
        __asm__ volatile("sc.d.aqrl %0, %2, (%1)"
                         : "=r"(failed) : "r"(&head), "r"(n) : "memory");
    } while (failed);
}

static void *churn(void *arg)
{
    meet(&all);
    for (unsigned long i = scaled(20000); i-- > 0;) {
        Node *a = pop(), *b = pop();

        if (a && atomic_fetch_add(&a->owners, 1)) {
            atomic_fetch_add(&taken_twice, 1);
        }
        if (a) {
            atomic_fetch_sub(&a->owners, 1);
            push(a);
        }
        if (b) {
            push(b);
        }
    }
    return NULL;
}

static void check_list(void)
{
    pthread_t id[THREADS];
    int n = 0;

    for (int i = 0; i < NODES; i++) {
        push(&nodes[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        id[i] = start_thread(churn, NULL);
    }
    for (int i = 0; i < THREADS; i++) {
        join_thread(id[i]);
    }
    for (Node *at = atomic_load(&head); at && n <= NODES; at = at->next) {
        n++;
    }
    CHECK(atomic_load(&taken_twice) == 0, "%ld nodes had two owners",
          (long)atomic_load(&taken_twice));
    CHECK(n == NODES, "%d nodes left of %d", n, NODES);
}

int main(void)
{
    pthread_t id = start_thread(other, NULL);

    strict = getenv("LLSC_STRICT");
    check_ways(false);
    check_ways(true);
    atomic_store(&turn, WAYS);
    join_thread(id);
    check_neighbour();
    if (strict) { /* without, it need not hold */
        check_list();
    }
    return 0;
}
