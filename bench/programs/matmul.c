/*
 * Multiplication of square matrices of double, in the order that walks rows:
 * streaming loads and stores around a multiply and an add.
 *
 * bench-class: fp
 * bench-args: 150
 * bench-quick: 15
 */
#include "bench.h"

enum { N = 200 };

static double a[N][N], b[N][N], c[N][N];

static __attribute__((noinline)) void multiply(void)
{
    memset(c, 0, sizeof(c));
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < N; k++) {
            double factor = a[i][k];

            for (int j = 0; j < N; j++) {
                c[i][j] += factor * b[k][j];
            }
        }
    }
}

int main(int argc, char **argv)
{
    uint64_t iterations = bench_arg(argc, argv, 1, 10), sum = 0;

    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++) {
            a[i][j] = (i * 7 + j * 3) % 19 / 19.0;
            b[i][j] = (i * 5 - j * 11) % 23 / 23.0;
        }
    }
    for (uint64_t round = 0; round < iterations; round++) {
        multiply();
        for (int i = 0; i < N; i++) {
            a[i][(i + (int)round) % N] = c[i][i] / (1.0 + c[i][i] * c[i][i]);
        }
        sum = bench_mix_double(sum, c[round % N][(round * 3) % N]);
    }
    return bench_report("matmul", sum);
}
