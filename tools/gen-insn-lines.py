#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write and check lines for tests/insn with the reference model there.

    gen-insn-lines.py --sweep zbb        lines for every instruction of an extension
    gen-insn-lines.py --fill < LINES     append `=> ...` to lines that end in `=>`
    gen-insn-lines.py --check [FILE...]  compare what lines say with the model
    gen-insn-lines.py --random N --seed S   N lines with random operands, all extensions

The model (tests/insn/rv_model.py) is written from the ISA manual; braid has no part in it.
"""
import argparse
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'tests', 'insn'))
import rv_encode  # noqa: E402
import rv_model   # noqa: E402
import rv_softfloat as sf  # noqa: E402
import run as runner  # noqa: E402

M64 = (1 << 64) - 1
MIN64, MAX64 = 1 << 63, (1 << 63) - 1
X = 0x123456789abcdef0
SYMS = sorted(runner.SYMBOLS.items(), key=lambda kv: -kv[1])


def hexs(v):
    base = rv_model.M_BASE
    if base <= v < base + 256:
        return 'm+%d' % (v - base) if v != base else 'm'
    return '%#x' % v


def fhex(v):
    for k, fmt in (('s', sf.S), ('h', sf.H)):
        if v == fmt.box(v & fmt.mask) and v >> 63:
            if fmt is sf.H or v & fmt.mask != v & sf.S.mask or v != sf.H.box(v & sf.H.mask):
                return '%s:%#x' % (k, v & fmt.mask)
    return '%#x' % v


def model_result(t):
    """Run a line's code on the model; None if the model cannot."""
    st = rv_model.State()
    st.x, st.f = list(t.x), list(t.f)
    st.mem, st.fflags, st.frm = bytearray(t.m), t.fflags, t.frm
    st.x[0] = 0
    for part in t.code.split(';'):
        p = rv_encode.parse(part.replace('taken', '0').replace('back', '0'))
        if not p:
            return None
        try:
            rv_model.execute(st, *p)
        except rv_model.Trap as e:
            return str(e), st
        except KeyError:
            return None
    return None if st.taken is not None and 'taken' not in t.code and 'back' not in t.code else ('', st)


def outputs(t, named):
    """The right-hand side for a line, from the model."""
    res = model_result(t)
    if res is None:
        return None
    trap, st = res
    out = [trap] if trap else []
    if st.taken is not None:
        out.append(('taken' if 'taken' in t.code else 'back') if st.taken else 'not-taken')
    for n in range(1, 31):
        if st.x[n] != t.x[n] or 'x%d' % n in named:
            out.append('x%d=%s' % (n, hexs(st.x[n])))
    for n in range(32):
        if st.f[n] != t.f[n] or 'f%d' % n in named:
            out.append('f%d=%s' % (n, fhex(st.f[n])))
    if st.fflags != t.fflags:
        out.append('fflags=%#x' % st.fflags)
    if st.frm != t.frm:
        out.append('frm=%d' % st.frm)
    off = 0
    while off < 256:
        if st.mem[off] != t.m[off] or st.mem[off:off + 8] != t.m[off:off + 8] and off % 8 == 0:
            size = next(s for s in (8, 4, 2, 1) if off % s == 0)
            while size > 1 and st.mem[off + size // 2:off + size] == t.m[off + size // 2:off + size]:
                size //= 2
            v = int.from_bytes(st.mem[off:off + size], 'little')
            out.append('m%s[%d]=%#x' % ({1: 'b', 2: 'h', 4: 'w', 8: 'd'}[size], off, v))
            off += size
        else:
            off += 1
    return ' '.join(out)


def line(code, named=(), **inputs):
    """One complete line; inputs as x1=…, f1=…, frm=…, mem={'d8': v}."""
    parts = ['code="%s"' % code]
    for k, v in inputs.items():
        if k == 'mem':
            parts += ['m%s[%s]=%#x' % (a[0], a[1:], b) for a, b in v.items()]
        elif k in ('frm', 'fflags'):
            parts.append('%s=%d' % (k, v))
        else:
            parts.append('%s=%s' % (k, fhex(v) if k[0] == 'f' else hexs(v & M64)))
    text = ' '.join(parts) + ' =>'
    t = runner.Test('sweep', text)
    out = outputs(t, named)
    if out is None:
        raise ValueError('the model does not know ' + code)
    return text + (' ' + out if out else '')


# ---- operands worth trying ----

INTS = [0, 1, M64, MIN64, MAX64, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0xffffffff80000000, X,
        0xfedcba9876543210, 0x8000000080000000, 0x5555555555555555, 0x00ff00ff00ff00ff]
PAIRS = {
    'div': [(7, 2), (-7, 2), (7, -2), (-7, -2), (X, 0), (M64, 0), (MIN64, M64), (0xffffffff80000000, M64),
            (0x80000000, 0xffffffff), (MIN64, 1), (0, 5), (3, 7), (X, 0x100000000), (0x180000000, 0x1ffffffff)],
    'mul': [(3, 5), (-3, 5), (-3, -5), (MIN64, M64), (MIN64, MIN64), (M64, M64), (MAX64, MAX64),
            (0xffffffff, 0xffffffff), (0x80000000, 0x80000000), (X, 0xfedcba9876543210), (MIN64, 2)],
    'shift': [(X, 0), (X, 1), (X, 31), (X, 32), (X, 33), (X, 63), (X, 64), (X, 95), (X, M64), (M64, 4),
              (MIN64, 63), (0xffffffff80000000, 31), (0x80000000, 4), (0x17fffffff, 1)],
    'alu': [(5, 3), (3, 5), (0, 0), (MAX64, 1), (MIN64, M64), (0, M64), (M64, M64), (0x7fffffff, 1),
            (0x80000000, 0xffffffff), (0xffffffff00000001, 0x1ffffffff), (X, 0xfedcba9876543210), (1, MIN64)],
    'branch': [(5, 5), (5, 3), (3, 5), (M64, 0), (0, M64), (MIN64, MAX64), (MAX64, MIN64), (0x100000000, 0),
               (0xffffffff, M64)],
    'cas': [(1, 2)],
}


def pairs_for(name):
    base = name.split('.')[0]
    if base.startswith(('div', 'rem')):
        return PAIRS['div']
    if base.startswith(('mul', 'clmul')):
        return PAIRS['mul']
    if base in ('sll', 'srl', 'sra', 'sllw', 'srlw', 'sraw', 'rol', 'ror', 'rolw', 'rorw') or base in \
            ('bclr', 'bext', 'binv', 'bset'):
        return PAIRS['shift']
    return PAIRS['alu']


def sweep_r(name):
    for a, b in pairs_for(name):
        yield line('%s x3, x1, x2' % name, x1=a, x2=b)
    a, b = pairs_for(name)[-1]
    c, d = pairs_for(name)[1]
    yield line('%s x1, x1, x2' % name, x1=a, x2=b)
    yield line('%s x2, x1, x2' % name, x1=c, x2=d)
    yield line('%s x10, x11, x11' % name, x11=a)
    yield line('%s x12, x12, x12' % name, x12=c)
    yield line('%s x5, x0, x6' % name, x6=a)
    yield line('%s x5, x6, x0' % name, x6=a)
    yield line('%s x0, x1, x2' % name, x1=a, x2=b)


def sweep_unary(name):
    for a in INTS + [0x80, 0x7f, 0x8000, 0x7fff, 0x0100000000000080]:
        yield line('%s x3, x1' % name, x1=a)
    yield line('%s x7, x7' % name, x7=X)
    yield line('%s x0, x7' % name, x7=X)
    yield line('%s x7, x0' % name)


def sweep_imm(name, imms, vals):
    for i in imms:
        for a in vals:
            yield line('%s x3, x1, %d' % (name, i), x1=a)
    yield line('%s x8, x8, %d' % (name, imms[1]), x8=vals[-1])
    yield line('%s x8, x0, %d' % (name, imms[-1]))
    yield line('%s x0, x8, %d' % (name, imms[-1]), x8=vals[-1])


def sweep_load(name):
    size = {'b': 1, 'h': 2, 'w': 4, 'd': 8}[name[1] if name[0] == 'l' else name[2] if name[2] != 'w' else 'w']
    mem = {'d8': 0x8182838485868788, 'd16': 0x7172737475767778, 'd120': 0xf1f2f3f4f5f6f7f8,
           'd128': 0x0102030405060708}
    for base, off in ((8, 0), (0, 16), (32, -16), (2056, -2048), (-2031, 2047), (9, 2), (128 - size // 2 or 128, 0)):
        addr = rv_model.M_BASE + base
        yield ('code="%s x3, %d(x1)" x1=m%+d' % (name, off, base) + ''.join(
            ' m%s[%s]=%#x' % (k[0], k[1:], v) for k, v in mem.items()) + ' =>', addr)


def sweep_mem(name, reg, store):
    """Loads and stores at aligned, misaligned and page-crossing addresses."""
    width = rv_model.LOAD[name][0] if name in rv_model.LOAD else rv_model.STORE.get(name) or \
        rv_model.MEM_KINDS[name].bits // 8
    mem = {} if store else {'d8': 0x8182838485868788, 'd16': 0x7172737475767778, 'd120': 0xf1f2f3f4f5f6f7f8,
                            'd128': 0x0102030405060708}
    places = [(8, 0), (0, 16), (32, -16), (2056, -2048), (-2031, 2047), (9, 0), (8, 3), (128 - (width // 2 or 1), 0)]
    for base, off in places:
        kw = {'x1': rv_model.M_BASE + base}
        if store:
            kw[reg] = 0x8899aabbccddeeff
        if mem:
            kw['mem'] = mem
        yield fix_base(line('%s %s, %d(x1)' % (name, reg, off), **kw), base)
    if reg[0] == 'x':
        kw = {'x1': rv_model.M_BASE + 8}
        if mem:
            kw['mem'] = mem
        yield line('%s x1, 0(x1)' % name, **kw)
        yield line('%s x0, 0(x1)' % name, **kw)


def fix_base(text, base):
    """Addresses outside m as m+N, too."""
    return text.replace(' x1=%#x' % (rv_model.M_BASE + base), ' x1=m%+d' % base)


def sweep_amo(name):
    op, w = name.split('.')[:2]
    bits = 8 * rv_model.SIZES[w]
    top, mask = 1 << bits - 1, (1 << bits) - 1
    vals = [(5, 3), (top, top - 1), (top - 1, top), (mask, 1), (0, mask), (X & mask, 0xfedcba9876543210 & mask)]
    m = {'b': 'b', 'h': 'h', 'w': 'w', 'd': 'd'}[w]
    if name.endswith(('.aq', '.rl', '.aqrl')):  # the ordering bits change no result
        vals = vals[:1]
    for old, v in vals:
        # garbage above the operand's width must not matter
        src = (v | 0xdeadbeef00000000 & ~mask) & M64
        yield line('%s x3, x2, (x1)' % name, x1=rv_model.M_BASE + 16, x2=src, mem={m + '16': old})
    if len(vals) == 1:
        return
    at = rv_model.M_BASE + (16 + bits // 8 if bits < 64 else 16)
    off = at - rv_model.M_BASE
    yield line('%s x2, x2, (x1)' % name, x1=at, x2=7, mem={'%s%d' % (m, off): 9})
    yield line('%s x1, x2, (x1)' % name, x1=at, x2=7, mem={'%s%d' % (m, off): top | 9})
    yield line('%s x0, x2, (x1)' % name, x1=at, x2=7, mem={'%s%d' % (m, off): 9})
    yield line('%s x3, x0, (x1)' % name, x1=at, mem={'%s%d' % (m, off): 9})


def sweep_cas(name):
    w = name.split('.')[1]
    if w == 'q':
        base = {'x1': rv_model.M_BASE + 16, 'mem': {'d16': 11, 'd24': 22}}
        yield line(name + ' x4, x6, (x1)', x4=11, x5=22, x6=33, x7=44, **base)
        if name != 'amocas.q':
            return
        yield line(name + ' x4, x6, (x1)', x4=11, x5=23, x6=33, x7=44, **base)
        yield line(name + ' x4, x6, (x1)', x4=12, x5=22, x6=33, x7=44, **base)
        yield line(name + ' x4, x0, (x1)', x4=11, x5=22, **base)
        yield line(name + ' x0, x6, (x1)', x6=33, x7=44, **base)
        yield line(name + ' x0, x6, (x1)', x6=33, x7=44, x1=rv_model.M_BASE + 16, mem={'d16': 0, 'd24': 0})
        yield line(name + ' x4, x4, (x1)', x4=11, x5=22, **base)
        return
    bits = 8 * rv_model.SIZES[w]
    top, mask = 1 << bits - 1, (1 << bits) - 1
    at = rv_model.M_BASE + 16
    if name.endswith(('.aq', '.rl', '.aqrl')):
        yield line(name + ' x3, x2, (x1)', x1=at, x2=9, x3=5, mem={w + '16': 5})
        return
    for old, cmp, new in ((5, 5, 9), (5, 6, 9), (top | 1, top | 1, mask), (top | 1, 1, 0), (0, 0, top)):
        hi = 0xdeadbeef12345600 & ~mask     # compare and store ignore the upper part
        yield line('%s x3, x2, (x1)' % name, x1=at, x2=(new | hi) & M64, x3=(cmp | hi) & M64, mem={w + '16': old})
    yield line('%s x0, x2, (x1)' % name, x1=at, x2=7, mem={w + '16': 0})
    yield line('%s x0, x2, (x1)' % name, x1=at, x2=7, mem={w + '16': 1})
    yield line('%s x2, x2, (x1)' % name, x1=at, x2=7, mem={w + '16': 7})
    yield line('%s x1, x2, (x1)' % name, x1=at, x2=7, mem={w + '16': at & mask})


# ---- floating point ----

class FpValues:
    """Named values of one format."""

    def __init__(self, f):
        self.f = f
        num = lambda v: sf.round_to(f, sf.Fraction(v), sf.RNE)[0]
        one = num(1)
        self.v = {
            '0': 0, '-0': f.sign, '1': one, '-1': one | f.sign, '1.5': num('1.5'), '2': num(2), '2.5': num('2.5'),
            '-2.5': num('-2.5'), '3': num(3), '-3': num(-3), '.5': num('.5'), '-.5': num('-.5'), '.75': num('.75'),
            '1+': one + 1, '1-': one - 1, '-1+': (one + 1) | f.sign, 'ulp/2': num(sf.pow2(-f.mbits - 1)),
            '-ulp/2': num(-sf.pow2(-f.mbits - 1)), 'ulp/2+': num(sf.pow2(-f.mbits - 1)) + 1,
            'ulp/4': num(sf.pow2(-f.mbits - 2)), 'max': f.max, '-max': f.max | f.sign, 'inf': f.inf,
            '-inf': f.inf | f.sign, 'qnan': f.nan, '-qnan': f.nan | f.sign | 1, 'snan': f.inf | 1,
            '-snan': f.inf | f.sign | f.quiet - 1, 'norm': 1 << f.mbits, '-norm': 1 << f.mbits | f.sign,
            'sub': 1, '-sub': 1 | f.sign, 'submax': (1 << f.mbits) - 1, 'pi': num('3.141592653589793'),
        }

    def __call__(self, name):
        return self.f.box(self.v[name])


ADD = '1,1.5 1,-1 1,ulp/2 1+,ulp/2 1,ulp/2+ 1,ulp/4 -1,ulp/2 max,max -max,-max inf,-inf inf,inf inf,1 0,-0 -0,-0 1,qnan ' \
      'snan,1 1,-snan qnan,snan -qnan,-qnan sub,sub norm,-sub submax,sub pi,1+ max,ulp/2'
MUL = '1.5,2.5 -3,1.5 max,2 -max,max inf,0 -inf,-0 inf,-2.5 0,-0 0,-1 qnan,snan snan,0 1,-qnan norm,.5 sub,.5 -sub,.5 ' \
      'sub,.75 submax,2 norm,1- norm,norm pi,pi 1+,1+ 1-,1-'
DIV = '1,3 -1,3 1,0 -1,0 1,-0 0,0 inf,inf inf,0 0,inf 1,inf -inf,2 max,.5 norm,2 sub,2 -sub,2 norm,1+ qnan,0 snan,0 1,-qnan ' \
      'pi,pi 1+,1- 1,submax'
SQRT = '0 -0 1 2 .5 2.5 pi -1 -sub inf -inf qnan -qnan snan max norm sub submax 1+ 1-'
FMA = '1.5,2.5,1 1+,1+,-1+ 1+,1-,-1 1,1,-1 -1,1,1 inf,0,qnan 0,inf,1 inf,1,-inf inf,1,inf 1,1,-inf max,2,-max max,max,-inf ' \
      'sub,sub,0 sub,.5,sub norm,.5,sub 0,1,-0 -0,1,-0 0,-1,0 snan,1,1 1,qnan,snan 1,1,snan 1,ulp/2,1 pi,pi,-3 submax,1,sub ' \
      '1,-qnan,1 1,1,-qnan 1,ulp/2,1+ -1,ulp/2,-1 max,1,max'
CMP = '1,1.5 1.5,1 1,1 0,-0 -0,0 -1,1 inf,max -inf,-max qnan,1 1,qnan snan,1 1,-snan qnan,-qnan sub,0 -sub,-0 inf,inf'


def fkw(vals, **more):
    kw = {'f%d' % (i + 1): v for i, v in enumerate(vals)}
    kw.update(more)
    return kw


def unboxed(f, v):
    return v & f.mask | 0xfffffffe00000000 if f is sf.S else v & f.mask | 0xfffffffffffe0000


def sweep_fp_arith(name):
    op, f = name.split('.')[0], sf.FORMATS[name.split('.')[-1]]
    V = FpValues(f)
    table = {'fadd': ADD, 'fsub': ADD, 'fmul': MUL, 'fdiv': DIV, 'fsqrt': SQRT}.get(op, FMA)
    cases = [[V(n) for n in c.split(',')] for c in table.split()]
    n = len(cases[0])
    regs = ', '.join('f%d' % (i + 1) for i in range(n))
    for c in cases:
        yield line('%s f10, %s, rne' % (name, regs), **fkw(c))
    inexact = [c for c in cases if ' fflags=' in line('%s f10, %s, rne' % (name, regs), **fkw(c))
               and int(line('%s f10, %s, rne' % (name, regs), **fkw(c)).rsplit('fflags=')[1], 0) & 1]
    for c in inexact:
        for rm in ('rtz', 'rdn', 'rup', 'rmm'):
            yield line('%s f10, %s, %s' % (name, regs, rm), **fkw(c))
    for c in inexact[:3] + [[V('1')] * (n - 1) + [V('-1')]] * (n > 1):
        for rm in range(5):
            yield line('%s f10, %s' % (name, regs), **fkw(c, frm=rm))
    yield line('%s f10, %s, rdn' % (name, regs), **fkw(inexact[0], frm=3, fflags=16))
    for frm in (5, 6, 7):
        yield 'code="%s f10, %s" frm=%d => SIGILL' % (name, regs, frm)
    if f is not sf.D:
        for i in range(n):
            c = [V('1.5')] * n
            c[i] = unboxed(f, c[i])
            yield line('%s f10, %s, rne' % (name, regs), **fkw(c))
    same = ', '.join(['f4'] * (n + 1))
    yield line('%s %s, rne' % (name, same), f4=V('pi'))
    if n > 1:
        yield line('%s f%d, %s, rne' % (name, n, regs), **fkw([V('pi'), V('3'), V('1+')][:n]))
        yield line('%s f1, %s, rne' % (name, regs), **fkw([V('pi'), V('-3'), V('1+')][:n]))


def tininess_cases(name):
    """Products and quotients just below the smallest normal number, on both sides of 'tiny'."""
    op, f = name.split('.')
    f = sf.FORMATS[f]
    rng, seen = random.Random(7), {}
    small = 1 << f.mbits
    for _ in range(20000):
        a = f.bias << f.mbits | rng.getrandbits(f.mbits)
        q = sf.div(f, small if op == 'fmul' else a, a if op == 'fmul' else small, sf.RTZ)[0]
        b = q - rng.randrange(0, 3) if op == 'fmul' else q + rng.randrange(0, 3)
        if b <= 0 or b >= f.inf:
            continue
        for rm in range(5):
            r, flags = (sf.mul if op == 'fmul' else sf.div)(f, a, b, rm)
            exact = sf.value(f, a) * sf.value(f, b) if op == 'fmul' else sf.value(f, a) / sf.value(f, b)
            if exact < sf.pow2(f.emin) and r == small:
                seen.setdefault((rm, flags), (a, b))
    for (rm, _), (a, b) in sorted(seen.items()):
        yield line('%s f10, f1, f2, %s' % (name, ['rne', 'rtz', 'rdn', 'rup', 'rmm'][rm]), f1=f.box(a), f2=f.box(b))


def sweep_fp_two(name, table, out):
    f = sf.FORMATS[name.split('.')[-1]]
    V = FpValues(f)
    named = ['f10'] if out == 'f10' else []
    for c in table.split():
        yield line('%s %s, f1, f2' % (name, out), named, **fkw([V(n) for n in c.split(',')]))
    if f is not sf.D:
        yield line('%s %s, f1, f2' % (name, out), named, f1=unboxed(f, V('1')), f2=V('-1'))
        yield line('%s %s, f1, f2' % (name, out), named, f1=V('1'), f2=unboxed(f, V('-1')))
    yield line('%s %s, f1, f1' % (name, out), named, f1=V('-2.5'))
    if out[0] == 'f':
        yield line('%s f2, f1, f2' % name, f1=V('-2.5'), f2=V('3'))
        yield line('%s f1, f1, f2' % name, f1=V('-2.5'), f2=V('3'))
    else:
        yield line('%s x0, f1, f2' % name, f1=V('snan'), f2=V('1'))


def sweep_fp_one(name, values, out):
    f = sf.FORMATS[name.split('.')[-1]]
    V = FpValues(f)
    for c in values:
        yield line('%s %s, f1' % (name, out), f1=V(c))
    if f is not sf.D:
        yield line('%s %s, f1' % (name, out), f1=unboxed(f, V('1')))


def sweep_fround(name):
    f = sf.FORMATS[name.split('.')[-1]]
    V = FpValues(f)
    big = f.box(sf.round_to(f, sf.pow2(f.mbits) - sf.Fraction(1, 2), 0)[0])
    vals = [V(c) for c in '0 -0 1 .5 -.5 .75 1.5 2.5 -2.5 1- 1+ -1+ sub -sub max inf -inf qnan -qnan snan'.split()] + [big]
    for v in vals:
        for rm in ('rne', 'rtz', 'rdn', 'rup', 'rmm'):
            yield line('%s f10, f1, %s' % (name, rm), f1=v)
    for rm in range(5):
        yield line('%s f10, f1' % name, f1=V('-2.5'), frm=rm)
    yield 'code="%s f10, f1" frm=5 => SIGILL' % name


def sweep_to_int(name):
    f = sf.FORMATS[name.split('.')[-1]]
    V = FpValues(f)
    one = ['0', '-0', '1', '-1', '.5', '-.5', '.75', '1.5', '2.5', '-2.5', '1-', '1+', 'sub', '-sub', 'inf', '-inf',
           'qnan', '-qnan', 'snan', 'max', '-max']
    vals = [V(c) for c in one]
    for e in (31, 32, 63, 64):
        for d in (0, -1):
            for s in (1, -1):
                bits, _ = sf.round_to(f, sf.Fraction(s * ((1 << e) + d)), sf.RTZ)
                vals.append(f.box(bits))
                vals.append(f.box(bits + 1) if bits & ~f.sign < f.max else f.box(bits))
    if f is sf.D:
        for s in ('2147483647.5', '-2147483648.5', '4294967295.5', '-0.9999999', '2147483646.5'):
            vals.append(sf.round_to(f, sf.Fraction(s), 0)[0])
    vals = list(dict.fromkeys(vals))
    if name == 'fcvtmod.w.d':
        for s in (1 << 40 | 12345, -(1 << 40) - 12345, (1 << 84) + (1 << 33), (1 << 83) + (1 << 31), 1 << 1000):
            vals.append(sf.round_to(f, sf.Fraction(s), sf.RTZ)[0])
        for v in vals:
            yield line('%s x3, f1, rtz' % name, f1=v)
        return
    for v in vals:
        yield line('%s x3, f1, rtz' % name, f1=v)
    fractional = [V(c) for c in ('.5', '-.5', '.75', '1.5', '2.5', '-2.5', '1-', 'sub', '-sub')] + vals[-5:]
    for v in fractional:
        for rm in ('rne', 'rdn', 'rup', 'rmm'):
            yield line('%s x3, f1, %s' % (name, rm), f1=v)
    for rm in range(5):
        yield line('%s x3, f1' % name, f1=V('2.5'), frm=rm)
        yield line('%s x3, f1' % name, f1=V('-.5'), frm=rm)
    yield 'code="%s x3, f1" frm=5 => SIGILL' % name
    yield line('%s x0, f1, rtz' % name, f1=V('qnan'))
    if f is not sf.D:
        yield line('%s x3, f1, rtz' % name, f1=unboxed(f, V('1')))


def sweep_from_int(name):
    f = sf.FORMATS[name.split('.')[1]]
    vals = INTS[:10] + [3, (1 << f.mbits + 1) + 1, (1 << f.mbits + 1) + 3, -(1 << f.mbits + 1) - 1, (1 << 62) + (1 << 62 - f.mbits) // 2,
                        M64 << 8, 65504, 65519, 65520, 65535, -65520]
    exact = name in ('fcvt.d.w', 'fcvt.d.wu')
    for v in vals:
        yield line('%s f10, x1%s' % (name, '' if exact else ', rne'), x1=v)
        if not exact and ' fflags=' in line('%s f10, x1, rne' % name, x1=v):
            for rm in ('rtz', 'rdn', 'rup', 'rmm'):
                yield line('%s f10, x1, %s' % (name, rm), x1=v)
    if not exact:
        for rm in range(5):
            yield line('%s f10, x1' % name, x1=-(1 << f.mbits + 1) - 1, frm=rm)
    yield line('%s f10, x0%s' % (name, '' if exact else ', rne'))


def sweep_fp_fp(name):
    to, frm = (sf.FORMATS[k] for k in name.split('.')[1:])
    V, W = FpValues(frm), FpValues(to)
    exact = rv_encode.default_rm(name) == 0
    for c in V.v:
        yield line('%s f10, f1%s' % (name, '' if exact else ', rne'), f1=V(c))
    if not exact:
        vals = []
        for c in ('1', '1+', 'max', '-max', 'norm', '-norm', 'sub', 'submax'):
            b = sf.convert(frm, to, W.v[c], 0)[0]
            half = 1 << (frm.mbits - to.mbits - 1)
            vals += [frm.box(b + half), frm.box(b + half - 1), frm.box(b + half + 1), frm.box(b - half)]
        for v in vals:
            for rm in ('rne', 'rtz', 'rdn', 'rup', 'rmm'):
                yield line('%s f10, f1, %s' % (name, rm), f1=v)
        for rm in range(5):
            yield line('%s f10, f1' % name, f1=vals[0], frm=rm)
    if frm is not sf.D:
        yield line('%s f10, f1%s' % (name, '' if exact else ', rne'), f1=unboxed(frm, V('1')))


def sweep_fmv(name):
    if '.x.' in name:
        for v in (0xffffffff80000000, 0xffffffffffff8000, 0x123456789abcdef0, 0x7ff0000000000001, 0xffffffff7f800001):
            yield line('%s x3, f1' % name, f1=v)
    else:
        for v in (0x80000000, X, 0x7fa00000, M64, 0x8000):
            yield line('%s f10, x1' % name, x1=v)
        yield line('%s f10, x0' % name)


def sweep(name):
    ops = rv_encode.INSNS[name][0] if name in rv_encode.INSNS else None
    base = name.split('.')[0]
    if ops is None:
        yield from sweep_compressed(name)
    elif name.startswith('amocas'):
        yield from sweep_cas(name)
    elif name.startswith('amo'):
        yield from sweep_amo(name)
    elif name in rv_model.ALU:
        yield from sweep_r(name)
    elif name in rv_model.UNARY:
        yield from sweep_unary(name)
    elif name in rv_model.IMM_FORMS and ops[2] == 'i':
        yield from sweep_imm(name, [0, 1, -1, 2047, -2048, 0x555], [5, M64, MAX64, X])
    elif name in rv_model.IMM_FORMS:
        top = 63 if ops[2] == '6' else 31
        yield from sweep_imm(name, [0, 1, top, 5, top // 2 + 1], [X, M64, 0x80000000, MIN64])
    elif name == 'lui':
        for v in (0, 1, 0x7ffff, 0x80000, 0xfffff):
            yield line('lui x3, %d' % v)
    elif name in rv_model.BRANCH:
        for a, b in PAIRS['branch']:
            yield line('%s x1, x2, taken' % name, x1=a, x2=b)
        yield line('%s x1, x1, taken' % name, x1=5)
        yield line('%s x1, x0, taken' % name, x1=MIN64)
        yield line('%s x0, x1, back' % name, x1=MIN64)
        yield line('%s x0, x1, back' % name, x1=7)
    elif name in rv_model.LOAD or name in rv_model.STORE:
        yield from sweep_mem(name, 'x3', name in rv_model.STORE)
    elif name in rv_model.MEM_KINDS:
        yield from sweep_mem(name, 'f3', name[1] == 's')
    elif base in ('fadd', 'fsub', 'fmul', 'fdiv', 'fsqrt', 'fmadd', 'fmsub', 'fnmadd', 'fnmsub'):
        yield from sweep_fp_arith(name)
        if base in ('fmul', 'fdiv'):
            yield from tininess_cases(name)
    elif base in ('fsgnj', 'fsgnjn', 'fsgnjx', 'fmin', 'fmax', 'fminm', 'fmaxm'):
        yield from sweep_fp_two(name, CMP, 'f10')
    elif base in ('feq', 'flt', 'fle', 'fleq', 'fltq'):
        yield from sweep_fp_two(name, CMP, 'x3')
    elif base == 'fclass':
        yield from sweep_fp_one(name, '0 -0 1 -1 inf -inf qnan -qnan snan -snan sub -sub submax norm -norm max'.split(), 'x3')
    elif base in ('fround', 'froundnx'):
        yield from sweep_fround(name)
    elif base == 'fli':
        for i in range(32):
            yield 'code="%s f10, %d" => f10=%s' % (name, i, fhex(sf.FORMATS[name[-1]].box(
                sf.load_constant(sf.FORMATS[name[-1]], i))))
    elif base == 'fmv':
        yield from sweep_fmv(name)
    elif base in ('fcvt', 'fcvtmod'):
        to, frm = name.split('.')[1:]
        kind = sweep_to_int if to in rv_model.INT_KINDS else sweep_from_int if frm in rv_model.INT_KINDS else sweep_fp_fp
        yield from kind(name)
    elif name.startswith('mop.rr'):
        yield line('%s x3, x1, x2' % name, x1=5, x2=6)
        yield line('%s x0, x1, x2' % name, x1=5, x2=6)
    elif name.startswith('mop.r'):
        yield line('%s x3, x1' % name, x1=5)
        yield line('%s x1, x1' % name, x1=5)
    elif not ops:
        if name not in ('ecall', 'ebreak'):
            yield line(name)


def sweep_compressed(name):
    ops = rv_encode.COMPRESSED[name][0].split()
    ints = [5, M64, X, 0x80000000, 0x8080]
    if name == 'c.addi16sp':
        for v in (-512, 496, 16):
            yield line('c.addi16sp sp, %d' % v, x2=X)
    elif name == 'c.addi4spn':
        for v in (4, 1020, 512, 64):
            yield line('c.addi4spn x9, sp, %d' % v, x2=X)
    elif name == 'c.lui':
        for v in (1, 31, -32 & 0xfffff, -1 & 0xfffff):
            yield 'code="c.lui x4, %#x" => x4=%#x' % (v, rv_model.sx(v << 12, 32) & M64)
    elif ops == ['1', '2']:
        for a, b in PAIRS['alu'][:7] + PAIRS['mul'][8:10]:
            yield line('%s x9, x14' % name, x9=a, x14=b)
        yield line('%s x8, x8' % name, x8=X)
    elif ops == ['1']:
        for a in ints:
            yield line('%s x12' % name, x12=a)
    elif ops in (['d', 't'], ['1', 'n'], ['d', 'n']) and name != 'c.lui':
        for a in ints[:4]:
            if ops[1] == 't':
                yield line('%s x11, x21' % name, x11=a, x21=X)
            else:
                imms = (1, 31, 32, 63) if name in ('c.slli', 'c.srli', 'c.srai') else (1, -1, 31, -32)
                for v in imms:
                    yield line('%s x11, %d' % (name, v), x11=a)
        if ops[1] == 't':
            yield line('%s x7, x7' % name, x7=X)
    elif len(ops) == 2 and '(' in ops[1]:
        sp = ops[1].endswith('(sp)')
        store, fp = name[2] in 'sf' and 's' in name[2:4] and not name.startswith('c.fl'), ops[0] == 'F'
        reg, base = ('f9' if fp else 'x9'), ('x2' if sp else 'x15')
        size = {'y': 1, 'h': 2, 'w': 4, 'l': 8}[ops[1][0]]
        for off in {1: (0, 1, 2, 3), 2: (0, 2)}.get(size) or (0, size, 16 * size, (63 if sp else 31) * size):
            place = 64 if size < 4 else 248 - off
            kw = {base: rv_model.M_BASE + place}
            at = place + off
            if store:
                kw[reg] = 0x8899aabbccddeeff
            else:
                kw['mem'] = {'d%d' % (at // 8 * 8): 0x8182838485868788}
            yield fix_compressed_base(line('%s %s, %d(%s)' % (name, reg, off, 'sp' if sp else base), **kw), base, place)
    elif name in ('c.beqz', 'c.bnez'):
        for a in (0, 1, M64, 0x100000000, MIN64):
            yield line('%s x9, back' % name, x9=a)
    elif not ops and name != 'c.ebreak':
        yield line(name)


def fix_compressed_base(text, base, place):
    return text.replace(' %s=%#x' % (base, rv_model.M_BASE + place & M64), ' %s=m%+d' % (base, place))


def names_of(ext):
    rows = [n for n, r in rv_encode.INSNS.items() if r[2] == ext]
    return rows + [n for n, r in rv_encode.COMPRESSED.items() if r[2] == ext and not n.startswith('c.f')] + \
        (['c.fld', 'c.fsd', 'c.fldsp', 'c.fsdsp'] if ext == 'c' else [])


def random_line(rng):
    """One line with random operands for a random instruction the model knows."""
    while True:
        name = rng.choice(list(rv_encode.INSNS))
        ops = rv_encode.INSNS[name][0]
        if name in rv_model.BRANCH or name.startswith(('lui', 'auipc', 'j', 'ecall', 'ebreak', 'csr', 'sc.', 'cbo', 'prefetch')):
            continue
        kw, parts, used = {}, [], set()
        for op in ops:
            c = op[0]
            if op == '(s)' or len(op) > 1:
                off = 0 if c == '(' else rng.randrange(-2048, 2048)
                size = 16
                kw['x1'] = rv_model.M_BASE + rng.randrange(0, 240 // size) * size - off & M64
                parts.append('%s(x1)' % ('' if c == '(' else off))
            elif c in 'dst':
                r = rng.randrange(2, 31) & (30 if name.startswith('amocas.q') else 31)
                parts.append('x%d' % r)
                used.add('x%d' % r)
            elif c in 'DSTU':
                r = rng.randrange(32)
                parts.append('f%d' % r)
                used.add('f%d' % r)
            elif c == 'R':
                if rv_encode.default_rm(name) == 7:
                    parts.append(rng.choice(['rne', 'rtz', 'rdn', 'rup', 'rmm', 'dyn']))
                elif name == 'fcvtmod.w.d':
                    parts.append('rtz')
            else:
                parts.append(str({'i': rng.randrange(-2048, 2048), '6': rng.randrange(64)}.get(c, rng.randrange(32))))
        for u in sorted(used):
            kw[u] = random_int(rng) if u[0] == 'x' else random_fp(rng)
        kw['frm'] = rng.randrange(5)
        kw['fflags'] = rng.choice([0, 0, 31, rng.randrange(32)])
        try:
            return line('%s %s' % (name, ', '.join(parts)), **kw)
        except ValueError:
            continue


def random_int(rng):
    k = rng.randrange(4)
    if k == 0:
        return rng.choice(INTS)
    if k == 1:
        return rng.getrandbits(rng.randrange(1, 65))
    if k == 2:
        return (1 << rng.randrange(64)) + rng.randrange(-2, 3) & M64
    return -rng.getrandbits(rng.randrange(1, 64)) & M64


VALUES = {k: FpValues(f) for k, f in sf.FORMATS.items()}


def random_fp(rng):
    k = rng.choice('shhsssddddd')
    f = sf.FORMATS[k]
    how = rng.randrange(4)
    if how == 0:
        return VALUES[k](rng.choice(list(VALUES[k].v)))
    if how == 1:
        return rng.getrandbits(64)
    b = rng.getrandbits(f.bits)
    if how == 2:    # near one, so that sums and products stay in range
        b = b & ~f.inf | (f.bias + rng.randrange(-3, 4)) << f.mbits
    return f.box(b)


def check(paths):
    bad = n = 0
    for t in runner.read_tests(paths):
        res = model_result(t)
        if res is None:
            continue
        n += 1
        trap, st = res
        rec = (0, 0, *st.x, *st.f, st.frm << 5 | st.fflags,
               3 if trap else {None: 0, False: 0, True: 1 if 'taken' in t.code else 2}[st.taken],
               runner.SIGNALS.get(trap, 0), 0, 0, 0, bytes(st.mem))
        if trap:
            t.addr = t.sig_pc = runner.ANY
        wrong = runner.check(t, rec)
        if wrong:
            bad += 1
            print('%s: %s\n    model: %s' % (t.where, t.text, '; '.join(wrong)))
    print('%d passed, %d failed' % (n - bad, bad))
    return 1 if bad else 0


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument('--sweep', metavar='EXT')
    ap.add_argument('--fill', action='store_true')
    ap.add_argument('--check', nargs='*', metavar='FILE')
    ap.add_argument('--random', type=int, metavar='N')
    ap.add_argument('--seed', type=int, default=1)
    args = ap.parse_args()
    if args.check is not None:
        return check(args.check or runner.line_files())
    if args.sweep:
        for name in names_of(args.sweep):
            for text in dict.fromkeys(sweep(name)):
                print(text)
    if args.random:
        rng = random.Random(args.seed)
        for _ in range(args.random):
            print(random_line(rng))
    if args.fill:
        for n, text in enumerate(sys.stdin, 1):
            text = text.rstrip('\n')
            if text.endswith('=>'):
                out = outputs(runner.Test('line %d' % n, text), ())
                text += ' ' + out if out is not None else ' # the model does not know'
            print(text)
    return 0


if __name__ == '__main__':
    sys.exit(main())
