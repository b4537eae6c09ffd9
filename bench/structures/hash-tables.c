/*
 * Qht beside two other concurrent hash tables: one protected by a mutex (what a look-up
 * under a lock costs) and liburcu's rculfhash with its QSBR flavour (the lock-free table
 * that people would otherwise take).
 *
 * Every table holds N_SHARED entries that stay, and each thread has N_OWN keys of its own
 * which it inserts and removes in turn. A read is a look-up of a random entry that is
 * present; the key comparison is the same for all. Entries lie in one array, in random
 * order of keys.
 *
 * What is and is not counted: rculfhash must let a grace period pass before a removed
 * node is used again, so its threads report a quiescent state every 256 operations and
 * wait once for each N_OWN removals; the entries of Qht are the caller's, whose quiescent
 * points are free (a translator has them anyway). Each cell is the best of several short
 * runs, the tables taking turns, because other programs may be running; "cpus" tells how
 * many processors the threads of the row really had, at worst. All tables start with room
 * for the shared entries.
 *
 * usage: bench-hash-tables [-s seconds-per-run] [-r runs] [-j file.json]
 */
#include <urcu-qsbr.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <urcu/rculfhash.h>

#include "util/error.h"
#include "util/hash.h"
#include "util/qht.h"

enum { N_SHARED = 65536, N_OWN = 4096, MAX_THREADS = 2, CHUNK = 256 };

typedef struct Entry {
    uint64_t key;
    uint32_t hash;
    struct Entry *next;        /* of the table with the mutex */
    struct cds_lfht_node node; /* of rculfhash */
} Entry;

typedef struct Table {
    const char *name;
    void (*init)(void);
    void (*thread_begin)(void);
    void (*thread_end)(void);
    void (*quiescent)(void);   /* every CHUNK operations */
    void (*wait_removed)(void); /* before removed entries are used again */
    void *(*lookup)(uint64_t key, uint32_t hash);
    bool (*insert)(Entry *e);
    bool (*remove)(Entry *e);
} Table;

static void nothing(void)
{
}

/* Qht */

static Qht qht;

static bool entry_equal(const void *a, const void *b)
{
    return ((const Entry *)a)->key == ((const Entry *)b)->key;
}

static inline bool entry_match(const void *e, const void *key)
{
    return ((const Entry *)e)->key == *(const uint64_t *)key;
}

static void qht_bench_init(void)
{
    qht_init(&qht, entry_equal, N_SHARED, true);
}

static void *qht_bench_lookup(uint64_t key, uint32_t hash)
{
    return qht_lookup_inline(&qht, hash, entry_match, &key);
}

static bool qht_bench_insert(Entry *e)
{
    return qht_insert(&qht, e, e->hash, NULL);
}

static bool qht_bench_remove(Entry *e)
{
    return qht_remove(&qht, e, e->hash);
}

/* A chained table under one mutex */

static struct {
    pthread_mutex_t lock;
    Entry *heads[2 * N_SHARED];
} locked = { .lock = PTHREAD_MUTEX_INITIALIZER };

static Entry **locked_find(uint64_t key, uint32_t hash)
{
    Entry **p = &locked.heads[hash % (2 * N_SHARED)];
    while (*p && !((*p)->hash == hash && (*p)->key == key)) {
        p = &(*p)->next;
    }
    return p;
}

static void *locked_lookup(uint64_t key, uint32_t hash)
{
    pthread_mutex_lock(&locked.lock);
    Entry *e = *locked_find(key, hash);
    pthread_mutex_unlock(&locked.lock);
    return e;
}

static bool locked_insert(Entry *e)
{
    pthread_mutex_lock(&locked.lock);
    Entry **p = locked_find(e->key, e->hash);
    bool absent = !*p;
    if (absent) {
        e->next = NULL;
        *p = e;
    }
    pthread_mutex_unlock(&locked.lock);
    return absent;
}

static bool locked_remove(Entry *e)
{
    pthread_mutex_lock(&locked.lock);
    Entry **p = locked_find(e->key, e->hash);
    bool present = *p == e;
    if (present) {
        *p = e->next;
    }
    pthread_mutex_unlock(&locked.lock);
    return present;
}

/* rculfhash */

static struct cds_lfht *lfht;

static int lfht_match(struct cds_lfht_node *node, const void *key)
{
    return caa_container_of(node, Entry, node)->key == *(const uint64_t *)key;
}

static void lfht_init(void)
{
    lfht =
        cds_lfht_new(N_SHARED, 1024, 0, CDS_LFHT_AUTO_RESIZE | CDS_LFHT_ACCOUNTING, NULL);
    if (!lfht) {
        fatal("no rculfhash");
    }
}

static void *lfht_lookup(uint64_t key, uint32_t hash)
{
    struct cds_lfht_iter iter;
    cds_lfht_lookup(lfht, hash, lfht_match, &key, &iter);
    return cds_lfht_iter_get_node(&iter);
}

static bool lfht_insert(Entry *e)
{
    return cds_lfht_add_unique(lfht, e->hash, lfht_match, &e->key, &e->node) == &e->node;
}

static bool lfht_remove(Entry *e)
{
    return cds_lfht_del(lfht, &e->node) == 0;
}

static const Table tables[] = {
    { "qht", qht_bench_init, nothing, nothing, nothing, nothing, qht_bench_lookup,
      qht_bench_insert, qht_bench_remove },
    { "mutex", nothing, nothing, nothing, nothing, nothing, locked_lookup, locked_insert,
      locked_remove },
    { "rculfhash", lfht_init, urcu_qsbr_register_thread, urcu_qsbr_unregister_thread,
      urcu_qsbr_quiescent_state, urcu_qsbr_synchronize_rcu, lfht_lookup, lfht_insert,
      lfht_remove },
};
enum { N_TABLES = sizeof(tables) / sizeof(tables[0]) };

static Entry *shared[N_TABLES];
static Entry *own[N_TABLES][MAX_THREADS];

typedef struct Run {
    const Table *table;
    Entry *shared, *own;
    unsigned read_percent;
    int *stop; /* atomic */
    pthread_barrier_t *start;
    uint64_t seed, operations;
    double cpu_seconds;
} Run;

static uint64_t next_random(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

static void *run_thread(void *arg)
{
    Run *r = arg;
    const Table *t = r->table;
    unsigned at = 0;
    bool inserting = true;
    t->thread_begin();
    pthread_barrier_wait(r->start);
    while (!__atomic_load_n(r->stop, __ATOMIC_RELAXED)) {
        for (int i = 0; i < CHUNK; i++) {
            uint64_t x = next_random(&r->seed);
            if ((x >> 32) % 100 < r->read_percent) {
                const Entry *e = &r->shared[x % N_SHARED];
                braid_assert(t->lookup(e->key, e->hash) != NULL);
            } else if (inserting) {
                braid_assert(t->insert(&r->own[at++]));
            } else {
                braid_assert(t->remove(&r->own[--at]));
            }
            if (at == (inserting ? N_OWN : 0)) {
                if (!inserting && r->read_percent < 100) {
                    t->wait_removed();
                }
                inserting = r->read_percent == 100 || !inserting;
            }
        }
        t->quiescent();
        r->operations += CHUNK;
    }
    struct timespec cpu;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
    r->cpu_seconds = (double)cpu.tv_sec + (double)cpu.tv_nsec * 1e-9;
    while (at > 0 && inserting) {
        braid_assert(t->remove(&r->own[--at]));
    }
    while (at > 0) {
        braid_assert(t->remove(&r->own[--at]));
    }
    t->wait_removed();
    t->thread_end();
    return NULL;
}

typedef struct Result {
    double mops; /* millions of operations per second */
    double cpus; /* processors used, on average */
} Result;

static Result run_once(int table, unsigned read_percent, int n_threads, double seconds)
{
    pthread_t threads[MAX_THREADS];
    Run runs[MAX_THREADS];
    pthread_barrier_t start;
    int stop = 0;
    struct timespec t0, t1;
    pthread_barrier_init(&start, NULL, (unsigned)n_threads + 1);
    for (int i = 0; i < n_threads; i++) {
        runs[i] = (Run){&tables[table],
                        shared[table],
                        own[table][i],
                        read_percent,
                        &stop,
                        &start,
                        HASH_K0 * (uint64_t)(i + 1),
                        0,
                        0};
        if (pthread_create(&threads[i], NULL, run_thread, &runs[i])) {
            fatal("no thread");
        }
    }
    pthread_barrier_wait(&start);
    clock_gettime(CLOCK_MONOTONIC, &t0);
    usleep((useconds_t)(seconds * 1e6));
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    uint64_t sum = 0;
    double cpu = 0;
    clock_gettime(CLOCK_MONOTONIC, &t1);
    for (int i = 0; i < n_threads; i++) {
        pthread_join(threads[i], NULL);
        sum += runs[i].operations;
        cpu += runs[i].cpu_seconds;
    }
    pthread_barrier_destroy(&start);
    double wall =
        (double)(t1.tv_sec - t0.tv_sec) + (double)(t1.tv_nsec - t0.tv_nsec) * 1e-9;
    return (Result){ (double)sum / wall * 1e-6, cpu / wall };
}

static Entry *make_entries(size_t n, uint64_t base)
{
    Entry *e = xcalloc(n, sizeof(*e));
    for (size_t i = 0; i < n; i++) {
        e[i].key = base + ((i * 40503u) % n) * 4;
        e[i].hash = hash_u64(e[i].key);
    }
    return e;
}

static void fill_tables(void)
{
    for (int t = 0; t < N_TABLES; t++) {
        tables[t].init();
        shared[t] = make_entries(N_SHARED, 0x10000);
        tables[t].thread_begin();
        for (int i = 0; i < N_SHARED; i++) {
            braid_assert(tables[t].insert(&shared[t][i]));
        }
        tables[t].thread_end();
        for (int i = 0; i < MAX_THREADS; i++) {
            own[t][i] = make_entries(N_OWN, UINT64_C(0x100000000) * (uint64_t)(i + 1));
        }
    }
}

static const unsigned percents[] = { 100, 90, 50 };
enum { N_PERCENTS = 3 };
typedef Result Results[N_PERCENTS][MAX_THREADS][N_TABLES];

static void measure(Results best, int runs, double seconds)
{
    for (int i = 0; i < runs * N_PERCENTS * MAX_THREADS * N_TABLES; i++) {
        int t = i % N_TABLES, n = i / N_TABLES % MAX_THREADS;
        int p = i / (N_TABLES * MAX_THREADS) % N_PERCENTS;
        Result v = run_once(t, percents[p], n + 1, seconds);
        if (v.mops > best[p][n][t].mops) {
            best[p][n][t] = v;
        }
    }
}

static void print_table(Results best, int runs)
{
    printf("million operations per second, all threads together, best of %d\n", runs);
    printf(
        "reads  threads  cpus       qht     mutex rculfhash  qht/mutex  qht/rculfhash\n");
    for (int p = 0; p < N_PERCENTS; p++) {
        for (int n = 0; n < MAX_THREADS; n++) {
            const Result *v = best[p][n];
            double cpus = v[0].cpus;
            for (int t = 1; t < N_TABLES; t++) {
                cpus = v[t].cpus < cpus ? v[t].cpus : cpus;
            }
            printf("%4u%%  %7d  %4.2f  %8.2f  %8.2f  %8.2f  %9.2f  %13.2f\n", percents[p],
                   n + 1, cpus, v[0].mops, v[1].mops, v[2].mops, v[0].mops / v[1].mops,
                   v[0].mops / v[2].mops);
        }
    }
}

static void print_json(Results best, FILE *out)
{
    fprintf(out, "{\"unit\": \"Mops/s\", \"entries\": %d, \"results\": [", N_SHARED);
    for (int i = 0; i < N_PERCENTS * MAX_THREADS * N_TABLES; i++) {
        int t = i % N_TABLES, n = i / N_TABLES % MAX_THREADS;
        int p = i / (N_TABLES * MAX_THREADS);
        fprintf(out,
                "%s\n  {\"table\": \"%s\", \"read_percent\": %u, \"threads\": %d, "
                "\"value\": %.3f, \"cpus\": %.2f}",
                i ? "," : "", tables[t].name, percents[p], n + 1, best[p][n][t].mops,
                best[p][n][t].cpus);
    }
    fprintf(out, "\n]}\n");
}

int main(int argc, char **argv)
{
    Results best = { 0 };
    double seconds = 0.3;
    int runs = 3, opt;
    const char *json_name = NULL;
    error_set_program_name(argv[0]);
    while ((opt = getopt(argc, argv, "s:r:j:")) != -1) {
        switch (opt) {
        case 's': seconds = atof(optarg); break;
        case 'r': runs = atoi(optarg); break;
        case 'j': json_name = optarg; break;
        default: fatal_usage("usage: [-s seconds-per-run] [-r runs] [-j file.json]");
        }
    }
    FILE *json = json_name ? fopen(json_name, "w") : stdout;
    if (!json) {
        fatal("cannot write '%s': %m", json_name);
    }
    fill_tables();
    measure(best, runs, seconds);
    print_table(best, runs);
    print_json(best, json);
    return json_name && fclose(json) ? 1 : 0;
}
