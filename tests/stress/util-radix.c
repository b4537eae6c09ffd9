/*
 * The guarantees of radix.h: in each round a new tree, into which all threads race with
 * the same keys. Whoever gets an element notes its address in a table where the first
 * note stands; all later ones must agree (A). Elements are initialised when seen (B).
 * Adds to the elements are counted against the sum at rest, so that no element was lost.
 */
#include "stress.h"

#include "util/radix.h"

enum { N_KEYS = 512 };

typedef struct Elem {
    uint64_t key;  /* set by init_elem */
    uint64_t adds; /* atomic */
} Elem;

typedef struct Shared {
    RadixTree tree;
    uint64_t keys[N_KEYS];  /* constant in a round */
    void *first[N_KEYS];    /* atomic: the address that was seen first */
} Shared;

static void init_elem(void *elem, uint64_t key)
{
    ((Elem *)elem)->key = key;
}

static void note(Shared *s, unsigned i, Elem *e)
{
    void *seen = NULL;
    check(e->key == s->keys[i], "element of key %llx is not initialised",
          (unsigned long long)s->keys[i]);
    if (!__atomic_compare_exchange_n(&s->first[i], &seen, e, false, __ATOMIC_RELAXED,
                                     __ATOMIC_RELAXED)) {
        check(seen == e, "two elements for one key");
    }
}

static bool visit(uint64_t key, void *elem, void *opaque)
{
    check(((Elem *)elem)->key == key, "a walk met an element that is not initialised");
    return --*(int *)opaque > 0;
}

static void worker(StressWorker *w)
{
    Shared *s = w->shared;
    w->operations = 0;
    while (!stress_stopped(w)) {
        uint64_t r = stress_random(&w->seed);
        /* Low keys first: threads meet where nodes are made. */
        unsigned i = (unsigned)((w->operations + r % 8) % N_KEYS);
        void *before = __atomic_load_n(&s->first[i], __ATOMIC_RELAXED);
        Elem *e = radix_get(&s->tree, s->keys[i]);
        check(!before || e == before, "radix_get() lost an element");
        if (e) {
            note(s, i, e);
        }
        e = radix_get_alloc(&s->tree, s->keys[i]);
        note(s, i, e);
        __atomic_fetch_add(&e->adds, 1, __ATOMIC_RELAXED);
        if (r % 256 == 0) {
            int left = 200;
            radix_foreach_range(&s->tree, s->keys[i] - r % 3, UINT64_MAX, visit, &left);
        }
        w->operations++;
    }
}

typedef struct Sum {
    uint64_t adds;
} Sum;

static bool add_up(uint64_t key, void *elem, void *opaque)
{
    ((Sum *)opaque)->adds += ((Elem *)elem)->adds;
    return true;
}

int main(int argc, char **argv)
{
    static Shared s;
    static StressRound round;
    double end = stress_now() + stress_seconds(argc, argv);
    uint64_t seed = 12345, total = 0, rounds = 0;
    int n = stress_threads();
    stress_start(&round, n, (void (*[])(StressWorker *)){ worker }, 1, &s);
    do {
        radix_init(&s.tree, rounds % 2 ? 52 : 36, rounds % 2 ? 6 : 4, sizeof(Elem),
                   init_elem);
        memset(s.first, 0, sizeof(s.first));
        for (unsigned i = 0; i < N_KEYS; i++) {
            uint64_t cluster = stress_random(&seed) % 16;
            s.keys[i] =
                1 + ((cluster * UINT64_C(0x123456789b) + i * 8) & ((1ull << 36) - 2));
        }
        stress_run(&round, 20);
        Sum sum = { 0 };
        uint64_t done = 0;
        radix_foreach_range(&s.tree, 0, UINT64_MAX, add_up, &sum);
        for (int t = 0; t < n; t++) {
            done += round.workers[t].operations;
        }
        check(sum.adds == done, "%llu adds in the tree, %llu were made",
              (unsigned long long)sum.adds, (unsigned long long)done);
        total += done;
        rounds++;
        radix_destroy(&s.tree);
    } while (stress_now() < end);
    stress_finish(&round);
    check(total > 1000, "only %llu operations", (unsigned long long)total);
    printf("%d threads, %llu rounds, %llu operations\n", n, (unsigned long long)rounds,
           (unsigned long long)total);
    return 0;
}
