# SPDX-License-Identifier: MIT
"""Random riscv64 program fragments.

A fragment is a list of items (instructions, labels, branches to labels), so that the shrinker can
take items out and lay the rest out again.  Every fragment ends: branches go forward,
loops count down a register nothing else writes, calls nest two deep.  Memory accesses hit
the window around the base register unless they are meant to fault.

Items are tuples:
  ('i', name, args, group)      an instruction
  ('l', label)                  a label
  ('b', name, rs1, rs2, label, group)   conditional branch (compressed when it fits)
  ('j', rd, label, group)       jal
  ('la', rd, label, group)      auipc + addi
  ('n',)                        counts the instructions up to the next label or jump
Items of one group other than 0 only make sense together.
"""
import os
import random
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'insn'))
import rv_encode  # noqa: E402

M = 0x20001c00
BAD, RO = M + 0x2400, M + 0x3400
CODE = 0x30000000
MAGIC = 0x6964617262
M64 = (1 << 64) - 1
LOW, HIGH = -1024, 2047 - 24   # window of direct accesses


def interesting_int(rng):
    k = rng.randrange(6)
    if k == 0:
        return rng.choice((0, 1, M64, 1 << 63, (1 << 63) - 1, 0x7fffffff, 0x80000000, 0xffffffff,
                           0xffffffff80000000, 1 << 32, 0x5555555555555555, 0xff, 0x8000, 63, 64))
    if k == 1:
        return rng.getrandbits(rng.randrange(1, 65))
    if k == 2:
        return (1 << rng.randrange(64)) + rng.randrange(-2, 3) & M64
    if k == 3:
        return -rng.getrandbits(rng.randrange(1, 64)) & M64
    return rng.getrandbits(64)


FORMATS = {'s': (8, 23, 32), 'd': (11, 52, 64), 'h': (5, 10, 16)}


def interesting_fp(rng, width=None):
    ebits, mbits, bits = FORMATS[width or rng.choice('sssddddh')]
    bias, inf, sign = (1 << ebits - 1) - 1, (1 << ebits) - 1 << mbits, 1 << bits - 1
    k = rng.randrange(8)
    if k == 0:
        v = rng.choice((0, 1, inf, inf | 1, inf | 1 << mbits - 1, inf - 1, 1 << mbits, (1 << mbits) - 1,
                        bias << mbits, (bias << mbits) + 1, (bias << mbits) - 1, bias + 1 << mbits,
                        inf | 1 << mbits - 1 | 5))
    elif k == 1:
        v = rng.getrandbits(bits - 1)
    elif k == 2:    # small integers and halves
        v = (bias + rng.randrange(0, 5) << mbits) | rng.getrandbits(3) << mbits - 3
    elif k == 3:    # around the integer limits
        v = (bias + rng.choice((30, 31, 32, 62, 63, 64)) << mbits | rng.getrandbits(mbits)) & inf - 1
    elif k == 4:    # around the subnormals
        v = rng.randrange(0, 3) << mbits | rng.getrandbits(mbits)
    else:
        v = (bias + rng.randrange(-4, 5) << mbits) | rng.getrandbits(mbits)
    v = v % sign | rng.choice((0, sign))
    if rng.randrange(24) == 0 and bits < 64:
        return v        # not boxed
    return v | (~((1 << bits) - 1) & M64)


def classify(excluded):
    """Instruction names by what their operands ask for; without `excluded` names and extensions."""
    c = {'int': [], 'fp': [], 'load': [], 'store': [], 'fload': [], 'fstore': [], 'amo': [], 'hint': [],
         'branch': [], 'cint': [], 'cload': [], 'cstore': []}
    skip = {'jal', 'jalr', 'auipc', 'ecall', 'ebreak', 'cbo.inval', 'cbo.clean', 'cbo.flush', 'fence.i'}
    for name, (ops, _, ext) in rv_encode.INSNS.items():
        if name in skip or name.startswith(('csr', 'lr.', 'sc.')) or name in excluded or \
                ext in excluded:
            continue
        kinds = ''.join(o[0] for o in ops)
        if '(s)' in ops:
            (c['amo'] if name.startswith('amo') else c['hint']).append(name)
        elif 'b' in kinds:
            c['branch'].append(name)
        elif 'o' in kinds or 'q' in kinds:
            key = ('f' if kinds[0] in 'DT' else '') + ('load' if 'o' in kinds else 'store')
            c[key].append(name)
        elif any(k in 'DSTUL' for k in kinds):
            c['fp'].append(name)
        elif not ops or 'p' in kinds:
            c['hint'].append(name)
        else:
            c['int'].append(name)
    for name, (ops, _, ext) in rv_encode.COMPRESSED.items():
        if name in excluded or ext in excluded:
            continue
        if '(' in ops:
            (c['cload'] if name[2] == 'l' or name[2:4] == 'fl' else c['cstore']).append(name)
        elif name not in ('c.ebreak', 'c.jr', 'c.jalr', 'c.j', 'c.beqz', 'c.bnez', 'c.addi16sp'):
            c['cint'].append(name)
    # the mop encodings are many, and do little
    c['int'] = [n for n in c['int'] if not n.startswith('mop.') or n in ('mop.r.0', 'mop.r.31', 'mop.rr.5')]
    return c


class Fragment:
    def __init__(self, seed, excluded=()):
        self.seed = seed
        self.rng = rng = random.Random(seed)
        self.c = classes(frozenset(excluded))
        self.excluded = excluded
        regs = list(range(1, 32))
        # the base register is often one that compressed forms can use
        self.base = rng.choice((2, 2, 8, 9, 10, 13, 15, 3, 18, 30, 31, rng.randrange(1, 32)))
        regs.remove(self.base)
        self.counter = rng.choice(regs)
        regs.remove(self.counter)
        self.loop_regs = rng.sample(regs, 3)
        self.links = [1 if 1 in regs else 5, 5 if 5 in regs else 6]
        if self.links[0] == self.links[1] or any(k not in regs for k in self.links):
            self.links = rng.sample(regs, 2)
        self.links = [k for k in self.links if k not in self.loop_regs] or [r for r in regs if r not in self.loop_regs][:1]
        self.pool = [r for r in regs if r not in self.loop_regs]
        self.blocked = []       # link registers in use
        self.labels = self.groups = 0
        self.functions = []     # (label, link) called but not yet written
        self.x = [0] + [interesting_int(rng) for _ in range(31)]
        self.f = [interesting_fp(rng) for _ in range(32)]
        self.x[self.counter] = 0
        self.fcsr = rng.randrange(5) << 5 | rng.choice((0, 0, 31, 1, rng.randrange(32)))
        self.image = rng.randrange(8)
        self.writable = self.pool
        # what this fragment is about
        self.kind = rng.choice(('mixed', 'mixed', 'mixed', 'int', 'fp', 'fp', 'mem', 'flow', 'compressed'))
        self.fault_rate = rng.choice((0, 0, 0, 0.002, 0.01))
        self.fp_focus = rng.choice((None, None, 's', 'd', 'h'))
        # often few registers, so that values and dependences meet
        if rng.randrange(3) == 0:
            self.writable = self.pool = rng.sample(self.pool, min(8, len(self.pool)))
        self.fregs = list(range(32)) if rng.randrange(3) else rng.sample(range(32), 5)
        self.items = self.generate()

    # ---- helpers ----
    def label(self):
        self.labels += 1
        return self.labels

    def group(self):
        self.groups += 1
        return self.groups

    def dst(self):
        r = self.rng.choice(self.writable) if self.rng.randrange(40) else 0
        return 0 if r in self.blocked else r

    def temp(self):
        free = [r for r in self.writable if r not in self.blocked]
        return self.rng.choice(free)

    def src(self):
        k = self.rng.randrange(20)
        if k == 0:
            return 0
        if k == 1:
            return self.base
        if k == 2:
            return self.rng.choice(self.loop_regs)
        return self.rng.choice(self.pool)

    def insn(self, out, name, *args, group=0):
        out.append(('i', name, args, group))

    # ---- instruction kinds ----
    def gen_int(self, out):
        rng = self.rng
        name = rng.choice(self.c['int'])
        args = []
        for op in rv_encode.INSNS[name][0]:
            if op == 'd':
                args.append(self.dst())
            elif op in 'st':
                args.append(self.src())
            elif op == 'i':
                args.append(rng.choice((rng.randrange(-2048, 2048), rng.randrange(-4, 5), 0, -1)))
            else:
                args.append(rng.randrange({'6': 64, '5': 32, 'u': 1 << 20}[op]))
        self.insn(out, name, *args)
        # pairs that translators like to see together
        if rng.randrange(12) == 0:
            d = args[0]
            if d:
                follow = rng.choice(('addi', 'srli', 'slli', 'addiw', 'sltu', 'xor'))
                k = {'addi': rng.randrange(-2048, 2048), 'addiw': rng.randrange(-2048, 2048),
                     'srli': rng.choice((32, 48, 56, 1)), 'slli': rng.choice((32, 48, 1, 3))}.get(follow)
                self.insn(out, follow, d, d, self.src() if k is None else k)

    def gen_special_int(self, out):
        rng = self.rng
        k = rng.randrange(6)
        d, a, b = self.temp(), self.src(), self.src()
        if k == 0:      # zero and sign extension
            n = rng.choice((32, 48, 56))
            self.insn(out, 'slli', d, a, n)
            self.insn(out, rng.choice(('srli', 'srai')), d, d, n)
        elif k == 1:    # full product
            self.insn(out, rng.choice(('mulh', 'mulhu', 'mulhsu')), d, a, b)
            self.insn(out, 'mul', self.dst(), a, b)
        elif k == 2:    # quotient and remainder
            u = rng.choice(('', 'u'))
            self.insn(out, 'div' + u, d, a, b)
            self.insn(out, 'rem' + u, self.dst(), a, b)
        elif k == 3:    # constants
            self.insn(out, 'lui', d, rng.randrange(1 << 20))
            self.insn(out, rng.choice(('addi', 'addiw')), d, d, rng.randrange(-2048, 2048))
        elif k == 4:
            self.insn(out, 'auipc', self.dst(), rng.randrange(1 << 20))
        else:           # carry
            self.insn(out, 'add', d, a, b)
            self.insn(out, 'sltu', self.dst(), d, a)

    def gen_fp(self, out):
        rng, names = self.rng, self.c['fp']
        name = rng.choice(names)
        if self.fp_focus and rng.randrange(4):
            for _ in range(4):
                if self.fp_focus in name.split('.')[1:]:
                    break
                name = rng.choice(names)
        args = []
        for op in rv_encode.INSNS[name][0]:
            if op in 'DSTU':
                args.append(rng.choice(self.fregs))
            elif op == 'd':
                args.append(self.dst())
            elif op == 's':
                args.append(self.src())
            elif op == 'L':
                args.append(rng.randrange(32))
            elif rv_encode.default_rm(name) != 7:
                args.append(rv_encode.default_rm(name))
            else:
                args.append(rng.choice((7, 7, 7, 7, 0, 0, 1, 1, 2, 3, 4)))
        self.insn(out, name, *args)

    def gen_csr(self, out):
        rng = self.rng
        k = rng.randrange(8)
        csr = rng.choice((1, 2, 3))
        if k < 3:
            self.insn(out, 'csrrs', self.dst(), csr, 0)
        elif k == 3:
            self.insn(out, 'csrrwi', self.dst(), 2, rng.randrange(5))
        elif k == 4:
            self.insn(out, rng.choice(('csrrwi', 'csrrsi', 'csrrci')), self.dst(), 1, rng.randrange(32))
        elif k == 5:
            self.insn(out, rng.choice(('csrrw', 'csrrs', 'csrrc')), self.dst(), 1, self.src())
        elif k == 6:
            t, g = self.temp(), self.group()
            self.insn(out, 'addi', t, 0, rng.randrange(5) << 5 | rng.randrange(32), group=g)
            self.insn(out, 'csrrw', self.dst(), 3, t, group=g)
        elif rng.random() < self.fault_rate * 20:   # a mode that is none
            g = self.group()
            self.insn(out, 'csrrwi', 0, 2, rng.randrange(5, 8), group=g)
            self.gen_fp(out)
            self.insn(out, 'csrrwi', 0, 2, rng.randrange(5), group=g)

    def gen_mem(self, out):
        rng = self.rng
        kind = rng.choice(('load', 'load', 'store', 'store', 'fload', 'fload', 'fstore'))
        name = rng.choice(self.c[kind])
        fp = kind[0] == 'f'
        off = rng.choice((rng.randrange(LOW, HIGH), rng.randrange(LOW // 8, HIGH // 8) * 8, rng.randrange(8) * 8,
                          1024 - rng.randrange(9)))
        data = lambda: rng.choice(self.fregs) if fp else self.dst() if kind == 'load' else self.src()
        if rng.randrange(3):
            self.insn(out, name, data(), off, self.base)
            if kind == 'store' and rng.randrange(4) == 0:   # read it back, perhaps in another width
                self.insn(out, rng.choice(self.c['load']), self.dst(), off + rng.choice((0, 0, 0, 1, 2, 4)), self.base)
            return
        # computed: base + (register & mask)
        t, g = self.temp(), self.group()
        self.insn(out, 'andi', t, self.src(), rng.choice((0x7f8, 0x3ff, 0x1f8, 0x7c0)), group=g)
        self.insn(out, 'add', t, t, self.base, group=g)
        self.insn(out, name, data(), rng.randrange(-1024, 1), t, group=g)

    def gen_amo(self, out):
        rng = self.rng
        name = rng.choice(self.c['amo'])
        size = {'b': 1, 'h': 2, 'w': 4, 'd': 8, 'q': 16}[name.split('.')[1]]
        t, g = self.temp(), self.group()
        self.insn(out, 'addi', t, self.base, rng.randrange(LOW // size, HIGH // size) * size, group=g)
        rd, rs2 = self.dst(), self.src()
        if size == 16:
            # an even pair that touches no register in use
            ok = lambda r: all(k in self.writable and k not in self.blocked and k != t for k in (r, r + 1))
            rd = rng.choice([r for r in range(2, 31, 2) if ok(r)] or [0])
            rs2 = rng.randrange(0, 31) & 30
        elif name.startswith('amocas') and rd and rng.randrange(2):     # make it succeed
            self.insn(out, {1: 'lb', 2: 'lh', 4: 'lw', 8: 'ld'}[size], rd, 0, t, group=g)
            if rd == t:
                rd = 0
        self.insn(out, name, rd, rs2, t, group=g)

    def gen_llsc(self, out):
        rng = self.rng
        w, size = rng.choice((('w', 4), ('d', 8)))
        sfx = lambda: rng.choice(('', '', '.aq', '.rl', '.aqrl'))
        t, g = self.temp(), self.group()
        off = rng.randrange(-12, HIGH // 64) * 64 + rng.randrange(0, 64 // size) * size
        self.insn(out, 'addi', t, self.base, off, group=g)
        d = self.temp()
        if d == t:
            d = 0
        self.insn(out, 'lr.%s%s' % (w, sfx()), d, t, group=g)
        self.blocked.append(t)
        for _ in range(rng.randrange(4)):
            self.gen_int(out)
        self.blocked.pop()
        if rng.randrange(6) == 0 and off < HIGH - 256:
            # another block: must fail
            self.insn(out, 'addi', t, t, 192, group=g)
        self.insn(out, 'sc.%s%s' % (w, sfx()), self.dst(), self.src(), t, group=g)
        if rng.randrange(4) == 0:
            self.insn(out, 'addi', t, self.base, off, group=g)
            self.insn(out, 'sc.' + w, self.dst(), self.src(), t, group=g)   # and none is left

    def gen_fault(self, out):
        rng = self.rng
        t, g = self.temp(), self.group()
        where = rng.randrange(4)
        page = BAD if where < 2 else RO
        self.insn(out, 'lui', t, page - M >> 12, group=g)
        self.insn(out, 'add', t, t, self.base, group=g)
        self.insn(out, 'addi', t, t, (page - M & 0xfff) - (0x1000 if page - M & 0x800 else 0), group=g)
        k = rng.randrange(7)
        kinds = ('load', 'fload') if where < 2 else ('store', 'fstore')
        if k < 4 or where == 3:
            name = rng.choice(self.c[rng.choice(kinds)])
            off = rng.randrange(0, 2000) if where else -rng.randrange(0, 4)     # may begin on the good page
            reg = rng.choice(self.fregs) if name[0] == 'f' else self.dst() if name[0] == 'l' else self.src()
            if where == 0 and off:
                name, reg = rng.choice((('ld', self.dst()), ('sd', self.src())))
            self.insn(out, name, reg, off, t, group=g)
        elif k == 4:
            name = rng.choice([n for n in self.c['amo'] if '.w' in n or '.d' in n])
            self.insn(out, name, self.dst(), self.src(), t, group=g)
        elif k == 5:
            self.insn(out, 'lr.w', self.dst(), t, group=g)
            if 'sc-on-bad-page' not in self.excluded:
                self.insn(out, 'sc.w', self.dst(), self.src(), t, group=g)
        else:
            self.insn(out, rng.choice(('ebreak', 'c.ebreak')), group=g)

    def gen_compressed(self, out):
        rng = self.rng
        low = [r for r in self.writable if 8 <= r <= 15 and r not in self.blocked]
        use_base = self.base in range(8, 16) or self.base == 2
        if use_base and rng.randrange(3) == 0:
            names = [n for n in self.c['cload'] + self.c['cstore'] if n.endswith('sp') == (self.base == 2)]
        else:
            names = self.c['cint']
        name = rng.choice(names)
        ops = rv_encode.COMPRESSED[name][0].split()
        args = []
        if '1' in ''.join(ops)[:1] and not low:
            return
        wide = [r for r in self.writable if r not in self.blocked]
        for op in ops:
            c = op[0]
            if op == 'sp':
                args.append(2)
            elif c == '1':
                args.append(rng.choice(low))
            elif c == '2':
                args.append(rng.randrange(8, 16))
            elif c == 'd':
                args.append(rng.choice([r for r in wide if r != 2] or [0]) if name == 'c.lui' else rng.choice(wide))
            elif c == 't':
                args.append(rng.choice([r for r in self.pool if r]))
            elif c == 'F':
                args.append(rng.randrange(8, 16))
            elif c == 'n':
                if name == 'c.addi4spn':
                    args.append(rng.randrange(1, 256) * 4)
                else:
                    v = rng.randrange(1, 32)
                    args.append(v if name == 'c.lui' or rng.randrange(2) else
                                v + 32 if name[2:] in ('slli', 'srli', 'srai') else -v)
            else:
                scale = {'w': 4, 'l': 8, 'y': 1, 'h': 2}[c]
                args.append(rng.randrange({'y': 4, 'h': 2}.get(c, 32)) * scale)
                args.append(self.base)
        if name == 'c.addi' and args[1] == 0:
            args[1] = 1
        self.insn(out, name, *args)

    def gen_hint(self, out):
        rng = self.rng
        name = rng.choice(self.c['hint'])
        if name == 'cbo.zero':
            self.insn(out, name, self.base) if rng.randrange(4) == 0 else None
        elif name.startswith('prefetch'):
            self.insn(out, name, rng.randrange(-64, 64) * 32, self.src())
        elif not name.startswith('wrs'):
            self.insn(out, name)

    def gen_ecall(self, out):
        if 17 in self.writable and 10 in self.writable and 17 not in self.blocked and 10 not in self.blocked:
            g = self.group()
            self.insn(out, 'addi', 17, 0, 2047, group=g)
            self.insn(out, 'ecall', group=g)

    # ---- control flow ----
    def branch(self, out, label, group=0):
        rng = self.rng
        name, a, b = rng.choice(self.c['branch']), self.src(), self.src()
        if rng.randrange(3) == 0:       # may become compressed
            name, b = rng.choice(('beq', 'bne')), 0
            a = rng.choice([r for r in self.pool if 8 <= r <= 15] or [a])
        elif rng.randrange(4) == 0:     # compare what was just compared
            t = self.temp()
            self.insn(out, rng.choice(('slt', 'sltu')), t, a, b)
            name, a, b = rng.choice(('beq', 'bne')), t, 0
        out.append(('b', name, a, b, label, group))

    def gen_skip(self, out, depth, mult):
        """if, or if/else"""
        end = self.label()
        if self.rng.randrange(3):
            self.branch(out, end)
            out.append(('n',))
            self.body(out, depth + 1, self.rng.randrange(1, 8), mult)
        else:
            other = self.label()
            self.branch(out, other)
            out.append(('n',))
            self.body(out, depth + 1, self.rng.randrange(1, 6), mult)
            out.append(('j', 0, end, 0))
            out.append(('l', other))
            out.append(('n',))
            self.body(out, depth + 1, self.rng.randrange(1, 6), mult)
        out.append(('l', end))
        out.append(('n',))

    def gen_loop(self, out, depth, mult):
        rng = self.rng
        if self.loops >= 2 or mult > 100:
            return
        reg = self.loop_regs[2 if self.in_function else self.loops]
        if self.in_function and (self.loops or self.nested):
            return      # one loop register is all that functions have between them
        n = rng.choice((1, 2, 3, rng.randrange(2, 20), rng.randrange(20, 100) if mult == 1 else 4))
        n = min(n, 6) if self.in_function else n
        g, head, out_label = self.group(), self.label(), self.label()
        self.loops += 1
        self.insn(out, 'addi', reg, 0, n, group=g)
        out.append(('l', head))
        out.append(('n',))
        self.body(out, depth + 1, rng.randrange(2, 14), mult * n)
        if rng.randrange(4) == 0:
            self.branch(out, out_label)     # break
            out.append(('n',))
        self.insn(out, 'addi', reg, reg, -1, group=g)
        kind = rng.randrange(4)
        if kind == 0:                       # condition at the top, jump back
            out.append(('b', 'beq', reg, 0, out_label, g))
            out.append(('n',))
            out.append(('j', 0, head, g))
        else:
            out.append(('b', ('bne', 'blt', 'bltu')[kind - 1], *((reg, 0) if kind == 1 else (0, reg)), head, g))
        out.append(('l', out_label))
        out.append(('n',))
        self.loops -= 1

    def gen_call(self, out):
        rng = self.rng
        free = [k for k in self.links if k not in self.blocked and k in self.pool + self.writable]
        if not free or len(self.functions) >= 4:
            return
        if self.functions and rng.randrange(2):
            label, link = rng.choice(self.functions)
            if link not in free or self.in_function:
                return
        else:
            link = rng.choice(free)
            label = self.label()
            self.functions.append((label, link))
            self.unwritten.append((label, link, list(self.blocked), self.in_function))
        if rng.randrange(3):
            out.append(('j', link, label, 0))
        else:
            g, t = self.group(), rng.choice([link, self.temp()])
            out.append(('la', t, label, g))
            off = rng.choice((0, 0, 0, rng.randrange(-2047, 2048)))
            if off:
                self.insn(out, 'addi', t, t, -off, group=g)
            self.insn(out, 'jalr', link, off, t, group=g)
        out.append(('n',))

    def gen_indirect(self, out, depth, mult):
        """A jump through a register, to one place or by a table of jumps."""
        rng = self.rng
        g, t, end = self.group(), self.temp(), self.label()
        if rng.randrange(2):
            out.append(('la', t, end, g))
            if rng.randrange(2):
                self.insn(out, 'jalr', 0, 0, t, group=g)
            else:
                self.insn(out, 'c.jr', t, group=g)
            out.append(('n',))
            self.body(out, depth + 1, rng.randrange(0, 3), mult)    # skipped
        else:
            u = self.temp()
            if u == t:
                return
            table, cases = self.label(), [self.label() for _ in range(4)]
            self.insn(out, 'andi', u, self.src(), 12, group=g)
            out.append(('la', t, table, g))
            self.insn(out, 'add', t, t, u, group=g)
            self.insn(out, 'jalr', 0, 0, t, group=g)
            out.append(('l', table))
            for c in cases:
                out.append(('j4', 0, c, g))
            for c in cases:
                out.append(('l', c))
                out.append(('n',))
                self.body(out, depth + 1, rng.randrange(1, 4), mult)
                if rng.randrange(2):
                    out.append(('j', 0, end, 0))
        out.append(('l', end))
        out.append(('n',))

    MIX = {
        #             int spec fp csr mem amo llsc comp hint ecall skip loop call ind
        'mixed':      (30, 6, 24, 3, 20, 4, 2, 12, 1, 0.2, 5, 2, 2, 1.5),
        'int':        (60, 12, 0, 0, 8, 0, 0, 14, 1, 0.2, 4, 2, 1, 0.5),
        'fp':         (8, 0, 80, 6, 14, 0, 0, 2, 0, 0.1, 2, 1, 0.5, 0),
        'mem':        (14, 2, 2, 0, 60, 14, 6, 10, 1, 0.1, 3, 2, 1, 0.5),
        'flow':       (20, 2, 5, 1, 10, 1, 1, 8, 1, 0.4, 14, 6, 8, 5),
        'compressed': (10, 2, 2, 0, 6, 1, 0, 80, 1, 0.1, 4, 2, 1, 1),
    }

    def body(self, out, depth, n, mult=1):
        rng, mix = self.rng, self.MIX[self.kind]
        kinds = ('int', 'special_int', 'fp', 'csr', 'mem', 'amo', 'llsc', 'compressed', 'hint', 'ecall',
                 'skip', 'loop', 'call', 'indirect')
        for kind in rng.choices(kinds, mix, k=n):
            if self.fault_rate and rng.random() < self.fault_rate and mult < 50:
                self.gen_fault(out)
            if kind in ('skip', 'loop', 'indirect'):
                if depth < 4:
                    getattr(self, 'gen_' + kind)(out, depth, mult)
            elif kind == 'call':
                if mult <= 20:
                    self.gen_call(out)
            else:
                getattr(self, 'gen_' + kind)(out)

    def generate(self):
        rng = self.rng
        self.loops, self.in_function, self.unwritten = 0, False, []
        out = []
        self.end_label = self.label()
        out.append(('n',))
        self.body(out, 0, rng.choice((20, 40, 80, 120)))
        out.append(('l', self.end_label))
        out.append(('end',))
        written = 0
        while self.unwritten and written < 12:
            label, link, blocked, nested = self.unwritten.pop(0)
            written += 1
            self.in_function, self.loops, self.nested = True, 0, nested
            self.blocked = blocked + [link]
            save, self.links = self.links, ([] if nested else self.links)
            out.append(('l', label))
            out.append(('n',))
            self.body(out, 1, rng.randrange(1, 12))
            self.links = save
            self.insn(out, 'jalr', 0, 0, link)
        self.blocked = []
        return out

    def record(self, entry):
        return struct.pack('<68Q', entry, self.image, self.counter, self.fcsr, *self.x, *self.f)


_classes = {}


def classes(excluded):
    if excluded not in _classes:
        _classes[excluded] = classify(excluded)
    return _classes[excluded]


# ---- layout ----

def prologue(base):
    enc = rv_encode.encode
    words = [enc('addi', base, 31, 0)] if base != 31 else []
    if base != 30:
        words.append(enc('ld', 30, -2048 + 240, base))
    if base != 31:
        words.append(enc('ld', 31, -2048 + 248, base))
    return words


def epilogue(base):
    enc = rv_encode.encode
    words = [enc('sd', 30, -2048 + 240, base)] if base != 30 else []
    if base != 31:
        words += [enc('sd', 31, -2048 + 248, base), enc('addi', 31, base, 0)]
    return words + [enc('ld', 30, -1520, 31), enc('jalr', 0, 0, 30)]


def fits_compressed(item):
    kind = item[0]
    if kind == 'j':
        return item[1] == 0
    return item[1] in ('beq', 'bne') and item[3] == 0 and 8 <= item[2] <= 15


def sizes(frag, items):
    """Bytes of each item, branches in their long form."""
    out = []
    for it in items:
        k = it[0]
        if k == 'i':
            out.append(2 if it[1][:2] == 'c.' else 4)
        elif k in ('b', 'j', 'j4', 'n'):
            out.append(4)
        elif k == 'la':
            out.append(8)
        elif k == 'end':
            out.append(4 * len(epilogue(frag.base)))
        else:
            out.append(0)
    return out


def place(items, size, at):
    labels = {}
    pcs = []
    for it, n in zip(items, size):
        pcs.append(at)
        if it[0] == 'l':
            labels[it[1]] = at
        at += n
    return pcs, labels, at


def assemble(frag, at, listing=None):
    """Machine code of a fragment that starts at offset `at`."""
    items = frag.items
    head = prologue(frag.base)
    code = bytearray(b''.join(w.to_bytes(4, 'little') for w in head))
    start = at + len(code)
    size = sizes(frag, items)
    pcs, labels, _ = place(items, size, start)
    for i, it in enumerate(items):      # long forms measured: every short one only brings labels closer
        if it[0] in 'bj' and it[0] != 'j4' and fits_compressed(it):
            target = labels[it[2] if it[0] == 'j' else it[4]]
            if abs(target - pcs[i]) < (2000 if it[0] == 'j' else 240):
                size[i] = 2
    pcs, labels, _ = place(items, size, start)
    for i, it in enumerate(items):
        for w, n, text in encode_item(frag, items, i, pcs[i], size[i], labels):
            code += w.to_bytes(n, 'little')
            if listing is not None:
                listing.append((pcs[i], w, n, text))
    return bytes(code)


def encode_item(frag, items, i, pc, size, labels):
    enc, it = rv_encode.encode, items[i]
    k = it[0]
    if k == 'i':
        return [(enc(it[1], *it[2]), size, it)]
    if k == 'n':
        return [(enc('addi', frag.counter, frag.counter, count_from(items, i)), 4, it)]
    if k == 'b':
        _, name, a, b, label, _ = it
        d = labels[label] - pc
        if size == 2:
            return [(enc('c.beqz' if name == 'beq' else 'c.bnez', a, d), 2, it)]
        return [(enc(name, a, b, d), 4, it)]
    if k in ('j', 'j4'):
        d = labels[it[2]] - pc
        return [(enc('c.j', d), 2, it)] if size == 2 else [(enc('jal', it[1], d), 4, it)]
    if k == 'la':
        d = labels[it[2]] - pc
        hi = d + 0x800 >> 12
        return [(enc('auipc', it[1], hi), 4, it), (enc('addi', it[1], it[1], d - (hi << 12)), 4, it)]
    if k == 'end':
        return [(w, 4, it) for w in epilogue(frag.base)]
    return []


def count_from(items, i):
    """Instructions from the counting one up to the next that counts."""
    n = 0
    for it in items[i:]:
        if it[0] == 'l' or it[0] == 'n' and n or it[0] == 'end':
            break
        n += 2 if it[0] == 'la' else 1
        if it[0] in ('j', 'j4') or it[0] == 'b' or it[0] == 'i' and it[1] in ('jalr', 'c.jr'):
            break
    return n


def images(seed):
    """Eight memory images, full of numbers that mean something in one format or other."""
    rng = random.Random(seed)
    out = b''
    for _ in range(8):
        words = []
        while len(words) < 512:
            k = rng.randrange(4)
            if k == 0:
                words.append(interesting_int(rng))
            elif k == 1:
                s = lambda: interesting_fp(rng, 's') & 0xffffffff
                words.append(s() << 32 | s())
            elif k == 2:
                h = lambda: interesting_fp(rng, 'h') & 0xffff
                words.append(h() << 48 | h() << 32 | h() << 16 | h())
            else:
                words.append(interesting_fp(rng, 'd'))
        out += struct.pack('<512Q', *words)
    return out


def write_file(path, frags, image_seed):
    code, records = bytearray(), []
    for fr in frags:
        records.append(fr.record(len(code)))
        code += assemble(fr, len(code))
        if fr.rng.randrange(4):     # a fragment may start anywhere
            code += b'\x01\x00' * fr.rng.randrange(0, 8)
    code += bytes(4096 - len(code) % 4096)
    head = 48 + sum(map(len, records))
    pad = -head % 16
    img = images(image_seed)
    with open(path, 'wb') as fp:
        fp.write(struct.pack('<6Q', MAGIC, len(frags), 8, head + pad + len(img), len(code), head + pad))
        fp.write(b''.join(records) + bytes(pad) + img + code)
