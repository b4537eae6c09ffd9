# SPDX-License-Identifier: MIT
"""RISC-V instruction encodings, written from the manual's listings.

One row per instruction: name, operand letters, match word, extension.  Used to assemble
what GNU as does not know, and by the random tester, which has no time for an assembler.
`run.py --self-test` compares every row that GNU as knows with GNU as.

Operand letters: d s t  rd rs1 rs2 as integer registers;  D S T U  rd rs1 rs2 rs3 as FP
registers;  i 12-bit immediate;  o(s) load address, q(s) store address, (s) plain address;
6 5 shift amounts;  u 20-bit upper immediate;  b a  branch and jump offsets;  z CSR
number;  Z 5-bit immediate in rs1;  R rounding mode;  L FLI index;  p prefetch offset.
Compressed formats have a letter each, see COMPRESSED.
"""
import re

INSNS = {}      # name -> (operand list, match, extension)
RM = {'rne': 0, 'rtz': 1, 'rdn': 2, 'rup': 3, 'rmm': 4, 'dyn': 7}
CSR = {'fflags': 1, 'frm': 2, 'fcsr': 3, 'cycle': 0xc00, 'time': 0xc01, 'instret': 0xc02,
       'mstatus': 0x300, 'sstatus': 0x100, 'vl': 0xc20}
# Extensions that binutils 2.40 has no assembler for.
NOT_IN_AS = {'zicond', 'zacas', 'zabha', 'zcb', 'zimop', 'zcmop', 'zfa', 'zihintntl'}
AS_MARCH = 'rv64imafdc_zicsr_zifencei_zba_zbb_zbc_zbs_zbkb_zbkc_zfh_zicbom_zicbop_zicboz_zawrs_zihintpause'


def row(name, ops, match, ext):
    INSNS[name] = (ops, match, ext)


def r(names, f7, f3s, op, ext, ops='d s t'):
    for name, f3 in zip(names.split(), f3s):
        row(name, ops.split(), f7 << 25 | f3 << 12 | op, ext)


def build_integer():
    for name, op in (('lui', 0x37), ('auipc', 0x17)):
        row(name, ['d', 'u'], op, 'i')
    row('jal', ['d', 'a'], 0x6f, 'i')
    row('jalr', ['d', 'o(s)'], 0x67, 'i')
    r('beq bne blt bge bltu bgeu', 0, (0, 1, 4, 5, 6, 7), 0x63, 'i', 's t b')
    r('lb lh lw ld lbu lhu lwu', 0, range(7), 0x03, 'i', 'd o(s)')
    r('sb sh sw sd', 0, range(4), 0x23, 'i', 't q(s)')
    r('addi slti sltiu xori ori andi', 0, (0, 2, 3, 4, 6, 7), 0x13, 'i', 'd s i')
    r('slli srli', 0, (1, 5), 0x13, 'i', 'd s 6')
    r('srai', 0x20, (5,), 0x13, 'i', 'd s 6')
    r('add sll slt sltu xor srl or and', 0, range(8), 0x33, 'i')
    r('sub sra', 0x20, (0, 5), 0x33, 'i')
    r('addiw', 0, (0,), 0x1b, 'i', 'd s i')
    r('slliw srliw', 0, (1, 5), 0x1b, 'i', 'd s 5')
    r('sraiw', 0x20, (5,), 0x1b, 'i', 'd s 5')
    r('addw sllw srlw', 0, (0, 1, 5), 0x3b, 'i')
    r('subw sraw', 0x20, (0, 5), 0x3b, 'i')
    row('fence', [], 0x0ff0000f, 'i')
    row('fence.tso', [], 0x8330000f, 'i')
    row('pause', [], 0x0100000f, 'zihintpause')
    row('fence.i', [], 0x0000100f, 'zifencei')
    row('ecall', [], 0x73, 'i')
    row('ebreak', [], 0x00100073, 'i')
    r('csrrw csrrs csrrc', 0, (1, 2, 3), 0x73, 'zicsr', 'd z s')
    r('csrrwi csrrsi csrrci', 0, (5, 6, 7), 0x73, 'zicsr', 'd z Z')
    r('mul mulh mulhsu mulhu div divu rem remu', 1, range(8), 0x33, 'm')
    r('mulw divw divuw remw remuw', 1, (0, 4, 5, 6, 7), 0x3b, 'm')
    for i, n in enumerate(('p1', 'pall', 's1', 'all')):
        row('ntl.' + n, [], 0x33 | (2 + i) << 20, 'zihintntl')
    row('wrs.nto', [], 0x00d00073, 'zawrs')
    row('wrs.sto', [], 0x01d00073, 'zawrs')
    for i, n in enumerate(('inval', 'clean', 'flush', None, 'zero')):
        if n:
            row('cbo.' + n, ['(s)'], i << 20 | 0x200f, 'zicboz' if n == 'zero' else 'zicbom')
    for i, n in ((0, 'i'), (1, 'r'), (3, 'w')):
        row('prefetch.' + n, ['p(s)'], i << 20 | 0x6013, 'zicbop')


def build_bitmanip():
    r('add.uw', 4, (0,), 0x3b, 'zba')
    r('sh1add sh2add sh3add', 0x10, (2, 4, 6), 0x33, 'zba')
    r('sh1add.uw sh2add.uw sh3add.uw', 0x10, (2, 4, 6), 0x3b, 'zba')
    r('slli.uw', 4, (1,), 0x1b, 'zba', 'd s 6')
    r('andn orn xnor', 0x20, (7, 6, 4), 0x33, 'zbb')
    for i, n in enumerate(('clz', 'ctz', 'cpop')):
        row(n, ['d', 's'], 0x60001013 | i << 20, 'zbb')
        row(n + 'w', ['d', 's'], 0x6000101b | i << 20, 'zbb')
    row('sext.b', ['d', 's'], 0x60401013, 'zbb')
    row('sext.h', ['d', 's'], 0x60501013, 'zbb')
    row('zext.h', ['d', 's'], 0x0800403b, 'zbb')
    r('min minu max maxu', 5, (4, 5, 6, 7), 0x33, 'zbb')
    r('rol ror', 0x30, (1, 5), 0x33, 'zbb')
    r('rolw rorw', 0x30, (1, 5), 0x3b, 'zbb')
    r('rori', 0x30, (5,), 0x13, 'zbb', 'd s 6')
    r('roriw', 0x30, (5,), 0x1b, 'zbb', 'd s 5')
    row('orc.b', ['d', 's'], 0x28705013, 'zbb')
    row('rev8', ['d', 's'], 0x6b805013, 'zbb')
    row('brev8', ['d', 's'], 0x68705013, 'zbkb')
    r('pack packh', 4, (4, 7), 0x33, 'zbkb')
    r('packw', 4, (4,), 0x3b, 'zbkb')
    r('bclr bext', 0x24, (1, 5), 0x33, 'zbs')
    r('binv', 0x34, (1,), 0x33, 'zbs')
    r('bset', 0x14, (1,), 0x33, 'zbs')
    r('bclri bexti', 0x24, (1, 5), 0x13, 'zbs', 'd s 6')
    r('binvi', 0x34, (1,), 0x13, 'zbs', 'd s 6')
    r('bseti', 0x14, (1,), 0x13, 'zbs', 'd s 6')
    r('clmul clmulr clmulh', 5, (1, 2, 3), 0x33, 'zbc')
    r('czero.eqz czero.nez', 7, (5, 7), 0x33, 'zicond')
    for n in range(32):
        row('mop.r.%d' % n, ['d', 's'],
            0x81c04073 | (n & 3) << 20 | (n >> 2 & 3) << 26 | (n >> 4) << 30, 'zimop')
    for n in range(8):
        row('mop.rr.%d' % n, ['d', 's', 't'], 0x82004073 | (n & 3) << 26 | (n >> 2) << 30, 'zimop')


def build_atomics():
    funct5 = {'amoadd': 0, 'amoswap': 1, 'amocas': 5, 'amoxor': 4, 'amoor': 8, 'amoand': 12,
              'amomin': 16, 'amomax': 20, 'amominu': 24, 'amomaxu': 28, 'sc': 3, 'lr': 2}
    for name, f5 in funct5.items():
        for w, f3 in (('b', 0), ('h', 1), ('w', 2), ('d', 3), ('q', 4)):
            if w == 'q' and name != 'amocas' or w in 'bh' and name in ('lr', 'sc'):
                continue
            ext = 'zacas' if name == 'amocas' else 'a' if w in 'wd' else 'zabha'
            for sfx, bits in (('', 0), ('.rl', 1), ('.aq', 2), ('.aqrl', 3)):
                row('%s.%s%s' % (name, w, sfx), ['d', '(s)'] if name == 'lr' else ['d', 't', '(s)'],
                    f5 << 27 | bits << 25 | f3 << 12 | 0x2f, ext)


def build_float():
    ext_of = {'s': 'f', 'd': 'd', 'h': 'zfh'}
    for w, fmt, f3 in (('s', 0, 2), ('d', 1, 3), ('h', 2, 1)):
        e = ext_of[w]
        zfa = 'zfa'

        def fp(name, f5, ops, rs2=0, f3=None, ext=e):
            row(name + '.' + w, ops.split(), f5 << 27 | fmt << 25 | rs2 << 20 | (f3 or 0) << 12 | 0x53, ext)
        letter = {'s': 'w', 'd': 'd', 'h': 'h'}[w]
        row('fl' + letter, ['D', 'o(s)'], f3 << 12 | 0x07, e)
        row('fs' + letter, ['T', 'q(s)'], f3 << 12 | 0x27, e)
        for i, n in enumerate(('fmadd', 'fmsub', 'fnmsub', 'fnmadd')):
            row(n + '.' + w, 'D S T U R'.split(), fmt << 25 | 0x43 + 4 * i, e)
        for i, n in enumerate(('fadd', 'fsub', 'fmul', 'fdiv')):
            fp(n, i, 'D S T R')
        fp('fsqrt', 0x0b, 'D S R')
        for i, n in enumerate(('fsgnj', 'fsgnjn', 'fsgnjx')):
            fp(n, 4, 'D S T', f3=i)
        for i, n in enumerate(('fmin', 'fmax', 'fminm', 'fmaxm')):
            fp(n, 5, 'D S T', f3=i, ext=zfa if i > 1 else e)
        for i, n in enumerate(('fle', 'flt', 'feq')):
            fp(n, 0x14, 'd S T', f3=i)
        fp('fleq', 0x14, 'd S T', f3=4, ext=zfa)
        fp('fltq', 0x14, 'd S T', f3=5, ext=zfa)
        fp('fclass', 0x1c, 'd S', f3=1)
        fp('fround', 8, 'D S R', rs2=4, ext=zfa)
        fp('froundnx', 8, 'D S R', rs2=5, ext=zfa)
        fp('fli', 0x1e, 'D L', rs2=1, ext=zfa)
        for i, n in enumerate(('w', 'wu', 'l', 'lu')):
            row('fcvt.%s.%s' % (n, w), ['d', 'S', 'R'], 0x18 << 27 | fmt << 25 | i << 20 | 0x53, e)
            row('fcvt.%s.%s' % (w, n), ['D', 's', 'R'], 0x1a << 27 | fmt << 25 | i << 20 | 0x53, e)
        mv = {'s': 'w', 'd': 'd', 'h': 'h'}[w]
        row('fmv.x.' + mv, ['d', 'S'], 0x1c << 27 | fmt << 25 | 0x53, e)
        row('fmv.%s.x' % mv, ['D', 's'], 0x1e << 27 | fmt << 25 | 0x53, e)
        for w2, fmt2 in (('s', 0), ('d', 1), ('h', 2)):
            if w != w2:
                row('fcvt.%s.%s' % (w, w2), ['D', 'S', 'R'], 8 << 27 | fmt << 25 | fmt2 << 20 | 0x53,
                    'zfh' if 'h' in (w, w2) else 'd')
    row('fcvtmod.w.d', ['d', 'S', 'R'], 0xc2800053, 'zfa')


build_integer()
build_bitmanip()
build_atomics()
build_float()


def bits(v, hi, lo=None):
    lo = hi if lo is None else lo
    return v >> lo & ((1 << hi - lo + 1) - 1)


def put_b(v):
    return bits(v, 12) << 31 | bits(v, 10, 5) << 25 | bits(v, 4, 1) << 8 | bits(v, 11) << 7


def put_j(v):
    return bits(v, 20) << 31 | bits(v, 10, 1) << 21 | bits(v, 11) << 20 | bits(v, 19, 12) << 12


PUT = {
    'd': lambda v: v << 7, 'D': lambda v: v << 7, 's': lambda v: v << 15, 'S': lambda v: v << 15,
    't': lambda v: v << 20, 'T': lambda v: v << 20, 'U': lambda v: v << 27,
    'i': lambda v: (v & 0xfff) << 20, 'o': lambda v: (v & 0xfff) << 20,
    'q': lambda v: (v >> 5 & 0x7f) << 25 | (v & 31) << 7, 'p': lambda v: (v >> 5 & 0x7f) << 25,
    '6': lambda v: v << 20, '5': lambda v: v << 20, 'u': lambda v: (v & 0xfffff) << 12,
    'b': put_b, 'a': put_j, 'z': lambda v: v << 20, 'Z': lambda v: v << 15, 'R': lambda v: v << 12,
    'L': lambda v: v << 15,
}

# ---- compressed: name -> (operands, encoder, extension, the instruction it expands to) ----
# Operands: d s t any register, 1 2 registers x8..x15 (rd'/rs1', rs2'), S2 D2 FP alike.


def ci(f3, op):
    return lambda d, v: f3 << 13 | bits(v, 5) << 12 | d << 7 | bits(v, 4, 0) << 2 | op


def c_mem(f3, wide):
    def enc(t, v, s):
        low = bits(v, 7, 6) << 5 if wide else bits(v, 2) << 6 | bits(v, 6) << 5
        return f3 << 13 | bits(v, 5, 3) << 10 | (s - 8) << 7 | low | (t - 8) << 2
    return enc


def c_lsp(f3, wide):
    def enc(d, v, _sp=2):
        low = bits(v, 4, 3) << 5 | bits(v, 8, 6) << 2 if wide else bits(v, 4, 2) << 4 | bits(v, 7, 6) << 2
        return f3 << 13 | bits(v, 5) << 12 | d << 7 | low | 2
    return enc


def c_ssp(f3, wide):
    def enc(t, v, _sp=2):
        hi = bits(v, 5, 3) << 10 | bits(v, 8, 6) << 7 if wide else bits(v, 5, 2) << 9 | bits(v, 7, 6) << 7
        return f3 << 13 | hi | t << 2 | 2
    return enc


def c_branch(f3):
    return lambda s, v: (f3 << 13 | bits(v, 8) << 12 | bits(v, 4, 3) << 10 | (s - 8) << 7 |
                         bits(v, 7, 6) << 5 | bits(v, 2, 1) << 3 | bits(v, 5) << 2 | 1)


def c_j(v):
    return (0xa001 | bits(v, 11) << 12 | bits(v, 4) << 11 | bits(v, 9, 8) << 9 | bits(v, 10) << 8 |
            bits(v, 6) << 7 | bits(v, 7) << 6 | bits(v, 3, 1) << 3 | bits(v, 5) << 2)


def c_alu(hi, sub):
    return lambda d, t: hi << 10 | (d - 8) << 7 | sub << 5 | (t - 8) << 2 | 1


def c_un(sub):
    return lambda d: 0x9c61 | (d - 8) << 7 | sub << 2


COMPRESSED = {
    'c.addi4spn': ('1 sp n', lambda d, _s, v: (bits(v, 5, 4) << 11 | bits(v, 9, 6) << 7 | bits(v, 2) << 6 |
                                               bits(v, 3) << 5 | (d - 8) << 2), 'c'),
    'c.lw': ('1 w(2)', c_mem(2, False), 'c'), 'c.ld': ('1 l(2)', c_mem(3, True), 'c'),
    'c.fld': ('F l(2)', c_mem(1, True), 'd'),
    'c.sw': ('1 w(2)', c_mem(6, False), 'c'), 'c.sd': ('1 l(2)', c_mem(7, True), 'c'),
    'c.fsd': ('F l(2)', c_mem(5, True), 'd'),
    'c.nop': ('', lambda: 1, 'c'),
    'c.addi': ('d n', ci(0, 1), 'c'), 'c.addiw': ('d n', ci(1, 1), 'c'), 'c.li': ('d n', ci(2, 1), 'c'),
    'c.addi16sp': ('sp n', lambda _s, v: (0x6101 | bits(v, 9) << 12 | bits(v, 4) << 6 | bits(v, 6) << 5 |
                                          bits(v, 8, 7) << 3 | bits(v, 5) << 2), 'c'),
    'c.lui': ('d n', ci(3, 1), 'c'),
    'c.srli': ('1 n', lambda d, v: ci(4, 1)(d - 8, v), 'c'),
    'c.srai': ('1 n', lambda d, v: ci(4, 1)(d - 8 | 8, v), 'c'),
    'c.andi': ('1 n', lambda d, v: ci(4, 1)(d - 8 | 16, v), 'c'),
    'c.sub': ('1 2', c_alu(0x23, 0), 'c'), 'c.xor': ('1 2', c_alu(0x23, 1), 'c'),
    'c.or': ('1 2', c_alu(0x23, 2), 'c'), 'c.and': ('1 2', c_alu(0x23, 3), 'c'),
    'c.subw': ('1 2', c_alu(0x27, 0), 'c'), 'c.addw': ('1 2', c_alu(0x27, 1), 'c'),
    'c.j': ('b', c_j, 'c'), 'c.beqz': ('1 b', c_branch(6), 'c'), 'c.bnez': ('1 b', c_branch(7), 'c'),
    'c.slli': ('d n', ci(0, 2), 'c'),
    'c.lwsp': ('d w(sp)', c_lsp(2, False), 'c'), 'c.ldsp': ('d l(sp)', c_lsp(3, True), 'c'),
    'c.fldsp': ('F l(sp)', c_lsp(1, True), 'd'),
    'c.swsp': ('t w(sp)', c_ssp(6, False), 'c'), 'c.sdsp': ('t l(sp)', c_ssp(7, True), 'c'),
    'c.fsdsp': ('F l(sp)', c_ssp(5, True), 'd'),
    'c.jr': ('s', lambda s: 0x8002 | s << 7, 'c'), 'c.jalr': ('s', lambda s: 0x9002 | s << 7, 'c'),
    'c.mv': ('d t', lambda d, t: 0x8002 | d << 7 | t << 2, 'c'),
    'c.add': ('d t', lambda d, t: 0x9002 | d << 7 | t << 2, 'c'),
    'c.ebreak': ('', lambda: 0x9002, 'c'),
    'c.lbu': ('1 y(2)', lambda d, v, s: 0x8000 | (s - 8) << 7 | bits(v, 0) << 6 | bits(v, 1) << 5 | (d - 8) << 2, 'zcb'),
    'c.lhu': ('1 h(2)', lambda d, v, s: 0x8400 | (s - 8) << 7 | bits(v, 1) << 5 | (d - 8) << 2, 'zcb'),
    'c.lh': ('1 h(2)', lambda d, v, s: 0x8440 | (s - 8) << 7 | bits(v, 1) << 5 | (d - 8) << 2, 'zcb'),
    'c.sb': ('1 y(2)', lambda d, v, s: 0x8800 | (s - 8) << 7 | bits(v, 0) << 6 | bits(v, 1) << 5 | (d - 8) << 2, 'zcb'),
    'c.sh': ('1 h(2)', lambda d, v, s: 0x8c00 | (s - 8) << 7 | bits(v, 1) << 5 | (d - 8) << 2, 'zcb'),
    'c.mul': ('1 2', c_alu(0x27, 2), 'zcb'),
    'c.zext.b': ('1', c_un(0), 'zcb'), 'c.sext.b': ('1', c_un(1), 'zcb'), 'c.zext.h': ('1', c_un(2), 'zcb'),
    'c.sext.h': ('1', c_un(3), 'zcb'), 'c.zext.w': ('1', c_un(4), 'zcb'), 'c.not': ('1', c_un(5), 'zcb'),
}
for _n in range(1, 16, 2):
    COMPRESSED['c.mop.%d' % _n] = ('', lambda n=_n: 0x6081 | (n >> 1) << 8, 'zcmop')
for _i, _n in enumerate(('p1', 'pall', 's1', 'all')):
    COMPRESSED['c.ntl.' + _n] = ('', lambda i=_i: 0x9002 | (2 + i) << 2, 'zihintntl')


def extension(name):
    if name in INSNS:
        return INSNS[name][2]
    return COMPRESSED[name][2] if name in COMPRESSED else None


def encode(name, *args):
    """Operands as integers, in assembler order; `imm(reg)` is two of them."""
    if name in COMPRESSED:
        return COMPRESSED[name][1](*args)
    ops, word, _ = INSNS[name]
    i = 0
    for op in ops:
        word |= PUT[op[0]](args[i]) if op[0] != '(' else args[i] << 15
        i += 1
        if len(op) > 1 and op[0] != '(':
            word |= args[i] << 15
            i += 1
    return word


REG = re.compile(r'^[xf](\d+)$')
MEM = re.compile(r'^(-?\w*)\((\w+)\)$')


def operand(text):
    m = REG.match(text)
    if m:
        return int(m.group(1))
    if text in RM:
        return RM[text]
    if text in CSR:
        return CSR[text]
    if text == 'sp':
        return 2
    return int(text, 0)


def parse(text):
    """'lw x1, 4(x2)' -> name, operands as encode() takes them; None if not that simple."""
    name, _, rest = text.strip().partition(' ')
    if name not in INSNS and name not in COMPRESSED:
        return None
    plain = name.startswith(('amo', 'lr.', 'sc.', 'cbo.'))
    args = []
    try:
        for part in [p.strip() for p in rest.split(',')] if rest.strip() else []:
            m = MEM.match(part)
            if m and plain:
                args.append(operand(m.group(2)))
            elif m:
                args += [int(m.group(1) or '0', 0), operand(m.group(2))]
            else:
                args.append(operand(part))
    except ValueError:
        return None
    if name in INSNS:
        want = sum(2 if len(o) > 1 and o[0] != '(' else 1 for o in INSNS[name][0])
        if len(args) == want - 1 and INSNS[name][0][-1] == 'R':
            args.append(default_rm(name))
        if len(args) != want:
            return None
    return name, args


def default_rm(name):
    """What assemblers put into rm when none is written: conversions that are exact get 0."""
    if name == 'fcvtmod.w.d':
        return 1
    exact = ('fcvt.d.w', 'fcvt.d.wu', 'fcvt.d.s', 'fcvt.s.h', 'fcvt.d.h')
    return 0 if name in exact else 7
