# SPDX-License-Identifier: MIT
"""IEEE 754 arithmetic as RISC-V wants it, in exact rational numbers.

The reference the line tests are computed with: slow, obvious, and unlike anything an
emulator does.  A finite value is a Fraction; an operation is carried out exactly and
rounded once.  Source: IEEE 754-2019, and the Instruction Set Manual, volume I, chapters
"F", "D", "Zfh" and "Zfa" (canonical NaN, NaN boxing, tininess after rounding, saturating
conversions).
"""
from fractions import Fraction
from math import isqrt

NV, DZ, OF, UF, NX = 16, 8, 4, 2, 1
RNE, RTZ, RDN, RUP, RMM = range(5)


class Format:
    def __init__(self, name, ebits, mbits):
        self.name, self.ebits, self.mbits = name, ebits, mbits
        self.bits = 1 + ebits + mbits
        self.bias = (1 << (ebits - 1)) - 1
        self.emin, self.emax = 1 - self.bias, self.bias
        self.sign = 1 << (self.bits - 1)
        self.inf = ((1 << ebits) - 1) << mbits
        self.quiet = 1 << (mbits - 1)
        self.nan = self.inf | self.quiet
        self.max = self.inf - 1
        self.mask = (1 << self.bits) - 1

    def box(self, v):
        return v | (~self.mask & 0xffffffffffffffff)

    def unbox(self, reg):
        """The value an FP register holds for this width (not boxed: the canonical NaN)."""
        return reg & self.mask if reg == self.box(reg) else self.nan


H, S, D = Format('h', 5, 10), Format('s', 8, 23), Format('d', 11, 52)
FORMATS = {'h': H, 's': S, 'd': D}


def is_nan(f, b):
    return b & ~f.sign & f.mask > f.inf


def is_snan(f, b):
    return is_nan(f, b) and not b & f.quiet


def is_inf(f, b):
    return b & ~f.sign == f.inf


def is_zero(f, b):
    return b & ~f.sign == 0


def sign_of(f, b):
    return 1 if b & f.sign else 0


def value(f, b):
    """A finite number as a Fraction."""
    e = (b & f.inf) >> f.mbits
    m = b & ((1 << f.mbits) - 1)
    if e:
        m |= 1 << f.mbits
    else:
        e = 1
    e += f.emin - 1 - f.mbits
    v = Fraction(m << e) if e >= 0 else Fraction(m, 1 << -e)
    return -v if b & f.sign else v


def pow2(e):
    return Fraction(1 << e) if e >= 0 else Fraction(1, 1 << -e)


def floor_log2(v):
    e = v.numerator.bit_length() - v.denominator.bit_length()
    return e if v >= pow2(e) else e - 1


def round_int(v, neg, rm):
    """Magnitude v >= 0 to an integer; returns it and whether it is inexact."""
    n = v.numerator // v.denominator
    rem = v - n
    half = Fraction(1, 2)
    up = {RNE: rem > half or (rem == half and n & 1), RTZ: False, RDN: neg and rem > 0,
          RUP: not neg and rem > 0, RMM: rem >= half}[rm]
    return n + (1 if up else 0), rem != 0


def round_to(f, v, rm, zero_sign=0):
    """Round a Fraction to format f: bits, flags."""
    if v == 0:
        return (f.sign if zero_sign else 0), 0
    neg, v = v < 0, abs(v)
    sgn = f.sign if neg else 0
    e = floor_log2(v)
    q = max(e, f.emin) - f.mbits
    n, inexact = round_int(v / pow2(q), neg, rm)
    if n * pow2(q) >= pow2(f.emax + 1):
        to_inf = rm in (RNE, RMM) or (rm == RUP and not neg) or (rm == RDN and neg)
        return sgn | (f.inf if to_inf else f.max), OF | NX
    flags = NX if inexact else 0
    if inexact and e < f.emin:
        # tiny after rounding: as if the exponent had no lower bound
        n2, _ = round_int(v / pow2(e - f.mbits), neg, rm)
        if n2 * pow2(e - f.mbits) < pow2(f.emin):
            flags |= UF
    biased = q - (f.emin - f.mbits)
    return sgn | ((biased << f.mbits) + n), flags


def nan_flags(f, *ops):
    return NV if any(is_snan(f, o) for o in ops) else 0


def add(f, a, b, rm):
    if is_nan(f, a) or is_nan(f, b):
        return f.nan, nan_flags(f, a, b)
    if is_inf(f, a):
        if is_inf(f, b) and a != b:
            return f.nan, NV
        return a, 0
    if is_inf(f, b):
        return b, 0
    if is_zero(f, a) and is_zero(f, b) and a == b:
        return a, 0
    return round_to(f, value(f, a) + value(f, b), rm, rm == RDN)


def sub(f, a, b, rm):
    return add(f, a, b if is_nan(f, b) else b ^ f.sign, rm)


def mul(f, a, b, rm):
    s = (a ^ b) & f.sign
    if is_nan(f, a) or is_nan(f, b):
        return f.nan, nan_flags(f, a, b)
    if is_inf(f, a) or is_inf(f, b):
        return (f.nan, NV) if is_zero(f, a) or is_zero(f, b) else (s | f.inf, 0)
    return round_to(f, value(f, a) * value(f, b), rm, s)


def div(f, a, b, rm):
    s = (a ^ b) & f.sign
    if is_nan(f, a) or is_nan(f, b):
        return f.nan, nan_flags(f, a, b)
    if is_inf(f, a):
        return (f.nan, NV) if is_inf(f, b) else (s | f.inf, 0)
    if is_inf(f, b):
        return s, 0
    if is_zero(f, b):
        return (f.nan, NV) if is_zero(f, a) else (s | f.inf, DZ)
    return round_to(f, value(f, a) / value(f, b), rm, s)


def sqrt(f, a, rm):
    if is_nan(f, a):
        return f.nan, nan_flags(f, a)
    if is_zero(f, a):
        return a, 0
    if a & f.sign:
        return f.nan, NV
    if is_inf(f, a):
        return a, 0
    v = value(f, a)
    # sqrt(p/q) = sqrt(p*q)/q; 200 more bits and a sticky one decide every rounding
    n = v.numerator * v.denominator << 400
    r = isqrt(n)
    root = Fraction(2 * r + (r * r != n), v.denominator << 201)
    return round_to(f, root, rm)


def fma(f, a, b, c, rm):
    s = (a ^ b) & f.sign
    if (is_inf(f, a) and is_zero(f, b)) or (is_zero(f, a) and is_inf(f, b)):
        return f.nan, NV
    if is_nan(f, a) or is_nan(f, b) or is_nan(f, c):
        return f.nan, nan_flags(f, a, b, c)
    if is_inf(f, a) or is_inf(f, b):
        if is_inf(f, c) and c & f.sign != s:
            return f.nan, NV
        return s | f.inf, 0
    if is_inf(f, c):
        return c, 0
    p, z = value(f, a) * value(f, b), value(f, c)
    if p == 0 and z == 0 and (c & f.sign) == s:
        return c, 0
    return round_to(f, p + z, rm, rm == RDN)


def less(f, a, b):
    """a < b for numbers and infinities, with -0 < +0 as fmin and fmax want it."""
    def key(x):
        return -(x & ~f.sign) - 1 if x & f.sign else x
    return key(a) < key(b)


def minmax(f, a, b, want_max, nan_wins):
    flags = nan_flags(f, a, b)
    na, nb = is_nan(f, a), is_nan(f, b)
    if (na and nb) or (nan_wins and (na or nb)):
        return f.nan, flags
    if na or nb:
        return (b if na else a), flags
    return (b if less(f, a, b) == want_max else a), flags


def compare(f, op, a, b, signalling):
    if is_nan(f, a) or is_nan(f, b):
        return 0, NV if signalling else nan_flags(f, a, b)
    if is_zero(f, a) and is_zero(f, b):
        lt, eq = False, True
    else:
        lt, eq = less(f, a, b), a == b
    return int({'eq': eq, 'lt': lt, 'le': lt or eq}[op]), 0


def classify(f, a):
    neg = bool(a & f.sign)
    if is_nan(f, a):
        return 1 << (8 if is_snan(f, a) else 9)
    if is_inf(f, a):
        return 1 << (0 if neg else 7)
    if is_zero(f, a):
        return 1 << (3 if neg else 4)
    if not a & f.inf:
        return 1 << (2 if neg else 5)
    return 1 << (1 if neg else 6)


def to_int(f, a, bits, signed, rm):
    """Saturating conversion; the result is a Python integer in the type's range."""
    lo, hi = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    if is_nan(f, a):
        return hi, NV
    if is_inf(f, a):
        return (lo if a & f.sign else hi), NV
    v = value(f, a)
    n, inexact = round_int(abs(v), v < 0, rm)
    n = -n if v < 0 else n
    if n < lo:
        return lo, NV
    if n > hi:
        return hi, NV
    return n, NX if inexact else 0


def from_int(f, n, rm):
    return round_to(f, Fraction(n), rm)


def convert(to, frm, a, rm):
    if is_nan(frm, a):
        return to.nan, nan_flags(frm, a)
    s = to.sign if a & frm.sign else 0
    if is_inf(frm, a):
        return s | to.inf, 0
    return round_to(to, value(frm, a), rm, s)


def round_integral(f, a, rm, raise_nx):
    if is_nan(f, a):
        return f.nan, nan_flags(f, a)
    if is_inf(f, a) or is_zero(f, a):
        return a, 0
    v = value(f, a)
    n, inexact = round_int(abs(v), v < 0, rm)
    bits, _ = round_to(f, Fraction(-n if v < 0 else n), RNE, a & f.sign)
    return bits, NX if inexact and raise_nx else 0


def to_int_modular(f, a):
    """FCVTMOD.W.D: the low 32 bits, signed, of the number truncated."""
    _, flags = to_int(f, a, 32, True, RTZ)
    if is_nan(f, a) or is_inf(f, a):
        return 0, flags
    n = int(value(f, a))
    n &= 0xffffffff
    return n - (1 << 32) if n >> 31 else n, flags


FLI = [-1, None, Fraction(1, 1 << 16), Fraction(1, 1 << 15), Fraction(1, 256), Fraction(1, 128),
       Fraction(1, 16), Fraction(1, 8), Fraction(1, 4), Fraction(5, 16), Fraction(3, 8), Fraction(7, 16),
       Fraction(1, 2), Fraction(5, 8), Fraction(3, 4), Fraction(7, 8), 1, Fraction(5, 4), Fraction(3, 2),
       Fraction(7, 4), 2, Fraction(5, 2), 3, 4, 8, 16, 128, 256, 1 << 15, 1 << 16, 'inf', 'nan']


def load_constant(f, index):
    """FLI: chapter "Zfa", table of immediates; 1 is the smallest positive normal number."""
    if index == 1:
        return 1 << f.mbits
    c = FLI[index]
    if c == 'inf':
        return f.inf
    if c == 'nan':
        return f.nan
    return round_to(f, Fraction(c), RNE)[0]
