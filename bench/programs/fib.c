/*
 * Recursion and nothing else: a call, two tests and an addition.  GCC would
 * unfold the recursion several levels deep; the attribute keeps every call.
 *
 * bench-class: integer
 * bench-args: 41
 * bench-quick: 36
 */
#include "bench.h"

static __attribute__((noinline, optimize("no-optimize-sibling-calls", "no-inline")))
uint64_t fib(unsigned n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

int main(int argc, char **argv)
{
    return bench_report("fib", fib((unsigned)bench_arg(argc, argv, 1, 35)));
}
