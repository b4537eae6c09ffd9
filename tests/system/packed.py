#!/usr/bin/env python3
"""Packed kernels are unpacked: gzip, and EFI zboot with gzip, zstd and xz payloads.

usage: packed.py EMULATOR...

The kernel is a Linux Image that writes to the board's test device: exit status 7.
"""
import gzip
import lzma
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

# lui t0, 0x100; lui t1, 0x73; addi t1, t1, 0x333 (t1 = 7 << 16 | 0x3333); sw t1, 0(t0); j .
CODE = struct.pack('<5I', 0x001002b7, 0x00073337, 0x33330313, 0x0062a023, 0x0000006f)


def image():
    """64 bytes of header, whose first instruction jumps over it; then noise that packs badly, and the code."""
    head = struct.pack('<IIQQQIIQQ4sI', 0x0400006f, 0, 0x200000, 0x200000, 0, 2, 0, 0, 0, b'RSC\5', 0)
    return head + CODE + bytes(i * i % 251 for i in range(1 << 20))


def zboot(payload, kind):
    return (b'MZ\0\0zimg' + struct.pack('<II', 64, len(payload)) + bytes(8) + kind.ljust(32, b'\0') + bytes(8) + payload)


def main():
    kernels = {
        'plain': image(),
        'gz': gzip.compress(image()),
        'zboot-gzip': zboot(gzip.compress(image()), b'gzip'),
        'zboot-xz': zboot(lzma.compress(image(), check=lzma.CHECK_CRC32), b'xzkern'),
    }
    if shutil.which('zstd'):
        packed = subprocess.run(['zstd', '-qc'], input=image(), capture_output=True, check=True).stdout
        kernels['zboot-zstd'] = zboot(packed, b'zstd22')
        kernels['zboot-zstd-padded'] = zboot(packed + bytes(8), b'zstd22')
    failed = 0
    with tempfile.TemporaryDirectory() as directory:
        for name, data in kernels.items():
            file = pathlib.Path(directory) / name
            file.write_bytes(data)
            r = subprocess.run([*sys.argv[1:], '-nographic', '-kernel', file], stdin=subprocess.DEVNULL,
                               capture_output=True, timeout=60)
            if r.returncode != 7:
                failed += 1
                print(f'{name}: exit status {r.returncode}, {r.stderr[-300:]}')
    print(f'{len(kernels) - failed} passed, {failed} failed')
    sys.exit(1 if failed else 0)


main()
