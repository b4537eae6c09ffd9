/*
 * Each pure op on its own, compiled and interpreted: operands in a home register, as
 * constants, in HostEnv slots; the result to a home and to a slot; the operand's register
 * dying or not.  All types that the op has, special values, all rounding modes, every set
 * of host features.
 *
 *   test-ops [ROUNDS]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "ir-gen.h"
#include "ir/eval.h"
#include "ir/gen.h"
#include "ir/interp.h"
#include "test-guest.h"

#define DENORMAL_FLAG 2u

typedef enum Place { IN_HOME, IN_HOME_LIVES, IN_SLOT, IS_CONST, N_PLACES } Place;

static Arena arena;
static IRInterp interp;
static HostEnv first_env, expected_env;
static uint64_t rng = 1;
static unsigned checks;

static unsigned below(unsigned n)
{
    return (unsigned)(ir_random_value(&rng, IR_I32) >> 3) % n;
}

/* Guest registers by number of argument: homes are the first ones, slots the last. */
static unsigned register_of(IRType t, Place p, unsigned k)
{
    bool fp = ir_type_is_float(t);
    unsigned n = p == IN_SLOT ? (fp ? TEST_GUEST_FLOATS - 2 : TEST_GUEST_INTS - 3) +
                                    k % (fp ? 2 : 3)
                              : k;
    return n + (fp ? TEST_GUEST_INTS : 0);
}

/* A value of type t from a register's 64 bits. */
static IRRef narrow(IRBuilder *b, IRType t, IRRef x)
{
    return t == IR_I64 || t == IR_F64 ? x
           : t == IR_F32
               ? ir_gen_bitcast(b, IR_F32,
                                ir_gen_trunc(b, IR_I32, ir_gen_bitcast(b, IR_I64, x)))
               : ir_gen_trunc(b, t, x);
}

static IRRef argument(IRBuilder *b, IRType t, Place p, unsigned k)
{
    if (p == IS_CONST) {
        return ir_const(b, t, ir_random_value(&rng, t));
    }
    unsigned reg = register_of(t, p, k);
    first_env.reg[reg] = ir_random_value(&rng, t);
    if (ir_type_is_int(t) && t != IR_I64) { /* anything above the value's width */
        uint64_t mask = (UINT64_C(1) << 8 * ir_type_size(t)) - 1;
        first_env.reg[reg] =
            (first_env.reg[reg] & mask) | (ir_random_value(&rng, IR_I64) & ~mask);
    }
    return narrow(b, t, ir_get_reg(b, reg));
}

/* Into the guest's state: widened, floats with NaN payloads canonical if `raw`. */
static void result(IRBuilder *b, IRRef r, bool raw, bool to_slot)
{
    IRType t = ir_ref_type(b->f, r);
    if (ir_type_is_float(t)) {
        r = raw ? ir_gen_canon(b, r) : r;
        r = t == IR_F32 ? ir_gen_box32(b, r) : r;
        ir_put_reg(b, register_of(IR_F64, to_slot ? IN_SLOT : IN_HOME, 0), r);
    } else {
        r = t == IR_I64 ? r
                        : ir_emit(b, below(2) ? IR_ZEXT : IR_SEXT, IR_I64, 0, r, 0, 0, 0);
        ir_put_reg(b, register_of(IR_I64, to_slot ? IN_SLOT : IN_HOME, 0), r);
    }
}

static void fail(const char *what, const Variant *v, const IRFunc *f,
                 const HostCode *code)
{
    printf("%s, %s\n", v->name, what);
    ir_print(stdout, f);
    host_disas(stdout, code->code, code->size);
    for (unsigned i = 0; i < test_guest.nregs; i++) {
        printf("%-4s %016" PRIx64 "  expected %016" PRIx64 "  got %016" PRIx64 "%s\n",
               test_guest.regs[i].name, first_env.reg[i], expected_env.reg[i],
               env->reg[i], expected_env.reg[i] != env->reg[i] ? " <--" : "");
    }
    printf("fp state %x: expected %x, got %x\n", first_env.fp_state,
           expected_env.fp_state, env->fp_state);
    exit(1);
}

static void compare(const IRFunc *f, const Variant *v)
{
    static const IRInterpHooks hooks = { 0 };
    const char *wrong = ir_verify(f);
    if (wrong) {
        puts(wrong);
        ir_print(stdout, f);
        exit(1);
    }
    HostCode code = harness_compile(f, 0);
    for (unsigned mode = 0; mode < 4; mode++) {
        first_env.fp_state = host_fp_init() | mode << 13;
        expected_env = first_env;
        ir_interp_run(&interp, f, &expected_env, &hooks);
        *env = first_env;
        host_enter(env, code.code);
        if (memcmp(env->reg, expected_env.reg, test_guest.nregs * 8)) {
            fail("registers", v, f, &code);
        }
        if ((env->fp_state ^ expected_env.fp_state) & ~DENORMAL_FLAG) {
            fail("floating-point state", v, f, &code);
        }
        checks++;
    }
}

/* The type that a letter of the signature stands for. */
static IRType type_of(char letter, IRType own, IRType before, IRType other)
{
    switch (letter) {
    case 'T':
    case 'F':
    case 'X': return own;
    case 'L': return IR_I64;
    case 'W': return IR_I32;
    case '=': return before;
    default: return other;
    }
}

static void check_op(IROp op, IRType own, IRType other, const Variant *v, unsigned round)
{
    const IROpInfo *info = &ir_op_info[op];
    IRFunc f;
    IRBuilder b;
    arena_reset(&arena);
    memset(first_env.reg, 0, sizeof first_env.reg);
    ir_func_init(&f, &test_guest, &arena, 0x1000);
    ir_builder_init(&b, &f);
    b.no_fold = true;
    IRRef arg[3] = { 0 };
    IRType before = IR_VOID;
    unsigned places = round;
    bool lives = false;
    for (unsigned k = 0; k < info->nargs; k++) {
        Place p = (Place)(places % N_PLACES);
        places /= N_PLACES;
        before = type_of(info->sig[k + 1], own, before, other);
        arg[k] = argument(&b, before, p, k);
        lives |= p == IN_HOME_LIVES;
    }
    unsigned aux = op == IR_SETCC  ? below(IR_NCONDS)
                   : op == IR_FCMP ? below(3)
                   : (info->flags & IRF_FPSTAT) && op != IR_FMIN && op != IR_FMAX
                       ? below(5)
                       : 0;
    if (op == IR_FCVT && own == IR_F64) {
        aux = 0;
    }
    int64_t imm = op == IR_FMA ? below(4) : op == IR_FTOI || op == IR_ITOF ? below(2) : 0;
    IRRef r = ir_emit(&b, op, own, aux, arg[0], arg[1], arg[2], imm);
    if (op == IR_AEXT) { /* the other bits may be anything */
        r = ir_emit(&b, IR_AND, own, 0, r, ir_const(&b, own, ir_type_mask(other)), 0, 0);
    }
    result(&b, r, true, round & 1);
    if (!lives) { /* all other registers get new values: operands die at the op */
        for (unsigned reg = 0; reg < test_guest.nregs; reg++) {
            unsigned kept = round & 1 ? IN_SLOT : IN_HOME;
            if (reg != register_of(IR_I64, (Place)kept, 0) &&
                reg != register_of(IR_F64, (Place)kept, 0)) {
                ir_put_reg(&b, reg, ir_const(&b, test_guest.regs[reg].type, reg));
            }
        }
    }
    ir_gen_exit(&b, ir_snapshot(&b, 0x1010), IR_EXIT_LOOKUP, 0);
    ir_func_finish(&b);
    compare(&f, v);
}

/* Ops without effects besides FP flags, that have a result and no register or memory
 * behind it. */
static bool is_checked(IROp op)
{
    const IROpInfo *info = &ir_op_info[op];
    return info->nargs && !info->variadic && info->sig[0] != 'v' &&
           !(info->flags & ~(unsigned)(IRF_PURE | IRF_COMM | IRF_FPSTAT));
}

static bool types_fit(IROp op, IRType own, IRType other)
{
    const char *sig = ir_op_info[op].sig;
    bool conversion = strpbrk(sig + 1, "igx") != NULL;
    if (sig[0] == 'L'   ? own != IR_I64
        : sig[0] == 'F' ? !ir_type_is_float(own)
                        : sig[0] == 'T' && !ir_type_is_int(own)) {
        return false;
    }
    if (!conversion) {
        return other == IR_I64;
    }
    bool fp = strpbrk(sig + 1, "g") != NULL,
         wide_int = other == IR_I32 || other == IR_I64;
    if (!strpbrk(sig + 1, "x") && ir_type_is_float(other) != fp) {
        return false;
    }
    switch (op) {
    case IR_TRUNC: return own < other;
    case IR_SEXT:
    case IR_ZEXT:
    case IR_AEXT: return own > other;
    case IR_FCVT: return own != other;
    case IR_BITCAST: return ir_type_size(own) == ir_type_size(other) && own != other;
    case IR_BOX32: return own == IR_F64 && other == IR_F32;
    case IR_UNBOX32: return own == IR_F32 && other == IR_F64;
    case IR_ITOF: return wide_int;
    case IR_FTOI: return own == IR_I32 || own == IR_I64;
    case IR_BSWAP: return own != IR_I8;
    default: return true;
    }
}

static void check_all(const Variant *v, unsigned rounds)
{
    for (unsigned op = 0; op < IR_NOPS; op++) {
        if (!is_checked((IROp)op)) {
            continue;
        }
        for (unsigned own = IR_I8; own <= IR_F64; own++) {
            for (unsigned other = IR_I8; other <= IR_F64; other++) {
                for (unsigned k = 0; types_fit((IROp)op, own, other) && k < rounds; k++) {
                    if (!(op == IR_BSWAP && own == IR_I8)) {
                        check_op((IROp)op, (IRType)own, (IRType)other, v, k);
                    }
                }
            }
        }
    }
}

int main(int argc, char **argv)
{
    unsigned rounds =
        argc > 1 ? (unsigned)atoi(argv[1]) : 2 * N_PLACES * N_PLACES * N_PLACES;
    arena_init(&arena, 0);
    harness_init();
    first_env = *env;
    for (unsigned i = 0; i < n_variants; i++) {
        HostConfig config = variants[i].config;
        config.guest = &test_guest;
        harness_host_init(config);
        check_all(&variants[i], rounds);
    }
    printf("%u checks\n", checks);
    ir_interp_destroy(&interp);
    arena_destroy(&arena);
    return checks == 0;
}
