/*
 * Leaving units and going from one to the next: links, side exits, calls and returns, the
 * return stack's overflow, the jump cache, POLL, helpers that leave, misaligned accesses,
 * a segment base.  Units are written as IR text and run by a small run loop that links
 * what it can.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "harness.h"
#include "test-guest.h"

typedef struct Unit {
    uint64_t pc;
    HostCode code;
} Unit;

static Unit units[32];
static unsigned nunits;
static size_t code_used;
static Arena arena;
static unsigned n_links, n_lookups, n_overflows;
static uint8_t guest_memory[1 << 20] __attribute__((aligned(4096)));

static void add_unit(const char *text)
{
    IRFunc f;
    char err[200] = "";
    if (!ir_parse(&f, &test_guest, &arena, text, err, sizeof err)) {
        fail_msg("%s: %s", err, text);
    }
    const char *wrong = ir_verify(&f);
    if (wrong) {
        fail_msg("%s: %s", wrong, text);
    }
    Unit *u = &units[nunits++];
    u->pc = f.pc;
    u->code = harness_compile(&f, code_used);
    code_used = (size_t)(u->code.code - code_buffer) - thunk_size + u->code.size;
    for (unsigned i = 0; i < u->code.nexits; i++) {
        assert_int_equal(((uintptr_t)u->code.code + u->code.exits[i].patch_offset) & 3,
                         0);
    }
}

static Unit *find_unit(uint64_t pc)
{
    for (unsigned i = nunits; i-- > 0;) {
        if (units[i].pc == pc) {
            return &units[i];
        }
    }
    return NULL;
}

static void clear_cache(void)
{
    for (unsigned i = 0; i < JUMP_CACHE_SIZE; i++) {
        env->jump_cache[i].pc = JUMP_CACHE_NONE;
    }
}

static Unit *last_entered;

/* Run from env->pc; link direct exits, fill the jump cache, until something else happens.
 */
static HostExit run(bool link)
{
    for (;;) {
        Unit *u = find_unit(env->pc);
        if (!u) {
            return (HostExit){ .kind = HOST_EXIT_LOOKUP };
        }
        last_entered = u;
        HostExit left = host_enter(env, u->code.code);
        if (left.kind == HOST_EXIT_LINK) {
            n_links++;
            assert_int_equal(left.unit, UNIT_ID);
            /* units share an id here: find the exit by its pc in whichever has it */
            for (unsigned i = 0; link && i < nunits; i++) {
                HostCode *code = &units[i].code;
                Unit *to = find_unit(env->pc);
                if (to && left.exit < code->nexits &&
                    code->exits[left.exit].pc == env->pc) {
                    host_patch_jump(code->code + code->exits[left.exit].patch_offset,
                                    to->code.code);
                }
            }
        } else if (left.kind == HOST_EXIT_LOOKUP) {
            n_lookups++;
            Unit *to = find_unit(env->pc);
            if (to) {
                JumpCacheEntry *e = &env->jump_cache[jump_cache_index(to->pc)];
                e->code = to->code.code;
                e->pc = to->pc;
            }
        } else {
            return left;
        }
    }
}

static void on_segv(int sig, siginfo_t *si, void *context);

/* Everything anew.  Also the signal handler: cmocka puts its own before each test. */
static void start(HostConfig config)
{
    struct sigaction sa = { .sa_sigaction = on_segv,
                            .sa_flags = SA_SIGINFO | SA_ONSTACK };
    sigaction(SIGSEGV, &sa, NULL);
    config.guest = &test_guest;
    harness_host_init(config);
    uint64_t *top = env->ras_top;
    top[0] = top[1] = 1;
    nunits = 0;
    code_used = 0;
    n_links = n_lookups = n_overflows = 0;
    memset(env->reg, 0, sizeof env->reg);
    env->fp_state = host_fp_init();
    env->exit_request = 0;
    clear_cache();
    arena_reset(&arena);
}

static void on_segv(int sig, siginfo_t *si, void *context)
{
    ucontext_t *uc = context;
    uintptr_t addr = (uintptr_t)si->si_addr;
    if (addr < (uintptr_t)ras_base && addr >= (uintptr_t)ras_base - 4096 &&
        host_fix_ras_overflow_sigsafe(env, context, addr)) {
        n_overflows++;
        return;
    }
    uintptr_t pc = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
    for (unsigned i = 0; i < nunits; i++) {
        const HostCode *code = &units[i].code;
        if (pc - (uintptr_t)code->code < code->size &&
            host_recover(env, code->code, code->recovery, code->recovery_size, pc,
                         context)) {
            host_leave_sigsafe(env, context,
                               (HostExit){ .kind = HOST_EXIT_REASON, .exit = 99 });
            return;
        }
    }
    signal(SIGSEGV, SIG_DFL);
}

/* ---- straight lines ---- */

static void test_link(void **state)
{
    start((HostConfig){ 0 });
    add_unit("unit 0x1000\nblock 0:\n %1 = getreg i64 r0\n %2 = add i64 %1, 5\n"
             " exit.jump  [pc=0x1010 r0=%2]\n");
    add_unit("unit 0x1010\nblock 0:\n %1 = getreg i64 r0\n %2 = mul i64 %1, 3\n"
             " exit.reason 7  [pc=0x1020 r14=%2]\n");
    for (unsigned round = 0; round < 3; round++) {
        env->reg[0] = 100;
        env->pc = 0x1000;
        HostExit left = run(true);
        assert_int_equal(left.kind, HOST_EXIT_REASON);
        assert_int_equal(left.exit, 7);
        assert_int_equal(env->pc, 0x1020);
        assert_int_equal(env->reg[0], 105);
        assert_int_equal(env->reg[14], 315);
    }
    assert_int_equal(n_links, 1);
    /* and back to the stub */
    HostCode *code = &units[0].code;
    host_patch_jump(code->code + code->exits[0].patch_offset,
                    code->code + code->exits[0].stub_offset);
    env->pc = 0x1000;
    run(true);
    assert_int_equal(n_links, 2);
}

/* Exits with nothing to move and with registers that are elsewhere, both linked. */
static void test_side_exits(void **state)
{
    start((HostConfig){ 0 });
    add_unit("unit 0x1000\nblock 0:\n %1 = getreg i64 r0\n %2 = getreg i64 r1\n"
             " exitif.eq %1, 1  [pc=0x1100]\n"
             " exitif.eq %1, 2  [pc=0x1100 r0=%2 r1=%1]\n"
             " %3 = add i64 %1, %2\n"
             " exitif.eq %1, 3  [pc=0x1100 r14=%3 r15=%1 r2=77]\n"
             " %4 = setcc.ltu i64 %1, %2\n"
             " exitif.ne %4, 0  [pc=0x1100 r3=%4]\n"
             " exit.jump  [pc=0x1100 r3=%4]\n");
    add_unit("unit 0x1100\nblock 0:\n exit.reason 1  [pc=0x1104]\n");
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned r0 = 1; r0 < 30; r0++) {
            memset(env->reg, 0, sizeof env->reg);
            env->reg[0] = r0;
            env->reg[1] = 20;
            env->pc = 0x1000;
            run(true);
            assert_int_equal(env->pc, 0x1104);
            assert_int_equal(env->reg[0], r0 == 2 ? 20 : r0);
            assert_int_equal(env->reg[1], r0 == 2 ? 2 : 20);
            assert_int_equal(env->reg[14], r0 == 3 ? 23 : 0);
            assert_int_equal(env->reg[15], r0 == 3 ? 3 : 0);
            assert_int_equal(env->reg[2], r0 == 3 ? 77 : 0);
            assert_int_equal(env->reg[3], r0 > 3 && r0 < 20);
        }
    }
    assert_int_equal(n_links, 5);
}

static void test_poll(void **state)
{
    start((HostConfig){ 0 });
    add_unit("unit 0x1000\nblock 0:\n %1 = getreg i64 r0\n %2 = add i64 %1, 1\n"
             " poll  [pc=0x1004 r0=%2]\n exit.jump  [pc=0x1000 r0=%2]\n");
    env->pc = 0x1000;
    env->exit_request = 1;
    HostExit left = run(true);
    assert_int_equal(left.kind, HOST_EXIT_POLL);
    assert_int_equal(env->pc, 0x1004);
    assert_int_equal(env->reg[0], 1);
}

/* Three instructions a round, of which a side exit behind the second gives one back. */
static void test_count(void **state)
{
    start((HostConfig){ 0 });
    add_unit("unit 0x1000\nblock 0:\n count 3 [pc=0x1000]\n %1 = getreg i64 r0\n"
             " %2 = add i64 %1, 1\n exitif.eq %2, 40  [pc=0x2000 owed=1 r0=%2]\n"
             " loop  [pc=0x1000 r0=%2]\n");
    static const struct {
        uint64_t r0, left, pc, left_after, r0_after;
    } cases[] = {
        { 0, 10, 0x1000, 1, 3 },        /* three rounds, and no fourth */
        { 0, 9, 0x1000, 0, 3 },
        { 0, 2, 0x1000, 2, 0 },         /* not even one */
        { 0, 0, 0x1000, 0, 0 },
        { 38, 10, 0x2000, 5, 40 },      /* out in the second round */
        { 39, 3, 0x2000, 1, 40 },
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        env->pc = 0x1000;
        env->reg[0] = cases[i].r0;
        env->insns_left = (int64_t)cases[i].left;
        HostExit left = run(false);
        assert_int_equal(left.kind, cases[i].pc == 0x1000 ? HOST_EXIT_POLL : HOST_EXIT_LOOKUP);
        assert_int_equal(env->pc, cases[i].pc);
        assert_int_equal(env->insns_left, cases[i].left_after);
        assert_int_equal(env->reg[0], cases[i].r0_after);
    }
}

/* ---- calls and returns ---- */

/* r0 = sum of 1..r0 by recursion: r1 = return address, r2 = stack. */
static void add_recursion(void)
{
    add_unit("unit 0x500\nblock 0:\n exit.call 0x504  [pc=0x1000 r1=0x504]\n");
    add_unit("unit 0x504\nblock 0:\n exit.reason 2  [pc=0x504]\n");
    add_unit("unit 0x1000\nblock 0:\n %1 = getreg i64 r0\n %2 = getreg i64 r1\n %3 = "
             "getreg i64 r2\n"
             " exitif.eq %1, 0  [pc=0x1100]\n"
             " %4 = sub i64 %3, 16\n"
             " st.u64 [%4 + 0], %2  [pc=0x1008 r2=%4]\n"
             " st.u64 [%4 + 8], %1  [pc=0x100c r2=%4]\n"
             " %5 = sub i64 %1, 1\n"
             " exit.call 0x1014  [pc=0x1000 r0=%5 r1=0x1014 r2=%4]\n");
    add_unit("unit 0x1014\nblock 0:\n %1 = getreg i64 r0\n %2 = getreg i64 r2\n"
             " %3 = ld.u64 i64 [%2 + 0]  [pc=0x1014]\n"
             " %4 = ld.u64 i64 [%2 + 8]  [pc=0x1018]\n"
             " %5 = add i64 %1, %4\n %6 = add i64 %2, 16\n"
             " exitind.ret %3  [pc=0x101c r0=%5 r1=%3 r2=%6]\n");
    add_unit(
        "unit 0x1100\nblock 0:\n %1 = getreg i64 r1\n exitind.ret %1  [pc=0x1100]\n");
}

static uint64_t recurse(uint64_t depth)
{
    env->reg[0] = depth;
    env->reg[2] = (uintptr_t)guest_memory + sizeof guest_memory;
    env->pc = 0x500;
    HostExit left = run(true);
    assert_int_equal(left.kind, HOST_EXIT_REASON);
    assert_int_equal(left.exit, 2);
    assert_int_equal(env->reg[2], (uintptr_t)guest_memory + sizeof guest_memory);
    return env->reg[0];
}

static void test_recursion(void **state)
{
    start((HostConfig){ 0 });
    add_recursion();
    for (unsigned round = 0; round < 3; round++) {
        assert_int_equal(recurse(10), 55);
    }
    /* all linked by now: a shallow recursion never leaves */
    n_links = n_lookups = 0;
    assert_int_equal(recurse(100), 5050);
    assert_int_equal(n_links, 0);
    assert_int_equal(n_lookups, 0);
    assert_int_equal(n_overflows, 0);
    /* 4 KiB of return stack hold 256 calls */
    assert_int_equal(recurse(5000), 12502500);
    assert_true(n_overflows >= 19);
    assert_int_equal(recurse(100), 5050);
}

static void test_recursion_without_ras(void **state)
{
    start((HostConfig){ .no_ras = true });
    add_recursion();
    for (unsigned round = 0; round < 3; round++) {
        assert_int_equal(recurse(5000), 12502500);
    }
    assert_int_equal(n_overflows, 0);
    n_lookups = 0;
    recurse(5000);
    assert_int_equal(n_lookups, 0); /* the jump cache has all */
}

static void test_recursion_without_jump_cache(void **state)
{
    start((HostConfig){ .no_ras = true, .no_inline_jump_cache = true });
    add_recursion();
    recurse(10);
    n_lookups = 0;
    assert_int_equal(recurse(100), 5050);
    assert_int_equal(n_lookups, 101);
}

/* A return to another place than the call's: the stack starts over, the result is right.
 */
static void test_wrong_return(void **state)
{
    start((HostConfig){ 0 });
    add_unit("unit 0x500\nblock 0:\n exit.call 0x504  [pc=0x1000 r1=0x600]\n");
    add_unit("unit 0x504\nblock 0:\n exit.reason 3  [pc=0x504]\n");
    add_unit("unit 0x600\nblock 0:\n exit.reason 4  [pc=0x600]\n");
    add_unit(
        "unit 0x1000\nblock 0:\n %1 = getreg i64 r1\n exitind.ret %1  [pc=0x1000]\n");
    for (unsigned round = 0; round < 3; round++) {
        env->pc = 0x500;
        assert_int_equal(run(true).exit, 4);
    }
}

/* Indirect calls, far return addresses. */
static void test_indirect_call(void **state)
{
    start((HostConfig){ 0 });
    add_unit("unit 0x500\nblock 0:\n %1 = getreg i64 r5\n"
             " exitind.call %1, 0x123456789abc  [pc=0x500 r1=0x123456789abc]\n");
    add_unit("unit 0x600\nblock 0:\n %1 = getreg i64 r14\n"
             " exitind.call %1, 0x604  [pc=0x600 r1=0x604]\n");
    add_unit("unit 0x604\nblock 0:\n exit.reason 6  [pc=0x604]\n");
    add_unit("unit 0x123456789abc\nblock 0:\n exit.reason 5  [pc=0x123456789abc]\n");
    add_unit("unit 0x1000\nblock 0:\n %1 = getreg i64 r1\n %2 = getreg i64 r0\n %3 = add "
             "i64 %2, 1\n"
             " exitind.ret %1  [pc=0x1000 r0=%3]\n");
    env->reg[5] = env->reg[14] = 0x1000;
    for (unsigned round = 0; round < 4; round++) {
        env->pc = 0x500;
        assert_int_equal(run(true).exit, 5);
        env->pc = 0x600;
        assert_int_equal(run(true).exit, 6);
    }
    assert_int_equal(env->reg[0], 8);
    n_links = n_lookups = 0;
    env->pc = 0x500;
    run(true);
    assert_int_equal(n_links + n_lookups, 0);
}

/* ---- helpers, faults ---- */

static uint64_t helper_leaves(void *cpu, uint64_t a)
{
    assert_ptr_equal(cpu, env);
    assert_int_equal(env->reg[0], 11); /* all registers are in env */
    assert_int_equal(env->reg[15], 12);
    if (a == 1) {
        const HostCode *code = &last_entered->code;
        assert_true(host_recover(env, code->code, code->recovery, code->recovery_size,
                                 env->helper_return, NULL));
        host_leave_from_helper(env, (HostExit){ .kind = HOST_EXIT_REASON, .exit = 33 });
    }
    return a * 2;
}

static void test_helper_leaves(void **state)
{
    IRHelper helpers[16];
    memcpy(helpers, test_guest.helpers, test_guest.nhelpers * sizeof *helpers);
    for (unsigned i = 0; i < test_guest.nhelpers; i++) {
        if (!strcmp(helpers[i].name, "fault")) {
            helpers[i].fn = (void *)(uintptr_t)helper_leaves;
        }
    }
    start((HostConfig){ 0 });
    IRGuest guest = test_guest;
    guest.helpers = helpers;
    IRFunc f;
    char err[200];
    assert_true(
        ir_parse(&f, &guest, &arena,
                 "unit 0x1000\nblock 0:\n %1 = getreg i64 r1\n %2 = add i64 %1, 7\n"
                 " %3 = call i64 fault(%1)  [pc=0x1004 r0=11 r15=12]\n"
                 " %4 = add i64 %3, %2\n exit.reason 34  [pc=0x1008 r0=%4 r15=12]\n",
                 err, sizeof err));
    units[nunits++] = (Unit){ 0x1000, harness_compile(&f, 0) };
    env->pc = 0x1000;
    env->reg[1] = 5;
    assert_int_equal(run(true).exit, 34);
    assert_int_equal(env->reg[0], 22);
    env->pc = 0x1000;
    env->reg[1] = 1;
    assert_int_equal(run(true).exit, 33);
    assert_int_equal(env->pc, 0x1004);
    assert_int_equal(env->reg[0], 11);
    assert_int_equal(env->reg[15], 12);
    assert_int_equal(env->reg[1], 1);
}

static void test_misaligned(void **state)
{
    start((HostConfig){ 0 });
    add_unit("unit 0x1000\nblock 0:\n %1 = getreg i64 r1\n"
             " %2 = amo.add.u64.align i64 [%1], 3  [pc=0x1004 r0=9]\n"
             " exit.reason 35  [pc=0x1008 r0=%2]\n");
    uint64_t *word = (uint64_t *)(void *)guest_memory;
    *word = 40;
    env->reg[1] = (uintptr_t)word;
    env->pc = 0x1000;
    assert_int_equal(run(true).exit, 35);
    assert_int_equal(env->reg[0], 40);
    assert_int_equal(*word, 43);
    env->reg[1] += 4;
    env->pc = 0x1000;
    assert_int_equal(run(true).exit, MISALIGNED_REASON);
    assert_int_equal(env->exit_addr, (uintptr_t)word + 4);
    assert_int_equal(env->pc, 0x1004);
    assert_int_equal(env->reg[0], 9);
    assert_int_equal(*word, 43);
}

static void test_segment_base(void **state)
{
    start((HostConfig){ .guest_base = (uintptr_t)guest_memory });
    add_unit("unit 0x1000\nblock 0:\n %1 = getreg i64 r1\n"
             " %2 = ld.u32 i64 [%1 + 4]  [pc=0x1004 r0=1]\n"
             " st.u64 [64 + 0], %2  [pc=0x1008 r0=2]\n"
             " %3 = amo.add.u64 i64 [%1], %2  [pc=0x100c r0=3]\n"
             " %4 = ld.u64 i64 [%1 + 0x7ff00000]  [pc=0x1010 r0=4]\n"
             " exit.reason 36  [pc=0x1014 r0=%3]\n");
    memset(guest_memory, 0, 128);
    guest_memory[20] = 9;
    env->reg[1] = 16;
    env->pc = 0x1000;
    HostExit left = run(true);
    assert_int_equal(guest_memory[64], 9);
    assert_int_equal(guest_memory[16], 9);
    assert_int_equal(left.exit, 99); /* the far load faulted */
    assert_int_equal(env->pc, 0x1010);
    assert_int_equal(env->reg[0], 4);
}

/* Flags saved, compared, flags restored: no flag is raised, whatever is compared. */
static void test_quiet_compare(void **state)
{
    static const uint64_t values[] = {
        0x3ff0000000000000,
        0x4000000000000000,
        0x7ff8000000000000,
        0x7ff0000000000001,
    };
    start((HostConfig){ 0 });
    add_unit("unit 0x1000\nblock 0:\n %1 = getreg f64 f0\n %2 = getreg f64 f1\n"
             " %3 = fpget i64\n %4 = fcmp.lt i64 %1, %2\n %5 = fcmp.le i64 %1, %2\n"
             " %6 = and i64 %3, 31\n fpset %6\n"
             " exitif.eq %5, 0  [pc=0x1010 r0=%4 r1=%5 r2=%3]\n"
             " exit.reason 1  [pc=0x1014 r0=%4 r1=%5 r2=%3]\n");
    for (unsigned a = 0; a < 4; a++) {
        for (unsigned b = 0; b < 4; b++) {
            for (unsigned flags = 0; flags < 32; flags += 15) {
                env->reg[TEST_GUEST_INTS] = values[a];
                env->reg[TEST_GUEST_INTS + 1] = values[b];
                host_fp_set_flags(env, flags);
                env->pc = 0x1000;
                run(true);
                bool numbers = a < 2 && b < 2;
                assert_int_equal(host_fp_get_flags(env), flags);
                assert_int_equal(env->reg[0], numbers && a < b);
                assert_int_equal(env->reg[1], numbers && a <= b);
                assert_int_equal(env->reg[2], flags);
                assert_int_equal(env->pc, numbers && a <= b ? 0x1014 : 0x1010);
            }
        }
    }
}

static int set_up(void **state)
{
    static uint8_t stack[65536];
    stack_t alt = { .ss_sp = stack, .ss_size = sizeof stack };
    sigaltstack(&alt, NULL);
    arena_init(&arena, 0);
    harness_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_link),
        cmocka_unit_test(test_side_exits),
        cmocka_unit_test(test_poll), cmocka_unit_test(test_count),
        cmocka_unit_test(test_recursion),
        cmocka_unit_test(test_recursion_without_ras),
        cmocka_unit_test(test_recursion_without_jump_cache),
        cmocka_unit_test(test_wrong_return),
        cmocka_unit_test(test_indirect_call),
        cmocka_unit_test(test_helper_leaves),
        cmocka_unit_test(test_misaligned),
        cmocka_unit_test(test_segment_base),
        cmocka_unit_test(test_quiet_compare),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
