/*
 * Quicksort of records through a comparison function that the compiler cannot
 * inline: an indirect call per comparison.
 *
 * bench-class: integer
 * bench-args: 30
 * bench-quick: 3
 */
#include "bench.h"

enum { COUNT = 200000 };

typedef struct {
    uint32_t key;
    uint32_t id;
} Item;

typedef int Compare(const Item *a, const Item *b);

static int ascending(const Item *a, const Item *b)
{
    return a->key < b->key ? -1 : a->key > b->key;
}

static int descending(const Item *a, const Item *b)
{
    return ascending(b, a);
}

static int by_low_bits(const Item *a, const Item *b)
{
    uint32_t x = a->key & 0xffff, y = b->key & 0xffff;

    return x != y ? (int)x - (int)y : ascending(a, b);
}

static void item_swap(Item *a, Item *b)
{
    Item t = *a;

    *a = *b;
    *b = t;
}

static void sort_items(Item *items, long count, Compare *compare)
{
    while (count > 12) {
        Item *low = items, *high = items + count - 1, pivot = items[count / 2];

        while (low <= high) {
            while (compare(low, &pivot) < 0) {
                low++;
            }
            while (compare(&pivot, high) < 0) {
                high--;
            }
            if (low <= high) {
                item_swap(low++, high--);
            }
        }
        sort_items(items, high - items + 1, compare);
        count -= low - items;
        items = low;
    }
    for (long i = 1; i < count; i++) {
        for (long j = i; j > 0 && compare(&items[j], &items[j - 1]) < 0; j--) {
            item_swap(&items[j], &items[j - 1]);
        }
    }
}

int main(int argc, char **argv)
{
    static Compare *const orders[] = { ascending, descending, by_low_bits };
    static Item items[COUNT];
    uint64_t iterations = bench_arg(argc, argv, 1, 3), rng = 7, sum = 0;

    for (uint64_t round = 0; round < iterations; round++) {
        Compare *compare = orders[round % 3];

        for (int i = 0; i < COUNT; i++) {
            items[i].key = (uint32_t)bench_random(&rng);
            items[i].id = (uint32_t)i;
        }
        sort_items(items, COUNT, compare);
        for (int i = 1; i < COUNT; i++) {
            if (compare(&items[i - 1], &items[i]) > 0) {
                printf("qsort-fn: not sorted at %d\n", i);
                return 1;
            }
        }
        sum = bench_mix(sum, items[COUNT / 3].key);
    }
    return bench_report("qsort-fn", sum);
}
