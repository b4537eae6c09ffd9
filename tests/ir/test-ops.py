#!/usr/bin/env python3
"""Every op of the IR, interpreted and folded, against reference.py.

    test-ops.py IR-TOOL [SEED]
"""
import random
import subprocess
import sys
import reference as ref
from reference import F, WIDTH

TOOL = sys.argv[1]
rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
MODES = ('rne', 'rtz', 'rdn', 'rup')
checks = failures = 0


def int_values(w):
    v = [0, 1, 2, 3, 7, 8, ref.mask(w), ref.mask(w - 1), 1 << (w - 1), (1 << (w - 1)) + 1, w, w - 1]
    v += [rng.getrandbits(w) for _ in range(5)] + [1 << rng.randrange(w), rng.getrandbits(w // 2)]
    return [x & ref.mask(w) for x in v]


def float_values(f):
    one = f.emax << f.frac
    v = [0, 1, 2, (1 << f.frac) - 1, 1 << f.frac, one, one + 1, one - 1, f.inf, f.inf - 1, f.nan,
         f.inf + 1, f.nan + 5, (f.emax + 31) << f.frac, (f.emax + 63) << f.frac,
         (f.emax + 30) << f.frac | ref.mask(f.frac), (f.emax - 1) << f.frac,
         (f.emax << f.frac) | 1 << (f.frac - 1), (f.emax + 62) << f.frac | ref.mask(f.frac),
         (f.emax + 64) << f.frac, (f.emax + 32) << f.frac, (f.emax + 31) << f.frac | 1]
    v += [(f.emax + rng.randrange(-20, 40)) << f.frac | rng.getrandbits(f.frac) for _ in range(12)]
    v += [(1 + rng.randrange(f.frac)) << f.frac | rng.getrandbits(f.frac) for _ in range(3)]
    v += [rng.getrandbits(f.width - 1) for _ in range(4)] + [rng.getrandbits(f.frac - 3)]
    return [x | rng.choice((0, f.sign)) for x in v]


def unit(lines, results):
    """Text of a unit that leaves the results, (value name, type), in r0, r1, ..."""
    text, snap = ['unit 0x1000', 'block 0:'] + lines, ''
    for i, (name, type_) in enumerate(results):
        n = 1000 + 2 * i
        if type_ in F:
            to = 'i64' if type_ == 'f64' else 'i32'
            text.append('%%%d = bitcast %s %%%s' % (n, to, name))
            name, type_ = n, to
        if type_ != 'i64':
            text.append('%%%d = zext i64 %%%s' % (n + 1, name))
            name = n + 1
        snap += ' r%d=%%%s' % (i, name)
    return '\n'.join(text + ['exit.jump [pc=0x1000%s]' % snap]) + '\n'


def run(units, args):
    """What r0, r1, ... held after each unit."""
    out = subprocess.run([TOOL, '-x'] + args, input='---\n'.join(units), text=True,
                         capture_output=True)
    if out.returncode:
        print(out.stdout, out.stderr)
        sys.exit(1)
    for line in out.stdout.splitlines():
        regs = dict(w.split('=') for w in line.split()[3:])
        yield [int(regs.get('r%d' % i, '0'), 0) for i in range(16)]


def check(what, got, want):
    global checks, failures
    checks += 1
    if got != want:
        failures += 1
        print('%s: got %#x, expected %#x' % (what, got, want))


def check_ints(cases):
    """cases: (text of the op with its type, type of the result, expected)."""
    chunks = [cases[i:i + 16] for i in range(0, len(cases), 16)]
    units = [unit(['%%%d = %s' % (n + 1, c[0]) for n, c in enumerate(chunk)],
                  [(n + 1, c[1]) for n, c in enumerate(chunk)]) for chunk in chunks]
    for args in ([], ['-p', 'fold']):
        for chunk, got in zip(chunks, run(units, args)):
            for c, g in zip(chunk, got):
                check(' '.join(args) + ' ' + c[0], g, c[2])


def float_unit(chunk):
    lines, results = [], []
    for n, c in enumerate(chunk):
        k = 10 * n + 1
        lines += ['fpset 0', '%%%d = %s' % (k, c[0])]
        value = k
        if c[1] in F:
            lines.append('%%%d = canon %s %%%d' % (k + 1, c[1], k))
            value = k + 1
        lines.append('%%%d = fpget i64' % (k + 2))
        results += [(value, c[1]), (k + 2, 'i64')]
    return unit(lines, results)


def check_floats(cases, mode):
    """The same with flags: (text, type of the result, expected, flags)."""
    chunks = [cases[i:i + 8] for i in range(0, len(cases), 8)]
    units = [float_unit(chunk) for chunk in chunks]
    for args in (['-m', mode], ['-m', mode, '-p', 'fold', '-p', 'opt']):
        for chunk, got in zip(chunks, run(units, args)):
            for n, c in enumerate(chunk):
                check('%s %s' % (mode, c[0]), got[2 * n], c[2])
                check('%s %s: flags' % (mode, c[0]), got[2 * n + 1], c[3])


def integers():
    cases = []
    for op in ('add sub mul mulhs mulhu mulhsu divs divu rems remu and or xor andn shl shr sar '
               'rotl rotr').split():
        for t, w in WIDTH.items():
            for _ in range(24):
                a, b = rng.choice(int_values(w)), rng.choice(int_values(w))
                cases.append(('%s %s %d, %d' % (op, t, a, b), t, ref.int_binary(op, w, a, b)))
    for op in ('clmul', 'clmulh'):
        for _ in range(16):
            a, b = rng.choice(int_values(64)), rng.choice(int_values(64))
            cases.append(('%s i64 %d, %d' % (op, a, b), 'i64', ref.int_binary(op, 64, a, b)))
    for op in 'neg not clz ctz popcnt bswap orcb brev8'.split():
        for t, w in WIDTH.items():
            for a in int_values(w) if (op, t) != ('bswap', 'i8') else []:
                cases.append(('%s %s %d' % (op, t, a), t, ref.int_unary(op, w, a)))
    for c in 'eq ne lt ge ltu geu le gt leu gtu'.split():
        for t, w in WIDTH.items():
            for _ in range(12):
                a, b = rng.choice(int_values(w)), rng.choice(int_values(w))
                cases.append(('setcc.%s i64 %d:%s, %d' % (c, a, t, b), 'i64',
                              int(ref.condition(c, w, a, b))))
    for a in int_values(64):
        b, c = rng.getrandbits(64), rng.getrandbits(64)
        cases.append(('select i64 %d:i64, %d, %d' % (a, b, c), 'i64', b if a else c))
    for t, w in WIDTH.items():
        for t2, w2 in WIDTH.items():
            for a in int_values(w):
                if w2 < w:
                    cases.append(('trunc %s %d:%s' % (t2, a, t), t2, a & ref.mask(w2)))
                if w2 > w:
                    cases.append(('zext %s %d:%s' % (t2, a, t), t2, a))
                    cases.append(('sext %s %d:%s' % (t2, a, t), t2, ref.signed(a, w) & ref.mask(w2)))
    check_ints(cases)


def float_bits():
    cases = []
    for t, f in F.items():
        for a in float_values(f):
            b = rng.choice(float_values(f))
            body, sa, sb = a & ~f.sign, a & f.sign, b & f.sign
            for op, want in (('fneg', a ^ f.sign), ('fabs', body), ('canon', f.nan if f.is_nan(a) else a)):
                cases.append(('%s %s %d' % (op, t, a), t, want))
            for op, want in (('fsgnj', body | sb), ('fsgnjn', body | (sb ^ f.sign)), ('fsgnjx', a ^ sb)):
                cases.append(('%s %s %d, %d' % (op, t, a, b), t, want))
            to = 'i32' if t == 'f32' else 'i64'
            cases.append(('bitcast %s %d:%s' % (to, a, t), to, a))
            if t == 'f32':
                cases.append(('box32 f64 %d:f32' % a, 'f64', 0xffffffff << 32 | a))
                cases.append(('unbox32 f32 %d:f64' % (0xffffffff << 32 | a), 'f32', a))
                cases.append(('unbox32 f32 %d:f64' % (0xfffffffe << 32 | a), 'f32', f.nan))
    check_ints(cases)


def floats(state_mode):
    cases = []
    for t, f in F.items():
        for i in range(150):
            static = rng.choice(('',) + MODES)
            mode, s = static or state_mode, '.' + static if static else ''
            a, b, c = (rng.choice(float_values(f)) for _ in range(3))
            two = '%%d:%s, %%d' % t
            cases += [
                ('fadd%s %s %d, %d' % (s, t, a, b), t) + ref.fadd(f, mode, a, b),
                ('fsub%s %s %d, %d' % (s, t, a, b), t) +
                (ref.fadd(f, mode, a, b ^ f.sign) if not f.is_nan(b) else ref.nan_result(f, a, b)),
                ('fmul%s %s %d, %d' % (s, t, a, b), t) + ref.fmul(f, mode, a, b),
                ('fdiv%s %s %d, %d' % (s, t, a, b), t) + ref.fdiv(f, mode, a, b),
                ('fsqrt%s %s %d' % (s, t, a), t) + ref.fsqrt(f, mode, a),
                ('fmin %s %d, %d' % (t, a, b), t) + ref.fminmax(f, True, a, b),
                ('fmax %s %d, %d' % (t, a, b), t) + ref.fminmax(f, False, a, b),
            ]
            # Products that almost cancel show whether the sum is rounded once.
            if i % 3 == 0 and not f.is_nan(a) and not f.is_nan(b):
                c = ref.fmul(f, 'rtz', a, b)[0] ^ f.sign
            negp, negc = rng.randrange(2), rng.randrange(2)
            cases.append(('fma%s%s%s %s %d, %d, %d' % ('.negp' * negp, '.negc' * negc, s, t, a, b, c), t) +
                         ref.fma(f, mode, a ^ f.sign * negp, b, c ^ f.sign * negc))
            for cmp in ('eq', 'lt', 'le'):
                cases.append(('fcmp.%s i64 %s' % (cmp, two % (a, b)), 'i64') + ref.fcmp(f, cmp, a, b))
            other = 'f64' if t == 'f32' else 'f32'
            cases.append(('fcvt%s %s %d:%s' % (s, other, a, t), other) + ref.fcvt(F[other], f, mode, a))
            for it, w in (('i32', 32), ('i64', 64)):
                for u in (0, 1):
                    cases.append(('ftoi%s%s %s %d:%s' % ('.u' * u, s, it, a, t), it) +
                                 ref.ftoi(w, u, f, mode, a))
                    n = rng.choice(int_values(w))
                    cases.append(('itof%s%s %s %d:%s' % ('.u' * u, s, t, n, it), t) +
                                 ref.itof(f, w, u, mode, n))
    check_floats(cases, state_mode)


integers()
float_bits()
for m in MODES:
    floats(m)
print('%d passed, %d failed' % (checks - failures, failures))
sys.exit(failures != 0)
