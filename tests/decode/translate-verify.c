/* SPDX-License-Identifier: MIT
 *
 * The translator makes well-formed IR of anything: random streams of legal instructions
 * (every row of the specs, random operands), and of plain random bytes, under all
 * translation options, pass the IR verifier; a unit covers what it says it covers; and an
 * instruction is translated exactly if it disassembles, privileged and
 * reserved-at-run-time ones aside.
 *
 * What the IR computes is looked at only where the translator takes liberties: integer
 * code with forward branches, which it may turn into selections, has the same result as
 * the same code one instruction at a time, by the interpreter.
 *
 * The back end and exec/ are not linked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exec/exec.h"
#include "guest/riscv/cpu.h"
#include "guest/riscv/disas.h"
#include "guest/riscv/extensions.h"
#include "ir/interp-fp.h"
#include "ir/interp.h"
#include "util/arena.h"

unsigned host_fp_get_flags(const HostEnv *env)
{
    return ir_interp_fp_flags(env->fp_state);
}
void host_fp_set_flags(HostEnv *env, unsigned f)
{
    ir_interp_fp_set_flags(&env->fp_state, f);
}
void host_fp_set_rounding(HostEnv *env, IRRound rm) { fail(); }
uint32_t host_fp_init(void) { return 0; }

void cpu_leave_from_helper(CPUState *cpu, int reason) { abort(); }
uint64_t exec_vdso_call(CPUState *cpu, uint64_t nr, uint64_t a0, uint64_t a1) { abort(); }

static uint64_t seed = 88172645463325252u;

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed * 0x2545f4914f6cdd1d;
}

enum { CODE_SIZE = 512, CODE_PC = 0x10000 };
static uint8_t code[CODE_SIZE];
static unsigned code_end; /* what lies behind cannot be fetched */
static bool all_exist;    /* every pc has a translation already */

static bool fetch(TranslateContext *tc, vaddr pc, unsigned size, uint32_t *insn,
                  bool *fault)
{
    if (pc < CODE_PC || pc + size > CODE_PC + code_end) {
        *fault = true;
        return false;
    }
    *insn = 0;
    memcpy(insn, code + (pc - CODE_PC), size);
    return true;
}

static bool exists(TranslateContext *tc, vaddr pc) { return all_exist; }

/* Fill the code with instructions of random rows. */
static void random_instructions(void)
{
    for (code_end = 0; code_end < CODE_SIZE - 8;) {
        const DisasRow *row = &riscv_disas_rows[rnd() % riscv_disas_row_count];
        uint32_t insn = row->bits | ((uint32_t)rnd() & ~row->mask);
        bool wide = (row->bits & row->mask & 3) == 3;
        if (wide ? riscv_find32(insn, UINT64_MAX)
                 : riscv_find16(insn & 0xffff, UINT64_MAX)) {
            memcpy(code + code_end, &insn, wide ? 4 : 2);
            code_end += wide ? 4 : 2;
        }
    }
    code_end -= rnd() % 16;
}

static void random_bytes(void)
{
    for (code_end = 0; code_end < CODE_SIZE; code_end++) {
        code[code_end] = (uint8_t)rnd();
    }
}

typedef struct Setup {
    Arena arena;
    IRFunc f;
    IRBuilder b;
    RISCVCPU *cpu;
} Setup;

static TranslateContext translate(Setup *s, vaddr pc, uint32_t flags, uint32_t cflags,
                                  unsigned max_insns)
{
    arena_reset(&s->arena);
    ir_func_init(&s->f, &riscv64_guest.ir, &s->arena, pc);
    ir_builder_init(&s->b, &s->f);
    TranslateContext tc = {
        .b = &s->b,
        .cpu = &s->cpu->cs,
        .pc_first = pc,
        .flags = flags,
        .cflags = cflags,
        .max_insns = max_insns,
        .fetch = fetch,
        .exists = exists,
    };
    riscv64_guest.translate(&tc);
    const char *wrong = ir_verify(&s->f);
    if (wrong) {
        ir_print(stderr, &s->f);
        fail_msg("%s", wrong);
    }
    return tc;
}

static const uint32_t all_flags[] = {
    RISCV_TB_FRM_HOST,
    RISCV_TB_FRM_RMM,
    RISCV_TB_FRM_INVALID,
};
static const uint32_t all_cflags[] = {
    0,
    CF_PARALLEL,
    CF_SINGLE_INSN,
    CF_NO_CHAIN,
    CF_LOOKUP_EXITS | CF_PARALLEL,
    CF_SINGLE_INSN | CF_LOOKUP_EXITS | CF_NO_CHAIN,
    CF_PARALLEL | CF_STRICT_LLSC,
    CF_SINGLE_INSN | CF_LOOKUP_EXITS | CF_NO_CHAIN | CF_STRICT_LLSC,
};

static void test_streams(void **state)
{
    Setup *s = *state;
    unsigned long total = 0;
    for (int i = 0; i < 3000; i++) {
        if (i % 4) {
            random_instructions();
        } else {
            random_bytes();
        }
        all_exist = rnd() & 1;
        unsigned max_insns = 1 + (unsigned)(rnd() % 64);
        for (unsigned k = 0; k < 8; k++) {
            vaddr pc = CODE_PC + 2 * (rnd() % (code_end / 2));
            TranslateContext tc =
                translate(s, pc, all_flags[rnd() % 3], all_cflags[rnd() % 8], max_insns);
            assert_true(tc.ninsns <= max_insns);
            assert_true(tc.nbytes >= 2 * tc.ninsns && tc.nbytes <= 4 * tc.ninsns);
            total += tc.ninsns;
        }
    }
    assert_true(total > 30000);
}

/* Translate one instruction; true if the unit does not end as illegal. */
static bool is_translated(Setup *s, uint32_t insn, uint32_t flags)
{
    memcpy(code, &insn, 4);
    code_end = (unsigned)riscv_insn_bytes(insn);
    TranslateContext tc = translate(s, CODE_PC, flags, 0, 1);
    assert_int_equal(tc.ninsns, 1);
    assert_int_equal(tc.nbytes, code_end);
    const IRIns *last = &s->f.ins[s->f.nins - 1];
    return !(last->op == IR_EXIT && last->aux == IR_EXIT_REASON &&
             last->imm == EXIT_REASON_ILLEGAL);
}

/* Instructions that exist but not for user mode, or not always. */
static bool depends(const DisasRow *row)
{
    static const char *const names[] = {
        "csrrw",          "csrrs",
        "csrrc",          "csrrwi",
        "csrrsi",         "csrrci",
        "cbo_inval",      "sret",
        "mret",           "wfi",
        "sfence_vma",     "sinval_vma",
        "sfence_w_inval", "sfence_inval_ir",
    };
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!strcmp(names[i], row->name)) {
            return true;
        }
    }
    return false;
}

static void test_legality(void **state)
{
    Setup *s = *state;
    for (unsigned r = 0; r < riscv_disas_row_count; r++) {
        const DisasRow *row = &riscv_disas_rows[r];
        for (int i = 0; i < 20; i++) {
            uint32_t insn = row->bits | ((uint32_t)rnd() & ~row->mask);
            const DisasRow *found;
            if (riscv_insn_bytes(insn) == 2) {
                insn &= 0xffff;
                found = riscv_find16(insn, UINT64_MAX);
            } else {
                found = riscv_find32(insn, UINT64_MAX);
            }
            if (!found || !depends(found)) {
                assert_true(is_translated(s, insn, RISCV_TB_FRM_HOST) == (found != NULL));
            }
        }
    }
}

/* Unprivileged ISA, "Zicsr" and "F": which CSR accesses and rounding modes are legal. */
static void test_illegal_at_run_time(void **state)
{
    static const struct {
        uint32_t insn, flags;
        bool legal;
    } cases[] = {
        {0x00302573, RISCV_TB_FRM_HOST, true},  /* csrrs a0, fcsr, x0 */
        {0xc0102573, RISCV_TB_FRM_HOST, true},  /* csrrs a0, time, x0 */
        {0xc0151073, RISCV_TB_FRM_HOST, false}, /* csrrw x0, time, a0 */
        {0xc0152573, RISCV_TB_FRM_HOST, false}, /* csrrs a0, time, a0 */
        {0xc0106573, RISCV_TB_FRM_HOST, true},  /* csrrsi a0, time, 0 */
        {0xc010e573, RISCV_TB_FRM_HOST, false}, /* csrrsi a0, time, 1 */
        {0xc0002573, RISCV_TB_FRM_HOST, false}, /* csrrs a0, cycle, x0 */
        {0xc0202573, RISCV_TB_FRM_HOST, false}, /* csrrs a0, instret, x0 */
        {0x10002573, RISCV_TB_FRM_HOST, false}, /* csrrs a0, sstatus, x0 */
        {0x30002573, RISCV_TB_FRM_HOST, false}, /* csrrs a0, mstatus, x0 */
        {0x00002573, RISCV_TB_FRM_HOST, false}, /* csrrs a0, 0, x0 */
        {0x00c5f553, RISCV_TB_FRM_HOST, true},  /* fadd.s fa0, fa1, fa2 (dynamic) */
        {0x00c5f553, RISCV_TB_FRM_RMM, true},
        {0x00c5f553, RISCV_TB_FRM_INVALID, false},
        {0x00c5c553, RISCV_TB_FRM_INVALID, true},  /* fadd.s ..., rmm */
        {0x00c5d553, RISCV_TB_FRM_HOST, false},    /* rm = 5 */
        {0x42058553, RISCV_TB_FRM_INVALID, true},  /* fcvt.d.s fa0, fa1 (rne) */
        {0x4205f553, RISCV_TB_FRM_INVALID, false}, /* fcvt.d.s fa0, fa1 (dynamic) */
        {0x28c58553, RISCV_TB_FRM_INVALID, true},  /* fmin.s has no mode */
        {0x30200073, RISCV_TB_FRM_HOST, false},    /* mret */
        {0x10500073, RISCV_TB_FRM_HOST, false},    /* wfi */
        {0x12000073, RISCV_TB_FRM_HOST, false},    /* sfence.vma */
        {0x0005a00f, RISCV_TB_FRM_HOST, false},    /* cbo.inval (a1) */
        {0x0045a00f, RISCV_TB_FRM_HOST, true},     /* cbo.zero (a1) */
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (is_translated(*state, cases[i].insn, cases[i].flags) != cases[i].legal) {
            fail_msg("%08x under flags %u is not %s", cases[i].insn, cases[i].flags,
                     cases[i].legal ? "legal" : "illegal");
        }
    }
}

/* A conditional branch on registers of which there are few, so that it goes both ways. */
static uint32_t random_branch(unsigned offset)
{
    uint32_t x = 10 + (uint32_t)(rnd() % 4), y = 10 + (uint32_t)(rnd() % 4);
    return 0x63 | ((uint32_t)rnd() & 0x5000) | x << 15 | y << 20 |
           (offset >> 1 & 15) << 8;
}

static uint32_t random_integer(unsigned *bytes)
{
    static const uint32_t opcodes[] = {0x13, 0x1b, 0x33, 0x3b, 0x37, 0x17};
    static const uint32_t kinds[] = {0x0000, 0x0001, 0x2001, 0x4001,
                                     0x6001, 0x8001, 0x0002, 0x8002};
    uint32_t insn = (uint32_t)rnd();
    if (rnd() % 3) {
        *bytes = 4;
        return (insn & ~0xfffu) | opcodes[rnd() % 6] | (uint32_t)(10 + rnd() % 4) << 7;
    }
    *bytes = 2;
    insn = (insn & 0x1ffc) | kinds[rnd() % 8];
    return (insn & 0xe003) == 0x8002 ? insn | 4 : insn; /* no jump */
}

/* Integer instructions, and branches over one to three of them. */
static void random_branches(void)
{
    unsigned starts[CODE_SIZE], branches[CODE_SIZE], n = 0;
    for (code_end = 0; code_end < CODE_SIZE - 32;) {
        unsigned bytes = 4;
        bool branch = rnd() % 4 == 0;
        uint32_t insn = branch ? random_branch(0) : random_integer(&bytes);
        if (bytes == 2 ? !riscv_find16(insn, UINT64_MAX)
                       : !riscv_find32(insn, UINT64_MAX)) {
            continue;
        }
        memcpy(code + code_end, &insn, bytes);
        branches[n] = branch;
        starts[n++] = code_end;
        code_end += bytes;
    }
    for (unsigned i = 0; i < n; i++) { /* now that the targets are known */
        unsigned to = i + 2 + (unsigned)(rnd() % 3);
        if (branches[i]) {
            uint32_t insn = random_branch((to < n ? starts[to] : code_end) - starts[i]);
            memcpy(code + starts[i], &insn, 4);
        }
    }
}

/* Run from the start of the code to where it cannot be fetched.  Returns how many units
 * that took. */
static unsigned run(Setup *s, uint32_t cflags, unsigned max_insns)
{
    static IRInterp interp;
    static const IRInterpHooks hooks = {.fault_reason = EXIT_REASON_MEMORY_FAULT};
    HostEnv *env = &s->cpu->cs.env;
    unsigned units = 0;
    for (env->pc = CODE_PC; env->pc < CODE_PC + code_end; units++) {
        TranslateContext tc = translate(s, env->pc, 0, cflags, max_insns);
        if (!tc.ninsns) {
            break;
        }
        HostExit how = ir_interp_run(&interp, &s->f, env, &hooks);
        assert_int_not_equal(how.kind, HOST_EXIT_REASON);
    }
    return units;
}

static void test_branches(void **state)
{
    Setup *s = *state;
    uint64_t start[32], want[32], want_pc;
    uint64_t *reg = s->cpu->cs.env.reg;
    unsigned long units = 0, steps = 0;
    all_exist = false;
    for (int i = 0; i < 1500; i++) {
        random_branches();
        start[0] = 0;
        for (unsigned k = 1; k < 32; k++) {
            start[k] = rnd() >> (rnd() & 63);
        }
        memcpy(reg, start, sizeof(start));
        steps += run(s, CF_SINGLE_INSN, 1);
        memcpy(want, reg, sizeof(want));
        want_pc = s->cpu->cs.env.pc;
        memcpy(reg, start, sizeof(start));
        units += run(s, 0, 1 + (unsigned)(rnd() % 64));
        assert_memory_equal(reg, want, sizeof(want));
        assert_int_equal(s->cpu->cs.env.pc, want_pc);
    }
    assert_true(steps > 20000);
    assert_true(units < steps / 2);
}

/* -cpu: needs, conflicts, misspellings. */
static void test_configure(void **state)
{
    static const struct {
        const char *option, *error, *isa;
    } cases[] = {
        {"rv64gc", NULL, "rv64imafdc_zicntr_zicsr_zifencei"},
        {"rv64i", NULL, "rv64i_zicsr_zifencei"},
        {"rv64i,zfh=on", NULL, "rv64if_zicsr_zifencei_zfh_zfhmin"},
        {"rv64gc,zba=on,zbb=true", NULL, "rv64imafdc_zicntr_zicsr_zifencei_zba_zbb"},
        {"rv64gc,f=off", NULL, "rv64imac_zicntr_zicsr_zifencei"},
        {"rv64gc,v=off", NULL, "rv64imafdc_zicntr_zicsr_zifencei"},
        {"rv64gc,v=on", "braid has no 'v'", NULL},
        {"rv64gc,d=on,f=off", "'f' is off", NULL},
        {"rv64,i=off", "no instructions", NULL},
        {"rv64gc,zbaa=on", "did you mean 'zba'", NULL},
        {"rv46", "did you mean 'rv64'", NULL},
        {"rv64,zba=perhaps", "must be on or off", NULL},
    };
    char text[512];
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool ok = riscv64_guest.configure(cases[i].option, text, sizeof(text));
        assert_true(ok == !cases[i].error);
        if (ok) {
            riscv_isa_string(text, sizeof(text));
            assert_string_equal(text, cases[i].isa);
        } else if (!strstr(text, cases[i].error)) {
            fail_msg("%s: %s", cases[i].option, text);
        }
    }
    /* An extension that is off is illegal. */
    assert_true(riscv64_guest.configure("rv64gc", text, sizeof(text)));
    assert_false(is_translated(*state, 0x20b52533, 0)); /* sh1add a0, a0, a1 */
    assert_int_equal(riscv_hwcap(), 1 << ('i' - 'a') | 1 << ('m' - 'a') | 1 |
                                        1 << ('f' - 'a') | 1 << ('d' - 'a') |
                                        1 << ('c' - 'a'));
    uint64_t probe;
    assert_true(riscv_hwprobe(4, &probe));
    assert_int_equal(probe & 0x3f, 3); /* FD, C; not V, Zba, Zbb, Zbs */
    assert_false(riscv_hwprobe(1000, &probe));
    assert_true(riscv64_guest.configure("max", text, sizeof(text)));
    assert_true(is_translated(*state, 0x20b52533, 0));
    assert_true(riscv_hwprobe(4, &probe));
    assert_int_equal(probe & 0x3f, 0x3b);
}

static int setup(void **state)
{
    static Setup s;
    char err[256];
    arena_init(&s.arena, 0);
    s.cpu = aligned_alloc(64, (sizeof(RISCVCPU) + 63) & ~(size_t)63);
    memset(s.cpu, 0, sizeof(RISCVCPU));
    s.cpu->cs.guest = &riscv64_guest;
    *state = &s;
    return riscv64_guest.configure("max", err, sizeof(err)) ? 0 : 1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_legality),
        cmocka_unit_test(test_illegal_at_run_time),
        cmocka_unit_test(test_branches),
        cmocka_unit_test(test_configure),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
