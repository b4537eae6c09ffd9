/*
 * Code that stores into its own page, even over its own next instruction, without
 * fence.i: either version of the overwritten instruction may run, but the pc moves on,
 * nothing is lost around it, and after fence.i the new one runs.  Data and code mixed
 * in one page is slow perhaps, but right.
 *
 * test-native: no
 * test-time: 60
 */
#include "rv-code.h"

int main(void)
{
    char *page = map_pages(1, PROT_READ | PROT_WRITE | PROT_EXEC);
    long r;

    /* a0 = counter in the same page: load, add 1, store; ret */
    rv_put(page, rv_load(3, A1, A0, 0));
    rv_put(page + 4, rv_addi(A1, A1, 1));
    rv_put(page + 8, rv_store(3, A1, A0, 0));
    rv_put(page + 12, rv_addi(A0, A1, 0));
    rv_put(page + 16, RV_RET);
    fence_i();
    for (unsigned long i = 1; i <= scaled(5000); i++) {
        r = call_code1(page, (long)(page + 2048));
        CHECK(r == (long)i, "counter beside the code: %ld, not %lu", r, i);
    }
    /* A loop in one block that stores to its own page: t0 counts down from a1. */
    rv_put(page + 64, rv_store(3, A1, A0, 0));
    rv_put(page + 68, rv_addi(A1, A1, -1));
    rv_put(page + 72, rv_bne(A1, ZERO, -8));
    rv_put(page + 76, RV_RET);
    rv_put(page + 48, rv_addi(A1, ZERO, 2000));
    rv_put(page + 52, rv_jal(ZERO, 12));
    fence_i();
    for (unsigned long i = 0; i < scaled(20); i++) {
        call_code1(page + 48, (long)(page + 1024));
        CHECK(*(long *)(page + 1024) == 1, "loop beside its data");
    }
    /* sw a1 over the next instruction: 1: sw a1, 0(a0)  2: addi a2, a2, 1 or 2 */
    rv_put(page + 256, rv_lui(A1, 0));
    for (unsigned long i = 0; i < scaled(2000); i++) {
        int old = i % 2 ? 1 : 2, new = 3 - old;

        rv_put(page + 260, rv_addi(A2, ZERO, 100));
        rv_put(page + 264, rv_load(2, A1, A0, 64));
        rv_put(page + 268, rv_store(2, A1, A0, 0));
        rv_put(page + 272, rv_addi(A2, A2, old));
        rv_put(page + 276, rv_addi(A0, A2, 10));
        rv_put(page + 280, RV_RET);
        rv_put(page + 272 + 64, rv_addi(A2, A2, new));
        fence_i();
        r = call_code1(page + 256, (long)(page + 272));
        CHECK(r == 111 || r == 112, "result %ld", r);
        fence_i();
        r = call_code1(page + 256, (long)(page + 272));
        CHECK(r == 110 + new, "after fence.i: %ld, not %d", r, 110 + new);
    }
    return 0;
}
