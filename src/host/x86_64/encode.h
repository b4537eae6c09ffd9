/*
 * x86-64 instruction encoding: an emit pointer, operands, and one table-like list of opcodes.
 *
 * An opcode is an integer: its last byte plus bits for the mandatory prefix, the map and
 * REX.W, so that the same name serves the legacy and the VEX form of an SSE instruction.
 * emit_op() is the one place that knows REX, emit_vex() the one that knows VEX.
 *
 * No state, no locks.  Nothing here checks for space: callers keep EMIT_MARGIN bytes free
 * before each IR instruction and each out-of-line stub.
 */
#ifndef HOST_X86_64_ENCODE_H
#define HOST_X86_64_ENCODE_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "util/bitops.h"

/* General registers are 0-15, vector registers 16-31. */
enum HostReg {
    RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15,
    XMM0, XMM1, XMM2, XMM3, XMM4, XMM5, XMM6, XMM7,
    XMM8, XMM9, XMM10, XMM11, XMM12, XMM13, XMM14, XMM15,
    N_HOST_REGS, NO_REG = 0xff,
};
#define REG_IS_XMM(r) ((r) >= XMM0)

/* Condition codes as in jcc, setcc, cmovcc; cc ^ 1 is the opposite. */
enum HostCC {
    CC_O, CC_NO, CC_B, CC_AE, CC_E, CC_NE, CC_BE, CC_A,
    CC_S, CC_NS, CC_P, CC_NP, CC_L, CC_GE, CC_LE, CC_G,
};

#define EMIT_MARGIN 4096

typedef struct Emit {
    uint8_t *p;     /* where the next byte goes */
    uint8_t *start, *end;
} Emit;

/* The operand that ModRM.rm names: a register or memory. */
typedef struct Rm {
    uint8_t mode;           /* RmMode */
    uint8_t base;           /* register, or NO_REG: absolute disp32 */
    uint8_t index, shift;   /* index << shift, NO_REG: none */
    bool gs;                /* with the guest's segment base */
    union {
        int32_t disp;
        const void *target; /* RM_RIP */
    };
} Rm;
enum RmMode { RM_REG, RM_MEM, RM_RIP };

static inline Rm rm_reg(unsigned r)
{
    return (Rm){ .mode = RM_REG, .base = (uint8_t)r, .index = NO_REG };
}

static inline Rm rm_mem(unsigned base, int32_t disp)
{
    return (Rm){ .mode = RM_MEM, .base = (uint8_t)base, .index = NO_REG, .disp = disp };
}

static inline Rm rm_index(unsigned base, unsigned index, unsigned shift, int32_t disp)
{
    return (Rm){ .mode = RM_MEM, .base = (uint8_t)base, .index = (uint8_t)index,
                 .shift = (uint8_t)shift, .disp = disp };
}

static inline Rm rm_rip(const void *target)
{
    return (Rm){ .mode = RM_RIP, .index = NO_REG, .target = target };
}

static inline bool rm_is_reg(Rm rm, unsigned r)
{
    return rm.mode == RM_REG && rm.base == r;
}

enum {
    OPW = 1 << 16,      /* REX.W: 64-bit operands */
    P66 = 1 << 17, PF3 = 1 << 18, PF2 = 1 << 19,
    M0F = 1 << 20, M38 = 1 << 21, M3A = 1 << 22,
    OPB = 1 << 23,      /* byte registers: always a REX, so that 4-7 are spl bpl sil dil */
};

enum HostOp {
    /* integer, `reg, r/m` unless the name says otherwise */
    OP_MOV = 0x8b, OP_MOV_STORE = 0x89, OP_MOV8_STORE = 0x88 | OPB, OP_MOV16_STORE = 0x89 | P66,
    OP_MOV_IMM = 0xc7, OP_MOV8_IMM = 0xc6,
    OP_LEA = 0x8d, OP_TEST = 0x85, OP_TEST8 = 0x84 | OPB, OP_XCHG = 0x87, OP_XCHG8 = 0x86 | OPB,
    OP_IMUL = 0xaf | M0F, OP_IMUL_IMM32 = 0x69, OP_IMUL_IMM8 = 0x6b,
    OP_MOVZX8 = 0xb6 | M0F | OPB, OP_MOVZX16 = 0xb7 | M0F,
    OP_MOVSX8 = 0xbe | M0F | OPB, OP_MOVSX16 = 0xbf | M0F, OP_MOVSXD = 0x63 | OPW,
    OP_GROUP1_IMM8 = 0x83, OP_GROUP1_IMM32 = 0x81, OP_GROUP1B_IMM8 = 0x80 | OPB,
    OP_SHIFT_IMM = 0xc1, OP_SHIFT_CL = 0xd3, OP_SHIFT_1 = 0xd1,
    OP_GROUP3 = 0xf7, OP_GROUP3B = 0xf6 | OPB, OP_GROUP5 = 0xff,
    OP_BSF = 0xbc | M0F, OP_BSR = 0xbd | M0F,
    OP_TZCNT = 0xbc | M0F | PF3, OP_LZCNT = 0xbd | M0F | PF3, OP_POPCNT = 0xb8 | M0F | PF3,
    OP_CMOV = 0x40 | M0F, OP_SETCC = 0x90 | M0F | OPB,
    OP_XADD = 0xc1 | M0F, OP_XADD8 = 0xc0 | M0F | OPB,
    OP_CMPXCHG = 0xb1 | M0F, OP_CMPXCHG8 = 0xb0 | M0F | OPB,
    OP_BT_IMM = 0xba | M0F,
    OP_SHLX = 0xf7 | P66 | M38, OP_SHRX = 0xf7 | PF2 | M38, OP_SARX = 0xf7 | PF3 | M38,
    OP_RORX = 0xf0 | PF2 | M3A, OP_ANDN = 0xf2 | M38,
    OP_MXCSR = 0xae | M0F,

    /* SSE; the f32 form, f64 is op ^ OP_F64 (F3 -> F2) or | P66 */
    OP_MOVS_LOAD = 0x10 | M0F | PF3, OP_MOVS_STORE = 0x11 | M0F | PF3,
    OP_ADDS = 0x58 | M0F | PF3, OP_MULS = 0x59 | M0F | PF3, OP_SUBS = 0x5c | M0F | PF3,
    OP_MINS = 0x5d | M0F | PF3, OP_DIVS = 0x5e | M0F | PF3, OP_MAXS = 0x5f | M0F | PF3,
    OP_SQRTS = 0x51 | M0F | PF3,
    OP_CVTSI2S = 0x2a | M0F | PF3, OP_CVTTS2SI = 0x2c | M0F | PF3, OP_CVTS2SI = 0x2d | M0F | PF3,
    OP_CVTSS2SD = 0x5a | M0F | PF3, OP_CVTSD2SS = 0x5a | M0F | PF2,
    OP_UCOMIS = 0x2e | M0F, OP_COMIS = 0x2f | M0F,
    OP_ROUNDSS = 0x0a | P66 | M3A, OP_ROUNDSD = 0x0b | P66 | M3A,
    OP_MOVAPS = 0x28 | M0F, OP_ANDPS = 0x54 | M0F, OP_ANDNPS = 0x55 | M0F, OP_ORPS = 0x56 | M0F,
    OP_XORPS = 0x57 | M0F,
    OP_MOVD_TO_XMM = 0x6e | P66 | M0F, OP_MOVD_FROM_XMM = 0x7e | P66 | M0F,
    OP_MOVDQU_LOAD = 0x6f | PF3 | M0F, OP_MOVDQU_STORE = 0x7f | PF3 | M0F,
    OP_PTEST = 0x17 | P66 | M38, OP_PCMPEQB = 0x74 | P66 | M0F, OP_PXOR = 0xef | P66 | M0F,
    OP_PCLMUL = 0x44 | P66 | M3A,
    /* FMA3, VEX only; + 0x10: operands 213, + 0x20: operands 231; OPW: f64 */
    OP_FMADD132 = 0x99 | P66 | M38, OP_FMSUB132 = 0x9b | P66 | M38,
    OP_FNMADD132 = 0x9d | P66 | M38, OP_FNMSUB132 = 0x9f | P66 | M38,
};
#define OP_F64 (PF3 | PF2)  /* xor: scalar single <-> scalar double */

/* The two-operand arithmetic of group 1: /n, and the opcode n << 3 | 3 for `reg, r/m`. */
enum HostAlu { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP };
enum HostShift { SH_ROL, SH_ROR, SH_SHL = 4, SH_SHR, SH_SAR = 7 };
enum HostGroup3 { G3_TEST = 0, G3_NOT = 2, G3_NEG, G3_MUL, G3_IMUL, G3_DIV, G3_IDIV };

static inline void emit_u8(Emit *e, unsigned v) { *e->p++ = (uint8_t)v; }

static inline void emit_u32(Emit *e, uint32_t v)
{
    memcpy(e->p, &v, 4);
    e->p += 4;
}

static inline void emit_u64(Emit *e, uint64_t v)
{
    memcpy(e->p, &v, 8);
    e->p += 8;
}

static inline int32_t emit_rel(const uint8_t *from, const void *to)
{
    int64_t d = (const uint8_t *)to - from;
    assert(fits_signed(d, 32));
    return (int32_t)d;
}

static inline uint8_t *put_u32(uint8_t *p, uint32_t v)
{
    memcpy(p, &v, 4);
    return p + 4;
}

/*
 * ModRM, SIB and displacement; imm_bytes follow the operand (rip counts from behind them).
 * These work on a pointer of their own: a byte written through Emit.p might be Emit.p itself,
 * for all that the compiler knows.
 */
static inline uint8_t *put_modrm(uint8_t *p, unsigned reg, Rm rm, unsigned imm_bytes)
{
    unsigned r = (reg & 7) << 3;
    if (rm.mode == RM_REG) {
        *p++ = (uint8_t)(0xc0 | r | (rm.base & 7));
        return p;
    }
    if (rm.mode == RM_RIP) {
        *p++ = (uint8_t)(r | 5);
        return put_u32(p, (uint32_t)emit_rel(p + 4 + imm_bytes, rm.target));
    }
    if (rm.base == NO_REG) {
        *p++ = (uint8_t)(r | 4);
        *p++ = (uint8_t)(rm.index == NO_REG ? 0x25 : rm.shift << 6 | (rm.index & 7) << 3 | 5);
        return put_u32(p, (uint32_t)rm.disp);
    }
    unsigned base = rm.base & 7;
    unsigned mod = rm.disp == 0 && base != 5 ? 0 : fits_signed(rm.disp, 8) ? 0x40 : 0x80;
    if (rm.index != NO_REG) {
        *p++ = (uint8_t)(mod | r | 4);
        *p++ = (uint8_t)(rm.shift << 6 | (rm.index & 7) << 3 | base);
    } else if (base == 4) {
        *p++ = (uint8_t)(mod | r | 4);
        *p++ = 0x24;
    } else {
        *p++ = (uint8_t)(mod | r | base);
    }
    if (mod == 0x40) {
        *p++ = (uint8_t)rm.disp;
    } else if (mod == 0x80) {
        p = put_u32(p, (uint32_t)rm.disp);
    }
    return p;
}

static inline unsigned rex_xb(Rm rm)
{
    unsigned b = rm.mode != RM_RIP && rm.base != NO_REG ? rm.base >> 3 & 1 : 0;
    unsigned x = rm.index != NO_REG ? rm.index >> 3 & 1 : 0;
    return x << 1 | b;
}

/* Legacy encoding: prefixes, REX, opcode, ModRM. The caller adds imm_bytes of immediate. */
static inline void emit_op(Emit *e, uint32_t op, unsigned reg, Rm rm, unsigned imm_bytes)
{
    uint8_t *p = e->p;
    if (rm.gs) {
        *p++ = 0x65;
    }
    if (op & (P66 | PF3 | PF2)) {
        *p++ = op & P66 ? 0x66 : op & PF3 ? 0xf3 : 0xf2;
    }
    unsigned rex = (op & OPW ? 8 : 0) | (reg >> 3 & 1) << 2 | rex_xb(rm);
    if (rex || (op & OPB)) {
        *p++ = (uint8_t)(0x40 | rex);
    }
    if (op & (M0F | M38 | M3A)) {
        *p++ = 0x0f;
        if (op & (M38 | M3A)) {
            *p++ = op & M38 ? 0x38 : 0x3a;
        }
    }
    *p++ = (uint8_t)op;
    e->p = put_modrm(p, reg, rm, imm_bytes);
}

/* VEX.128 encoding of the same opcode with a third operand vvvv (0 where there is none). */
static inline void emit_vex(Emit *e, uint32_t op, unsigned reg, unsigned vvvv, Rm rm,
                            unsigned imm_bytes)
{
    unsigned pp = op & P66 ? 1 : op & PF3 ? 2 : op & PF2 ? 3 : 0;
    unsigned map = op & M38 ? 2 : op & M3A ? 3 : 1;
    unsigned xb = rex_xb(rm);
    unsigned not_r = reg & 8 ? 0 : 0x80;
    unsigned low = (~vvvv & 15) << 3 | pp;
    uint8_t *p = e->p;
    if (rm.gs) {
        *p++ = 0x65;
    }
    if (map == 1 && !xb && !(op & OPW)) {
        *p++ = 0xc5;
        *p++ = (uint8_t)(not_r | low);
    } else {
        *p++ = 0xc4;
        *p++ = (uint8_t)(not_r | (~xb & 3) << 5 | map);
        *p++ = (uint8_t)((op & OPW ? 0x80 : 0) | low);
    }
    *p++ = (uint8_t)op;
    e->p = put_modrm(p, reg, rm, imm_bytes);
}

/* ---- the common integer instructions; `w` is OPW or 0 ---- */

static inline void ins_mov_rr(Emit *e, uint32_t w, unsigned dst, unsigned src)
{
    emit_op(e, OP_MOV | w, dst, rm_reg(src), 0);
}

static inline void ins_load(Emit *e, unsigned dst, Rm m) { emit_op(e, OP_MOV | OPW, dst, m, 0); }
static inline void ins_store(Emit *e, Rm m, unsigned src)
{
    emit_op(e, OP_MOV_STORE | OPW, src, m, 0);
}

/* dst = imm, the shortest form that leaves the flags alone. */
static inline void ins_mov_imm(Emit *e, unsigned dst, int64_t imm)
{
    if (fits_unsigned((uint64_t)imm, 32)) {
        if (dst & 8) {
            emit_u8(e, 0x41);
        }
        emit_u8(e, 0xb8 | (dst & 7));
        emit_u32(e, (uint32_t)imm);
    } else if (fits_signed(imm, 32)) {
        emit_op(e, OP_MOV_IMM | OPW, 0, rm_reg(dst), 4);
        emit_u32(e, (uint32_t)imm);
    } else {
        int64_t rel = (int64_t)((uint64_t)imm - (uintptr_t)(e->p + 7));
        if (fits_signed(rel, 32)) {
            emit_op(e, OP_LEA | OPW, dst, rm_rip((const void *)(uintptr_t)imm), 0);
            return;
        }
        emit_u8(e, 0x48 | (dst >> 3 & 1));
        emit_u8(e, 0xb8 | (dst & 7));
        emit_u64(e, (uint64_t)imm);
    }
}

static inline void ins_store_imm32(Emit *e, Rm m, int32_t imm)
{
    emit_op(e, OP_MOV_IMM | OPW, 0, m, 4);
    emit_u32(e, (uint32_t)imm);
}

static inline void ins_alu(Emit *e, enum HostAlu alu, uint32_t w, unsigned dst, Rm src)
{
    emit_op(e, (uint32_t)alu << 3 | 3 | w, dst, src, 0);
}

static inline void ins_pause(Emit *e)
{
    emit_u8(e, 0xf3);
    emit_u8(e, 0x90);
}

static inline void ins_alu_imm(Emit *e, enum HostAlu alu, uint32_t w, Rm dst, int32_t imm)
{
    if (fits_signed(imm, 8)) {
        emit_op(e, OP_GROUP1_IMM8 | w, alu, dst, 1);
        emit_u8(e, (uint8_t)imm);
    } else {
        emit_op(e, OP_GROUP1_IMM32 | w, alu, dst, 4);
        emit_u32(e, (uint32_t)imm);
    }
}

static inline void ins_shift_imm(Emit *e, enum HostShift sh, uint32_t w, unsigned dst, unsigned n)
{
    emit_op(e, OP_SHIFT_IMM | w, sh, rm_reg(dst), 1);
    emit_u8(e, n);
}

static inline void ins_group3(Emit *e, enum HostGroup3 n, uint32_t w, Rm rm)
{
    emit_op(e, OP_GROUP3 | w, n, rm, 0);
}

static inline void ins_lea(Emit *e, uint32_t w, unsigned dst, Rm m)
{
    emit_op(e, OP_LEA | w, dst, m, 0);
}

static inline void ins_xor_zero(Emit *e, unsigned dst) { ins_alu(e, ALU_XOR, 0, dst, rm_reg(dst)); }
static inline void ins_test(Emit *e, uint32_t w, unsigned a, unsigned b)
{
    emit_op(e, OP_TEST | w, b, rm_reg(a), 0);
}

static inline void ins_setcc(Emit *e, enum HostCC cc, unsigned dst)
{
    emit_op(e, OP_SETCC + cc, 0, rm_reg(dst), 0);
}

static inline void ins_cmov(Emit *e, enum HostCC cc, uint32_t w, unsigned dst, Rm src)
{
    emit_op(e, (OP_CMOV + cc) | w, dst, src, 0);
}

/* ---- jumps ---- */

static inline void ins_jmp(Emit *e, const void *target)
{
    emit_u8(e, 0xe9);
    emit_u32(e, (uint32_t)emit_rel(e->p + 4, target));
}

/* A jump forward to a place not known yet; returns its rel32 field for bind_rel32(). */
static inline uint8_t *ins_jcc_forward(Emit *e, enum HostCC cc)
{
    emit_u8(e, 0x0f);
    emit_u8(e, 0x80 | cc);
    emit_u32(e, 0);
    return e->p - 4;
}

static inline void bind_rel32(uint8_t *field, const void *target)
{
    int32_t rel = emit_rel(field + 4, target);
    memcpy(field, &rel, 4);
}

/* The same within 127 bytes. */
static inline uint8_t *ins_jcc_short(Emit *e, enum HostCC cc)
{
    emit_u8(e, 0x70 | cc);
    emit_u8(e, 0);
    return e->p - 1;
}

static inline void bind_rel8(uint8_t *field, const uint8_t *target)
{
    ptrdiff_t rel = target - (field + 1);
    assert(rel >= -128 && rel <= 127);
    *field = (uint8_t)rel;
}

/* n bytes (0-9) that do nothing, in one instruction. */
static inline void emit_nop(Emit *e, unsigned n)
{
    static const uint8_t nops[10][9] = {
        { 0 }, { 0x90 }, { 0x66, 0x90 }, { 0x0f, 0x1f, 0x00 }, { 0x0f, 0x1f, 0x40, 0x00 },
        { 0x0f, 0x1f, 0x44, 0x00, 0x00 }, { 0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00 },
        { 0x0f, 0x1f, 0x80, 0, 0, 0, 0 }, { 0x0f, 0x1f, 0x84, 0x00, 0, 0, 0, 0 },
        { 0x66, 0x0f, 0x1f, 0x84, 0x00, 0, 0, 0, 0 },
    };
    memcpy(e->p, nops[n], n);
    e->p += n;
}

#endif
