/*
 * Self-modifying code in the same thread: write, fence.i, call; the result always
 * matches the last write, over a hundred thousand rounds, for code called
 * directly, chained to from other code, and for one patched instruction in a loop.
 *
 * test-native: no
 * test-time: 60
 */
#include "rv-code.h"

int main(void)
{
    char *page = map_pages(1, PROT_READ | PROT_WRITE | PROT_EXEC);
    char *caller = map_pages(1, PROT_READ | PROT_WRITE | PROT_EXEC);
    unsigned long rounds = scaled(100000);

    for (unsigned long i = 0; i < rounds; i++) {
        int value = i % 2 ? 17 : -1000;
        long r;

        rv_put_return(page, value);
        fence_i();
        r = call_code(page);
        CHECK(r == value, "round %lu: %ld, not %d", i, r, value);
    }
    /* A direct jump in another function of the same page must not keep the old one. */
    rv_put(caller, rv_addi(A0, A0, 1));
    rv_put(caller + 4, rv_jal(ZERO, 0x800 - 4));
    for (unsigned long i = 0; i < rounds / 4; i++) {
        int add = (int)(i % 1000);
        long r;

        rv_put(caller + 0x800, rv_addi(A0, A0, add));
        rv_put(caller + 0x804, RV_RET);
        fence_i();
        r = call_code1(caller, 5);
        CHECK(r == 6 + add, "chained, round %lu: %ld, not %d", i, r, 6 + add);
    }
    /* Without fence.i in between, many writes, then one. */
    for (unsigned long i = 0; i < rounds / 40; i++) {
        for (int v = 0; v < 10; v++) {
            rv_put_return(page + (unsigned)v * 64, v + (int)(i % 7));
        }
        fence_i();
        for (int v = 0; v < 10; v++) {
            long r = call_code(page + (unsigned)v * 64);

            CHECK(r == v + (int)(i % 7), "function %d, round %lu: %ld", v, i, r);
        }
    }
    return 0;
}
