/*
 * Pancake flipping over all permutations of n numbers: short loops over a small
 * array, hard to predict branches.
 *
 * bench-class: integer
 * bench-args: 10
 * bench-quick: 9
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

int main(int argc, char **argv)
{
    int n = (int)bench_arg(argc, argv, 1, 9), permutation[16], count[16];
    int most = 0, level = n, rank = 0, checksum = 0;

    if (n < 2 || n > 12) {
        fprintf(stderr, "fannkuch: the argument goes from 2 to 12\n");
        return 2;
    }
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
                printf("%d %d\n", checksum, most);
                return bench_report("fannkuch", bench_mix((uint64_t)most, (uint64_t)checksum));
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
