/*
 * Pancake flipping over all permutations of eight or nine numbers: short loops over a
 * small array, hard to predict branches.
 *
 * bench-class: integer
 * bench-args: 28
 * bench-quick: 3
 */
#include "bench.h"

static int count_flips(const int *permutation, int n)
{
    int p[16], flips = 0;

    memcpy(p, permutation, sizeof(int) * (size_t)n);
    while (p[0]) {
        for (int low = 0, high = p[0]; low < high; low++, high--) {
            int swap = p[low];

            p[low] = p[high];
            p[high] = swap;
        }
        flips++;
    }
    return flips;
}

static uint64_t fannkuch(int n)
{
    int permutation[16], count[16];
    int most = 0, level = n, rank = 0, checksum = 0;

    for (int i = 0; i < n; i++) {
        permutation[i] = i;
    }
    for (;;) {
        int flips;

        for (; level > 1; level--) {
            count[level - 1] = level;
        }
        flips = count_flips(permutation, n);
        most = flips > most ? flips : most;
        checksum += rank++ % 2 ? -flips : flips;
        for (;; level++) {
            int first;

            if (level == n) {
                return bench_mix((uint64_t)most, (uint64_t)checksum);
            }
            first = permutation[0];
            memmove(permutation, permutation + 1, sizeof(int) * (size_t)level);
            permutation[level] = first;
            if (--count[level] > 0) {
                break;
            }
        }
    }
}

int main(int argc, char **argv)
{
    uint64_t iterations = bench_arg(argc, argv, 1, 3), sum = 0;

    for (uint64_t i = 0; i < iterations; i++) {
        sum = bench_mix(sum, fannkuch(8 + (int)(i % 4 != 0)));
    }
    return bench_report("fannkuch", sum);
}
