#!/usr/bin/env python3
"""Compile layout.c for the host and for the guest and compare the two tables.

usage: check-layout.py HOST-CC GUEST-CC SOURCE-ROOT
Exit status 77 if there is no compiler for the guest.
"""
import os
import shutil
import struct
import subprocess
import sys
import tempfile

ROW = struct.Struct('<88sQ')


def section(path, wanted):
    """The bytes of a section of an ELF64 little-endian object."""
    data = open(path, 'rb').read()
    shoff, = struct.unpack_from('<Q', data, 40)
    shentsize, shnum, shstrndx = struct.unpack_from('<HHH', data, 58)
    headers = [struct.unpack_from('<IIQQQQ', data, shoff + i * shentsize) for i in range(shnum)]
    names = headers[shstrndx][4]
    for name, _, _, _, offset, size in headers:
        start = names + name
        if data[start:data.index(b'\0', start)] == wanted:
            return data[offset:offset + size]
    raise SystemExit(f'{path}: no section {wanted.decode()}')


def table(compiler, flags, root, work, tag):
    out = os.path.join(work, tag + '.o')
    source = os.path.join(root, 'tests/linux-user/layout.c')
    subprocess.run([compiler, '-std=gnu11', '-D_GNU_SOURCE', '-I' + os.path.join(root, 'src'),
                    '-c', source, '-o', out] + flags, check=True)
    return {name.split(b'\0')[0].decode(): value
            for name, value in ROW.iter_unpack(section(out, b'layout'))}


def main():
    host_cc, guest_cc, root = sys.argv[1:]
    if not shutil.which(guest_cc):
        print(f'no {guest_cc}')
        return 77
    with tempfile.TemporaryDirectory() as work:
        guest = table(guest_cc, ['-DGUEST_HEADERS'], root, work, 'guest')
        host = table(host_cc, [], root, work, 'host')
    assert guest.keys() == host.keys() and len(guest) > 100
    wrong = [n for n in guest if guest[n] != host[n]]
    for name in wrong:
        print(f'{name}: guest {guest[name]:#x}, here {host[name]:#x}')
    print(f'{len(guest) - len(wrong)} passed, {len(wrong)} failed')
    return 1 if wrong else 0


sys.exit(main())
