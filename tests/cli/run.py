#!/usr/bin/env python3
"""The command line of braid-riscv64 as its user meets it: options, messages, exit statuses.

usage: run.py BRAID DIRECTORY     (DIRECTORY: for the guest programs it compiles)
"""
import collections
import os
import pathlib
import re
import shutil
import subprocess
import sys

CROSS = 'riscv64-linux-gnu-gcc'
PROGRAM = r'''
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static int one(int x) { return x + 1; }
static int two(int x) { return x ^ 2; }
int (*volatile functions[2])(int) = { one, two };
int main(int argc, char **argv)
{
    volatile double x = argc;
    if (argc > 1 && !strcmp(argv[1], "nowhere"))
        ((void (*)(void))0x123456780)();
    if (argc > 2 && !strcmp(argv[1], "loop"))
        for (int i = atoi(argv[2]); i; i--)
            x = x + i % 3;
    if (argc > 2 && !strcmp(argv[1], "calls"))
        for (int i = atoi(argv[2]); i; i--)
            x = functions[i & 1](i);
    x = argc;
    if (argc > 1 && !strcmp(argv[1], "env"))
        printf("%s\n", getenv("BRAID_TEST_VARIABLE") ? getenv("BRAID_TEST_VARIABLE") : "unset");
    else
        printf("argv0=%s third=%.3f\n", argv[0], x / 3);
    return 7;
}
'''

# mover DIR PROGRAM [ROOT]: prints a file's text, goes elsewhere, and executes PROGRAM, which does the first.
MOVER = r'''
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    char text[99] = "";
    FILE *f = fopen("/lib/only-here", "r");
    if (!f || !fgets(text, sizeof text, f))
        return 1;
    puts(text);
    fflush(stdout);
    if (argc > 1) {
        if ((argc > 3 && chroot(argv[3])) || chdir(argv[1]))
            return 2;
        execl(argv[2], argv[2], (char *)0);
        return 3;
    }
    return 0;
}
'''


class Suite:
    def __init__(self, braid, directory):
        self.braid = braid
        self.dir = pathlib.Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.passed = self.failed = 0
        source = self.dir / 'program.c'
        source.write_text(PROGRAM)
        self.program = self.dir / 'program'
        self.compile(source, self.program)

    @staticmethod
    def compile(source, program):
        subprocess.run([CROSS, '-O2', '-static', '-w', '-D_GNU_SOURCE', source, '-o', program, '-pthread'],
                       check=True)

    def stats(self, *args, env=None, status=0):
        """The counters that --stats prints, by name."""
        r = self.run('--stats', *args, env=env)
        self.check(f'--stats {args}', r.returncode == status, f'status {r.returncode}: {r.stderr[:300]!r}')
        return {name: int(value) for name, value in re.findall(r'^(\w+) +(\d+)  ', r.stderr, re.M)}

    def run(self, *args, env=None):
        return subprocess.run([self.braid, *map(str, args)], capture_output=True, text=True,
                              timeout=60, env=env)

    def check(self, what, condition, detail=''):
        if condition:
            self.passed += 1
        else:
            self.failed += 1
            print(f'FAILED {what}: {detail}')

    def expect(self, what, args, status, out=None, err=None, env=None):
        r = self.run(*args, env=env)
        good = r.returncode == status
        good = good and (out is None or re.search(out, r.stdout))
        good = good and (err is None or re.search(err, r.stderr))
        self.check(what, good, f'status {r.returncode}, stdout {r.stdout[:300]!r}, '
                               f'stderr {r.stderr[:300]!r}')
        return r

    def one_sentence(self, what, args, status, err):
        r = self.expect(what, args, status, err=err)
        self.check(what + ' (one line)', r.stderr.count('\n') == 1 and not r.stdout, r.stderr)


def options(s):
    p = s.program
    s.one_sentence('no program', [], 2, 'which program')
    s.one_sentence('unknown option', ['-one-insn-per-tbb', p], 2, 'one-insn-per-tb')
    s.one_sentence('option without its value', ['-cpu'], 2, 'cpu')
    s.one_sentence('unknown log item', ['-d', 'in_asn', p], 2, 'in_asm')
    s.one_sentence('bad filter', ['-dfilter', 'zzz', p], 2, 'zzz')
    s.one_sentence('unknown accelerator', ['-accel', 'kvm', p], 2, 'kvm')
    s.one_sentence('unknown accelerator option', ['-accel', 'tcg,tb-sice=1', p], 2, 'tb-size')
    s.one_sentence('bad buffer size', ['-tb-size', '0', p], 2, 'tb-size')
    s.one_sentence('unknown CPU', ['-cpu', 'rv65', p], 2, 'rv64')
    s.one_sentence('unknown extension', ['-cpu', 'rv64,zbz=on', p], 2, 'zb')
    s.expect('help', ['-help'], 0, out='-one-insn-per-tb')
    s.expect('log items', ['-d', 'help'], 0, out='op_opt')
    s.expect('version', ['-version'], 0, out=r'\d+\.\d+')
    s.expect('argv[0]', ['-0', 'other', p], 7, out='argv0=other third=0.333')
    s.expect('two dashes', ['--0', 'other', p], 7, out='argv0=other')
    s.expect('option in the environment', [p], 7, out='argv0=fromenv', env={'BRAID_ARGV0': 'fromenv'})
    s.expect('-E', ['-E', 'BRAID_TEST_VARIABLE=set', p, 'env'], 7, out='^set$')
    s.expect('-U', ['-U', 'BRAID_TEST_VARIABLE', p, 'env'], 7, out='^unset$',
             env={'BRAID_TEST_VARIABLE': 'set'})


def files(s):
    d = s.dir
    s.one_sentence('missing program', [d / 'missing'], 127, 'missing')
    s.one_sentence('a directory', [d], 126, str(d))
    (d / 'empty').write_bytes(b'')
    (d / 'random').write_bytes(bytes(range(256)) * 4)
    elf = s.program.read_bytes()
    (d / 'short').write_bytes(elf[:40])
    (d / 'cut').write_bytes(elf[:2000])
    for name in ['empty', 'random', 'short', 'cut']:
        (d / name).chmod(0o755)
        s.one_sentence(f'{name} file', [d / name], 126, name)
    s.one_sentence('a host program', ['/bin/true'], 126, 'x86-64|riscv64')


def guests_own_mistakes(s):
    r = s.expect('jump to nowhere', [s.program, 'nowhere'], -11, err='signal 11')
    s.check('jump to nowhere (no crash of ours)', 'assert' not in r.stderr, r.stderr)


def looking_inside(s):
    p = s.program
    log = s.dir / 'log'
    for item, text in [('in_asm', r'IN: 0x'), ('op', r'getreg'), ('op_opt', r'after optimization'),
                       ('out_asm', r'OUT: \[size='), ('exec', r'Trace 0'), ('strace', r'exit_group\(7\)'),
                       ('cpu', r'pc'), ('page', r'[0-9a-f]{8}')]:
        r = s.run('-d', item, '-D', log, p)
        s.check(f'-d {item}', r.returncode == 7 and re.search(text, log.read_text()), log.read_text()[:200])
    entry = re.search(r'IN: 0x([0-9a-f]+)', s.run('-d', 'in_asm', p).stderr).group(1)
    r = s.run('-d', 'in_asm', '-dfilter', f'0x{entry}+2', p)
    s.check('-dfilter', r.stderr.count('IN:') == 1, r.stderr[:300])
    s.expect('-strace', ['-strace', p], 7, err=r'write\(1')
    s.expect('--stats', ['--stats', p], 7, err=r'translations +\d+')
    for name in ['qht_hits', 'links', 'invalidations', 'flushes', 'code_bytes', 'translate_ns']:
        s.expect(f'--stats {name}', ['--stats', p], 7, err=name)
    child = subprocess.Popen([s.braid, '-perfmap', p], stdout=subprocess.DEVNULL)
    child.wait()
    perf = pathlib.Path(f'/tmp/perf-{child.pid}.map')
    s.check('-perfmap', perf.exists() and re.match(r'[0-9a-f]+ [0-9a-f]+ guest-', perf.read_text()))
    perf.unlink(missing_ok=True)


def what_is_counted(s):
    # Between the two runs lie 200000 calls through a pointer, and as many returns.
    few, many = (s.stats(s.program, 'calls', n, status=7) for n in ['100000', '300000'])
    more = {name: many[name] - few[name] for name in few}
    s.check('each return is a hit or a miss of the return stack',
            abs(more['return_hits'] + more['return_misses'] - 200000) < 100, more)
    s.check('each indirect jump is a hit or a miss of the jump cache',
            abs(more['jump_cache_hits'] + more['jump_cache_misses'] - more['return_misses'] - 200000) < 100,
            more)
    s.check('returns are predicted, and indirect jumps found',
            more['return_misses'] < 1000 and more['jump_cache_misses'] < 1000, more)
    s.check('what is not found comes back to the run loop', many['lookup_exits'] >= many['jump_cache_misses'],
            many)
    # The loop goes round 9000000 times; nothing else runs a tenth as often.
    r = s.expect('count=on', ['-accel', 'tcg,count=on', '--stats', s.program, 'loop', '9000000'], 7)
    counts = [int(n) for n in re.findall(r'^ +[0-9.]+% +(\d+) +\d+  0x', r.stderr, re.M)]
    s.check('the hottest block is the loop, with its count',
            counts and abs(counts[0] - 9000000) < 10 and max(counts[1:]) < 900000, counts)
    s.check('--stats names blocks only with count=on',
            'hottest' not in s.run('--stats', s.program).stderr)


def how_often_code_is_translated(s):
    few, many = (s.stats(s.program, 'loop', n, status=7) for n in ['1000000', '9000000'])
    s.check('a loop is translated once, however often it goes round',
            few['translations'] == many['translations'], f'{few} {many}')
    s.check('a loop does not leave generated code', many['exits'] <= few['exits'] + 10, f'{few} {many}')

    # Rounds of 64 threads that are let go into code that nobody has run: each block once.
    fresh = s.dir / 'fresh-code'
    s.compile(pathlib.Path(__file__).parent.parent / 'user/fresh-code.c', fresh)
    log = s.dir / 'log'
    env = dict(os.environ, TEST_SCALE='10')
    s.expect('fresh code', ['-d', 'in_asm', '-D', log, fresh], 0, env=env)
    blocks = [b for b in log.read_text().split('----------------\n')
              if int((re.match(r'IN: 0x([0-9a-f]+)', b) or re.match('()', '')).group(1) or '0', 16) >= 1 << 28]
    counts = collections.Counter(blocks)
    twice = [b for b in counts if counts[b] > 1]
    s.check('fresh code is seen by the log', len(counts) >= 10 * 64 + 10, len(counts))
    s.check('fresh code is translated once', not twice, f'{len(twice)} of {len(counts)}: {twice[:1]}')


def other_ways_to_run(s):
    p = s.program
    out = 'third=0.333'
    for args in [['-one-insn-per-tb'], ['-accel', 'interp'], ['--lockstep'], ['-tb-size', '1'],
                 ['-accel', 'tcg,opt=0'], ['-accel', 'tcg,verify=on'], ['-accel', 'tcg,ras=off'],
                 ['-accel', 'tcg,jump-cache=off'], ['-accel', 'tcg,pinning=off'],
                 ['-accel', 'tcg,bmi2=off,fma=off,avx=off,lzcnt=off'], ['-accel', 'tcg,max-insns=3'],
                 ['-accel', 'tcg,llsc=strict'], ['-accel', 'tcg,count=on'], ['-accel', 'tcg,translate=serial'],
                 ['-cpu', 'rv64,zba=off,zbb=off'], ['-cpu', 'max'], ['-B', '0x200000000000']]:
        s.expect(' '.join(args), [*args, p], 7, out=out)


def failed_assertion(s):
    """It says what the guest was doing.  There is no bug to call on: a debugger makes one."""
    if not shutil.which('gdb'):
        return
    r = subprocess.run(['gdb', '-nx', '-batch', '-ex', 'handle SIGSEGV nostop noprint pass', '-ex', 'break sys_exit_group',
                        '-ex', 'run', '-ex', 'call (void)error_bug("a.c", 1, "f", "%s", "a mistake")', '-ex', 'kill',
                        '--args', s.braid, str(s.program)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    text = r.stdout + r.stderr
    # exit_group is call 94
    s.check('a failed assertion', re.search(r'bug in braid: a\.c:1: f: a mistake\n(.*\n)*.* x17/a7 +0*5e ', text), text)


def sysroot_that_moves(s):
    """-L after the guest has changed its directory or its root."""
    source, program = s.dir / 'mover.c', s.dir / 'mover'
    source.write_text(MOVER)
    s.compile(source, program)
    root, other = s.dir / 'root', s.dir / 'other'
    for d, text in (root, 'root'), (other, 'other'):
        (d / 'lib').mkdir(parents=True, exist_ok=True)
        (d / 'lib/only-here').write_text(text)
        shutil.copy(program, d / 'lib/mover')
    relative = os.path.relpath(root)
    s.expect('a relative -L survives chdir()', ['-L', relative, program, '/', '/lib/mover'], 0, '^root\nroot\n$')
    user = [] if os.geteuid() == 0 else ['unshare', '-Ur']
    if user and subprocess.run([*user, 'true'], capture_output=True).returncode:
        return
    r = subprocess.run([*user, s.braid, '-L', root, program, '/', '/lib/mover', other.resolve()],
                       capture_output=True, text=True, timeout=60)
    s.check('-L ends with chroot()', r.returncode == 0 and r.stdout == 'root\nother\n', f'{r}')


def main():
    s = Suite(sys.argv[1], sys.argv[2])
    for part in [options, files, guests_own_mistakes, looking_inside,
                 what_is_counted, how_often_code_is_translated, other_ways_to_run,
                 failed_assertion, sysroot_that_moves]:
        part(s)
    print(f'{s.passed} passed, {s.failed} failed')
    sys.exit(1 if s.failed else 0)


main()
