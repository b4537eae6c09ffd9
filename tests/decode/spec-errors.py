#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""spec-errors.py DECODETREE: malformed specs are refused with line and reason."""

import os
import subprocess
import sys
import tempfile

HEAD = '%rd 7:5\n%a 2:2\n&one rd\n@one ........ ........ &one %rd\n'
CASES = [
    # spec, expected in the message (None: accepted)
    ('x 0000.....0000000 @one ext=i', None),
    ('x 0000.....0000000 @one ext=i\ny 00001....0000000 @one ext=i',
     ':6: error: y overlaps x'),
    ('{\nx 0000.....0000000 @one ext=i\ny 00001....0000000 @one ext=i\n}',
     'y can never match'),
    ('{\nx 00001....0000000 @one ext=i\ny 0000.....0000000 @one ext=i\n}', None),
    ('{\nx 0000.....0000000 @one ext=m\ny 00001....0000000 @one ext=i\n}', None),
    ('{\nx 0000.....0000000 @one ext=i when="rd != 0"\ny 00001....0000000 @one ext=i\n}',
     None),
    ('{\n[\nx 0000.....0000000 @one ext=i\ny 00001....0000000 @one ext=i\n]\n}',
     'y overlaps x'),
    ('{\nx 00001....0000000 @one ext=i\n', 'group is never closed'),
    ('}', 'unmatched }'),
    ('[\nx 0000.....0000000 @one ext=i\n]', 'only meaningful'),
    ('x 0000.....000000 @one ext=i', '15 bits given'),
    ('x 0000.....0000000 @two ext=i', 'unknown format @two'),
    ('x 0000.....0000000 @one ext=q', "unknown extension 'q'"),
    ('x 0000.....0000000 @one ext=i&', 'ends too early'),
    ('x 0000.....0000000 @one ext=(i|m', 'missing )'),
    ('x 0000.....0000000 @one', 'no ext='),
    ('x 0000.....00000.0 @one ext=i', 'operand bits 0x2 belong to no field'),
    ('x 0000.....0000000 &one ext=i', 'member rd of &one has no value'),
    ('x 0000.....00000.0 @one %a ext=i', 'has no member a'),
    ('x 0000.....0000000 @one ext=i asm="x {rs}"', '{rs} in asm is no member'),
    ('x 0000.....0000000 @one ext=i when="rs == 1"', 'rs in when is no member'),
    ('x 0000.....0000000 @one ext=i rd=%b', 'unknown field %b'),
    ('x 0000.....0000000 @one ext=i rd', "cannot understand 'rd'"),
    ('%rd 1:1', 'defined twice'),
    ('%b 1:2 2:1', 'overlaps an earlier one'),
    ('%b 1:2 3:s1', 'only the first segment may be signed'),
    ('%b 30:3', 'outside the instruction'),
    ('&two a\nx 0000.....0000000 @one ext=i\nx 000100000000..00 &two %a ext=i',
     'takes &two here but &one'),
    ('&one rd rs', 'differs from its definition'),
]


def main():
    tool, bad = sys.argv[1], 0
    with tempfile.TemporaryDirectory() as d:
        path, exts = os.path.join(d, 'spec'), os.path.join(d, 'exts')
        with open(exts, 'w') as f:
            f.write('EXT(i, I, 0, -1)\nEXT(m, M, 0, -1)\n')
        for text, want in CASES:
            with open(path, 'w') as f:
                f.write(HEAD + text + '\n')
            p = subprocess.run([sys.executable, tool, '--prefix', 'x', '--extensions',
                                exts, '--decode', os.path.join(d, 'out.c'), path],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            message = p.stderr.decode()
            if want is None:
                ok = p.returncode == 0 and not message
            else:
                ok = (p.returncode == 1 and want in message
                      and message.startswith(path + ':'))
            if not ok:
                bad += 1
                print('%r: expected %r, got %d %r' % (text, want, p.returncode, message))
    return 1 if bad else 0


sys.exit(main())
