# SPDX-License-Identifier: MIT
"""What one RISC-V instruction does, written from the manual and nothing else.

State is a plain object; execute() runs one decoded instruction (rv_encode.parse) on it.
Control flow other than conditional branches is left to hand-written lines.
"""
import rv_softfloat as sf

M64 = 0xffffffffffffffff
M_BASE = 0x20000f80     # where the harness puts m[0]; a page ends at m[128]
M_SIZE = 256
RO_BASE = 0x20003000    # a read-only page of zeros


class Trap(Exception):
    pass


class State:
    def __init__(self):
        self.x = [0] * 32
        self.f = [0] * 32
        self.fflags = 0
        self.frm = 0
        self.mem = bytearray(b'\xa5' * M_SIZE)
        self.taken = None
        self.resv = None

    def load(self, addr, size):
        off = addr - M_BASE
        if 0 <= addr - RO_BASE <= 4096 - size:
            return 0
        if not 0 <= off <= M_SIZE - size:
            raise Trap('SIGSEGV')
        return int.from_bytes(self.mem[off:off + size], 'little')

    def store(self, addr, size, v):
        off = addr - M_BASE
        if not 0 <= off <= M_SIZE - size:
            raise Trap('SIGSEGV')
        self.mem[off:off + size] = (v & (1 << 8 * size) - 1).to_bytes(size, 'little')

    def set_x(self, r, v):
        if r:
            self.x[r] = v & M64


def sx(v, bits):
    v &= (1 << bits) - 1
    return v - (1 << bits) if v >> bits - 1 else v


def s64(v):
    return sx(v, 64)


def div(a, b, bits, signed):
    a, b = (sx(a, bits), sx(b, bits)) if signed else (a % (1 << bits), b % (1 << bits))
    if b == 0:
        return -1, a
    q = abs(a) // abs(b)
    q = -q if (a < 0) != (b < 0) else q
    return q, a - q * b


def clmul(a, b):
    r = 0
    for i in range(64):
        if b >> i & 1:
            r ^= a << i
    return r


def rot(v, n, bits):
    """Rotate left."""
    v &= (1 << bits) - 1
    n %= bits
    return (v << n | v >> bits - n) & (1 << bits) - 1


def rev_bytes(v):
    return int.from_bytes(v.to_bytes(8, 'little'), 'big')


def rev_bits_in_bytes(v):
    return int.from_bytes(bytes(int('{:08b}'.format(b)[::-1], 2) for b in v.to_bytes(8, 'little')), 'little')


def orc(v):
    return int.from_bytes(bytes(0xff if b else 0 for b in v.to_bytes(8, 'little')), 'little')


U32 = 0xffffffff
w = lambda v: sx(v, 32)

# rd = f(a, b): registers, b also an immediate
ALU = {
    'add': lambda a, b: a + b, 'sub': lambda a, b: a - b, 'and': lambda a, b: a & b,
    'or': lambda a, b: a | b, 'xor': lambda a, b: a ^ b,
    'sll': lambda a, b: a << (b & 63), 'srl': lambda a, b: a >> (b & 63),
    'sra': lambda a, b: s64(a) >> (b & 63),
    'slt': lambda a, b: s64(a) < s64(b), 'sltu': lambda a, b: a < b,
    'addw': lambda a, b: w(a + b), 'subw': lambda a, b: w(a - b),
    'sllw': lambda a, b: w(a << (b & 31)), 'srlw': lambda a, b: w((a & U32) >> (b & 31)),
    'sraw': lambda a, b: w(a) >> (b & 31),
    'mul': lambda a, b: a * b, 'mulh': lambda a, b: s64(a) * s64(b) >> 64,
    'mulhsu': lambda a, b: s64(a) * b >> 64, 'mulhu': lambda a, b: a * b >> 64,
    'div': lambda a, b: div(a, b, 64, True)[0], 'rem': lambda a, b: div(a, b, 64, True)[1],
    'divu': lambda a, b: div(a, b, 64, False)[0], 'remu': lambda a, b: div(a, b, 64, False)[1],
    'mulw': lambda a, b: w(a * b),
    'divw': lambda a, b: w(div(a, b, 32, True)[0]), 'remw': lambda a, b: w(div(a, b, 32, True)[1]),
    'divuw': lambda a, b: w(div(a, b, 32, False)[0]), 'remuw': lambda a, b: w(div(a, b, 32, False)[1]),
    'add.uw': lambda a, b: (a & U32) + b,
    'sh1add': lambda a, b: (a << 1) + b, 'sh2add': lambda a, b: (a << 2) + b,
    'sh3add': lambda a, b: (a << 3) + b,
    'sh1add.uw': lambda a, b: ((a & U32) << 1) + b, 'sh2add.uw': lambda a, b: ((a & U32) << 2) + b,
    'sh3add.uw': lambda a, b: ((a & U32) << 3) + b, 'sll.uw': lambda a, b: (a & U32) << b,
    'andn': lambda a, b: a & ~b, 'orn': lambda a, b: a | ~b, 'xnor': lambda a, b: ~(a ^ b),
    'min': lambda a, b: min(s64(a), s64(b)), 'max': lambda a, b: max(s64(a), s64(b)),
    'minu': min, 'maxu': max,
    'rol': lambda a, b: rot(a, b & 63, 64), 'ror': lambda a, b: rot(a, -(b & 63), 64),
    'rolw': lambda a, b: w(rot(a, b & 31, 32)), 'rorw': lambda a, b: w(rot(a, -(b & 31), 32)),
    'pack': lambda a, b: (a & U32) | b << 32, 'packh': lambda a, b: (a & 255) | (b & 255) << 8,
    'packw': lambda a, b: w((a & 0xffff) | b << 16),
    'bclr': lambda a, b: a & ~(1 << (b & 63)), 'bset': lambda a, b: a | 1 << (b & 63),
    'binv': lambda a, b: a ^ 1 << (b & 63), 'bext': lambda a, b: a >> (b & 63) & 1,
    'clmul': clmul, 'clmulh': lambda a, b: clmul(a, b) >> 64, 'clmulr': lambda a, b: clmul(a, b) >> 63,
    'czero.eqz': lambda a, b: a if b else 0, 'czero.nez': lambda a, b: 0 if b else a,
}
IMM_FORMS = {
    'addi': 'add', 'andi': 'and', 'ori': 'or', 'xori': 'xor', 'slti': 'slt', 'sltiu': 'sltu',
    'addiw': 'addw', 'slli': 'sll', 'srli': 'srl', 'srai': 'sra', 'slliw': 'sllw', 'srliw': 'srlw',
    'sraiw': 'sraw', 'rori': 'ror', 'roriw': 'rorw', 'bclri': 'bclr', 'bexti': 'bext',
    'binvi': 'binv', 'bseti': 'bset', 'slli.uw': 'sll.uw',
}
clz = lambda v, n: n - v.bit_length()
ctz = lambda v, n: (v & -v).bit_length() - 1 if v else n
UNARY = {
    'clz': lambda a: clz(a, 64), 'clzw': lambda a: clz(a & U32, 32),
    'ctz': lambda a: ctz(a, 64), 'ctzw': lambda a: ctz(a & U32, 32),
    'cpop': lambda a: bin(a).count('1'), 'cpopw': lambda a: bin(a & U32).count('1'),
    'sext.b': lambda a: sx(a, 8), 'sext.h': lambda a: sx(a, 16), 'zext.h': lambda a: a & 0xffff,
    'orc.b': orc, 'rev8': rev_bytes, 'brev8': rev_bits_in_bytes,
}
BRANCH = {
    'beq': lambda a, b: a == b, 'bne': lambda a, b: a != b, 'bltu': lambda a, b: a < b,
    'bgeu': lambda a, b: a >= b, 'blt': lambda a, b: s64(a) < s64(b), 'bge': lambda a, b: s64(a) >= s64(b),
}
LOAD = {'lb': (1, 1), 'lh': (2, 1), 'lw': (4, 1), 'ld': (8, 1), 'lbu': (1, 0), 'lhu': (2, 0), 'lwu': (4, 0)}
STORE = {'sb': 1, 'sh': 2, 'sw': 4, 'sd': 8}
AMO = {
    'amoswap': lambda o, v, n: v, 'amoadd': lambda o, v, n: o + v, 'amoxor': lambda o, v, n: o ^ v,
    'amoand': lambda o, v, n: o & v, 'amoor': lambda o, v, n: o | v,
    'amomin': lambda o, v, n: min(sx(o, n), sx(v, n)), 'amomax': lambda o, v, n: max(sx(o, n), sx(v, n)),
    'amominu': lambda o, v, n: min(o, v), 'amomaxu': lambda o, v, n: max(o, v),
}
SIZES = {'b': 1, 'h': 2, 'w': 4, 'd': 8, 'q': 16}


def expand(name, a):
    """A compressed instruction as the one it stands for."""
    n = name[2:]
    if n in ('addi', 'addiw', 'andi', 'slli', 'srli', 'srai'):
        return n, [a[0], a[0], a[1]]
    if n in ('addi16sp',):
        return 'addi', [2, 2, a[1]]
    if n == 'addi4spn':
        return 'addi', [a[0], 2, a[2]]
    if n == 'li':
        return 'addi', [a[0], 0, a[1]]
    if n == 'mv':
        return 'add', [a[0], 0, a[1]]
    if n in ('add', 'sub', 'and', 'or', 'xor', 'addw', 'subw', 'mul'):
        return n, [a[0], a[0], a[1]]
    if n == 'zext.b':
        return 'andi', [a[0], a[0], 255]
    if n == 'zext.w':
        return 'add.uw', [a[0], a[0], 0]
    if n == 'not':
        return 'xori', [a[0], a[0], -1]
    if n in ('sext.b', 'sext.h', 'zext.h'):
        return n, [a[0], a[0]]
    if n == 'nop' or n.startswith(('mop', 'ntl')):
        return 'addi', [0, 0, 0]
    if n.endswith('sp'):
        return n[:-2], [a[0], a[1], 2]
    if n in ('beqz', 'bnez'):
        return n[:3], [a[0], 0, a[1]]
    return n, a


def execute(st, name, a):
    if name.startswith('c.'):
        if name == 'c.lui':
            return st.set_x(a[0], sx(a[1] << 12, 18))
        name, a = expand(name, a)
    x = st.x
    if name in ALU:
        return st.set_x(a[0], int(ALU[name](x[a[1]], x[a[2]])))
    if name in IMM_FORMS:
        return st.set_x(a[0], int(ALU[IMM_FORMS[name]](x[a[1]], a[2] & M64)))
    if name in UNARY:
        return st.set_x(a[0], UNARY[name](x[a[1]]))
    if name == 'lui':
        return st.set_x(a[0], sx(a[1] << 12, 32))
    if name in BRANCH:
        st.taken = BRANCH[name](x[a[0]], x[a[1]])
        return None
    if name in LOAD:
        size, signed = LOAD[name]
        v = st.load(x[a[2]] + a[1] & M64, size)
        return st.set_x(a[0], sx(v, 8 * size) if signed else v)
    if name in STORE:
        return st.store(x[a[2]] + a[1] & M64, STORE[name], x[a[0]])
    if name.startswith(('amo', 'lr.', 'sc.')):
        return atomic(st, name, a)
    if name.startswith('csrr'):
        return csr(st, name, a)
    if name.startswith('mop.'):
        return st.set_x(a[0], 0)
    if name == 'cbo.zero':
        base = x[a[0]] & ~63
        st.load(base, 64)
        return st.store(base, 64, 0)
    if name.startswith(('fence', 'pause', 'ntl', 'wrs', 'cbo', 'prefetch')):
        return None
    if name.startswith('f'):
        return fp(st, name, a)
    raise KeyError(name)


def atomic(st, name, a):
    op, width = name.split('.')[:2]
    size = SIZES[width]
    x, addr = st.x, st.x[a[-1]]
    if addr % size:
        raise Trap('SIGBUS')
    old = st.load(addr, size)
    if op == 'lr':
        st.resv = addr, size
        return st.set_x(a[0], sx(old, 8 * size))
    if op == 'sc':
        ok = st.resv == (addr, size)
        st.resv = None
        if ok:
            st.store(addr, size, x[a[1]])
        return st.set_x(a[0], 0 if ok else 1)
    if width == 'q':
        pair = lambda r: x[r + 1] << 64 | x[r] if r else 0
        st.store(addr, 16, pair(a[1]) if old == pair(a[0]) else old)
        if a[0]:
            x[a[0]], x[a[0] + 1] = old & M64, old >> 64
        return None
    mask = (1 << 8 * size) - 1
    v = x[a[1]] & mask
    if op == 'amocas':
        # write permission is needed even if nothing changes (chapter "Zacas")
        st.store(addr, size, v if old == x[a[0]] & mask else old)
    else:
        st.store(addr, size, AMO[op](old, v, 8 * size))
    return st.set_x(a[0], sx(old, 8 * size))


def csr(st, name, a):
    rd, num, src = a
    imm = name.endswith('i')
    val = src if imm else st.x[src]
    fcsr = st.frm << 5 | st.fflags
    old = {1: st.fflags, 2: st.frm, 3: fcsr}.get(num)
    if old is None:
        raise KeyError(name)
    kind = name[4]
    if kind != 'w' and src == 0:
        return st.set_x(rd, old)
    new = {'w': val, 's': old | val, 'c': old & ~val}[kind]
    if num == 1:
        st.fflags = new & 31
    elif num == 2:
        st.frm = new & 7
    else:
        st.fflags, st.frm = new & 31, new >> 5 & 7
    return st.set_x(rd, old)


INT_KINDS = {'w': (32, True), 'wu': (32, False), 'l': (64, True), 'lu': (64, False)}
MEM_KINDS = {'flw': sf.S, 'fld': sf.D, 'flh': sf.H, 'fsw': sf.S, 'fsd': sf.D, 'fsh': sf.H}
MV_KINDS = {'w': sf.S, 'd': sf.D, 'h': sf.H}


def fp(st, name, a):
    x, f = st.x, st.f
    if name in MEM_KINDS:
        fmt, addr = MEM_KINDS[name], x[a[2]] + a[1] & M64
        if name[1] == 'l':
            f[a[0]] = fmt.box(st.load(addr, fmt.bits // 8))
        else:
            st.store(addr, fmt.bits // 8, f[a[0]])
        return
    parts = name.split('.')
    if parts[0] == 'fmv':
        if parts[1] == 'x':
            st.set_x(a[0], sx(f[a[1]], MV_KINDS[parts[2]].bits))
        else:
            fmt = MV_KINDS[parts[1]]
            f[a[0]] = fmt.box(x[a[1]] & fmt.mask)
        return
    if parts[0] == 'fcvt':
        return fp_convert(st, parts, a)
    op, fmt = parts[0], sf.FORMATS[parts[-1]]
    if op == 'fli':
        f[a[0]] = fmt.box(sf.load_constant(fmt, a[1]))
        return
    get = lambda r: fmt.unbox(f[r])
    if op == 'fcvtmod':
        v, flags = sf.to_int_modular(fmt, get(a[1]))
        st.fflags |= flags
        return st.set_x(a[0], v)
    if op in ('fclass', 'feq', 'flt', 'fle', 'fleq', 'fltq'):
        if op == 'fclass':
            v, flags = sf.classify(fmt, get(a[1])), 0
        else:
            v, flags = sf.compare(fmt, op[1:3], get(a[1]), get(a[2]), op in ('flt', 'fle'))
        st.fflags |= flags
        return st.set_x(a[0], v)
    f[a[0]] = fmt.box(fp_arith(st, op, fmt, [get(r) for r in a[1:]], a))


def rounding(st, rm):
    rm = st.frm if rm == 7 else rm
    if rm > 4:
        raise Trap('SIGILL')
    return rm


def fp_arith(st, op, fmt, v, a):
    neg = fmt.sign
    flags = 0
    if op in ('fadd', 'fsub', 'fmul', 'fdiv'):
        r, flags = getattr(sf, op[1:])(fmt, v[0], v[1], rounding(st, a[3]))
    elif op == 'fsqrt':
        r, flags = sf.sqrt(fmt, v[0], rounding(st, a[2]))
    elif op in ('fmadd', 'fmsub', 'fnmadd', 'fnmsub'):
        # fnmsub is -(a*b)+c, fnmadd is -(a*b)-c
        p = v[0] ^ neg if op[1] == 'n' and not sf.is_nan(fmt, v[0]) else v[0]
        c = v[2] ^ neg if op in ('fmsub', 'fnmadd') and not sf.is_nan(fmt, v[2]) else v[2]
        r, flags = sf.fma(fmt, p, v[1], c, rounding(st, a[4]))
    elif op.startswith('fsgnj'):
        s = {'fsgnj': v[1], 'fsgnjn': ~v[1], 'fsgnjx': v[0] ^ v[1]}[op]
        r = v[0] & ~neg | s & neg
    elif op.startswith(('fmin', 'fmax')):
        r, flags = sf.minmax(fmt, v[0], v[1], op[1:4] == 'max', op[-1] == 'm')
    elif op in ('fround', 'froundnx'):
        r, flags = sf.round_integral(fmt, v[0], rounding(st, a[2]), op == 'froundnx')
    else:
        raise KeyError(op)
    st.fflags |= flags
    return r


def fp_convert(st, parts, a):
    to, frm = parts[1], parts[2]
    rm = rounding(st, a[2])
    if to in INT_KINDS:
        fmt = sf.FORMATS[frm]
        bits, signed = INT_KINDS[to]
        v, flags = sf.to_int(fmt, fmt.unbox(st.f[a[1]]), bits, signed, rm)
        st.set_x(a[0], sx(v, bits))
    elif frm in INT_KINDS:
        fmt = sf.FORMATS[to]
        bits, signed = INT_KINDS[frm]
        v = st.x[a[1]] & (1 << bits) - 1
        r, flags = sf.from_int(fmt, sx(v, bits) if signed else v, rm)
        st.f[a[0]] = fmt.box(r)
    else:
        src, dst = sf.FORMATS[frm], sf.FORMATS[to]
        r, flags = sf.convert(dst, src, src.unbox(st.f[a[1]]), rm)
        st.f[a[0]] = dst.box(r)
    st.fflags |= flags
