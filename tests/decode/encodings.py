#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""encodings.py DECODE_DUMP encodings.txt: hand-written encodings disassemble as told."""

import struct
import subprocess
import sys


def main():
    dump, path = sys.argv[1:]
    count = bad = 0
    with open(path) as f:
        for number, line in enumerate(f, 1):
            line = line.split('#')[0].strip()
            if not line:
                continue
            left, want = [s.strip() for s in line.split('=>')]
            words = left.split()
            off = [w for w in words if w.startswith('-')]
            bits = ''.join(w for w in words if not w.startswith('-'))
            assert len(bits) in (16, 32), 'line %d: %d bits' % (number, len(bits))
            data = struct.pack('<H' if len(bits) == 16 else '<I', int(bits, 2))
            got = subprocess.run([dump, str(len(bits))] + off, input=data, check=True,
                                 stdout=subprocess.PIPE).stdout.decode().strip()
            got = got.replace('\t', ' ')
            if len(bits) == 32 and not bits.endswith('11'):
                got = '.'               # a 16-bit word: no 32-bit instruction
            count += 1
            if got != want and not (want == 'illegal' and got.startswith('.')):
                bad += 1
                print('%s:%d: %s: got %r' % (path, number, line, got))
    print('%d encodings, %d bad' % (count, bad))
    return 1 if bad or count < 50 else 0


sys.exit(main())
