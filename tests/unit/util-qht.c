/*
 * qht.h in one thread, compared with a plain array as the model; collisions, chains,
 * growth, and the reuse of slots. tests/stress holds the concurrent half.
 */
#include "unit.h"

#include "util/hash.h"
#include "util/qht.h"

typedef struct Item {
    uint64_t key;
    uint32_t serial;
} Item;

static bool item_equal(const void *a, const void *b)
{
    return ((const Item *)a)->key == ((const Item *)b)->key;
}

static bool item_match(const void *entry, const void *key)
{
    return ((const Item *)entry)->key == *(const uint64_t *)key;
}

static Item *find(Qht *ht, uint32_t hash, uint64_t key)
{
    Item *out = qht_lookup(ht, hash, item_match, &key);
    assert_ptr_equal(out, qht_lookup_inline(ht, hash, item_match, &key));
    return out;
}

static void test_basic(void **state)
{
    Qht ht;
    qht_init(&ht, item_equal, 16, true);
    Item a = { 1, 0 }, again = { 1, 1 }, other = { 2, 2 };
    void *existing = &ht;
    assert_null(find(&ht, 5, 1));
    assert_true(qht_insert(&ht, &a, 5, &existing));
    assert_null(existing);
    assert_ptr_equal(find(&ht, 5, 1), &a);
    assert_null(find(&ht, 6, 1));
    assert_false(qht_insert(&ht, &again, 5, &existing));
    assert_ptr_equal(existing, &a);
    assert_false(qht_insert(&ht, &a, 5, NULL));
    assert_true(qht_insert(&ht, &other, 5, NULL)); /* same hash, other key */
    assert_ptr_equal(find(&ht, 5, 2), &other);
    assert_int_equal(qht_count(&ht), 2);
    assert_false(qht_remove(&ht, &again, 5)); /* equal, but not this one */
    assert_false(qht_remove(&ht, &a, 6));
    assert_true(qht_remove(&ht, &a, 5));
    assert_false(qht_remove(&ht, &a, 5));
    assert_null(find(&ht, 5, 1));
    assert_ptr_equal(find(&ht, 5, 2), &other);
    assert_true(qht_insert(&ht, &again, 5, NULL));
    assert_ptr_equal(find(&ht, 5, 1), &again);
    assert_false(qht_replace(&ht, &a, &again, 5)); /* not there */
    assert_false(qht_replace(&ht, &again, &a, 6));
    assert_true(qht_replace(&ht, &again, &a, 5));
    assert_ptr_equal(find(&ht, 5, 1), &a);
    assert_ptr_equal(find(&ht, 5, 2), &other);
    assert_int_equal(qht_count(&ht), 2);
    assert_true(qht_remove(&ht, &a, 5));
    assert_null(find(&ht, 5, 1));
    qht_destroy(&ht);
}

/* Hash 0 and an empty slot look alike; only the entry tells them apart. */
static void test_hash_zero(void **state)
{
    Qht ht;
    qht_init(&ht, item_equal, 1, true);
    Item a = { 0, 0 };
    assert_null(find(&ht, 0, 0));
    assert_true(qht_insert(&ht, &a, 0, NULL));
    assert_ptr_equal(find(&ht, 0, 0), &a);
    assert_true(qht_remove(&ht, &a, 0));
    assert_null(find(&ht, 0, 0));
    qht_destroy(&ht);
}

/* Everything in one chain, also with automatic growth, which cannot help and must not run
 * away with the memory. */
static void test_one_chain(void **state)
{
    enum { N = 500 };
    static Item items[N];
    Qht ht;
    qht_init(&ht, item_equal, 8, true);
    for (unsigned i = 0; i < N; i++) {
        items[i] = (Item){ i, i };
        assert_true(qht_insert(&ht, &items[i], 42, NULL));
    }
    for (unsigned i = 0; i < N; i++) {
        assert_ptr_equal(find(&ht, 42, i), &items[i]);
    }
    QhtStatistics s;
    qht_get_statistics(&ht, &s);
    assert_int_equal(s.n_entries, N);
    assert_int_equal(s.longest_chain, N / QHT_BUCKET_ENTRIES);
    assert_true(s.n_buckets <= 4 * N);
    for (unsigned i = 0; i < N; i += 2) {
        assert_true(qht_remove(&ht, &items[i], 42));
    }
    for (unsigned i = 0; i < N; i++) {
        assert_ptr_equal(find(&ht, 42, i), i & 1 ? &items[i] : NULL);
    }
    /* Freed slots are used again: the chain does not get longer. */
    for (unsigned i = 0; i < N; i += 2) {
        assert_true(qht_insert(&ht, &items[i], 42, NULL));
    }
    qht_get_statistics(&ht, &s);
    assert_int_equal(s.longest_chain, N / QHT_BUCKET_ENTRIES);
    qht_destroy(&ht);
}

typedef struct Census {
    unsigned seen[20000];
    unsigned total;
} Census;

static void visit(void *entry, uint32_t hash, void *opaque)
{
    Census *c = opaque;
    const Item *it = entry;
    assert_int_equal(hash, hash_u64(it->key));
    c->seen[it->serial]++;
    c->total++;
}

static bool is_odd(void *entry, uint32_t hash, void *opaque)
{
    return ((Item *)entry)->key & 1;
}

static void test_growth(void **state)
{
    enum { N = 20000 };
    static Item items[N];
    static Census census;
    Qht ht;
    qht_init(&ht, item_equal, 0, true);
    for (unsigned i = 0; i < N; i++) {
        items[i] = (Item){ i * UINT64_C(4), i };
        assert_true(qht_insert(&ht, &items[i], hash_u64(items[i].key), NULL));
        assert_false(qht_insert(&ht, &items[i], hash_u64(items[i].key), NULL));
    }
    QhtStatistics s;
    qht_get_statistics(&ht, &s);
    assert_true(s.n_buckets >= N / QHT_BUCKET_ENTRIES && s.n_buckets <= 2 * N);
    assert_true(s.n_overflow <= s.n_buckets / 4);
    assert_true(s.longest_chain <= 4);
    assert_true(s.n_retired > 0);
    qht_reclaim(&ht);
    qht_get_statistics(&ht, &s);
    assert_int_equal(s.n_retired, 0);
    for (unsigned i = 0; i < N; i++) {
        assert_ptr_equal(find(&ht, hash_u64(i * UINT64_C(4)), i * UINT64_C(4)),
                         &items[i]);
        assert_null(find(&ht, hash_u64(i * UINT64_C(4) + 1), i * UINT64_C(4) + 1));
    }
    qht_foreach(&ht, visit, &census);
    assert_int_equal(census.total, N);
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(census.seen[i], 1);
    }
    qht_destroy(&ht);
}

static void test_resize_and_reset(void **state)
{
    enum { N = 1000 };
    static Item items[N];
    Qht ht;
    qht_init(&ht, item_equal, N, false);
    for (unsigned i = 0; i < N; i++) {
        items[i] = (Item){ i, i };
        assert_true(qht_insert(&ht, &items[i], hash_u64(i), NULL));
    }
    assert_false(qht_resize(&ht, N));
    const size_t sizes[] = { 1, 100000, 16, N * 2 };
    for (unsigned k = 0; k < 4; k++) {
        assert_true(qht_resize(&ht, sizes[k]));
        for (unsigned i = 0; i < N; i++) {
            assert_ptr_equal(find(&ht, hash_u64(i), i), &items[i]);
        }
    }
    assert_int_equal(qht_remove_if(&ht, is_odd, NULL), N / 2);
    assert_int_equal(qht_count(&ht), N / 2);
    for (unsigned i = 0; i < N; i++) {
        assert_ptr_equal(find(&ht, hash_u64(i), i), i & 1 ? NULL : &items[i]);
    }
    qht_reset(&ht);
    assert_int_equal(qht_count(&ht), 0);
    assert_null(find(&ht, hash_u64(0), 0));
    assert_true(qht_insert(&ht, &items[0], hash_u64(0), NULL));
    qht_reset_size(&ht, 4);
    assert_int_equal(qht_count(&ht), 0);
    assert_null(find(&ht, hash_u64(0), 0));
    assert_true(qht_insert(&ht, &items[0], hash_u64(0), NULL));
    qht_reset_size(&ht, 4);
    assert_int_equal(qht_count(&ht), 0);
    QhtStatistics s;
    qht_get_statistics(&ht, &s);
    assert_int_equal(s.n_buckets, 2);
    assert_int_equal(s.empty_buckets, 2);
    qht_destroy(&ht);
}

/* A long random run against an array of what should be there. */
static void test_model(void **state)
{
    enum { KEYS = 700, STEPS = 200000 };
    static Item items[KEYS][2];
    static Item *model[KEYS];
    Qht ht;
    uint64_t x = 88172645463325252u;
    qht_init(&ht, item_equal, 0, true);
    for (unsigned k = 0; k < KEYS; k++) {
        items[k][0] = items[k][1] = (Item){ k, k };
    }
    for (unsigned step = 0; step < STEPS; step++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        unsigned k = (unsigned)(x >> 20) % KEYS;
        uint32_t hash = k % 97; /* many keys share a hash */
        Item *it = &items[k][(x >> 40) & 1];
        void *existing;
        switch ((x >> 50) % 8) {
        case 0: case 1: case 2:
            assert_int_equal(qht_insert(&ht, it, hash, &existing), model[k] == NULL);
            assert_ptr_equal(existing, model[k]);
            model[k] = model[k] ? model[k] : it;
            break;
        case 3: case 4:
            assert_int_equal(qht_remove(&ht, it, hash), model[k] == it);
            model[k] = model[k] == it ? NULL : model[k];
            break;
        default:
            assert_ptr_equal(find(&ht, hash, k), model[k]);
        }
        if (step % 5000 == 0) {
            qht_resize(&ht, (x >> 8) % 3000);
            qht_reclaim(&ht);
        }
    }
    qht_destroy(&ht);
}

static void use_in_child(void *arg)
{
    Qht *ht = arg;
    /* As if threads of the parent had held them. */
    __atomic_store_n(&ht->resize_lock.state, 1, __ATOMIC_RELAXED);
    for (size_t i = 0; i <= ht->map->mask; i += 2) {
        __atomic_store_n(&ht->map->buckets[i].lock.state, 1, __ATOMIC_RELAXED);
    }
    qht_fork_child(ht);
    static Item items[100];
    for (unsigned i = 0; i < 100; i++) {
        items[i] = (Item){ 1000 + i, i };
        if (!qht_insert(ht, &items[i], hash_u64(1000 + i), NULL)) {
            _exit(3);
        }
    }
    _exit(qht_count(ht) == 110 ? 0 : 4);
}

static void test_fork(void **state)
{
    static Item items[10];
    Qht ht;
    qht_init(&ht, item_equal, 64, true);
    for (unsigned i = 0; i < 10; i++) {
        items[i] = (Item){ i, i };
        qht_insert(&ht, &items[i], hash_u64(i), NULL);
    }
    ChildResult r = run_child(use_in_child, &ht);
    assert_string_equal(r.text, "");
    assert_exit(r, 0);
    qht_destroy(&ht);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_basic),  cmocka_unit_test(test_hash_zero),
        cmocka_unit_test(test_one_chain), cmocka_unit_test(test_growth),
        cmocka_unit_test(test_resize_and_reset), cmocka_unit_test(test_model),
        cmocka_unit_test(test_fork),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
