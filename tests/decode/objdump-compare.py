#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compare the generated disassembler with binutils' objdump.

  objdump-compare.py DECODE_DUMP 16|32

16: all 65536 encodings.  32: every opcode, and in the opcodes that are decoded by them
every funct3/funct7/rs2, with random registers; about 220,000 instructions.

Where the two differ, the difference must be in one of the three lists below.
"""

import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile

# Mnemonics that objdump 2.40 does not know; tests/decode/encodings.txt checks these
# against the manual instead.  A newer objdump that knows them is compared in full.
NOT_IN_OBJDUMP = re.compile(
    r'(fli|fminm|fmaxm|fround|froundnx|fleq|fltq)\.[sdh]$|fcvtmod\.w\.d$'
    r'|amocas\.|amo(add|swap|xor|or|and|min|max|minu|maxu)\.[bh](\.|$)'
    r'|(c\.)?ntl\.|czero\.|(c\.)?mop\.|c\.(lbu|lhu|lh|sb|sh|zext|sext|not|mul)(\.|$)')

# Given to the assembler as far as it knows them, so that objdump decodes them.
TRY_EXTENSIONS = """zba zbb zbs zbc zbkb zicond zicbom zicboz zicbop zfh zfa zacas zabha
    zawrs zihintpause zihintntl zcb zimop zcmop svinval zifencei zicsr"""

# Mnemonics of extensions that braid has not: vector, scalar crypto, hypervisor, quad,
# vendor extensions, debug mode, RV32-only.
NOT_OURS = re.compile(
    r'v|th\.|aes|sha|sm[34]|xperm|h(fence|inval|lv|sv)|flq|fsq|f.*\.q(\.|$)|[duh]ret'
    r'|(un)?zip$|cbo|csrr|fmv\.[xs]\.[xs]$|sfence\.vm$|fcvt\.(x|xu)\.')


def same_meaning(word, ours, theirs):
    """Accepted differences in spelling or in what is reserved."""
    if (ours, theirs) == ('c.nop', 'c.addi\tzero,0'):
        return True
    m = re.match(r'c\.(sll|srl|sra)i64\t(\w+)$', theirs)
    if m:                                   # a shift by 0 is a hint
        return ours == 'c.%si\t%s,0x0' % m.groups()
    if theirs == 'c.addi16sp\tsp,0':       # reserved
        return ours.startswith('.')
    if word & 0x707f in (0x0f, 0x100f) and theirs.startswith('.'):
        return ours.startswith('fence')     # fields that must be ignored are not zero
    if re.match(r'fcvt\.(s\.h|d\.[shw]|d\.wu)\t', ours) and theirs.startswith('.'):
        return (word >> 12 & 7) in (1, 2, 3, 4, 7)  # a mode without effect
    if word == 0xc0001073 and theirs == 'unimp':
        return ours == 'csrrw\tzero,cycle,zero'
    m = re.match(r'(csrr\w+\t\w+,)(\w+)(,.*)', theirs)
    if m and re.match(r'h|vs|mscontext$|.*h$', m[2]):  # hypervisor's, RV32's high halves
        return ours == m[1] + '0x%x' % (word >> 20) + m[3]
    if 'unknown' in theirs and re.search(r',unknown$', theirs) \
            and not theirs.startswith('fence'):
        return ours.startswith('.')         # reserved rounding mode: illegal for us
    return False


def words16():
    return list(range(65536))


def words32(rng):
    def regs():
        rd, rs1 = rng.getrandbits(5), rng.getrandbits(5)
        return (rd if rng.random() > 0.25 else 0) << 7 \
            | (rs1 if rng.random() > 0.25 else 0) << 15

    full = {0x04, 0x06, 0x14, 0x1c}         # decode the rs2 field, too
    some = {0x03, 0x0b, 0x0c, 0x0e}
    out = []
    for opcode in range(32):
        low = opcode << 2 | 3
        if opcode in full or opcode in some:
            for high in range(4096):
                if opcode in some and high % 32 and rng.random() > 0.1:
                    continue
                for funct3 in range(8):
                    out.append(high << 20 | funct3 << 12 | regs() | low)
        elif opcode & 7 != 7:               # those are longer than 32 bits
            for high in range(128):
                for funct3 in range(8):
                    for _ in range(2):
                        out.append(high << 25 | rng.getrandbits(5) << 20 | funct3 << 12
                                   | regs() | low)
    # Fields that only zero registers reach.
    for funct3 in range(8):
        for high in range(4096):
            out.append(high << 20 | funct3 << 12 | 0x73)
    return out


def objdump(data):
    """Disassemble data as the text section of an object with all extensions."""
    tool = 'riscv64-linux-gnu-'
    with tempfile.TemporaryDirectory() as d:
        raw, obj = os.path.join(d, 'raw'), os.path.join(d, 'obj')
        with open(raw, 'wb') as f:
            f.write(data)
        march = 'rv64gc'
        for ext in TRY_EXTENSIONS.split():
            args = [tool + 'as', '-march=%s_%s' % (march, ext), '-o', obj, '-']
            if subprocess.run(args, input=b'', stderr=subprocess.DEVNULL).returncode == 0:
                march += '_' + ext
        subprocess.run([tool + 'as', '-march=' + march, '-o', obj, '-'], input=b'nop\n',
                       check=True)
        subprocess.run([tool + 'objcopy', '--update-section', '.text=' + raw, obj],
                       check=True)
        text = subprocess.run([tool + 'objdump', '-D', '-z', '-j', '.text', '-M',
                               'no-aliases', obj], check=True,
                              stdout=subprocess.PIPE).stdout.decode()
    out = {}
    for m in re.finditer(r'^ *([0-9a-f]+):\t[0-9a-f ]+\t(.*)$', text, re.M):
        s = re.sub(r'\s+#.*$', '', m[2]).strip()
        out[int(m[1], 16)] = re.sub(r'([0-9a-f]+) <[^>]*>$', r'0x\1', s)
    return out


def main():
    dump, width = sys.argv[1], int(sys.argv[2])
    if not shutil.which('riscv64-linux-gnu-objdump'):
        return 77
    words = words16() if width == 16 else words32(random.Random(1))
    if width == 16:
        words = [w for w in words if w & 3 != 3]
    fmt = '<H' if width == 16 else '<I'
    data = b''.join(struct.pack(fmt, w) for w in words)
    theirs = objdump(data)
    ours = subprocess.run([dump, str(width)], input=data, check=True,
                          stdout=subprocess.PIPE).stdout.decode().split('\n')
    bad, both, gaps = 0, 0, 0
    for i, word in enumerate(words):
        t, o = theirs.get(i * width // 8), ours[i]
        if t is None:
            print('objdump printed nothing for %x' % word)
            return 1
        t_legal = not re.match(r'\.|0x|unimp|c\.unimp', t)
        o_legal = not o.startswith('.')
        if t_legal and o_legal and t == o:
            both += 1
        elif not t_legal and not o_legal:
            pass
        elif o_legal and not t_legal and NOT_IN_OBJDUMP.match(o.split('\t')[0]):
            gaps += 1
        elif t_legal and not o_legal and NOT_OURS.match(t.split('\t')[0]):
            gaps += 1
        elif o_legal and t_legal and NOT_IN_OBJDUMP.match(o.split('\t')[0]):
            gaps += 1
        elif same_meaning(word, o, t):
            gaps += 1
        else:
            bad += 1
            if bad <= int(os.environ.get('MAX_DIFF', 20)):
                print('%0*x: objdump %r, braid %r' % (width // 4, word, t, o))
    print('%d encodings: %d agree as instructions, %d listed differences, %d bad'
          % (len(words), both, gaps, bad))
    floor = 40000 if width == 16 else 90000
    return 1 if bad or both < floor else 0


sys.exit(main())
