/*
 * A four-byte instruction with its halves on two pages: when the second page is not
 * there, the fault has pc at the instruction and si_addr at the second page; when the
 * second page is replaced by another mapping, or only its bytes are changed, the
 * new instruction runs; several threads run it while the second half changes.
 *
 * test-native: no
 * test-time: 60
 */
#include <ucontext.h>
#include "rv-code.h"

static char *pages, *border, *insn;
static siginfo_t seen;
static unsigned long seen_pc;
static _Atomic int stop;

static void on_fault(int sig, siginfo_t *info, void *context)
{
    seen = *info;
    seen_pc = ((ucontext_t *)context)->uc_mcontext.__gregs[0];
    /* Let the instruction be repeated with the page back in place. */
    CHECK(mmap(border, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == border,
          "mmap in handler");
    rv_put(insn, rv_addi(A0, A0, 9));
    rv_put(insn + 4, RV_RET);
    fence_i();
}

static void check_missing(bool unmap)
{
    long r;

    rv_put(insn - 4, rv_addi(A0, A0, 100));
    rv_put(insn, rv_addi(A0, A0, 1));
    rv_put(insn + 4, RV_RET);
    fence_i();
    CHECK(call_code1(insn - 4, 0) == 101, "before");
    CHECK_ERRNO((unmap ? munmap(border, PAGE) : mprotect(border, PAGE, PROT_READ)) == 0);
    memset(&seen, 0, sizeof(seen));
    r = call_code1(insn - 4, 1000);
    CHECK(seen.si_signo == SIGSEGV, "signal %d", seen.si_signo);
    CHECK(seen.si_code == (unmap ? SEGV_MAPERR : SEGV_ACCERR), "si_code %d",
          seen.si_code);
    CHECK((char *)seen_pc == insn, "pc %#lx, not %p", seen_pc, (void *)insn);
    CHECK(seen.si_addr == border, "si_addr %p, not %p", seen.si_addr, (void *)border);
    CHECK(r == 1109, "the instruction before ran %s: %ld", r > 1109 ? "twice" : "wrongly",
          r);
}

/* Put the part of `insn` and a return that lies beyond the border into `page`. */
static void put_second_half(char *page, uint32_t second)
{
    char both[8];

    rv_put(both, second);
    rv_put(both + 4, RV_RET);
    memcpy(page, both + 2, 6);
}

static void check_replaced(void)
{
    for (int i = 0; i < 300; i++) {
        char *fresh = map_pages(1, PROT_READ | PROT_WRITE | PROT_EXEC);
        long r;

        put_second_half(fresh, rv_addi(A0, A0, i));
        CHECK(mremap(fresh, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, border) == border,
              "mremap");
        fence_i();
        r = call_code1(insn - 4, 0);
        CHECK(r == 100 + i, "after mremap: %ld, not %d", r, 100 + i);
        put_second_half(border, rv_addi(A0, A0, i + 1));
        fence_i();
        r = call_code1(insn - 4, 0);
        CHECK(r == 101 + i, "second half changed: %ld, not %d", r, 101 + i);
    }
}

static void *runner(void *arg)
{
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        long r = call_code1(insn - 4, 0);

        CHECK(r >= 100 && r < 600, "another thread ran %ld", r);
    }
    return NULL;
}

static void check_threads(void)
{
    pthread_t ids[4];

    for (int i = 0; i < 4; i++) {
        ids[i] = start_thread(runner, NULL);
    }
    for (unsigned long i = 0; i < scaled(2000); i++) {
        /* The immediate lies in the upper half, which is two aligned bytes. */
        __atomic_store_n((uint16_t *)border,
                         (uint16_t)(rv_addi(A0, A0, (int)(i % 500)) >> 16),
                         __ATOMIC_RELAXED);
        flush_icache_all(pages, pages + 2 * PAGE);
        CHECK(call_code1(insn - 4, 0) == 100 + (long)(i % 500), "own call");
    }
    stop = 1;
    for (int i = 0; i < 4; i++) {
        join_thread(ids[i]);
    }
}

int main(void)
{
    pages = map_pages(2, PROT_READ | PROT_WRITE | PROT_EXEC);
    border = pages + PAGE;
    insn = border - 2;
    set_handler(SIGSEGV, on_fault, 0);
    for (int i = 0; i < 20; i++) {
        check_missing(i % 2);
    }
    check_replaced();
    check_threads();
    return 0;
}
