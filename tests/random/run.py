#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compare emulators on random instruction streams.

    run.py --braid 'braid-riscv64' --braid 'braid-riscv64 -accel interp' \\
           --reference 'qemu-riscv64 -cpu rv64,Zfh=on' --deviations qemu-7.2-deviations.txt

Fragments (generate.py) run in batches inside one guest process per emulator (harness.c);
the hash of the state each leaves is compared.  Two fragments in three leave out what the
deviations file lists and are compared with the references too.  A fragment that differs is run
alone with dumps, shrunk while the difference stays, and printed.  docs/testing.md says how
to repeat one.
"""
import argparse
import os
import random
import shlex
import struct
import subprocess
import sys
import tempfile
import time

import generate
import rv_encode

HERE = os.path.dirname(os.path.abspath(__file__))
BATCH = 200
DUMP = struct.Struct('<4Q32Q32QQ320Q3200s')


class Tester:
    def __init__(self, args, tmp):
        self.args, self.tmp = args, tmp
        self.braids = [shlex.split(c) for c in args.braid]
        self.references = [shlex.split(c) for c in args.reference]
        self.excluded = read_deviations(args.deviations)
        self.exe = build(tmp, args.prefix)
        self.threads = 0
        self.option_sets = read_matrix(args.matrix)
        self.executed = self.fragments = 0
        self.failures = []

    def fragment(self, seed):
        known = seed % 3 != 0 and self.references
        return generate.Fragment(seed, self.excluded if known else ())

    def emulators(self, seed):
        """Who runs a fragment, and under which options (they change from batch to batch)."""
        known = seed % 3 != 0 or not self.braids
        extra = []
        if self.option_sets:
            options = self.option_sets[seed // BATCH % len(self.option_sets)]
            extra = [self.braids[0] + options]
        return self.braids + extra + (self.references if known else [])

    # ---- running ----
    def start(self, command, path, first, last, dump=False):
        out = tempfile.TemporaryFile()
        p = subprocess.Popen(command + [self.exe, path, str(first), str(last), str(self.args.repeats),
                              str(1 + self.threads)] +
                             (['dump'] if dump else []), stdin=subprocess.DEVNULL, stdout=out,
                             stderr=subprocess.PIPE)
        p.out = out
        return p

    def check_commands(self):
        """Each emulator must be able to run nothing at all; returns a sentence if one cannot."""
        path = os.path.join(self.tmp, 'empty.bin')
        generate.write_file(path, [], 1)
        for c in self.braids + self.references:
            try:
                _, status, err = self.finish(self.start(c, path, 0, 0), 30)
            except OSError as e:
                return '%s: %s' % (c[0], e.strerror)
            if status != 0:
                return '%s: status %s %s' % (' '.join(c), status, err)
        return None

    def finish(self, p, timeout):
        try:
            err = p.communicate(timeout=timeout)[1]
            status = p.returncode
        except subprocess.TimeoutExpired:
            p.kill()
            err, status = p.communicate()[1], 'timeout'
        p.out.seek(0)
        data = p.out.read()
        p.out.close()
        return data, status, err.decode(errors='replace').strip()

    def run_one(self, command, path, index, dump=False):
        data, status, err = self.finish(self.start(command, path, index, index + 1, dump), 10)
        if status != 0:
            return 'died: status %s %s' % (status, ' | '.join(err.splitlines()[-2:]))
        if dump:
            return data[:DUMP.size]
        return struct.unpack('<QQ', data) if len(data) == 16 else 'no result'

    def run_batch(self, commands, path, n):
        """Results of each command: a list of (hash, count), or of words about how it died."""
        running = [self.start(c, path, 0, n) for c in commands]
        results = []
        for c, p in zip(commands, running):
            data, status, _ = self.finish(p, 60)
            if status == 0 and len(data) == 16 * n:
                results.append([struct.unpack_from('<QQ', data, 16 * i) for i in range(n)])
            else:       # somebody in there kills it: find out who
                results.append([self.run_one(c, path, i) for i in range(n)])
        return results

    def batch(self, seeds):
        self.threads = seeds[0] // BATCH % 2    # every other batch with a second thread
        frags = [self.fragment(s) for s in seeds]
        groups = {}
        for fr in frags:
            groups.setdefault(tuple(map(tuple, self.emulators(fr.seed))), []).append(fr)
        for commands, group in groups.items():
            path = os.path.join(self.tmp, 'fragments.bin')
            generate.write_file(path, group, seeds[0] // BATCH)
            results = self.run_batch([list(c) for c in commands], path, len(group))
            for i, fr in enumerate(group):
                self.fragments += 1
                mine = [r[i] for r in results]
                self.executed += mine[-1][1] * self.args.repeats if not isinstance(mine[-1], str) else 0
                if any(m != mine[-1] or isinstance(m, str) for m in mine):
                    self.failures.append(fr.seed)
                    self.report(fr, [list(c) for c in commands], mine)
                    if len(self.failures) >= self.args.max_failures:
                        return

    # ---- a failure ----
    def outcome(self, fr, command):
        path = os.path.join(self.tmp, 'one.bin')
        generate.write_file(path, [fr], fr.seed // BATCH)
        return self.run_one(command, path, 0)

    def differs(self, fr, a, b):
        rb = self.outcome(fr, b)
        if isinstance(rb, str):
            return False
        return self.outcome(fr, a) != rb

    def report(self, fr, commands, results):
        print('\nfragment %d (%s) differs:' % (fr.seed, fr.kind))
        for c, r in zip(commands, results):
            print('  %-60s %s' % (' '.join(c), r if isinstance(r, str) else '%016x after %d' % r))
        good = commands[-1]
        bad = next((c for c, r in zip(commands, results) if r != results[-1] or isinstance(r, str)), commands[0])
        if isinstance(self.outcome(fr, good), str):
            print('  alone, too, the last one gives no result to compare with')
            return
        if bad == good or not self.differs(fr, bad, good):
            print('  alone it does not differ: the difference depends on what ran before')
            return
        if not self.args.no_shrink:
            self.shrink(fr, bad, good)
        self.show(fr, bad, good)
        sys.stdout.flush()

    def shrink(self, fr, bad, good):
        deadline = time.time() + self.args.shrink_time
        keep = lambda items: self.try_items(fr, items, bad, good)
        n = max(1, len(units(fr.items)) // 2)
        while n >= 1 and time.time() < deadline:
            removed, us = False, units(fr.items)
            for at in range(0, len(us), n):
                if time.time() > deadline:
                    break
                gone = set().union(*us[at:at + n])
                items = [it for i, it in enumerate(fr.items) if i not in gone]
                if keep(items):
                    removed = True
                    break
            if not removed:
                n //= 2
        # what only counts, or is not reached any more
        keep([it for it in fr.items if it[0] != 'n'])
        for i in reversed(range(len(fr.items))):
            alone = fr.items[i][0] in ('l', 'n') or not fr.items[i][-1]
            if fr.items[i][0] != 'end' and alone and time.time() < deadline:
                keep(fr.items[:i] + fr.items[i + 1:])
        for what, size in (('x', 32), ('f', 32)):
            for i in range(size):
                regs = getattr(fr, what)
                old, regs[i] = regs[i], 0
                if time.time() > deadline or old and not self.differs(fr, bad, good):
                    regs[i] = old

    def try_items(self, fr, items, bad, good):
        old, fr.items = fr.items, items
        try:
            if self.differs(fr, bad, good):
                return True
        except (KeyError, ValueError):
            pass
        fr.items = old
        return False

    def show(self, fr, bad, good):
        listing = []
        generate.assemble(fr, 0, listing)
        print('  registers: ' + ' '.join(
            '%s%d=%#x' % (k, i, v) for k in 'xf' for i, v in enumerate(getattr(fr, k)) if v and (k == 'f' or i)))
        print('  fcsr=%#x  base x%d (=%#x)  counter x%d  image %d of seed %d' % (
            fr.fcsr, fr.base, generate.M, fr.counter, fr.image, fr.seed // BATCH))
        for pc, w, n, item in listing:
            if item[0] != 'end':
                print('    %8x:  %-8s  %s' % (generate.CODE + pc, '%0*x' % (2 * n, w), text_of(item, w, n)))
        path = os.path.join(self.tmp, 'one.bin')
        generate.write_file(path, [fr], fr.seed // BATCH)
        dumps = [self.run_one(c, path, 0, dump=True) for c in (bad, good)]
        for c, d in zip((bad, good), dumps):
            if isinstance(d, str):
                print('  %s: %s' % (' '.join(c), d))
        if not any(isinstance(d, str) for d in dumps):
            print('  state, %s | %s:' % (' '.join(bad), ' '.join(good)))
            diff_dumps(*[DUMP.unpack(d) for d in dumps])
        saved = os.path.join(os.getcwd(), 'fragment-%d.bin' % fr.seed)
        if self.args.save:
            os.replace(path, saved)
            print('  kept as %s; run: EMULATOR %s %s 0 1 1 %d dump' % (saved, self.exe, saved, 1 + self.threads))


def units(items):
    """What the shrinker may take away: sets of item numbers that belong together."""
    out, groups = [], {}
    for i, it in enumerate(items):
        if it[0] in ('l', 'end', 'n') or it[0] == 'i' and it[1] == 'jalr' and not it[3]:
            continue
        g = it[-1]
        if g:
            if g not in groups:
                groups[g] = set()
                out.append(groups[g])
            groups[g].add(i)
        else:
            out.append({i})
    return out


def text_of(item, word, size):
    k = item[0]
    if k == 'n':
        return 'addi  # counts'
    if k == 'b':
        return '%s x%d, x%d, L%d' % (item[1], item[2], item[3], item[4])
    if k in ('j', 'j4'):
        return 'jal x%d, L%d' % (item[1], item[2])
    if k == 'la':
        return 'la x%d, L%d' % (item[1], item[2])
    name, args = item[1], list(item[2])
    ops = rv_encode.COMPRESSED[name][0].split() if name in rv_encode.COMPRESSED else rv_encode.INSNS[name][0]
    out = []
    for op in ops:
        v = args.pop(0)
        c = op[0]
        if '(' in op and c != '(':
            out.append('%d(x%d)' % (v, args.pop(0)))
        elif c == '(':
            out.append('(x%d)' % v)
        elif c == 'R':
            out.append({n: t for t, n in rv_encode.RM.items()}.get(v, str(v)))
        elif c in 'DSTUF':
            out.append('f%d' % v)
        elif c in 'dst12':
            out.append('x%d' % v)
        else:
            out.append('%d' % v)
    return name + ' ' + ', '.join(out)


def diff_dumps(a, b):
    names = ['hash', 'executed', 'fault hash', 'faults'] + ['x%d' % i for i in range(32)] + \
        ['f%d' % i for i in range(32)] + ['fcsr']
    for i, n in enumerate(names):
        if a[i] != b[i] and n not in ('x0', 'hash', 'fault hash'):
            print('    %-8s %#18x | %#18x' % (n, a[i], b[i]))
    for k in range(64):
        fa, fb = a[69 + 5 * k:74 + 5 * k], b[69 + 5 * k:74 + 5 * k]
        if fa != fb:
            show = lambda f: 'signal %d code %d addr %#x pc %#x registers %016x' % (
                f[0], f[1], f[2], generate.CODE + f[3] & generate.M64, f[4])
            print('    fault %d: %s | %s' % (k, show(fa), show(fb)))
            break
    for off in range(0, 3200, 8):
        if a[-1][off:off + 8] != b[-1][off:off + 8]:
            print('    memory at %#x (M%+d): %016x | %016x' % (
                generate.M - 1024 + off, off - 1024, int.from_bytes(a[-1][off:off + 8], 'little'),
                int.from_bytes(b[-1][off:off + 8], 'little')))


def read_matrix(path):
    if not path:
        return []
    with open(path) as fp:
        return [shlex.split(line) for line in fp if line.strip() and line[0] != '#']


def read_deviations(path):
    out = set()
    if path:
        with open(path) as fp:
            for line in fp:
                body = line.partition(' # ')[0].strip()
                if body and not body.startswith('#'):
                    out.add(body.partition(':')[2])
    return frozenset(out)


def build(tmp, prefix):
    exe = os.path.join(tmp, 'harness')
    subprocess.run([prefix + 'gcc', '-O2', '-ffreestanding', '-fno-builtin', '-fno-tree-loop-distribute-patterns',
                    '-fno-pic', '-fno-stack-protector', '-mno-relax', '-Wall', '-static', '-nostdlib',
                    '-Wl,--no-relax,--build-id=none,--no-warn-rwx-segments', '-o', exe,
                    os.path.join(HERE, 'harness.c'), os.path.join(HERE, 'enter.S')], check=True)
    return exe


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument('--braid', action='append', default=[], help='an emulator that knows all extensions')
    ap.add_argument('--reference', action='append', default=[], help='one that lacks what --deviations lists')
    ap.add_argument('--matrix', help='file of option sets; each batch runs the first --braid with one of them, too')
    ap.add_argument('--deviations')
    ap.add_argument('--seed', type=int, default=int(os.environ.get('SEED') or 0))
    ap.add_argument('--seconds', type=float, default=60)
    ap.add_argument('--insns', type=int, default=0, help='stop after this many executed instructions')
    ap.add_argument('--fragment', type=int, help='only this one')
    ap.add_argument('--repeats', type=int, default=2)
    ap.add_argument('--max-failures', type=int, default=5)
    ap.add_argument('--no-shrink', action='store_true')
    ap.add_argument('--shrink-time', type=float, default=60)
    ap.add_argument('--save', action='store_true', help='keep the shrunk fragment in the current directory')
    ap.add_argument('--prefix', default='riscv64-linux-gnu-')
    args = ap.parse_args()
    if len(args.braid) + len(args.reference) < 2:
        ap.error('nothing to compare: give two emulators')
    seed = args.seed or random.SystemRandom().randrange(1, 1 << 24)
    with tempfile.TemporaryDirectory() as tmp:
        t = Tester(args, tmp)
        start = time.time()
        wrong = t.check_commands()
        if wrong:
            print('run.py: ' + wrong, file=sys.stderr)
            return 2
        if args.fragment is not None:
            t.batch([args.fragment])
        else:
            print('seed %d' % seed)
            sys.stdout.flush()
            at = seed * 1000000
            while time.time() - start < args.seconds and len(t.failures) < args.max_failures and \
                    (not args.insns or t.executed < args.insns):
                t.batch(list(range(at, at + BATCH)))
                at += BATCH
        print('%d fragments, %d instructions executed by each emulator, %.0f s: %s' % (
            t.fragments, t.executed, time.time() - start,
            'all agree' if not t.failures else 'differences in %s' % ', '.join(map(str, t.failures))))
        if t.failures:
            print('repeat with --fragment N, or SEED=%d' % seed)
        print('%d passed, %d failed' % (t.fragments - len(t.failures), len(t.failures)))
        if not t.fragments:
            return 2
    return 1 if t.failures else 0


if __name__ == '__main__':
    sys.exit(main())
