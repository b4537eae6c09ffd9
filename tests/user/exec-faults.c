/*
 * Jumping where no code may run: a page without PROT_EXEC gives SEGV_ACCERR and an
 * unmapped one SEGV_MAPERR, with pc and si_addr at the target; past the end of a file,
 * also one truncated under running code, SIGBUS; after MADV_DONTNEED code is zeros, an
 * illegal instruction; running off the end of a page faults at the next page.
 *
 * test-native: no
 */
#include <setjmp.h>
#include <ucontext.h>
#include "rv-code.h"

static sigjmp_buf back;
static siginfo_t seen;
static char *seen_pc, *seen_ra;

static void on_fault(int sig, siginfo_t *info, void *context)
{
    unsigned long *regs = ((ucontext_t *)context)->uc_mcontext.__gregs;

    seen = *info;
    seen_pc = (char *)regs[0];
    seen_ra = (char *)regs[RA];
    siglongjmp(back, 1);
}

static void expect(char *jump_to, int sig, int code, char *where)
{
    memset(&seen, 0, sizeof(seen));
    if (sigsetjmp(back, 1) == 0) {
        call_code(jump_to);
        CHECK(0, "code at %p ran", (void *)jump_to);
    }
    CHECK(seen.si_signo == sig && seen.si_code == code, "signal %d code %d, not %d %d",
          seen.si_signo, seen.si_code, sig, code);
    CHECK(seen_pc == where, "pc %p, not %p", (void *)seen_pc, (void *)where);
    CHECK(seen.si_addr == where, "si_addr %p, not %p", seen.si_addr, (void *)where);
    CHECK(seen_ra > (char *)0x1000 && seen_ra != where, "ra %p", (void *)seen_ra);
}

static void check_protection(void)
{
    char *page = map_pages(2, PROT_READ | PROT_WRITE);

    rv_put_return(page + 16, 5);
    rv_put_return(page + PAGE, 6);
    expect(page + 16, SIGSEGV, SEGV_ACCERR, page + 16);
    CHECK_ERRNO(mprotect(page, PAGE, PROT_READ | PROT_EXEC) == 0);
    CHECK(call_code(page + 16) == 5, "after PROT_EXEC was added");
    CHECK_ERRNO(mprotect(page, PAGE, PROT_READ) == 0);
    expect(page + 16, SIGSEGV, SEGV_ACCERR, page + 16);
    /* Off the end of an executable page into one that is not. */
    CHECK_ERRNO(mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
    rv_put(page + PAGE - 4, RV_NOP);
    rv_put(page + PAGE - 8, RV_NOP);
    fence_i();
    expect(page + PAGE - 8, SIGSEGV, SEGV_ACCERR, page + PAGE);
    CHECK_ERRNO(munmap(page + PAGE, PAGE) == 0);
    expect(page + PAGE - 8, SIGSEGV, SEGV_MAPERR, page + PAGE);
    CHECK_ERRNO(munmap(page, PAGE) == 0);
    expect(page + 16, SIGSEGV, SEGV_MAPERR, page + 16);
    expect((char *)0, SIGSEGV, SEGV_MAPERR, (char *)0);
    expect((char *)0x3ffffffff0, SIGSEGV, SEGV_MAPERR, (char *)0x3ffffffff0);
    /* Outside of what an address can be at all. */
    memset(&seen, 0, sizeof(seen));
    if (sigsetjmp(back, 1) == 0) {
        call_code((char *)0x8000000000000000);
    }
    CHECK(seen.si_signo == SIGSEGV, "jump to 2^63: signal %d", seen.si_signo);
}

static void check_file(void)
{
    char name[] = "/tmp/braid-exec-XXXXXX", *code;
    int fd = mkstemp(name);

    CHECK_ERRNO(fd >= 0 && unlink(name) == 0 && ftruncate(fd, PAGE) == 0);
    code = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED, fd, 0);
    CHECK_ERRNO(code != MAP_FAILED);
    rv_put_return(code, 8);
    fence_i();
    CHECK(call_code(code) == 8, "code in a file");
    expect(code + PAGE, SIGBUS, BUS_ADRERR, code + PAGE);
    CHECK_ERRNO(ftruncate(fd, 0) == 0);
    /* Without fence.i the old translation may still run; after it, it must not. */
    fence_i();
    expect(code, SIGBUS, BUS_ADRERR, code);
    CHECK_ERRNO(ftruncate(fd, PAGE) == 0);
    rv_put_return(code, 9);
    fence_i();
    CHECK(call_code(code) == 9, "after the file grew again");
    munmap(code, 2 * PAGE);
    close(fd);
}

static void check_dontneed(void)
{
    char *code = map_pages(1, PROT_READ | PROT_WRITE | PROT_EXEC);

    for (int i = 0; i < 50; i++) {
        rv_put_return(code + 32, i);
        fence_i();
        CHECK(call_code(code + 32) == i, "before");
        CHECK_ERRNO(madvise(code, PAGE, MADV_DONTNEED) == 0);
        fence_i();
        expect(code + 32, SIGILL, ILL_ILLOPC, code + 32);
    }
}

int main(void)
{
    set_handler(SIGSEGV, on_fault, 0);
    set_handler(SIGBUS, on_fault, 0);
    set_handler(SIGILL, on_fault, 0);
    check_protection();
    check_file();
    check_dontneed();
    return 0;
}
