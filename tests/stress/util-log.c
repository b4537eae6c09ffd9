/*
 * The log and the counters with many threads: each section in the file is in one piece
 * and none is missing, while other threads change items and filters; and counts of
 * threads that come and go are exact.
 */
#include "stress.h"

#include "util/log.h"
#include "util/stats.h"

static void logger(StressWorker *w)
{
    while (!stress_stopped(w)) {
        uint64_t r = stress_random(&w->seed);
        unsigned lines = (unsigned)(r % 6);
        FILE *f = log_lock();
        fprintf(f, "begin %d %llu %u\n", w->index, (unsigned long long)w->operations,
                lines);
        for (unsigned i = 0; i < lines; i++) {
            if (i & 1) {
                log_printf("line %d %llu %u\n", w->index,
                           (unsigned long long)w->operations, i);
            } else {
                fprintf(f, "line %d %llu %u\n", w->index,
                        (unsigned long long)w->operations, i);
            }
        }
        fprintf(f, "end %d %llu\n", w->index, (unsigned long long)w->operations);
        log_unlock();
        stat_inc(STAT_EXITS);
        w->operations++;
        if (r % 64 == 0) {
            char *err = NULL;
            log_set_items(r & 128 ? "exec,int" : "in_asm", &err);
            check(log_set_filter(r & 256 ? "0x1000+0x1000" : "0x1000..0x1fff,5..6", &err),
                  "filter");
        }
        /* Either filter is right for these two. */
        check(log_filter_match(0x1800), "a filter lost its range");
        check(!log_filter_match(0x2000), "a filter has a range too many");
    }
}

static void *short_life(void *arg)
{
    stat_add(STAT_LINKS, 3);
    return NULL;
}

/* Threads that are born, count and die. */
static void breeder(StressWorker *w)
{
    while (!stress_stopped(w)) {
        pthread_t t[4];
        for (int i = 0; i < 4; i++) {
            check(pthread_create(&t[i], NULL, short_life, NULL) == 0, "no thread");
        }
        for (int i = 0; i < 4; i++) {
            pthread_join(t[i], NULL);
        }
        w->operations += 4;
    }
}

/* The file, read by what it says about itself. */
static void check_file(const char *name, const uint64_t *expected, int n)
{
    uint64_t next[STRESS_MAX_THREADS] = { 0 };
    char line[200];
    FILE *f = fopen(name, "r");
    check(f, "no log file");
    while (fgets(line, sizeof(line), f)) {
        int who, who2;
        unsigned long long serial, serial2;
        unsigned lines, number;
        check(sscanf(line, "begin %d %llu %u", &who, &serial, &lines) == 3, "got '%s'",
              line);
        check(who >= 0 && who < n && serial == next[who],
              "section %llu of %d is not next", serial, who);
        next[who]++;
        for (unsigned i = 0; i < lines; i++) {
            check(fgets(line, sizeof(line), f), "cut short");
            check(sscanf(line, "line %d %llu %u", &who2, &serial2, &number) == 3 &&
                      who2 == who && serial2 == serial && number == i,
                  "mixed up: '%s'", line);
        }
        check(fgets(line, sizeof(line), f) &&
                  sscanf(line, "end %d %llu", &who2, &serial2) == 2 && who2 == who &&
                  serial2 == serial, "mixed up: '%s'", line);
    }
    fclose(f);
    for (int i = 0; i < n; i++) {
        check(next[i] == expected[i], "%llu sections of %d, %llu were written",
              (unsigned long long)next[i], i, (unsigned long long)expected[i]);
    }
}

int main(int argc, char **argv)
{
    static StressRound round;
    double seconds = stress_seconds(argc, argv);
    double end = stress_now() + seconds;
    char name[] = "/tmp/braid-stress-log-XXXXXX";
    char *err = NULL;
    check(mkstemp(name) >= 0, "no file");
    check(log_set_file(name, false, &err), "%s", err);
    check(log_set_filter("0x1000..0x1fff", &err), "%s", err);
    int n = stress_threads();
    void (*fns[])(StressWorker *) = { logger, logger, logger, breeder };
    stress_start(&round, n, fns, 4, NULL);
    do {
        stress_run(&round, 100);
    } while (stress_now() < end);
    uint64_t sections[STRESS_MAX_THREADS] = { 0 }, logged = 0, bred = 0;
    for (int i = 0; i < n; i++) {
        sections[i] = i % 4 < 3 ? round.workers[i].operations : 0;
        logged += sections[i];
        bred += i % 4 < 3 ? 0 : round.workers[i].operations;
    }
    stress_finish(&round);
    check_file(name, sections, n);
    check(stat_read(STAT_EXITS) == logged, "exits are off");
    check(stat_read(STAT_LINKS) == 3 * bred, "%llu links of %llu threads",
          (unsigned long long)stat_read(STAT_LINKS), (unsigned long long)bred);
    check(logged > 100 && bred > 10, "too little was done");
    unlink(name);
    printf("%d threads, %llu sections, %llu short threads\n", n,
           (unsigned long long)logged, (unsigned long long)bred);
    return 0;
}
