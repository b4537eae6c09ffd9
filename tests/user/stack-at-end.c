/*
 * A thread whose stack is the last memory of an address space, of 38, 46 and 47 bits as far as there are as many: the
 * stack pointer begins at the very end, calls go deep, a signal is handled there, a fault at its
 * lower end has the right address.
 *
 * test-native: yes
 */
#include <setjmp.h>
#include <ucontext.h>
#include "test.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

#define SIZE (256u << 10)

static char *low;
static volatile sig_atomic_t on_stack;
static sigjmp_buf back;
static char *fault_address;

static bool is_on_stack(const void *p)
{
    return (const char *)p >= low && (const char *)p < low + SIZE;
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
    char here;

    on_stack = is_on_stack(&here);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
    fault_address = info->si_addr;
    siglongjmp(back, 1);
}

__attribute__((noinline)) static unsigned long sum_to(unsigned long n)
{
    volatile unsigned long here = n;

    return n ? sum_to(n - 1) + here : here;
}

static void *body(void *arg)
{
    static char alternate[64 << 10];
    stack_t ss = { .ss_sp = alternate, .ss_size = sizeof(alternate) };
    char here;

    CHECK(is_on_stack(&here), "%p is not the stack at %p", (void *)&here, (void *)low);
    CHECK(sum_to(2000) == 2001000, "calls");
    for (unsigned long i = 0; i < scaled(1000); i++) {
        on_stack = 0;
        CHECK(pthread_kill(pthread_self(), SIGUSR1) == 0 && on_stack, "the handler's stack");
    }
    CHECK_ERRNO(sigaltstack(&ss, NULL) == 0);
    if (!sigsetjmp(back, 1)) {
        sum_to(SIZE);
        CHECK(false, "no end of the stack");
    }
    CHECK(fault_address < low && fault_address >= low - 2 * PAGE, "fault at %p below %p", (void *)fault_address,
          (void *)low);
    return arg;
}

/* The highest SIZE bytes below 1 << bits that can be had, with something without access below; NULL: none are near. */
static char *map_top(unsigned bits)
{
    for (unsigned page = 0; page < 8192; page++) {
        uintptr_t end = (1ul << bits) - page * PAGE;
        char *want = (char *)(end - SIZE - 2 * PAGE);
        char *p = mmap(want, SIZE + 2 * PAGE, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
        if (p == want) {
            CHECK_ERRNO(mprotect(p + 2 * PAGE, SIZE, PROT_READ | PROT_WRITE) == 0);
            return p + 2 * PAGE;
        }
        if (p != MAP_FAILED) {
            munmap(p, SIZE + 2 * PAGE);
        }
    }
    return NULL;
}

/* glibc keeps the thread's own data above what it uses as stack; this thread begins at the end itself. */
static void run_at_end(void)
{
    static ucontext_t here, there;

    CHECK_ERRNO(getcontext(&there) == 0);
    there.uc_stack.ss_sp = low;
    there.uc_stack.ss_size = SIZE;
    there.uc_link = &here;
    makecontext(&there, (void (*)(void))sum_to, 1, 1000ul);
    CHECK_ERRNO(swapcontext(&here, &there) == 0);
}

int main(void)
{
    unsigned tried = 0;

    set_handler(SIGUSR1, on_signal, 0);
    set_handler(SIGSEGV, on_fault, SA_ONSTACK);
    for (unsigned bits = 38; bits <= 47; bits += bits == 38 ? 8 : 1) {
        pthread_attr_t attr;
        pthread_t id;

        if (!(low = map_top(bits))) {
            continue;
        }
        tried++;
        run_at_end();
        CHECK(pthread_attr_init(&attr) == 0 && pthread_attr_setstack(&attr, low, SIZE) == 0, "the stack at %p", (void *)low);
        CHECK(pthread_create(&id, &attr, body, NULL) == 0 && pthread_join(id, NULL) == 0, "the thread");
        CHECK_ERRNO(munmap(low - 2 * PAGE, SIZE + 2 * PAGE) == 0);
    }
    CHECK(tried, "no memory near the end of any address space");
    return 0;
}
