#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run the one-line instruction tests under any riscv64 emulator.

    run.py --run 'braid-riscv64' [--run 'qemu-riscv64 -cpu max'] [FILE.txt ...]

All lines become one guest program (harness.c, enter.S and a generated tests.S); each line's
registers, memory, flags, branch outcome or signal are compared with what the line says, and
everything a line does not name must be unchanged.  The language is described in
docs/testing.md.
"""
import argparse
import collections
import os
import random
import re
import shlex
import struct
import subprocess
import sys
import tempfile

import rv_encode
import rv_model

HERE = os.path.dirname(os.path.abspath(__file__))
SYMBOLS = {'m': rv_model.M_BASE, 'bad': 0x20002000, 'ro': 0x20003000}
SIGNALS = {'SIGILL': 4, 'SIGTRAP': 5, 'SIGBUS': 7, 'SIGFPE': 8, 'SIGSEGV': 11}
OUTCOMES = {'not-taken': 0, 'taken': 1, 'back': 2}
MEM_KEY = re.compile(r'^m([bhwd])\[(\d+)\]$')
MEM_SIZE = {'b': 1, 'h': 2, 'w': 4, 'd': 8}
RECORD = struct.Struct('<QQ32Q32QQQQQQQ256s')
assert RECORD.size == 16 + 560 + 256
M64 = (1 << 64) - 1
ANY = '?'


class LineError(Exception):
    pass


def default_x(n):
    return 0xdead00000000d000 + n if n else 0


def default_f(n):
    return 0xdead00000000f000 + n


class Test:
    """One line."""

    def __init__(self, where, text):
        self.where, self.text = where, text
        try:
            tokens = shlex.split(text, comments=True)
            split = tokens.index('=>')
        except ValueError as e:
            raise LineError('%s: %s' % (where, e or 'no =>'))
        self.code = None
        self.x = [default_x(n) for n in range(32)]
        self.f = [default_f(n) for n in range(32)]
        self.fflags = self.frm = 0
        self.m = bytearray(b'\xa5' * 256)
        for t in tokens[:split]:
            self.input(t)
        if self.code is None:
            raise LineError(where + ': no code=')
        self.name = self.code.split(None, 1)[0] if self.code else ''
        self.expect(tokens[split + 1:])

    def number(self, text, pc=None):
        m = re.match(r'^([shd]):(.*)$', text)
        if m:
            return {'s': rv_model.sf.S, 'h': rv_model.sf.H, 'd': rv_model.sf.D}[m.group(1)].box(int(m.group(2), 0))
        m = re.match(r'^(m|bad|ro|pc)([+-]\w+)?$', text)
        try:
            if m:
                base = pc if m.group(1) == 'pc' else SYMBOLS[m.group(1)]
                return base + int(m.group(2) or '0', 0) & M64
            return int(text, 0) & M64
        except (ValueError, TypeError):
            raise LineError('%s: bad value %r' % (self.where, text))

    def input(self, token):
        key, _, val = token.partition('=')
        m = MEM_KEY.match(key)
        if key == 'code':
            self.code = val
        elif re.match(r'^[xf]\d+$', key):
            (self.x if key[0] == 'x' else self.f)[int(key[1:])] = self.number(val)
        elif key in ('fflags', 'frm'):
            setattr(self, key, int(val, 0))
        elif m:
            self.poke(self.m, m, self.number(val))
        else:
            raise LineError('%s: what is %r?' % (self.where, token))

    @staticmethod
    def poke(mem, m, v):
        size, off = MEM_SIZE[m.group(1)], int(m.group(2))
        mem[off:off + size] = (v & (1 << 8 * size) - 1).to_bytes(size, 'little')

    def expect(self, tokens):
        self.out_x, self.out_f, self.out_mem = {}, {}, []
        self.out_fcsr = self.frm << 5 | self.fflags
        self.outcome, self.signo, self.addr, self.sig_pc = 0, 0, ANY, 'pc'
        for t in tokens:
            key, _, val = t.partition('=')
            m = MEM_KEY.match(key)
            if key in SIGNALS:
                self.outcome, self.signo = 3, SIGNALS[key]
            elif key in OUTCOMES:
                self.outcome = OUTCOMES[key]
            elif re.match(r'^[xf]\d+$', key):
                (self.out_x if key[0] == 'x' else self.out_f)[int(key[1:])] = val
            elif key == 'fflags':
                self.out_fcsr = self.out_fcsr & ~31 | int(val, 0)
            elif key == 'frm':
                self.out_fcsr = self.out_fcsr & ~0xe0 | int(val, 0) << 5
            elif key == 'addr':
                self.addr = val
            elif key == 'pc':
                self.sig_pc = val
            elif m:
                self.out_mem.append((m, self.number(val)))
            else:
                raise LineError('%s: what is %r?' % (self.where, t))
        if 31 in self.out_x:
            raise LineError(self.where + ': x31 belongs to the harness')

    def input_bytes(self):
        return struct.pack('<65Q', *self.x, *self.f, self.frm << 5 | self.fflags) + bytes(self.m)

    def asm(self, i):
        """The stub: enters with x31 = context, leaves through context's `common`."""
        leave = 'sd x30, 240(x31)\nsd x29, 232(x31)\nli x30, %d\nld x29, 560(x31)\njr x29'
        lines = ['.option norvc', '.balign 4', '.Lback_%d:' % i, leave % 2, 'stub_%d:' % i, 'ld x30, 816(x31)']
        for part in self.code.split(';'):
            lines += ['.option push', one_insn(part.strip(), i), '.option pop']
        return '\n'.join(lines + ['.option norvc', leave % 0, '.Ltaken_%d:' % i, leave % 1]) + '\n'

    def extensions(self):
        names = [p.strip().split(None, 1)[0] for p in self.code.split(';') if p.strip()]
        return {rv_encode.extension(n) for n in names} - {None}


def one_insn(text, i):
    name = text.split(None, 1)[0] if text else 'c.nop'
    ext = rv_encode.extension(name)
    if ext in rv_encode.NOT_IN_AS:
        p = rv_encode.parse(text)
        if not p:
            raise LineError('cannot encode %r' % text)
        word = rv_encode.encode(p[0], *p[1])
        return '.%dbyte %#x' % (2 if word & 3 != 3 else 4, word)
    text = re.sub(r'\btaken\b', '.Ltaken_%d' % i, text)
    text = re.sub(r'\bback\b', '.Lback_%d' % i, text)
    return ('.option rvc\n' if name.startswith('c.') else '') + text


def read_tests(paths):
    tests = []
    for path in paths:
        with open(path) as fp:
            for n, line in enumerate(fp, 1):
                if line.strip() and not line.lstrip().startswith('#'):
                    tests.append(Test('%s:%d' % (os.path.basename(path), n), line.strip()))
    return tests


def line_files():
    return sorted(os.path.join(HERE, f) for f in os.listdir(HERE)
                  if f.endswith('.txt') and not f.endswith('deviations.txt'))


def build(tests, tmp, prefix):
    asm = os.path.join(tmp, 'tests.S')
    with open(asm, 'w') as fp:
        fp.write('.option norelax\n.text\n')
        for i, t in enumerate(tests):
            try:
                fp.write('# 1 "%s"\n' % t.where)
                fp.write(t.asm(i))
            except LineError as e:
                raise LineError('%s: %s' % (t.where, e))
        fp.write('.section .rodata\n.balign 8\n.globl test_inputs, test_stubs, test_count\n')
        fp.write('test_stubs:\n' + ''.join('.dword stub_%d\n' % i for i in range(len(tests))))
        fp.write('test_count: .dword %d\n' % len(tests))
        fp.write('test_inputs: .incbin "inputs.bin"\n')
    with open(os.path.join(tmp, 'inputs.bin'), 'wb') as fp:
        fp.write(b''.join(t.input_bytes() for t in tests))
    run = lambda *cmd: subprocess.run(cmd, check=True, cwd=tmp)
    run(prefix + 'as', '-march=' + rv_encode.AS_MARCH, '-mno-relax', '-I', tmp, '-o', 'tests.o', 'tests.S')
    run(prefix + 'gcc', '-O2', '-ffreestanding', '-fno-builtin', '-fno-pic', '-fno-stack-protector', '-mno-relax',
        '-Wall', '-static', '-nostdlib', '-Wl,--no-relax,--build-id=none', '-o', 'harness',
        os.path.join(HERE, 'harness.c'), os.path.join(HERE, 'enter.S'), 'tests.o')
    return os.path.join(tmp, 'harness')


def show(v):
    return '%#x' % v


def check(t, rec):
    """Differences between a record and what the line says."""
    stub = rec[1]
    x, f = rec[2:34], rec[34:66]
    fcsr, outcome, signo, _code, addr, pc, mem = rec[66:73]
    bad = []

    def cmp(what, got, want):
        if want != ANY and got != (t.number(want, stub) if isinstance(want, str) else want):
            bad.append('%s=%s, expected %s' % (what, show(got), want if isinstance(want, str) else show(want)))
    if signo != t.signo:
        name = {v: k for k, v in SIGNALS.items()}
        return ['%s, expected %s' % (name.get(signo, 'signal %d' % signo) if signo else 'no signal',
                                     name.get(t.signo, 'none'))]
    cmp('outcome', outcome, t.outcome)
    if signo:
        cmp('addr', addr, t.addr)
        cmp('pc', pc, t.sig_pc)
    for n in range(1, 31):
        cmp('x%d' % n, x[n], t.out_x.get(n, t.x[n]))
    for n in range(32):
        cmp('f%d' % n, f[n], t.out_f.get(n, t.f[n]))
    cmp('fcsr', fcsr, t.out_fcsr)
    want = bytearray(t.m)
    for m, v in t.out_mem:
        t.poke(want, m, v)
    if mem != bytes(want):
        offs = [i for i in range(256) if mem[i] != want[i]]
        bad.append('m[%d..%d]=%s, expected %s (bytes in address order)' % (
            offs[0], offs[-1], mem[offs[0]:offs[-1] + 1].hex(), want[offs[0]:offs[-1] + 1].hex()))
    return bad


def run_emulator(command, exe, tests, args):
    """Yield (test, record or None, how it died).  Restarts behind a test that kills the emulator."""
    first, deaths = 0, 0
    while first < len(tests) and deaths < 20:
        how = 'exit status'
        with tempfile.TemporaryFile() as out:
            p = subprocess.Popen(command + [exe, str(first), str(len(tests)), str(args.passes)] + (['threads'] if args.threads else []),
                                 stdout=out, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
            try:
                err = p.communicate(timeout=args.timeout)[1]
            except subprocess.TimeoutExpired:
                p.kill()
                err, how = p.communicate()[1], 'timeout, then status'
            out.seek(0)
            data = out.read()
        n = len(data) // RECORD.size
        for k in range(n):
            rec = RECORD.unpack_from(data, k * RECORD.size)
            yield tests[rec[0]], rec, None
        if p.returncode == 0 and n == (len(tests) - first) * args.passes:
            return
        died = first + n % (len(tests) - first)
        tail = err.decode(errors='replace').strip().splitlines()[-3:]
        yield tests[died], None, 'emulator died: %s %s %s' % (how, p.returncode, ' | '.join(tail))
        first, deaths = died + 1, deaths + 1


def read_deviations(path):
    """Lines `EXT-or-regex  # reason`; `ext:NAME` or `code:REGEX`."""
    out = []
    with open(path) as fp:
        for line in fp:
            body, _, reason = line.partition(' # ')
            if body.strip() and not line.startswith('#'):
                kind, _, what = body.strip().partition(':')
                out.append((kind, what, reason.strip()))
    return out


def deviates(t, deviations):
    for kind, what, _ in deviations:
        if kind == 'ext' and what in t.extensions() or kind == 'code' and re.search(what, t.text):
            return True
    return False


def judge(label, command, exe, tests, args, deviations):
    failed, seen, hit = collections.OrderedDict(), collections.Counter(), set()
    for t, rec, died in run_emulator(command, exe, tests, args):
        bad = [died] if died else check(t, rec)
        seen[t] += 1
        if bad and t not in failed:
            if deviates(t, deviations):
                hit.add(t)
            else:
                failed[t] = bad
    for t in tests:
        if t not in failed and t not in hit and not seen[t]:
            failed[t] = ['not run: the emulator died too often']
    for t, bad in failed.items():
        print('%s: %s' % (t.where, t.text))
        print('    %s: %s' % (label, '; '.join(bad)))
    print('%s: %d passed, %d failed%s' % (label, len(tests) - len(failed) - len(hit), len(failed),
                                          ', %d deviate as listed' % len(hit) if hit else ''))
    return len(tests) - len(failed) - len(hit), len(failed)


def self_test(tmp, prefix):
    """Compare rv_encode with GNU as, on every instruction both know."""
    rng = random.Random(1)
    text, want = [], []
    for name, (ops, _, ext) in rv_encode.INSNS.items():
        if ext in rv_encode.NOT_IN_AS:
            continue
        for _ in range(3):
            parts, args = [], []
            for op in ops:
                c = op[0]
                v = {'i': rng.randrange(-2048, 2048), 'o': rng.randrange(-2048, 2048), 'q': rng.randrange(-2048, 2048),
                     '6': rng.randrange(64), '5': rng.randrange(32), 'u': rng.randrange(1 << 20),
                     'b': rng.randrange(-2048, 2048) * 2, 'a': rng.randrange(-1 << 19, 1 << 19) * 2,
                     'z': 3, 'R': rng.choice((0, 1, 2, 3, 4, 7)), 'p': rng.randrange(-64, 64) * 32}.get(c, rng.randrange(32))
                if c == 'R' and rv_encode.default_rm(name) == 0:
                    args.append(0)
                    continue
                args.append(v)
                if len(op) > 1:
                    if c != '(':
                        args.append(rng.randrange(32))
                    parts.append('%s(x%d)' % (v if c != '(' else '', args[-1]))
                elif c == 'R':
                    parts.append({v: k for k, v in rv_encode.RM.items()}[v])
                elif c in 'ba':
                    parts.append('.+%d' % v)
                else:
                    parts.append({'d': 'x', 's': 'x', 't': 'x'}.get(c, 'f' if c in 'DSTU' else '') + str(v))
            text.append('%s %s' % (name, ', '.join(parts)))
            want.append(rv_encode.encode(name, *args))
    for name, (ops, enc, ext) in rv_encode.COMPRESSED.items():
        if ext in rv_encode.NOT_IN_AS:
            continue
        for _ in range(3):
            line, word = self_test_compressed(name, ops.split(), enc, rng)
            text.append(line)
            want.append(word)
    src = os.path.join(tmp, 'enc.S')
    with open(src, 'w') as fp:
        for t in text:
            fp.write('.option %s\n%s\n' % ('rvc' if t.startswith('c.') else 'norvc', t))
    subprocess.run([prefix + 'as', '-march=' + rv_encode.AS_MARCH, '-mno-relax', '-o', src + '.o', src], check=True)
    subprocess.run([prefix + 'objcopy', '-O', 'binary', '-j', '.text', src + '.o', src + '.bin'], check=True)
    data, off, wrong = open(src + '.bin', 'rb').read(), 0, 0
    for t, word in zip(text, want):
        size = 2 if data[off] & 3 != 3 else 4
        got = int.from_bytes(data[off:off + size], 'little')
        off += size
        if got != word:
            wrong += 1
            print('%s: GNU as %#x, rv_encode %#x' % (t, got, word))
    print('%d passed, %d failed' % (len(text) - wrong, wrong))
    return not wrong


def self_test_compressed(name, ops, enc, rng):
    parts, args = [], []
    for op in ops:
        c = op[0]
        if op == 'sp':
            v = 2
        elif c == 'n' and name == 'c.addi16sp':
            v = rng.choice([-512, -16, 16, 160, 496])
        elif c == 'n' and name == 'c.addi4spn':
            v = rng.randrange(1, 256) * 4
        elif c == 'n':
            v = rng.randrange(1, 32) if name in ('c.lui', 'c.slli', 'c.srli', 'c.srai') else rng.randrange(-32, 32) or 5
        elif c == 'w':
            v = rng.randrange(32) * 4
        elif c == 'l':
            v = rng.randrange(32) * 8
        elif c == 'b':
            v = rng.randrange(-128, 128) * 2
        elif c == 'F':
            v = rng.randrange(8, 16)
        elif c in '12':
            v = rng.randrange(8, 16)
        else:
            v = rng.randrange(3, 32)
        args.append(v)
        if op.endswith('(2)'):
            args.append(rng.randrange(8, 16))
            parts.append('%d(x%d)' % (v, args[-1]))
        elif op.endswith('(sp)'):
            parts.append('%d(sp)' % v)
        elif op == 'sp':
            parts.append('sp')
        elif c == 'b':
            parts.append('.+%d' % v)
        else:
            parts.append(str(v) if c == 'n' else ('f' if c == 'F' else 'x') + str(v))
    return '%s %s' % (name, ', '.join(parts)), enc(*args)


def option_sets(path):
    with open(path) as fp:
        return [line.strip() for line in fp if line.strip() and line[0] != '#']


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument('--run', action='append', default=[], help='emulator command (repeat for a matrix)')
    ap.add_argument('--deviations', help='list of lines that are known to fail, with reasons')
    ap.add_argument('--passes', type=int, default=2, help='times each test is run (default 2)')
    ap.add_argument('--threads', action='store_true', help='run with a second guest thread')
    ap.add_argument('--matrix', help='file of option sets; each is added to each --run')
    ap.add_argument('--timeout', type=float, default=120)
    ap.add_argument('--prefix', default='riscv64-linux-gnu-')
    ap.add_argument('--match', help='only lines that match this expression')
    ap.add_argument('--self-test', action='store_true', help='compare our encoder with GNU as')
    ap.add_argument('files', nargs='*')
    args = ap.parse_args()
    files = args.files or line_files()
    with tempfile.TemporaryDirectory() as tmp:
        if args.self_test:
            return 0 if self_test(tmp, args.prefix) else 1
        try:
            tests = read_tests(files)
            if args.match:
                tests = [t for t in tests if re.search(args.match, t.text)]
            if not tests:
                raise LineError('no tests')
            exe = build(tests, tmp, args.prefix)
        except LineError as e:
            print('run.py: %s' % e, file=sys.stderr)
            return 2
        deviations = read_deviations(args.deviations) if args.deviations else []
        commands = [c + ' ' + o for c in args.run for o in option_sets(args.matrix)] if args.matrix else args.run
        ok = [judge(c, shlex.split(c), exe, tests, args, deviations) for c in commands]
        print('%d passed, %d failed' % (sum(p for p, _ in ok), sum(f for _, f in ok)))
        return 0 if ok and not any(f for _, f in ok) else 1


if __name__ == '__main__':
    sys.exit(main())
