/*
 * Systems-programming style: records copied and compared through pointers,
 * short strings, enumerations, and many calls of small functions, each kept
 * out of line so that calls and returns dominate.
 *
 * bench-class: integer
 * bench-args: 35000000
 * bench-quick: 3500000
 */
#include "bench.h"

#define OUT_OF_LINE __attribute__((noinline))

typedef enum { RED, GREEN, BLUE, COLOURS } Colour;

typedef struct Record Record;
struct Record {
    Record *next;
    Colour colour;
    int amount;
    char name[31];
    char tag;
};

static Record first_record, second_record;
static int table[50], grid[50][50];
static char tag_seen;

static OUT_OF_LINE int add_offset(int a, int b)
{
    return a + 2 + b;
}

static OUT_OF_LINE Colour next_colour(Colour colour, int amount)
{
    switch (colour) {
    case RED:
        return amount > 100 ? RED : BLUE;
    case GREEN:
        return RED;
    case BLUE:
        return GREEN;
    default:
        return colour;
    }
}

static OUT_OF_LINE int same_tag(char a, char b)
{
    if (a != b) {
        return 0;
    }
    tag_seen = a;
    return 1;
}

static OUT_OF_LINE int name_greater(const char *a, const char *b)
{
    int i = 2;

    while (i <= 2) {
        if (!same_tag(a[i], b[i + 1])) {
            i += 1;
        } else {
            return 2;
        }
    }
    return strcmp(a, b) > 0;
}

static OUT_OF_LINE void update_record(Record *record, int amount)
{
    Record *next = record->next;

    *next = *record;
    next->amount = amount;
    next->next = record->next;
    next->colour = next_colour(record->colour, amount);
    if (next->colour == GREEN) {
        next->amount = add_offset(record->amount, 6);
    } else {
        *record = *next;
        record->next = &second_record;
    }
}

static OUT_OF_LINE void update_arrays(int index, int value)
{
    int at = index + 5;

    table[at] = value;
    table[at + 1] = table[at];
    table[at + 30] = at;
    for (int i = at; i <= at + 1; i++) {
        grid[at][i] = at;
    }
    grid[at][at - 1] += 1;
    grid[at + 20][at] = table[at];
}

int main(int argc, char **argv)
{
    uint64_t iterations = bench_arg(argc, argv, 1, 900000), sum = 0;
    char name_a[31] = "BENCHMARK RECORD, FIRST STRING", name_b[31];
    int a, b, c = 7;

    strcpy(first_record.name, "BENCHMARK RECORD, SOME STRINGS");
    first_record.next = &second_record;
    for (uint64_t i = 1; i <= iterations; i++) {
        a = 2;
        b = 3;
        memcpy(name_b, "BENCHMARK RECORD, OTHER STRING", 31);
        name_b[20] = (char)('A' + i % 26);
        if (!name_greater(name_a, name_b)) {
            c = add_offset(a, (int)(i & 15));
        }
        while (a < b) {
            c = 5 * a - b + (int)(i & 3);
            c = add_offset(a, c);
            a += 1;
        }
        update_arrays((int)(i % 8), c);
        update_record(&first_record, c + (int)(i % 200));
        for (char tag = 'A'; tag <= 'B'; tag++) {
            if (same_tag(tag, (char)('A' + (i & 1)))) {
                first_record.colour = next_colour(first_record.colour, c);
            }
        }
        b = b * a;
        a = b / (c | 1);
        sum += (uint64_t)(7 * (b - a) - c + (int)first_record.colour);
    }
    sum = bench_mix(sum, (uint64_t)(first_record.amount + second_record.amount));
    for (int i = 0; i < 50; i++) {
        sum = bench_mix(sum, (uint64_t)(table[i] + grid[i][(i * 7) % 50]));
    }
    return bench_report("record-mix", bench_mix(sum, (uint64_t)tag_seen));
}
