#!/usr/bin/env python3
"""-icount: how many instructions a bare-metal test executes does not depend on how they are translated.

usage: counts.py EMULATOR

Units of one instruction, of five, without links, with a buffer that is flushed again and again, and the interpreter:
interrupts come at the same instructions under each, so the sums are equal.
"""
import re
import sys
import tempfile

import run

VARIANTS = [[], ['-one-insn-per-tb'], ['-accel', 'tcg,max-insns=5'], ['-accel', 'tcg,opt=0,ras=off,jump-cache=off'],
            ['-d', 'nochain'], ['-tb-size', '1'], ['-accel', 'interp']]


def count(elf, harts, shift, emulator):
    r = run.run(elf, harts, [*emulator, '-icount', f'shift={shift},sleep=off', '--stats'])
    found = re.search(rb'^insns_executed +(\d+)', r.stderr, re.M)
    if r.returncode or not r.stdout.endswith(b'ok\n') or not found:
        return f'exit status {r.returncode}, {r.stdout[-200:]!r} {r.stderr[-200:]!r}'
    return int(found.group(1))


def main():
    passed = failed = 0
    with tempfile.TemporaryDirectory() as directory:
        for name, harts in ('traps', '1'), ('mmu', '1'), ('irq', '1'), ('smp', '4'):
            elf = run.build(name, directory)
            for shift in '0', '3':
                counts = [count(elf, harts, shift, [*sys.argv[1:], *v]) for v in VARIANTS]
                for variant, n in zip(VARIANTS, counts):
                    if n == counts[0] and isinstance(n, int):
                        passed += 1
                    else:
                        failed += 1
                        print(f'{name} shift={shift} {" ".join(variant)}: {n} instructions, not {counts[0]}')
    print(f'{passed} passed, {failed} failed')
    sys.exit(1 if failed or not passed else 0)


main()
