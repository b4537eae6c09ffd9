"""What the IR's ops compute, a second time, from their definitions.

Integers are Python's; floating point is exact rational arithmetic rounded once, after IEEE
754-2019: results and exception flags.  Nothing here is shared with the C code.
"""
from fractions import Fraction
import math

WIDTH = {'i8': 8, 'i16': 16, 'i32': 32, 'i64': 64}


def mask(w):
    return (1 << w) - 1


def signed(v, w):
    v &= mask(w)
    return v - (1 << w) if v >> (w - 1) else v


def div_trunc(a, b):
    q = abs(a) // abs(b)
    return q if (a < 0) == (b < 0) else -q


def clmul(a, b):
    r = 0
    while b:
        if b & 1:
            r ^= a
        a <<= 1
        b >>= 1
    return r


def int_binary(op, w, a, b):
    """Result of a two-argument integer op on unsigned a and b of w bits."""
    sa, sb, n = signed(a, w), signed(b, w), b % w
    low = -(1 << (w - 1))
    r = {
        'add': lambda: a + b, 'sub': lambda: a - b, 'mul': lambda: a * b,
        'mulhs': lambda: sa * sb >> w, 'mulhu': lambda: a * b >> w, 'mulhsu': lambda: sa * b >> w,
        'divs': lambda: -1 if sb == 0 else low if (sa, sb) == (low, -1) else div_trunc(sa, sb),
        'divu': lambda: -1 if b == 0 else a // b,
        'rems': lambda: sa if sb == 0 else sa - sb * div_trunc(sa, sb),
        'remu': lambda: a if b == 0 else a % b,
        'and': lambda: a & b, 'or': lambda: a | b, 'xor': lambda: a ^ b, 'andn': lambda: a & ~b,
        'shl': lambda: a << n, 'shr': lambda: a >> n, 'sar': lambda: sa >> n,
        'rotl': lambda: a << n | a >> (w - n), 'rotr': lambda: a >> n | a << (w - n),
        'clmul': lambda: clmul(a, b), 'clmulh': lambda: clmul(a, b) >> 64,
    }[op]()
    return r & mask(w)


def int_unary(op, w, a):
    bits = format(a, '0%db' % w)
    byte = [a >> i & 255 for i in range(0, w, 8)]
    r = {
        'neg': lambda: -a, 'not': lambda: ~a,
        'clz': lambda: len(bits) - len(bits.lstrip('0')),
        'ctz': lambda: len(bits) - len(bits.rstrip('0')),
        'popcnt': lambda: bits.count('1'),
        'bswap': lambda: int.from_bytes(a.to_bytes(w // 8, 'little'), 'big'),
        'orcb': lambda: sum((255 if x else 0) << 8 * i for i, x in enumerate(byte)),
        'brev8': lambda: sum(int(format(x, '08b')[::-1], 2) << 8 * i for i, x in enumerate(byte)),
    }[op]()
    return r & mask(w)


def condition(c, w, a, b):
    if c.endswith('u'):
        c = c[:-1]
    else:
        a, b = signed(a, w), signed(b, w)
    return {'eq': a == b, 'ne': a != b, 'lt': a < b, 'ge': a >= b, 'le': a <= b, 'gt': a > b}[c]


# Flags as FPGET has them.
NX, UF, OF, DZ, NV = 1, 2, 4, 8, 16


class Format:
    def __init__(self, width, frac):
        self.width, self.frac = width, frac
        self.sign = 1 << (width - 1)
        self.emax = (1 << (width - frac - 2)) - 1
        self.emin = 1 - self.emax
        self.inf = ((2 * self.emax + 1) << frac)
        self.nan = self.inf | 1 << (frac - 1)

    def is_nan(self, b):
        return (b & ~self.sign) > self.inf

    def is_snan(self, b):
        return self.is_nan(b) and not b >> (self.frac - 1) & 1

    def is_inf(self, b):
        return (b & ~self.sign) == self.inf

    def value(self, b):
        e, m = (b & ~self.sign) >> self.frac, b & mask(self.frac)
        m |= (1 << self.frac) if e else 0
        v = Fraction(m) * Fraction(2) ** (max(e, 1) - self.emax - self.frac)
        return -v if b & self.sign else v

    def round(self, v, mode, zero_sign=0):
        """Bits and flags of the rational v; zero_sign: the sign if v is 0."""
        if v == 0:
            return (self.sign if zero_sign else 0), 0
        sign, a = (self.sign if v < 0 else 0), abs(v)
        exp = a.numerator.bit_length() - a.denominator.bit_length()
        exp -= 1 if Fraction(2) ** exp > a else 0
        full = round_to(a, exp - self.frac, mode, sign)      # with unlimited exponents
        tiny = full < Fraction(2) ** self.emin
        r = round_to(a, max(exp, self.emin) - self.frac, mode, sign)
        flags = 0 if r == a else NX
        if r != a and tiny:
            flags |= UF
        if r >= Fraction(2) ** (self.emax + 1):
            away = mode == 'rne' or (mode == 'rup' and not sign) or (mode == 'rdn' and sign)
            return sign | (self.inf if away else self.inf - 1), OF | NX
        return sign | self.encode(r), flags

    def encode(self, r):
        if r == 0:
            return 0
        exp = r.numerator.bit_length() - r.denominator.bit_length()
        exp = max(exp, self.emin)
        m = r / Fraction(2) ** (exp - self.frac)
        assert m.denominator == 1
        m = int(m)
        return m if m < 1 << self.frac else m + ((exp - self.emin) << self.frac)


def round_to(a, exp, mode, sign):
    """a > 0 to a multiple of 2**exp."""
    unit = Fraction(2) ** exp
    q, rest = divmod(a, unit)
    up = {'rne': rest * 2 > unit or (rest * 2 == unit and q % 2 == 1), 'rtz': False,
          'rdn': bool(sign) and rest > 0, 'rup': not sign and rest > 0}[mode]
    return (q + (1 if up else 0)) * unit


F = {'f32': Format(32, 23), 'f64': Format(64, 52)}


def nan_result(f, *args):
    return f.nan, NV if any(f.is_snan(a) for a in args) else 0


def fadd(f, mode, a, b):
    if f.is_nan(a) or f.is_nan(b):
        return nan_result(f, a, b)
    if f.is_inf(a) or f.is_inf(b):
        if f.is_inf(a) and f.is_inf(b) and a != b:
            return f.nan, NV
        return (a if f.is_inf(a) else b), 0
    same = (a ^ b) & f.sign == 0
    zero_sign = (a & f.sign) if same else mode == 'rdn'
    return f.round(f.value(a) + f.value(b), mode, zero_sign)


def fmul(f, mode, a, b):
    sign = (a ^ b) & f.sign
    if f.is_nan(a) or f.is_nan(b):
        return nan_result(f, a, b)
    if f.is_inf(a) or f.is_inf(b):
        zero = f.value(b if f.is_inf(a) else a) == 0
        return (f.nan, NV) if zero else (f.inf | sign, 0)
    return f.round(f.value(a) * f.value(b), mode, sign)


def fdiv(f, mode, a, b):
    sign = (a ^ b) & f.sign
    if f.is_nan(a) or f.is_nan(b):
        return nan_result(f, a, b)
    if f.is_inf(a):
        return (f.nan, NV) if f.is_inf(b) else (f.inf | sign, 0)
    if f.is_inf(b):
        return sign, 0
    if f.value(b) == 0:
        return (f.nan, NV) if f.value(a) == 0 else (f.inf | sign, DZ)
    return f.round(f.value(a) / f.value(b), mode, sign)


def fsqrt(f, mode, a):
    if f.is_nan(a):
        return nan_result(f, a)
    v = f.value(a) if not f.is_inf(a) else None
    if v == 0:
        return a, 0
    if a & f.sign:
        return f.nan, NV
    if v is None:
        return a, 0
    # So many bits of the root that a sticky one behind them decides every rounding.
    shift = 300 - (v.numerator.bit_length() - v.denominator.bit_length()) // 2
    scaled = v * Fraction(4) ** shift
    root = math.isqrt(scaled.numerator // scaled.denominator)
    exact = Fraction(root) ** 2 == scaled
    return f.round(Fraction(2 * root + (0 if exact else 1)) / 2 / Fraction(2) ** shift, mode)


def fma(f, mode, a, b, c):
    nans = [x for x in (a, b, c) if f.is_nan(x)]
    zero_inf = not f.is_nan(a) and not f.is_nan(b) and (
        (f.is_inf(a) and not f.is_inf(b) and f.value(b) == 0) or
        (f.is_inf(b) and not f.is_inf(a) and f.value(a) == 0))
    if zero_inf:
        return f.nan, NV
    if nans:
        return nan_result(f, a, b, c)
    sign = (a ^ b) & f.sign
    if f.is_inf(a) or f.is_inf(b):
        if f.is_inf(c) and (c & f.sign) != sign:
            return f.nan, NV
        return f.inf | sign, 0
    if f.is_inf(c):
        return c, 0
    zero_sign = sign if (c & f.sign) == sign else mode == 'rdn'
    return f.round(f.value(a) * f.value(b) + f.value(c), mode, zero_sign)


def fminmax(f, smaller, a, b):
    flags = NV if f.is_snan(a) or f.is_snan(b) else 0
    if f.is_nan(a) and f.is_nan(b):
        return f.nan, flags
    if f.is_nan(a) or f.is_nan(b):
        return (b if f.is_nan(a) else a), flags
    key = lambda x: ((-1 if x & f.sign else 1) * (x & ~f.sign), 0 if x & f.sign else 1)
    return (min if smaller else max)((a, b), key=key), flags


def fcmp(f, cmp, a, b):
    if f.is_nan(a) or f.is_nan(b):
        return 0, NV if cmp != 'eq' or f.is_snan(a) or f.is_snan(b) else 0
    v = [Fraction(2) ** 2000 * (-1 if x & f.sign else 1) if f.is_inf(x) else f.value(x) for x in (a, b)]
    return int({'eq': v[0] == v[1], 'lt': v[0] < v[1], 'le': v[0] <= v[1]}[cmp]), 0


def fcvt(to, f, mode, a):
    if f.is_nan(a):
        return to.nan, NV if f.is_snan(a) else 0
    sign = to.sign if a & f.sign else 0
    if f.is_inf(a):
        return to.inf | sign, 0
    return to.round(f.value(a), mode, sign)


def ftoi(w, unsigned, f, mode, a):
    low, high = (0, mask(w)) if unsigned else (-(1 << (w - 1)), mask(w - 1))
    if f.is_nan(a):
        return high, NV
    if f.is_inf(a):
        return (low if a & f.sign else high) & mask(w), NV
    v = f.value(a)
    r = round_to(abs(v), 0, mode, v < 0) if v else Fraction(0)
    r = -r if v < 0 else r
    if not low <= r <= high:
        return (low if r < low else high) & mask(w), NV
    return int(r) & mask(w), 0 if r == v else NX


def itof(f, w, unsigned, mode, a):
    return f.round(Fraction(a if unsigned else signed(a, w)), mode)
