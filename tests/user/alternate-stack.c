/*
 * Stack overflow is caught on the alternate stack, in the first thread and in
 * others, again and again; what sigaltstack reports while on it; changing it while
 * on it is refused; SS_AUTODISARM.
 *
 * test-native: yes
 */
#include <setjmp.h>
#include "test.h"

static __thread sigjmp_buf back;
static __thread char *stack_base;
static _Atomic unsigned long overflows;

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1u << 31)
#endif

static void on_overflow(int sig, siginfo_t *info, void *context)
{
    char here;
    stack_t now;

    CHECK(&here >= stack_base && &here < stack_base + 65536,
          "not on the alternate stack");
    CHECK_ERRNO(sigaltstack(NULL, &now) == 0);
    CHECK(now.ss_flags & SS_ONSTACK, "ss_flags %#x", now.ss_flags);
    CHECK(sigaltstack(&now, NULL) == -1 && (errno == EPERM || errno == EINVAL),
          "changed while in use");
    overflows++;
    siglongjmp(back, 1);
}

static void on_usr(int sig, siginfo_t *info, void *context)
{
    stack_t now;

    CHECK_ERRNO(sigaltstack(NULL, &now) == 0);
    CHECK(now.ss_flags == SS_DISABLE, "SS_AUTODISARM left %#x", now.ss_flags);
    overflows++;
}

static __attribute__((noinline)) long recurse(long n)
{
    char block[512];

    memset(block, (int)n, sizeof(block));
    __asm__ volatile("" : : "r"(block) : "memory");
    /* The condition is only there for the compiler: the stack ends long before. */
    return n < 1L << 60 ? recurse(n + 1) + block[n % 512] : 0;
}

static void *body(void *arg)
{
    stack_t stack = { .ss_size = 65536 }, now;

    stack_base = malloc(65536);
    stack.ss_sp = stack_base;
    CHECK_ERRNO(sigaltstack(&stack, NULL) == 0);
    for (unsigned long i = 0; i < scaled(20); i++) {
        if (sigsetjmp(back, 1) == 0) {
            recurse(0);
        }
    }
    CHECK_ERRNO(sigaltstack(NULL, &now) == 0);
    CHECK(now.ss_flags == 0 && now.ss_sp == stack_base, "stack after the handler");
    stack.ss_flags = (int)SS_AUTODISARM;
    CHECK_ERRNO(sigaltstack(&stack, NULL) == 0);
    raise(SIGUSR1);
    stack.ss_flags = SS_DISABLE;
    CHECK_ERRNO(sigaltstack(&stack, NULL) == 0);
    stack.ss_flags = 0;
    stack.ss_size = 100;
    CHECK(sigaltstack(&stack, NULL) == -1 && errno == ENOMEM, "too small a stack");
    free(stack_base);
    return NULL;
}

int main(void)
{
    pthread_t ids[4];

    set_handler(SIGSEGV, on_overflow, SA_ONSTACK);
    set_handler(SIGUSR1, on_usr, SA_ONSTACK);
    body(NULL);
    for (int i = 0; i < 4; i++) {
        ids[i] = start_thread(body, NULL);
    }
    for (int i = 0; i < 4; i++) {
        join_thread(ids[i]);
    }
    CHECK(overflows == 5 * (scaled(20) + 1), "%lu overflows", (unsigned long)overflows);
    return 0;
}
