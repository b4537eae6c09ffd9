/*
 * The largest singular value of an infinite matrix by power iteration:
 * conversions from integer to double and divisions, two loops deep.
 *
 * bench-class: fp
 * bench-args: 3200
 * bench-quick: 1000
 */
#include <math.h>
#include "bench.h"

static double entry(int i, int j)
{
    return 1.0 / ((i + j) * (i + j + 1) / 2 + i + 1);
}

static void times(int n, const double *v, double *out)
{
    for (int i = 0; i < n; i++) {
        double sum = 0;

        for (int j = 0; j < n; j++) {
            sum += entry(i, j) * v[j];
        }
        out[i] = sum;
    }
}

static void times_transposed(int n, const double *v, double *out)
{
    for (int i = 0; i < n; i++) {
        double sum = 0;

        for (int j = 0; j < n; j++) {
            sum += entry(j, i) * v[j];
        }
        out[i] = sum;
    }
}

int main(int argc, char **argv)
{
    int n = (int)bench_arg(argc, argv, 1, 480);
    double *u = malloc(sizeof(double) * (size_t)n);
    double *v = malloc(sizeof(double) * (size_t)n);
    double *t = malloc(sizeof(double) * (size_t)n);
    double uv = 0, vv = 0;

    for (int i = 0; i < n; i++) {
        u[i] = 1;
    }
    for (int round = 0; round < 10; round++) {
        times(n, u, t);
        times_transposed(n, t, v);
        times(n, v, t);
        times_transposed(n, t, u);
    }
    for (int i = 0; i < n; i++) {
        uv += u[i] * v[i];
        vv += v[i] * v[i];
    }
    printf("%.9f\n", sqrt(uv / vv));
    return bench_report("spectral-norm", bench_mix_double(0, sqrt(uv / vv)));
}
