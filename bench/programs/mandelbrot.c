/*
 * Mandelbrot set, one point after the other: everything stays in floating
 * point registers, one comparison and branch per step.
 *
 * bench-class: fp
 * bench-args: 1300
 * bench-quick: 410
 */
#include "bench.h"

int main(int argc, char **argv)
{
    int n = (int)bench_arg(argc, argv, 1, 230);
    uint64_t sum = 0;

    for (int row = 0; row < n; row++) {
        uint64_t line = 0;

        for (int col = 0; col < n; col++) {
            double cr = 2.5 * col / n - 1.9, ci = 2.4 * row / n - 1.2;
            double zr = 0, zi = 0, rr = 0, ii = 0;
            int steps = 0;

            while (steps < 500 && rr + ii <= 4.0) {
                zi = 2 * zr * zi + ci;
                zr = rr - ii + cr;
                rr = zr * zr;
                ii = zi * zi;
                steps++;
            }
            line = line * 31 + (uint64_t)steps;
        }
        sum = bench_mix(sum, line);
    }
    return bench_report("mandelbrot", sum);
}
