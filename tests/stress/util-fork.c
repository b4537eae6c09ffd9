/*
 * fork() while other threads log, count, and change a table: the child must be able to do
 * all of it at once, whatever the others held. A child that hangs is killed by its alarm.
 * In the end each line of the log must be there once: a buffer that was copied half full
 * by fork() would show up as a line too many, or a torn one.
 */
#include "stress.h"

#include <sys/wait.h>

#include "util/fork.h"
#include "util/hash.h"
#include "util/log.h"
#include "util/qht.h"
#include "util/radix.h"
#include "util/stats.h"

enum { N_KEYS = 2000 };

typedef struct Shared {
    Qht ht;
    RadixTree tree;
    uint64_t keys[N_KEYS];
    uint64_t resident[64];
    unsigned lines[STRESS_MAX_THREADS]; /* owned by the worker */
} Shared;

static bool key_equal(const void *a, const void *b)
{
    return *(const uint64_t *)a == *(const uint64_t *)b;
}

static void worker(StressWorker *w)
{
    Shared *s = w->shared;
    while (!stress_stopped(w)) {
        uint64_t r = stress_random(&w->seed);
        uint64_t *k = &s->keys[r % N_KEYS];
        if (r & (1 << 20)) {
            qht_insert(&s->ht, k, hash_u64(*k), NULL);
        } else {
            qht_remove(&s->ht, k, hash_u64(*k));
        }
        if (r % 512 == 0) {
            qht_resize(&s->ht, (r >> 24) % 2000);
        }
        if (r % 16 == 0) {
            log_printf("worker %d %u\n", w->index, s->lines[w->index]++);
        }
        radix_get_alloc(&s->tree, (r >> 28) % 64 * 4093);
        stat_inc(STAT_EXITS);
        w->operations++;
    }
}

static void child(Shared *s)
{
    alarm(20);
    util_fork_child();
    qht_fork_child(&s->ht);
    check(stat_read(STAT_EXITS) == 0, "counts of the parent");
    for (int i = 0; i < 64; i++) {
        uint64_t *k = &s->resident[i];
        check(qht_lookup(&s->ht, hash_u64(*k), key_equal, k) == k,
              "a resident key is lost");
    }
    for (int i = 0; i < N_KEYS; i++) {
        uint64_t *k = &s->keys[i];
        void *existing;
        check(qht_insert(&s->ht, k, hash_u64(*k), &existing) || existing == k, "insert");
        check(qht_lookup(&s->ht, hash_u64(*k), key_equal, k) == k, "look-up");
    }
    check(qht_count(&s->ht) == N_KEYS + 64, "%zu entries", qht_count(&s->ht));
    log_printf("child\n");
    radix_get_alloc(&s->tree, 12345);
    stat_inc(STAT_EXITS);
    check(stat_read(STAT_EXITS) == 1, "the child's own count");
    _exit(0);
}

static void check_log(const Shared *s, const char *name, unsigned forks)
{
    char line[200];
    unsigned next[STRESS_MAX_THREADS] = { 0 }, children = 0, serial;
    int who;
    FILE *f = fopen(name, "r");
    check(f, "no log");
    while (fgets(line, sizeof(line), f)) {
        if (strcmp(line, "child\n") == 0) {
            children++;
        } else {
            check(sscanf(line, "worker %d %u\n", &who, &serial) == 2 && who >= 0 &&
                      who < STRESS_MAX_THREADS && serial == next[who], "got '%s'", line);
            next[who]++;
        }
    }
    fclose(f);
    check(children == forks, "%u children wrote, %u were made", children, forks);
    for (int i = 0; i < STRESS_MAX_THREADS; i++) {
        check(next[i] == s->lines[i], "%u lines of %d instead of %u", next[i], i,
              s->lines[i]);
    }
}

int main(int argc, char **argv)
{
    static Shared s;
    static StressRound round;
    double end = stress_now() + stress_seconds(argc, argv);
    char *err = NULL;
    char name[] = "/tmp/braid-stress-fork-XXXXXX";
    check(mkstemp(name) >= 0, "no file");
    check(log_set_file(name, false, &err), "%s", err);
    qht_init(&s.ht, key_equal, 100, true);
    radix_init(&s.tree, 36, 4, 64, NULL);
    for (uint64_t i = 0; i < N_KEYS; i++) {
        s.keys[i] = i;
    }
    for (uint64_t i = 0; i < 64; i++) {
        s.resident[i] = 100000 + i;
        qht_insert(&s.ht, &s.resident[i], hash_u64(s.resident[i]), NULL);
    }
    unsigned forks = 0;
    stress_start(&round, 6, (void (*[])(StressWorker *)){ worker }, 1, &s);
    do {
        __atomic_store_n(&round.stop, 0, __ATOMIC_RELAXED);
        pthread_barrier_wait(&round.start);
        for (double until = stress_now() + 0.1; stress_now() < until; forks++) {
            util_fork_prepare();
            pid_t pid = fork();
            if (pid == 0) {
                child(&s);
            }
            util_fork_parent();
            int status;
            check(pid > 0 && waitpid(pid, &status, 0) == pid, "fork");
            check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child status %#x",
                  status);
        }
        __atomic_store_n(&round.stop, 1, __ATOMIC_RELAXED);
        pthread_barrier_wait(&round.end);
        qht_reclaim(&s.ht);
    } while (stress_now() < end);
    uint64_t n = stress_finish(&round);
    check_log(&s, name, forks);
    unlink(name);
    check(forks > 3, "only %u forks", forks);
    printf("%u forks, %llu operations\n", forks, (unsigned long long)n);
    qht_destroy(&s.ht);
    radix_destroy(&s.tree);
    return 0;
}
