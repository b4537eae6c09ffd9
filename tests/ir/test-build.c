/*
 * The builder's register map and snapshots, the table of ops, and units that the verifier
 * must refuse but that no text can express.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "ir/gen.h"
#include "test-guest.h"
#include "util/arena.h"

static Arena arena;
static IRFunc func;
static IRBuilder builder, *b = &builder;

static int setup(void **state)
{
    arena_init(&arena, 0);
    return 0;
}

static int teardown(void **state)
{
    arena_destroy(&arena);
    return 0;
}

static void start(void)
{
    arena_reset(&arena);
    ir_func_init(&func, &test_guest, &arena, 0x1000);
    ir_builder_init(b, &func);
}

static void finish(void)
{
    ir_gen_exit(b, ir_snapshot(b, 0x2000), IR_EXIT_JUMP, 0);
    ir_func_finish(b);
    const char *wrong = ir_verify(&func);
    if (wrong) {
        ir_print(stdout, &func);
        fail_msg("%s", wrong);
    }
}

/* What a snapshot taken now says of a register; NULL: as at entry. */
static const IRSnapEntry *entry_of(unsigned reg)
{
    const IRSnap *s = &func.snaps[ir_snapshot(b, 0x1004)];
    for (uint32_t i = 0; i < s->count; i++) {
        if (func.snap_entries[s->first + i].reg == reg) {
            return &func.snap_entries[s->first + i];
        }
    }
    return NULL;
}

enum { F0 = TEST_GUEST_INTS };

static void test_raw_registers(void **state)
{
    start();
    IRRef f1 = ir_get_reg(b, F0 + 1), sum = ir_gen_fadd(b, IR_RM_DYN, f1, f1);
    ir_put_reg_raw(b, F0, sum, IR_CANON_F64);
    assert_int_equal(entry_of(F0)->val, sum);
    assert_int_equal(entry_of(F0)->canon, IR_CANON_F64);
    assert_int_equal(ir_get_reg_raw(b, F0), sum);
    IRRef nan = ir_get_reg(b, F0);          /* somebody looks */
    assert_int_equal(func.ins[nan].op, IR_CANON);
    assert_int_equal(ir_get_reg_raw(b, F0), nan);
    assert_int_equal(entry_of(F0)->val, nan);
    assert_int_equal(entry_of(F0)->canon, IR_CANON_NONE);

    IRRef single = ir_gen_fcvt(b, IR_F32, IR_RM_DYN, sum);
    ir_put_reg_raw(b, F0, ir_gen_box32(b, single), IR_CANON_BOXED_F32);
    assert_int_equal(entry_of(F0)->canon, IR_CANON_BOXED_F32);
    assert_int_equal(ir_gen_unbox32(b, ir_get_reg_raw(b, F0)), single);
    ir_settle(b);
    const IRIns *box = &func.ins[ir_get_reg(b, F0)];
    assert_int_equal(box->op, IR_BOX32);
    assert_int_equal(func.ins[box->arg[0]].op, IR_CANON);
    assert_int_equal(func.ins[box->arg[0]].arg[0], single);

    /* Overwritten before anybody looks: nothing is left to do. */
    ir_put_reg_raw(b, F0, sum, IR_CANON_F64);
    ir_put_reg(b, F0, sum);
    assert_int_equal(entry_of(F0)->canon, IR_CANON_NONE);
    ir_put_reg_raw(b, F0, sum, IR_CANON_F64);
    ir_put_reg(b, F0, ir_get_reg(b, F0 + 1));
    assert_int_equal(entry_of(F0)->canon, IR_CANON_NONE);

    /* Canonical as it is; not so a constant with a payload, a register's old value. */
    IRRef whole = ir_gen_itof(b, IR_F64, IR_RM_DYN, ir_get_reg(b, 1), false);
    ir_put_reg_raw(b, F0, whole, IR_CANON_F64);
    assert_int_equal(entry_of(F0)->canon, IR_CANON_NONE);
    IRRef nan64 = ir_const(b, IR_F64, UINT64_C(0x7ff8000000000000));
    ir_put_reg_raw(b, F0, nan64, IR_CANON_F64);
    assert_int_equal(entry_of(F0)->canon, IR_CANON_NONE);
    nan64 = ir_const(b, IR_F64, UINT64_C(0x7ff8000000000001));
    ir_put_reg_raw(b, F0, nan64, IR_CANON_F64);
    assert_int_equal(entry_of(F0)->canon, IR_CANON_F64);
    ir_put_reg_raw(b, F0 + 1, f1, IR_CANON_F64);
    assert_int_equal(func.ins[entry_of(F0 + 1)->val].op, IR_CANON);
    ir_settle(b);
    finish();
}

/* To look at a result settles what it was made of, too. */
static void test_raw_settled_together(void **state)
{
    start();
    IRRef f3 = ir_get_reg(b, F0 + 3), product = ir_gen_fmul(b, IR_RM_DYN, f3, f3);
    IRRef root = ir_gen_fsqrt(b, IR_RM_DYN, product);
    IRRef sum = ir_gen_fadd(b, IR_RM_DYN, f3, root);
    assert_true(ir_nan_shows(&func, product, sum));
    assert_false(ir_nan_shows(&func, sum, product));
    IRRef less = ir_gen_fmin(b, f3, product);
    assert_false(ir_nan_shows(&func, product, less));
    ir_put_reg_raw(b, F0, product, IR_CANON_F64);
    ir_put_reg_raw(b, F0 + 1, root, IR_CANON_F64);
    ir_put_reg_raw(b, F0 + 2, sum, IR_CANON_F64);
    ir_get_reg(b, F0 + 2);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(entry_of(F0 + i)->canon, IR_CANON_NONE);
    }
    finish();
}

static void test_register_map(void **state)
{
    start();
    IRRef r1 = ir_get_reg(b, 1);
    assert_int_equal(ir_get_reg(b, 1), r1);
    IRRef sum = ir_gen_add(b, r1, ir_const(b, IR_I64, 5));
    ir_put_reg(b, 2, sum);
    assert_int_equal(ir_get_reg(b, 2), sum);
    uint32_t a = ir_snapshot(b, 0x1002);
    assert_int_equal(ir_snapshot(b, 0x1002), a);
    assert_int_equal(func.snaps[a].count, 1);
    ir_put_reg(b, 2, sum);                  /* no write */
    assert_int_equal(ir_snapshot(b, 0x1002), a);
    uint32_t c = ir_snapshot(b, 0x1004);    /* only the pc differs: entries are shared */
    assert_int_not_equal(c, a);
    assert_int_equal(func.snaps[c].first, func.snaps[a].first);
    assert_int_equal(func.snaps[c].count, 1);
    ir_put_reg(b, 70 % TEST_GUEST_INTS, sum);
    ir_put_reg(b, 1, sum);
    uint32_t d = ir_snapshot(b, 0x1004);
    assert_int_equal(func.snaps[d].count, 3);
    const IRSnapEntry *e = &func.snap_entries[func.snaps[d].first];
    assert_true(e[0].reg == 1 && e[1].reg == 2 && e[2].reg == 6);
    ir_put_reg(b, 1, r1);                   /* clean again */
    assert_int_equal(func.snaps[ir_snapshot(b, 0x1004)].count, 2);
    finish();
}

static void test_constants(void **state)
{
    start();
    IRRef c = ir_const(b, IR_I32, 0xffffffff);
    assert_int_equal(func.ins[c].imm, -1);
    assert_int_equal(ir_const(b, IR_I32, (uint64_t)-1), c);
    assert_int_not_equal(ir_const(b, IR_I64, (uint64_t)-1), c);
    assert_int_equal(func.ins[ir_const(b, IR_F32, 0xffc00000)].imm, 0xffc00000);
    assert_int_equal(func.ins[ir_const(b, IR_I8, 0x80)].imm, -128);
    finish();
}

/* Arrays grow; a long unit is still a right one. */
static void test_growth(void **state)
{
    start();
    for (unsigned i = 0; i < 5000; i++) {
        IRRef v = ir_gen_mulhu(b, ir_get_reg(b, i % 7), ir_get_reg(b, (i + 1) % 8));
        ir_put_reg(b, i % 8, v);
        ir_gen_st(b, ir_snapshot(b, 0x1000 + 2 * i), MO_64, v, 0, v);
    }
    assert_true(func.nins > 10000 && func.nsnap_entries > 30000);
    finish();
}

/* A helper that wants registers: what was known of them is forgotten. */
static void test_register_helper(void **state)
{
    start();
    IRRef before = ir_get_reg(b, 1), arg = ir_const(b, IR_I64, 3);
    ir_put_reg(b, 2, arg);
    ir_call(b, 2, ir_snapshot(b, 0x1002), 1, &arg);
    assert_int_equal(func.snaps[ir_snapshot(b, 0x1004)].count, 0);
    assert_int_not_equal(ir_get_reg(b, 1), before);
    ir_put_reg(b, 1, before);
    assert_int_equal(func.snaps[ir_snapshot(b, 0x1004)].count, 1);
    finish();
}

static void test_blocks(void **state)
{
    start();
    IRRef r1 = ir_get_reg(b, 1), r2 = ir_get_reg(b, 2);
    ir_br(b, IR_LT, r1, r2, 1, 1, &r1, 2, 0, NULL);
    assert_int_equal(ir_new_block(b), 1);
    IRRef p = ir_param(b, IR_I64), seven = ir_const(b, IR_I64, 7);
    IRRef sum = ir_gen_add(b, p, seven);
    assert_true(ir_get_reg(b, 9) < func.blocks[0].end);
    ir_jump(b, 3, 1, &sum);
    assert_int_equal(ir_new_block(b), 2);
    IRRef again = ir_const(b, IR_I64, 7);
    assert_int_not_equal(again, seven);     /* that one does not dominate */
    ir_jump(b, 3, 1, &again);
    assert_int_equal(ir_new_block(b), 3);
    ir_put_reg(b, 3, ir_param(b, IR_I64));
    finish();
}

static void test_exit_that_is_never_taken(void **state)
{
    start();
    uint32_t n = func.nins;
    ir_gen_exitif(b, ir_snapshot(b, 0x1002), IR_LT, ir_get_reg(b, 1), ir_get_reg(b, 1));
    assert_int_equal(func.nins, n + 1);     /* the register only */
    finish();
}

static void test_op_table(void **state)
{
    for (unsigned op = 0; op < IR_NOPS; op++) {
        const IROpInfo *info = &ir_op_info[op];
        size_t n = strlen(info->sig) - 1;
        bool variadic = info->sig[n] == '*';
        assert_int_equal(info->variadic, variadic);
        assert_int_equal(info->nargs, n - variadic);
        assert_true(info->nargs <= (variadic ? 2 : 3));
        /* The rules that passes live by. */
        assert_false((info->flags & IRF_PURE) && (info->flags & ~(IRF_PURE | IRF_COMM)));
        assert_false((info->flags & IRF_TERM) && info->sig[0] != 'v');
    }
    for (unsigned c = 0; c < IR_NCONDS; c++) {
        static const uint64_t v[] = {
            0, 1, UINT64_MAX, INT64_MAX, (uint64_t)INT64_MIN, 5
        };
        for (unsigned i = 0; i < 36; i++) {
            bool holds = ir_cond_eval((IRCond)c, v[i / 6], v[i % 6], IR_I64);
            assert_int_equal(holds,
                             !ir_cond_eval((IRCond)(c ^ 1), v[i / 6], v[i % 6], IR_I64));
            assert_int_equal(
                holds, ir_cond_eval(ir_cond_swap((IRCond)c), v[i % 6], v[i / 6], IR_I64));
        }
    }
}

/* ---- the verifier ---- */

static IRRef sum_ref, load_ref;

static void start_broken(void)
{
    start();
    sum_ref = ir_gen_add(b, ir_get_reg(b, 1), ir_get_reg(b, 2));
    ir_put_reg(b, 3, sum_ref);
    ir_put_reg(b, 4, sum_ref);
    load_ref = ir_gen_ld(b, ir_snapshot(b, 0x1002), IR_I64, MO_64, sum_ref, 0);
    finish();
}

#define REFUSES(change, words)                                                           \
    do {                                                                                 \
        start_broken();                                                                  \
        IRIns *sum = &func.ins[sum_ref], *load = &func.ins[load_ref];                    \
        IRSnap *snap = &func.snaps[load->snap];                                          \
        IRSnapEntry *entry = &func.snap_entries[snap->first];                            \
        (void)sum, (void)load, (void)snap, (void)entry;                                  \
        change;                                                                          \
        const char *said = ir_verify(&func);                                             \
        assert_non_null(said);                                                           \
        if (!strstr(said, words)) {                                                      \
            fail_msg("\"%s\" is not about \"%s\"", said, words);                         \
        }                                                                                \
    } while (0)

static void test_refused(void **state)
{
    REFUSES(func.ins[0].op = IR_FENCE, "instruction 0");
    REFUSES(sum->op = IR_NOPS, "unknown op");
    REFUSES(sum->type = IR_NTYPES, "unknown type");
    REFUSES(sum->arg[0] = IR_NONE, "argument %0 does not exist");
    REFUSES(sum->arg[0] = func.nins, "does not exist");
    REFUSES(sum->arg[1] = load_ref, "not defined yet");
    REFUSES(sum->arg[1] = sum_ref, "not defined yet");
    REFUSES(sum->arg[2] = sum->arg[1], "argument 3 should not be there");
    REFUSES(sum->aux = 1, "aux out of range");
    REFUSES(sum->imm = 1, "imm must be 0");
    REFUSES(sum->nvar = 1, "no argument list");
    REFUSES(func.ins[sum->arg[0]] = (IRIns){ .op = IR_NOP }, "has no value");
    REFUSES(func.ins[sum->arg[0]].imm = TEST_GUEST_INTS + TEST_GUEST_FLOATS,
            "no such register");
    REFUSES(load->snap = func.nsnaps, "does not exist");
    REFUSES(load->aux = 1 << 6 | MO_64, "bad memop");
    REFUSES(snap->first = func.nsnap_entries, "out of range");
    REFUSES(snap->count = UINT16_MAX, "out of range");
    REFUSES(entry->reg = 90, "names register 90");
    REFUSES(entry->canon = IR_NCANONS, "canonical");
    REFUSES(entry->canon = IR_CANON_F64, "cannot make");
    REFUSES(entry[1].reg = entry->reg, "ascending");
    REFUSES(entry->val = load_ref, "not defined yet");
    REFUSES(func.blocks[0].end--, "behind the last block");
    REFUSES(func.blocks[0].first++, "does not follow");
    REFUSES(func.blocks[0].end++, "does not follow");
    REFUSES((func.ins[sum->arg[0]] = (IRIns){ .op = IR_CONST, .type = IR_I64 },
             sum->type = IR_I32),
            "wrong type");
    REFUSES((*sum = (IRIns){ .op = IR_CONST, .type = IR_I64, .imm = 3 },
             func.ins[sum_ref].type = IR_I8, func.ins[sum_ref].imm = 200),
            "constant too wide");
    REFUSES(*load = ((IRIns){ .op = IR_CALL, .imm = 99 }), "no such helper");
    REFUSES(*load = ((IRIns){
                .op = IR_CALL, .type = IR_I64, .imm = 0, .nvar = 2, .arg = { 0, 0, 7 } }),
            "argument list out of range");
    REFUSES(*load = ((IRIns){ .op = IR_LDENV, .type = IR_I64, .imm = -8 }),
            "offset out of range");
    REFUSES(*load = ((IRIns){ .op = IR_AMO,
                              .type = IR_I64,
                              .aux = MO_64,
                              .imm = IR_NAMOS,
                              .snap = load->snap,
                              .arg = { sum_ref, sum_ref } }),
            "unknown atomic");
    REFUSES(*load = ((IRIns){ .op = IR_FENCE, .aux = 16 }), "aux out of range");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_raw_registers), cmocka_unit_test(test_raw_settled_together),
        cmocka_unit_test(test_register_map), cmocka_unit_test(test_constants),
        cmocka_unit_test(test_growth), cmocka_unit_test(test_register_helper),
        cmocka_unit_test(test_blocks), cmocka_unit_test(test_exit_that_is_never_taken),
        cmocka_unit_test(test_op_table), cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
