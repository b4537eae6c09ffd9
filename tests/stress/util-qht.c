/*
 * The guarantees of qht.h under fire. Three populations share one table, which grows on
 * its own and is resized at random, so that look-ups, inserts and removes meet copies all
 * the time:
 *
 *   stable   inserted before the start and never removed: every look-up finds them (B)
 *   owned    each key has one writer, which publishes "present"/"absent" in a versioned
 *            word after its insert/remove returned and withdraws it before the next one;
 *            a reader that sees the same word before and after its look-up knows the
 *   answer (B, C) fought   any thread inserts its own entry for any key: one winner at a
 *            time, the loser is told who it is, and only the winner removes (D)
 *
 * Entries carry a value derived from the key, written before the insert (A). Between
 * rounds, at rest, the table is compared with the books (E) and old maps are reclaimed.
 */
#include "stress.h"

#include "util/hash.h"
#include "util/qht.h"

enum { N_STABLE = 512, N_OWNED = 48, N_FOUGHT = 64 };
enum { KEY_STABLE = 1 << 20, KEY_OWNED = 2 << 20, KEY_FOUGHT = 3 << 20 };

typedef struct Item {
    uint64_t key;
    uint64_t check; /* constant, ~key: seen wrong if publication is broken */
} Item;

/* version << 2 | state */
enum { CHANGING, PRESENT, ABSENT };

typedef struct OwnedKey {
    Item *item;     /* guarded by the publication word: fresh memory for each insert */
    uint64_t word;  /* atomic */
} OwnedKey;

typedef struct Shared {
    Qht ht;
    Item stable[N_STABLE];
    OwnedKey owned[STRESS_MAX_THREADS][N_OWNED];
    Item fought[STRESS_MAX_THREADS][N_FOUGHT];
    uint32_t winners[N_FOUGHT]; /* atomic: 1 while some thread's insert has won */
    int n_threads;
} Shared;

/* A few keys per hash, so that chains and comparisons get their share. */
static uint32_t hash_of(uint64_t key)
{
    return hash_u64(key / 3);
}

static bool item_equal(const void *a, const void *b)
{
    return ((const Item *)a)->key == ((const Item *)b)->key;
}

static bool item_match(const void *entry, const void *key)
{
    return ((const Item *)entry)->key == *(const uint64_t *)key;
}

static Item *find(Shared *s, uint64_t key)
{
    Item *it = qht_lookup_inline(&s->ht, hash_of(key), item_match, &key);
    if (it) {
        check(it->key == key && it->check == ~key, "key %llx", (unsigned long long)key);
    }
    return it;
}

static void publish(OwnedKey *k, unsigned state)
{
    uint64_t w = __atomic_load_n(&k->word, __ATOMIC_RELAXED);
    __atomic_store_n(&k->word, (w & ~UINT64_C(3)) + 4 + state, __ATOMIC_RELEASE);
}

/* An exchange of nothing: no earlier load of this thread can slip behind it. */
static uint64_t read_word_after(OwnedKey *k)
{
    return __atomic_fetch_add(&k->word, 0, __ATOMIC_ACQ_REL);
}

static void owner_step(StressWorker *w, unsigned i)
{
    Shared *s = w->shared;
    OwnedKey *k = &s->owned[w->index][i];
    uint64_t key = KEY_OWNED + (uint64_t)w->index * N_OWNED + i;
    void *existing;
    unsigned state = __atomic_load_n(&k->word, __ATOMIC_RELAXED) & 3;
    publish(k, CHANGING);
    if (state == PRESENT) {
        check(qht_remove(&s->ht, k->item, hash_of(key)), "lost an owned entry");
        check(!find(s, key), "found after remove returned");
        publish(k, ABSENT);
    } else {
        if (k->item->key !=
            key) { /* fresh; readers may still be in one that was removed */
            k->item->key = key;
            k->item->check = ~key;
        }
        check(qht_insert(&s->ht, k->item, hash_of(key), &existing) && !existing,
              "an owned key was there");
        check(find(s, key) == k->item, "not found after insert returned");
        publish(k, PRESENT);
    }
}

static void reader_step(Shared *s, uint64_t r)
{
    uint64_t n = r % N_STABLE;
    check(find(s, KEY_STABLE + n) == &s->stable[n], "lost stable key %llu",
          (unsigned long long)n);
    unsigned t = (unsigned)(r >> 12) % (unsigned)s->n_threads,
             i = (unsigned)(r >> 24) % N_OWNED;
    OwnedKey *k = &s->owned[t][i];
    uint64_t before = __atomic_load_n(&k->word, __ATOMIC_ACQUIRE);
    Item *it = find(s, KEY_OWNED + (uint64_t)t * N_OWNED + i);
    uint64_t after = read_word_after(k);
    if (before == after && (before & 3) == PRESENT) {
        check(it == k->item, "an owned entry was overlooked");
    } else if (before == after && (before & 3) == ABSENT) {
        check(!it, "a removed entry was found");
    }
}

static void fight_step(StressWorker *w, uint64_t r)
{
    Shared *s = w->shared;
    unsigned i = (unsigned)(r >> 8) % N_FOUGHT;
    uint64_t key = KEY_FOUGHT + i;
    Item *mine = &s->fought[w->index][i];
    void *existing = NULL;
    if (!qht_insert(&s->ht, mine, hash_of(key), &existing)) {
        Item *winner = existing;
        check(winner && winner != mine, "a lost insert named no winner");
        check(winner->key == key && winner->check == ~key, "a wrong winner");
        return;
    }
    check(!existing, "a won insert named another entry");
    check(__atomic_fetch_add(&s->winners[i], 1, __ATOMIC_ACQ_REL) == 0, "two winners");
    for (uint64_t k = r % 64; k > 0; k--) {
        check(find(s, key) == mine, "the winner is not in the table");
    }
    __atomic_fetch_sub(&s->winners[i], 1, __ATOMIC_ACQ_REL);
    check(qht_remove(&s->ht, mine, hash_of(key)), "the winner could not be removed");
}

static void worker(StressWorker *w)
{
    Shared *s = w->shared;
    while (!stress_stopped(w)) {
        uint64_t r = stress_random(&w->seed);
        reader_step(s, r);
        if (r % 4 == 0) {
            owner_step(w, (unsigned)(r >> 40) % N_OWNED);
        }
        if (r % 4 == 1) {
            fight_step(w, stress_random(&w->seed));
        }
        if (w->index == 0 && r % 1024 == 2) {
            qht_resize(&s->ht, (r >> 20) % 4096);
        }
        w->operations++;
    }
}

typedef struct Census {
    size_t stable, owned, other;
} Census;

static void visit(void *entry, uint32_t hash, void *opaque)
{
    Census *c = opaque;
    Item *it = entry;
    check(hash == hash_of(it->key), "hash and entry differ");
    *(it->key < KEY_OWNED    ? &c->stable
      : it->key < KEY_FOUGHT ? &c->owned
                             : &c->other) += 1;
}

/* Everybody rests: the books must agree, and old memory may be renewed. */
static void check_at_rest(Shared *s)
{
    Census c = { 0 };
    size_t present = 0;
    qht_foreach(&s->ht, visit, &c);
    for (int t = 0; t < s->n_threads; t++) {
        for (int i = 0; i < N_OWNED; i++) {
            OwnedKey *k = &s->owned[t][i];
            unsigned state = k->word & 3;
            check(state != CHANGING, "an owner rests in the middle");
            present += state == PRESENT;
            if (state == ABSENT) { /* new memory, so that publication is tested again */
                free(k->item);
                k->item = malloc(sizeof(Item));
                memset(k->item, 0x55, sizeof(Item));
            }
        }
    }
    check(c.stable == N_STABLE, "%zu stable entries", c.stable);
    check(c.owned == present, "%zu owned entries, should be %zu", c.owned, present);
    check(c.other == 0, "%zu fought entries left", c.other);
    check(qht_count(&s->ht) == N_STABLE + present, "the count is off");
    qht_reclaim(&s->ht);
}

int main(int argc, char **argv)
{
    static Shared s;
    static StressRound round;
    double end = stress_now() + stress_seconds(argc, argv);
    s.n_threads = stress_threads();
    qht_init(&s.ht, item_equal, 8, true);
    for (uint64_t i = 0; i < N_STABLE; i++) {
        s.stable[i] = (Item){ KEY_STABLE + i, ~(KEY_STABLE + i) };
        qht_insert(&s.ht, &s.stable[i], hash_of(KEY_STABLE + i), NULL);
    }
    for (int t = 0; t < s.n_threads; t++) {
        for (int i = 0; i < N_OWNED; i++) {
            s.owned[t][i] = (OwnedKey){ calloc(1, sizeof(Item)), ABSENT };
        }
        for (uint64_t i = 0; i < N_FOUGHT; i++) {
            s.fought[t][i] = (Item){ KEY_FOUGHT + i, ~(KEY_FOUGHT + i) };
        }
    }
    stress_start(&round, s.n_threads, (void (*[])(StressWorker *)){ worker }, 1, &s);
    do {
        stress_run(&round, 50);
        check_at_rest(&s);
    } while (stress_now() < end);
    uint64_t n = stress_finish(&round);
    check(n > 1000, "only %llu operations", (unsigned long long)n);
    printf("%d threads, %llu operations\n", s.n_threads, (unsigned long long)n);
    for (int t = 0; t < s.n_threads; t++) {
        for (int i = 0; i < N_OWNED; i++) {
            free(s.owned[t][i].item);
        }
    }
    qht_destroy(&s.ht);
    return 0;
}
