/*
 * A riscv64 program to watch: it says what machine it believes to run on, starts a few
 * threads that draw the Mandelbrot set together, and reports what each of them did.
 *
 *   riscv64-linux-gnu-gcc -O2 -static -pthread examples/demo.c -o demo
 *   braid-riscv64 demo [THREADS]
 *
 * The threads take rows from a shared atomic counter, add to a shared total, and hand
 * each finished row to the main thread through a mutex and a condition variable, which
 * prints the rows in order.  The picture is the same however many threads there are.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum { WIDTH = 78, HEIGHT = 32, MAX_THREADS = 64, LIMIT = 30000, SAMPLES = 10 };

typedef struct {
    pthread_t id;
    int number;
    int rows;
    uint64_t steps;
    double seconds;
} Worker;

static atomic_int next_row;
static _Atomic uint64_t all_steps;

/* Guarded by lock: which rows are finished. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t row_done = PTHREAD_COND_INITIALIZER;
static int done[HEIGHT];
/* Written by the row's worker before it sets done[row]. */
static char picture[HEIGHT][WIDTH + 1];

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Steps until the point escapes, LIMIT when it never does. */
static int escape_time(double cr, double ci)
{
    double zr = 0, zi = 0;
    int n = 0;

    while (n < LIMIT && zr * zr + zi * zi <= 4) {
        double t = zr * zr - zi * zi + cr;

        zi = 2 * zr * zi + ci;
        zr = t;
        n++;
    }
    return n;
}

/* One character: the mean over SAMPLES points in it, on a logarithmic scale. */
static char shade(int row, int column, uint64_t *steps)
{
    static const char ramp[] = " .,:;-=+*oO#%@";
    int sum = 0, level = 0;

    for (int s = 0; s < SAMPLES; s++) {
        double x = column + s * 0.1, y = row + (s * 7 % SAMPLES) * 0.1;
        int n = escape_time(x * 3.2 / WIDTH - 2.25, y * 2.3 / HEIGHT - 1.15);

        *steps += (uint64_t)n;
        sum += n;
    }
    for (int mean = sum / SAMPLES; mean > 1 && level < (int)sizeof(ramp) - 2; level++) {
        mean = mean * 10 / 17;
    }
    return ramp[level];
}

static void *draw(void *arg)
{
    Worker *worker = arg;
    double start = now();
    int row;

    while ((row = atomic_fetch_add_explicit(&next_row, 1, memory_order_relaxed)) <
           HEIGHT) {
        uint64_t steps = 0;

        for (int column = 0; column < WIDTH; column++) {
            picture[row][column] = shade(row, column, &steps);
        }
        atomic_fetch_add_explicit(&all_steps, steps, memory_order_relaxed);
        worker->steps += steps;
        worker->rows++;
        pthread_mutex_lock(&lock);
        done[row] = worker->number;
        pthread_cond_signal(&row_done);
        pthread_mutex_unlock(&lock);
    }
    worker->seconds = now() - start;
    return NULL;
}

/* Print the rows in order, each as soon as it and all before it are there. */
static void print_rows(void)
{
    int colours = isatty(STDOUT_FILENO);

    for (int row = 0; row < HEIGHT; row++) {
        int worker;

        pthread_mutex_lock(&lock);
        while (!done[row]) {
            pthread_cond_wait(&row_done, &lock);
        }
        worker = done[row];
        pthread_mutex_unlock(&lock);
        if (colours) {
            printf("\033[3%dm%s\033[0m\n", 1 + (worker - 1) % 6, picture[row]);
        } else {
            printf("%s\n", picture[row]);
        }
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    int threads = argc > 1 ? atoi(argv[1]) : 4;
    static Worker workers[MAX_THREADS];
    struct utsname machine;
    uint64_t sum = 0;
    double start = now();

    if (threads < 1 || threads > MAX_THREADS) {
        fprintf(stderr, "demo: the number of threads goes from 1 to %d\n", MAX_THREADS);
        return 2;
    }
    if (uname(&machine)) {
        perror("demo: uname");
        return 1;
    }
    printf("Hello from %s, %s %s: process %d, %d threads\n\n", machine.machine,
           machine.sysname, machine.release, (int)getpid(), threads);
    fflush(stdout);
    for (int i = 0; i < threads; i++) {
        workers[i].number = i + 1;
        if (pthread_create(&workers[i].id, NULL, draw, &workers[i])) {
            fprintf(stderr, "demo: cannot create thread %d\n", i + 1);
            return 1;
        }
    }
    print_rows();
    printf("\n");
    for (int i = 0; i < threads; i++) {
        pthread_join(workers[i].id, NULL);
        printf("thread %d: %2d rows, %5.1f million steps, %.2f s\n", i + 1,
               workers[i].rows, (double)workers[i].steps / 1e6, workers[i].seconds);
        sum += workers[i].steps;
    }
    printf("together: %.1f million steps in %.2f s\n", (double)sum / 1e6, now() - start);
    if (sum != all_steps) {
        printf("The threads' sums disagree: %llu and %llu\n", (unsigned long long)sum,
               (unsigned long long)all_steps);
        return 1;
    }
    return 0;
}
