/*
 * The sets of system calls to be caught and of signals to be passed.  Each word is atomic by itself: a call that is made
 * while the set changes is seen by the old one or by the new one.
 */
#include "debug/gdb-catch.h"

#include <stddef.h>
#include <stdlib.h>

#include "debug/gdb-signal.h"
#include "util/compiler.h"

#define NUMBERS 1024u               /* higher ones are caught only with all others */

static struct {
    bool all;                       /* atomic, as the words are */
    uint64_t words[NUMBERS / 64];
    uint64_t passed;                /* bit n-1: signal n */
} caught;

static void store(bool all, const uint64_t words[])
{
    for (size_t i = 0; i < array_size(caught.words); i++) {
        __atomic_store_n(&caught.words[i], words[i], __ATOMIC_RELAXED);
    }
    __atomic_store_n(&caught.all, all, __ATOMIC_RELAXED);
}

bool gdb_catch_set(const char *args)
{
    uint64_t words[NUMBERS / 64] = { 0 };
    if (!args || (args[0] == '0' && !args[1])) {
        store(false, words);
        return true;
    }
    if (*args++ != '1' || (*args && *args != ';')) {
        return false;
    }
    bool all = !*args;
    while (*args == ';') {
        char *end;
        unsigned long nr = strtoul(args + 1, &end, 16);
        if (end == args + 1) {
            return false;
        }
        if (nr < NUMBERS) {
            words[nr / 64] |= 1ull << nr % 64;
        }
        args = end;
    }
    if (*args) {
        return false;
    }
    store(all, words);
    return true;
}

bool gdb_catch_wants(uint64_t nr)
{
    return __atomic_load_n(&caught.all, __ATOMIC_RELAXED) ||
           (nr < NUMBERS && __atomic_load_n(&caught.words[nr / 64], __ATOMIC_RELAXED) >> nr % 64 & 1);
}

void gdb_catch_set_passed(const char *list)
{
    uint64_t set = 0;
    for (char *end; *list; list = *end == ';' ? end + 1 : "") {
        int sig = gdb_signal_to_linux((int)strtoul(list, &end, 16));
        set |= sig ? 1ull << (sig - 1) : 0;
    }
    __atomic_store_n(&caught.passed, set, __ATOMIC_RELAXED);
}

bool gdb_catch_passes(int sig)
{
    return __atomic_load_n(&caught.passed, __ATOMIC_RELAXED) >> (sig - 1) & 1;
}
