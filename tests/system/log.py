#!/usr/bin/env python3
"""-d: each item says what -d help promises, on the kernel kernels/log.c.

usage: log.py EMULATOR...
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'lib'))
from checks import check, finish  # noqa: E402
from kernels import GCC, build  # noqa: E402

EMULATOR = sys.argv[1:]
ITEMS = {
    'int': [r'S->S exception 5 \(load access fault\).*tval 0x8000000', r'S->S exception 7 \(store access fault\)'],
    'mmu': [r'mmu: hart 0 S fetch 0x0000000080200000 -> 0x80200000', r'mmu: flush of 0x12345000', r'mmu: flush of '],
    'in_asm': [r'IN: ', r'0x[0-9a-f]{16}:  120[0-9a-f]8073    sfence\.vma'],
    'op': [r'OP:', r'unit 0x80200000'],
    'op_opt': [r'OP after optimization:', r'unit 0x80200000'],
    'out_asm': [r'OUT: \[size=\d+\]', r'0x[0-9a-f]+:  +mov'],
    'exec': [r'Trace 0: 0x[0-9a-f]+ \[0x0000000080200000/'],
    'cpu': [r'hart 0, mode S', r'pc +0000000080200000', r'x10/a0 +0000000000000000', r'satp +0000000000000000'],
    'guest_errors': [r'load at 0x8000000, where nothing is', r'store at 0x8000000, where nothing is'],
    'unimp': [r'sbi: extension 0xbadc0de, function 3'],
}


def main():
    if not shutil.which(GCC):
        print(GCC + ' is missing')
        sys.exit(77)
    with tempfile.TemporaryDirectory() as directory:
        kernel = build('log', directory + '/log', sbi=True)
        for item, patterns in ITEMS.items():
            log = directory + '/' + item
            r = subprocess.run([*EMULATOR, '-M', 'virt', '-display', 'none', '-kernel', kernel, '-d', item, '-D', log],
                               stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
            with open(log, encoding='latin-1') as f:
                text = f.read()
            missing = [p for p in patterns if not re.search(p, text)]
            # and nothing of what was not asked for
            other = [i for i, p in ITEMS.items() if i != item and item not in ('op', 'op_opt') and re.search(p[0], text)
                     and i not in ('op', 'op_opt')]
            check(f'-d {item}', r.returncode == 0 and not missing and not other and not r.stdout,
                  f'status {r.returncode}, missing {missing}, also {other}, {r.stdout}\n{text[:1500]}')
    finish()


main()
