#!/usr/bin/env python3
"""Write the seeds of the fuzz targets: small inputs that get past the first checks.

usage: make-corpus.py DIRECTORY
"""
import gzip
import pathlib
import struct
import sys

out = pathlib.Path(sys.argv[1])


def put(target, name, data):
    (out / target).mkdir(parents=True, exist_ok=True)
    (out / target / name).write_bytes(data)


# ---- images: a byte that says what it is, then the file ----
CODE = struct.pack('<I', 0x6f)
IMAGE = struct.pack('<IIQQQIIQQ4sI', 0x6f, 0, 0x200000, 4096, 0, 2, 0, 0, 0, b'RSC\5', 0) + bytes(64)


def elf(paddr, segments=1):
    head = (b'\x7fELF\2\1\1' + bytes(9) +
            struct.pack('<HHIQQQIHHHHHH', 2, 243, 1, paddr, 64, 0, 0, 64, 56, segments, 0, 0, 0))
    ph = struct.pack('<IIQQQQQQ', 1, 5, 64 + 56 * segments, paddr, paddr, 4, 4096, 4096)
    return head + ph * segments + CODE


def tree(structure, strings=b''):
    total = 56 + len(structure) + len(strings)
    return struct.pack('>10I', 0xd00dfeed, total, 56, 56 + len(structure), 40, 17, 16, 0, len(strings),
                       len(structure)) + bytes(16) + structure + strings


def cells(*values):
    return struct.pack(f'>{len(values)}I', *values)


PACKED = gzip.compress(IMAGE, mtime=0)
put('images', 'image', b'\0' + IMAGE)
put('images', 'image-gz', b'\0' + PACKED)
put('images', 'zboot', b'\0MZ\0\0zimg' + struct.pack('<II', 64, len(PACKED)) + bytes(8) + b'gzip'.ljust(40, b'\0') + PACKED)
put('images', 'elf', b'\0' + elf(0x80000000))
put('images', 'elf-low', b'\1' + elf(0, 2))
put('images', 'firmware', b'\2' + CODE)
put('images', 'firmware-elf', b'\2' + elf(0x80000000))
put('images', 'tree', b'\x0f' + tree(cells(1, 0, 2, 9)))
put('images', 'tree-chosen', b'\x0f' + tree(
    cells(1, 0, 3, 4, 0, 2, 1) + b'chosen\0\0' + cells(3, 5, 14) + b'abcd\0\0\0\0' + cells(2, 2, 9),
    b'#size-cells\0\0\0bootargs\0'))

# ---- options ----
for i, text in enumerate(['file=disk.img,if=virtio,readonly=on,id=d0', 'name,file=a,,b,size=4K,n=-3', 'if=scsi,port=22',
                          '-smp\n4\n-m=2G\n--drive\nfile=x\nrest', '-S\n-device=virtio,drive=d', 'port=65536,readonly',
                          '=,a=,,,', 'size=99999999999999999999']):
    put('options', f'list-{i}', text.encode())

# ---- devices: steps as devices.c reads them ----


def step(op, device=0, queue=0):
    return bytes([op | queue << 4 | device << 5])


def desc(queue, i, flags, following, at, length):
    """A descriptor that points at the data area."""
    return step(5, 0, queue) + bytes([flags, i, following, 3]) + struct.pack('<H', at) + bytes([8 + 8]) + \
        struct.pack('<H', length)


def header(at, kind, sector):
    return step(10) + struct.pack('<H', at) + struct.pack('<IIQ', kind, 0, sector)


NEXT, WRITE, INDIRECT = 1, 2, 4
for kind, name in [(0, 'read'), (1, 'write'), (4, 'flush'), (8, 'id'), (11, 'discard'), (13, 'zeroes')]:
    data = WRITE if kind in (0, 8) else 0
    put('devices', f'blk-{name}', step(4) + header(0, kind, 1) + desc(0, 0, NEXT, 1, 0, 16) +
        desc(0, 1, NEXT | data, 2, 64, 512 if kind < 8 else 32 if kind == 8 else 16) + desc(0, 2, WRITE, 0, 8000, 1) +
        step(8) + b'\0' + step(15))
put('devices', 'blk-indirect', step(4) + step(10) + struct.pack('<H', 0) + struct.pack('<QIHH', 0x80020100, 16, 1, 1) +
    desc(0, 0, INDIRECT, 0, 0, 32) + step(8) + b'\0')
put('devices', 'blk-loop', step(4) + desc(0, 0, NEXT, 1, 0, 16) + desc(0, 1, NEXT, 0, 0, 16) + step(8) + b'\0')
put('devices', 'rng', step(4, 1) + desc(0, 3, WRITE, 0, 0, 300) + step(8, 1) + b'\3' + step(9, 1) + b'\3')
put('devices', 'console', step(4, 2) + desc(1, 0, 0, 0, 0, 100) + step(8, 2, 1) + b'\0' + step(14, 2) + b'\0')
put('devices', 'net-out', step(4, 3) + desc(1, 0, 0, 0, 0, 100) + step(8, 3, 1) + b'\0' + step(13))
put('devices', 'net-in', step(4, 3) + desc(0, 0, WRITE, 0, 0, 60) + step(8, 3) + b'\0' + step(12) + b'\x80\0')
accesses = b''
for place in range(15):
    for size in range(4):
        accesses += step(3) + bytes([place, size, 16 * size]) + step(0) + bytes([place, size, 16 * size]) + b'\xff' * (1 << size)
put('devices', 'accesses', accesses)
put('devices', 'pci-bar', step(0) + bytes([13, 2, 0x20]) + struct.pack('<I', 0x40004000) + step(0) +
    bytes([13, 2, 4]) + struct.pack('<I', 6) + step(3) + bytes([11, 2, 0]))
