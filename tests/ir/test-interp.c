/*
 * The interpreter where it meets the world: faults, hooks, helpers, exits, other threads.
 * What single ops compute is test-ops.py's.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "ir/interp.h"
#include "test-guest.h"
#include "util/arena.h"

enum { R0, R1, R2, R3 };
enum { REASON_FAULT = 90, REASON_MISALIGNED, REASON_EXCLUSIVE };

static Arena arena;
static HostEnv env;
static IRInterp interp;
static sigjmp_buf fault_jump;
static bool fault_recovered;

static int setup(void **state)
{
    arena_init(&arena, 0);
    return 0;
}

static int teardown(void **state)
{
    arena_destroy(&arena);
    ir_interp_destroy(&interp);
    return 0;
}

static void parse(IRFunc *f, const char *text)
{
    char err[200];
    memset(&env, 0, sizeof env);
    env.fp_state = 0x1f80;
    if (!ir_parse(f, &test_guest, &arena, text, err, sizeof err)) {
        fail_msg("%s", err);
    }
    const char *wrong = ir_verify(f);
    if (wrong) {
        fail_msg("%s", wrong);
    }
}

static const IRInterpHooks direct = {
    .fault_reason = REASON_FAULT, .misaligned_reason = REASON_MISALIGNED,
    .exclusive_reason = REASON_EXCLUSIVE,
};

static void on_fault(int sig, siginfo_t *info, void *ucontext)
{
    fault_recovered = ir_interp_recover_sigsafe(&interp, &env);
    siglongjmp(fault_jump, 1);
}

static void *unreadable_page(void)
{
    return mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void run_to_fault(const char *text, void *page)
{
    IRFunc f;
    struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO }, old;
    sigaction(SIGSEGV, &sa, &old);
    parse(&f, text);
    for (unsigned i = 0; i < 8; i++) {
        env.reg[i] = 100 + i;
    }
    env.reg[R1] = (uintptr_t)page;
    fault_recovered = false;
    if (sigsetjmp(fault_jump, 1) == 0) {
        ir_interp_run(&interp, &f, &env, &direct);
        fail_msg("no fault");
    }
    sigaction(SIGSEGV, &old, NULL);
}

/* The state is that of the faulting access: not of the one before, not of what follows.
 */
static void test_fault_state(void **state)
{
    static const char *const access[] = {
        "%20 = ld.u8 i64 [%1 + 8]", "st.u32 [%1], %2", "%20 = amo.add.u64 i64 [%1], %2",
        "%20 = cas.u32 i64 [%1], %2, %3", "%20 = amo.or.u16.plain i64 [%1], %2",
    };
    void *page = unreadable_page();
    for (unsigned i = 0; i < sizeof access / sizeof *access; i++) {
        char text[1000];
        uint64_t ok = 7;
        snprintf(text, sizeof text,
                 "unit 0x1000\nblock 0:\n%%1 = getreg i64 r1\n%%2 = getreg i64 r2\n"
                 "%%3 = add i64 %%2, 1\n%%4 = ld.u64 i64 [0x%jx] [pc=0x1004 r3=%%2]\n"
                 "%%5 = add i64 %%4, %%3\n%s [pc=0x1008 r2=%%3 r3=%%5 f0=0x123]\n"
                 "exit.jump [pc=0x1010 r0=%%5 r4=%%5]\n",
                 (uintmax_t)(uintptr_t)&ok, access[i]);
        run_to_fault(text, page);
        assert_true(fault_recovered);
        assert_int_equal(env.pc, 0x1008);
        assert_int_equal(env.reg[R0], 100);
        assert_int_equal(env.reg[R2], 103);
        assert_int_equal(env.reg[R3], 110);
        assert_int_equal(env.reg[4], 104);
        assert_int_equal(env.reg[TEST_GUEST_INTS], 0x123);
    }
    munmap(page, 4096);
}

#define F0 TEST_GUEST_INTS
#define LOOKS_AT_NANS                                                                    \
    " [pc=0x1008 f0=canon %3 f1=canon32 %4 f2=canon 0x7ff0000000000000"                  \
    " f3=canon32 0xffffffff7f800000 f4=%3 f5=canon 0xfff4000000000001"                   \
    " f6=canon32 0x12345678ff800001]\n"

static void check_canonical(void)
{
    static const uint64_t expected[] = {
        0x7ff8000000000000, 0xffffffff7fc00000, 0x7ff0000000000000, 0xffffffff7f800000,
        0xfff8000000000123, 0x7ff8000000000000, 0xffffffff7fc00000,
    };
    for (unsigned i = 0; i < sizeof expected / sizeof *expected; i++) {
        assert_int_equal(env.reg[F0 + i], expected[i]);
    }
}

/* Snapshots put default NaNs in the place of others where they say so. */
static void test_snapshot_makes_canonical(void **state)
{
    static const char head[] =
        "unit 0x1000\nblock 0:\n%1 = getreg i64 r1\n"
        "%3 = bitcast f64 0xfff8000000000123:i64\n"
        "%4 = bitcast f64 0xffffffffffc00007:i64\n";
    static const char *const exits[] = { "exitif.ne %1, 0", "poll",
                                         "%5 = ld.u64 i64 [%1]" };
    void *page = unreadable_page();
    IRFunc f;
    char text[2000];
    for (unsigned i = 0; i < 3; i++) {
        snprintf(text, sizeof text, "%s%s%s", head, exits[i],
                 LOOKS_AT_NANS "exit.jump [pc=0x2000]\n");
        if (i == 2) {
            run_to_fault(text, page);
        } else {
            parse(&f, text);
            env.reg[R1] = 1;
            env.exit_request = i == 1;
            ir_interp_run(&interp, &f, &env, &direct);
        }
        assert_int_equal(env.pc, 0x1008);
        check_canonical();
    }
    munmap(page, 4096);
}

/* Behind an access, a fault is not the guest's any more. */
static void test_fault_of_our_own(void **state)
{
    IRFunc f;
    uint64_t cell = 1;
    parse(&f,
          "unit 0x1000\nblock 0:\n%1 = getreg i64 r1\n%2 = ld.u64 i64 [%1] [pc=0x1004]\n"
          "%3 = call i64 fault(%2) [pc=0x1008]\nexit.jump [pc=0x1010 r0=%3]\n");
    env.reg[R1] = (uintptr_t)&cell;
    ir_interp_run(&interp, &f, &env, &direct);
    assert_false(ir_interp_recover_sigsafe(&interp, &env));
    assert_int_equal(env.reg[R0], ~UINT64_C(1));
}

static uint8_t buffer[64];
static unsigned accesses;

static bool hook_load(void *opaque, uint64_t addr, unsigned size, uint64_t *v)
{
    accesses++;
    *v = 0xabababababababab;
    memcpy(v, buffer + (addr & 63), size);
    return addr < 0x2000;
}

static bool hook_store(void *opaque, uint64_t addr, unsigned size, uint64_t v)
{
    accesses++;
    memcpy(buffer + (addr & 63), &v, size);
    return addr < 0x1800;
}

static const IRInterpHooks hooked = {
    .load = hook_load, .store = hook_store, .fault_reason = REASON_FAULT,
    .misaligned_reason = REASON_MISALIGNED, .exclusive_reason = REASON_EXCLUSIVE,
};

static void test_hooks(void **state)
{
    IRFunc f;
    parse(&f, "unit 0x1000\nblock 0:\n%1 = getreg i64 r1\n"
              "st.u16 [%1], 0x1ff80:i64 [pc=0x1002]\n"
              "%2 = ld.s8 i64 [%1] [pc=0x1004]\n"
              "%3 = ld.u16 i64 [%1] [pc=0x1006]\n"
              "%4 = amo.max.s16 i64 [%1], 5 [pc=0x1008]\n"
              "%5 = cas.u16 i64 [%1], 0xffff0005, 9 [pc=0x100a]\n"
              "%6 = cas.u16 i64 [%1], 6, 10 [pc=0x100c]\n"
              "exit.jump [pc=0x1010 r0=%2 r2=%3 r3=%4 r4=%5 r5=%6]\n");
    memset(buffer, 0x77, sizeof buffer);
    accesses = 0;
    env.reg[R1] = 0x1000;
    HostExit e = ir_interp_run(&interp, &f, &env, &hooked);
    assert_int_equal(e.kind, HOST_EXIT_LOOKUP);
    assert_int_equal(env.reg[R0], (uint64_t)-128);
    assert_int_equal(env.reg[R2], 0xff80);
    assert_int_equal(env.reg[R3], (uint64_t)-128);
    assert_int_equal(env.reg[4], 5);
    assert_int_equal(env.reg[5], 9);
    assert_int_equal(buffer[0], 9);
    assert_int_equal(buffer[1], 0);
    assert_int_equal(buffer[2], 0x77);
    assert_int_equal(accesses, 3 + 2 + 2 + 1);
}

static void check_leaves(const char *access, const IRInterpHooks *hooks, uint64_t addr,
                         uint32_t reason, bool is_store)
{
    IRFunc f;
    char text[400];
    snprintf(text, sizeof text,
             "unit 0x1000\nblock 0:\n%%1 = getreg i64 r1\n%s [pc=0x1004 r2=%%1]\n"
             "exit.jump [pc=0x1010 r3=%%1]\n",
             access);
    parse(&f, text);
    env.reg[R1] = addr;
    HostExit e = ir_interp_run(&interp, &f, &env, hooks);
    assert_int_equal(e.kind, HOST_EXIT_REASON);
    assert_int_equal(e.exit, reason);
    assert_int_equal(env.pc, 0x1004);
    assert_int_equal(env.reg[R2], addr);
    assert_int_equal(env.reg[R3], 0);
    assert_int_equal(interp.fault_addr, addr);
    assert_int_equal(interp.fault_is_store, is_store);
    assert_int_equal(f.ins[interp.left].snap, 1);
}

static void test_reasons(void **state)
{
    static uint64_t line[16] __attribute__((aligned(64)));
    uintptr_t p = (uintptr_t)line;
    check_leaves("%2 = ld.u8 i64 [%1]", &hooked, 0x2000, REASON_FAULT, false);
    check_leaves("st.u8 [%1], %1", &hooked, 0x1800, REASON_FAULT, true);
    check_leaves("%2 = amo.swap.u8 i64 [%1], %1", &hooked, 0x1801, REASON_FAULT, true);
    check_leaves("%2 = ld.u16.align i64 [%1]", &direct, p + 1, REASON_MISALIGNED, false);
    check_leaves("st.u64.align [%1], %1", &direct, p + 4, REASON_MISALIGNED, true);
    check_leaves("%2 = amo.add.u32.align i64 [%1], %1", &direct, p + 2, REASON_MISALIGNED,
                 true);
    check_leaves("%2 = amo.add.u32 i64 [%1], %1", &direct, p + 61, REASON_EXCLUSIVE,
                 true);
    check_leaves("%2 = cas.u64 i64 [%1], 0, 0", &direct, p + 57, REASON_EXCLUSIVE, true);
}

/* Misaligned inside a line is the host's, across lines alone on one thread is plain. */
static void test_misaligned_atomics(void **state)
{
    static uint8_t line[128] __attribute__((aligned(64)));
    IRFunc f;
    parse(&f, "unit 0x1000\nblock 0:\n%1 = getreg i64 r1\n"
              "%2 = amo.add.u32 i64 [%1], 0x01020304 [pc=0x1004]\n%3 = add i64 %1, 58\n"
              "%4 = amo.add.u64.plain i64 [%3], 0x0102030405060708 [pc=0x1006]\n"
              "exit.jump [pc=0x1010 r0=%2 r2=%4]\n");
    env.reg[R1] = (uintptr_t)line + 1;
    HostExit e = ir_interp_run(&interp, &f, &env, &direct);
    assert_int_equal(e.kind, HOST_EXIT_LOOKUP);
    assert_memory_equal(line + 1, "\4\3\2\1", 4);
    assert_memory_equal(line + 59, "\x08\7\6\5\4\3\2\1", 8);
}

static void test_poll_and_loop(void **state)
{
    static const char text[] =
        "unit 0x1000\nblock 0:\n%1 = getreg i64 r1\npoll [pc=0x1000]\n"
        "%2 = add i64 %1, -1\nexitif.eq %2, 0 [pc=0x1008 r1=%2]\n"
        "loop [pc=0x1000 r1=%2]\n";
    IRFunc f;
    parse(&f, text);
    env.reg[R1] = 1000;
    HostExit e = ir_interp_run(&interp, &f, &env, &direct);
    assert_int_equal(e.kind, HOST_EXIT_LOOKUP);
    assert_int_equal(env.pc, 0x1008);
    assert_int_equal(env.reg[R1], 0);
    env.reg[R1] = 1000;
    IRInterpHooks once = direct;
    once.leave_at_loop = true;
    e = ir_interp_run(&interp, &f, &env, &once);
    assert_int_equal(e.kind, HOST_EXIT_LOOKUP);
    assert_int_equal(env.pc, 0x1000);
    assert_int_equal(env.reg[R1], 999);
    env.exit_request = 1;
    e = ir_interp_run(&interp, &f, &env, &direct);
    assert_int_equal(e.kind, HOST_EXIT_POLL);
    assert_int_equal(env.pc, 0x1000);
    assert_int_equal(env.reg[R1], 999);
}

static void test_exits(void **state)
{
    IRFunc f;
    parse(&f, "unit 0x1000\nblock 0:\n%1 = getreg i64 r1\nexitind.call %1, 0x1004 "
              "[pc=0x1000 r2=5]\n");
    env.reg[R1] = 0x5000;
    assert_int_equal(ir_interp_run(&interp, &f, &env, &direct).kind, HOST_EXIT_LOOKUP);
    assert_int_equal(env.pc, 0x5000);
    assert_int_equal(env.reg[R2], 5);
    parse(&f, "unit 0x1000\nblock 0:\nexit.reason 7 [pc=0x1004]\n");
    HostExit e = ir_interp_run(&interp, &f, &env, &direct);
    assert_int_equal(e.kind, HOST_EXIT_REASON);
    assert_int_equal(e.exit, 7);
    assert_int_equal(env.pc, 0x1004);
}

/* touch(a): r0 = a + r1, returns r2.  It sees what the unit wrote and the unit sees r0.
 */
static void test_helper_with_registers(void **state)
{
    IRFunc f;
    parse(&f, "unit 0x1000\nblock 0:\n%1 = getreg i64 r1\n%2 = add i64 %1, 1\n"
              "%3 = call i64 touch(40:i64) [pc=0x1004 r1=%2 r2=77]\n%4 = getreg i64 r0\n"
              "%5 = getreg i64 r1\n%6 = add i64 %4, %5\nexit.jump [pc=0x1010 r3=%3 r4=%6 "
              "r5=%1]\n");
    env.reg[R1] = 1;
    ir_interp_run(&interp, &f, &env, &direct);
    assert_int_equal(env.reg[R0], 42);
    assert_int_equal(env.reg[R1], 2);
    assert_int_equal(env.reg[R2], 77);
    assert_int_equal(env.reg[R3], 77);
    assert_int_equal(env.reg[4], 44);
    assert_int_equal(env.reg[5], 1);
}

/* Arguments move to parameters all at once. */
static void test_parallel_arguments(void **state)
{
    IRFunc f;
    parse(&f, "unit 0x1000\nblock 0:\n%1 = getreg i64 r1\n%2 = getreg i64 r2\n%3 = "
              "getreg i64 r3\n"
              "jump @1(%1, %2, %3)\nblock 1:\n%4 = param i64 0\n%5 = param i64 1\n%6 = "
              "param i64 2\n"
              "%7 = add i64 %6, -1\nbr.ne %7, 0, @1(%5, %4, %7), @2()\nblock 2:\n"
              "exit.jump [pc=0x1010 r1=%4 r2=%5]\n");
    env.reg[R1] = 11;
    env.reg[R2] = 22;
    env.reg[R3] = 4;
    ir_interp_run(&interp, &f, &env, &direct);
    assert_int_equal(env.reg[R1], 22);
    assert_int_equal(env.reg[R2], 11);
}

#define ROUNDS 20000
static uint64_t counter[2];
static IRFunc counting;

static void *count_thread(void *arg)
{
    IRInterp it = { 0 };
    static _Thread_local HostEnv own;
    own.fp_state = 0x1f80;
    for (unsigned i = 0; i < ROUNDS; i++) {
        ir_interp_run(&it, &counting, &own, &direct);
    }
    ir_interp_destroy(&it);
    return NULL;
}

/* One IRFunc, several threads: atomic ops are atomic, and each has a state of its own. */
static void test_threads(void **state)
{
    pthread_t t[4];
    char text[500];
    snprintf(text, sizeof text,
             "unit 0x1000\nblock 0:\n%%1 = amo.add.u64 i64 [0x%jx], 1 [pc=0x1004]\n"
             "%%2 = amo.xor.u8 i64 [0x%jx], 1 [pc=0x1004]\n"
             "%%3 = amo.add.u32 i64 [0x%jx], 3 [pc=0x1004]\nexit.jump [pc=0x1010]\n",
             (uintmax_t)(uintptr_t)&counter[0], (uintmax_t)(uintptr_t)&counter[1] + 4,
             (uintmax_t)(uintptr_t)&counter[1]);
    parse(&counting, text);
    for (unsigned i = 0; i < 4; i++) {
        pthread_create(&t[i], NULL, count_thread, NULL);
    }
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(t[i], NULL);
    }
    assert_int_equal(counter[0], 4 * ROUNDS);
    assert_int_equal(counter[1], 4 * ROUNDS * 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_snapshot_makes_canonical),
        cmocka_unit_test(test_fault_state), cmocka_unit_test(test_fault_of_our_own),
        cmocka_unit_test(test_hooks), cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_misaligned_atomics), cmocka_unit_test(test_poll_and_loop),
        cmocka_unit_test(test_exits), cmocka_unit_test(test_helper_with_registers),
        cmocka_unit_test(test_parallel_arguments), cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
