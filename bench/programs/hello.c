/*
 * Start-up and exit: nothing but a line of output.  Linked statically it shows
 * what the translator itself costs, linked dynamically also what the guest's
 * dynamic linker costs.
 *
 * bench-class: startup
 * bench-args: 1
 * bench-quick: 1
 * bench-link: static dynamic
 * bench-repeat: 10
 */
#include "bench.h"

int main(int argc, char **argv)
{
    return bench_report("hello", bench_arg(argc, argv, 1, 1));
}
