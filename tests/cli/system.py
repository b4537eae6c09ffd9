#!/usr/bin/env python3
"""Files and options that braid-system-riscv64 cannot use: one sentence that names what is wrong, and an exit status.

usage: system.py BRAID DIRECTORY     (DIRECTORY: for the files that it makes)

Each row is (what, options, status, regular expression for the sentence); K stands for a kernel that is fine
until its first instruction.  A row must end by itself, say nothing on standard output and one line on
standard error.
"""
import gzip
import os
import pathlib
import random
import re
import struct
import subprocess
import sys
import zlib

DRAM = 0x80000000


def image(size=64, image_size=4096, flags=0, magic=b'RSC\5'):
    """Linux's Image header; the first instruction jumps to itself."""
    head = struct.pack('<IIQQQIIQQ4sI', 0x6f, 0, 0x200000, image_size, flags, 2, 0, 0, 0, magic, 0)
    return head + bytes(size - len(head))


def elf(machine=243, paddr=DRAM, offset=120, filesz=4, memsz=4, entry=DRAM, phnum=1, phoff=64, elfclass=2,
        phentsize=56):
    ident = b'\x7fELF' + bytes([elfclass, 1, 1]) + bytes(9)
    head = ident + struct.pack('<HHIQQQIHHHHHH', 2, machine, 1, entry, phoff, 0, 0, 64, phentsize, phnum, 0, 0, 0)
    return head + struct.pack('<IIQQQQQQ', 1, 5, offset, paddr, paddr, filesz, memsz, 4096) + struct.pack('<I', 0x6f)


def zboot(payload, kind=b'gzip', offset=64, size=None):
    return (b'MZ\0\0zimg' + struct.pack('<II', offset, len(payload) if size is None else size) + bytes(8) +
            kind.ljust(32, b'\0') + bytes(8) + payload)


def tree(size=None, magic=0xd00dfeed, version=17, root=True):
    """A device tree with a root and nothing in it."""
    structure = struct.pack('>IIII', 1, 0, 2, 9) if root else struct.pack('>I', 9)
    total = 40 + 16 + len(structure)
    head = struct.pack('>10I', magic, total if size is None else size, 56, total, 40, version, 16, 0, 0,
                       len(structure))
    return head + bytes(16) + structure


def packed_zeros(mib):
    z = zlib.compressobj(1, wbits=31)
    return b''.join(z.compress(bytes(1 << 20)) for _ in range(mib)) + z.flush()


def make_files(d):
    rng = random.Random(1)
    noise = bytes(rng.randrange(256) for _ in range(5000))
    packed = gzip.compress(image(8192, 8192))
    contents = {
        'K': image(), 'empty': b'', 'one': b'x', 'noise': noise, 'zeros': bytes(5000),
        'elf-cut': elf()[:40], 'elf-no-segments': elf(phnum=0), 'elf-other': elf(machine=62),
        'elf-32': elf(elfclass=1), 'elf-phdrs': elf(phoff=1 << 40), 'elf-phdrs-many': elf(phnum=65535),
        'elf-phentsize': elf(phentsize=1), 'elf-offset': elf(offset=1 << 60), 'elf-filesz': elf(filesz=1 << 63),
        'elf-mem-small': elf(filesz=4, memsz=2), 'elf-huge': elf(memsz=1 << 50), 'elf-wraps': elf(memsz=2**64 - 1),
        'elf-above': elf(paddr=1 << 56, entry=1 << 56), 'elf-entry': elf(entry=0x1234),
        'image-huge': image(image_size=1 << 62), 'image-be': image(flags=1), 'image-magic': image(magic=b'RSC\4'),
        'gz-cut': packed[:-20], 'gz-damaged': packed[:20] + b'\xff\xff\xff' + packed[23:],
        'gz-head': packed[:18], 'gz-noise': gzip.compress(noise), 'gz-bomb': packed_zeros(300),
        'zboot-cut': zboot(packed, size=1 << 30), 'zboot-offset': zboot(packed, offset=0xfffffff0),
        'zboot-kind': zboot(packed, b'lzo'), 'zboot-zstd': zboot(noise, b'zstd22'), 'zboot-xz': zboot(noise, b'xzkern'), 'zboot-noise': zboot(noise),
        'dtb-cut': tree(size=4000), 'dtb-magic': tree(magic=1), 'dtb-version': tree(version=1),
        'dtb-rootless': tree(root=False), 'dtb-head': tree()[:20], 'dtb-size0': tree(size=0),
        'disk': bytes(4096), 'disk-small': bytes(100), 'disk-qcow2': b'QFI\xfb' + bytes(4096),
    }
    for name, data in contents.items():
        (d / name).write_bytes(data)
    for name, size in [('huge', 8 << 40), ('large', 200 << 20)]:
        with open(d / name, 'wb') as f:
            f.truncate(size)
    with open(d / 'huge-gz', 'wb') as f:
        f.write(packed[:30])
        f.truncate(8 << 40)
    (d / 'directory').mkdir(exist_ok=True)
    if not (d / 'fifo').exists():
        os.mkfifo(d / 'fifo')
    (d / 'secret').unlink(missing_ok=True)
    (d / 'secret').write_bytes(image())
    (d / 'secret').chmod(0)
    if not (d / 'loop').is_symlink():
        (d / 'loop').symlink_to('loop')


# What goes wrong with any file, and how it is said.
UNUSABLE = [('missing', 'No such file'), ('empty', 'is empty'), ('directory', 'not a regular file|neither a file|directory'),
            ('fifo', 'not a regular file|neither a file'), ('loop', 'symbolic links'), ('secret', 'Permission denied'),
            ('/dev/null', 'not a regular file|neither a file'), ('/dev/zero', 'not a regular file|neither a file'),
            ('disk/inside', 'Not a directory')]

FILES = [(f'-{option} {name}', before + [f'-{option}', name], 2, f"{what} '{name}'.*({why})")
         for option, what, before in [('kernel', 'kernel', []), ('bios', 'firmware', []),
                                      ('initrd', 'initrd', ['-kernel', 'K']), ('dtb', 'device tree', ['-kernel', 'K'])]
         for name, why in UNUSABLE] + [
    (f'-drive file={name}', ['-kernel', 'K', '-drive', f'file={name}'], 2, f"image '{name}'.*({why})")
    for name, why in UNUSABLE] + [
    (f'-drive file={name} read-only', ['-kernel', 'K', '-drive', f'file={name},readonly=on'], 2,
     f"image '{name}'.*({why})") for name, why in UNUSABLE]

DAMAGED = [(f'-kernel {name}', ['-bios', 'none', '-kernel', name], 2, f"'{name}'.*{why}") for name, why in [
    ('one', 'no kernel'), ('noise', 'no kernel'), ('zeros', 'no kernel'), ('large', 'no kernel'),
    ('huge', 'larger than RAM'), ('huge-gz', 'larger than RAM'),
    ('elf-cut', 'ends within its header'), ('elf-no-segments', 'nothing to load'), ('elf-other', 'not for 64-bit RISC-V'),
    ('elf-32', 'not for 64-bit RISC-V'), ('elf-phdrs', 'damaged'), ('elf-phdrs-many', 'damaged'),
    ('elf-phentsize', 'damaged'), ('elf-offset', 'cut off'), ('elf-filesz', 'cut off'), ('elf-mem-small', 'cut off'),
    ('image-be', 'big-endian'), ('image-magic', 'no kernel'), ('gz-cut', 'cut off'), ('gz-damaged', 'damaged'),
    ('gz-head', 'cut off'), ('gz-noise', 'no kernel'), ('zboot-cut', 'cut off'),
    ('zboot-offset', 'cut off'), ('zboot-kind', 'gzip, zstd and xz'), ('zboot-zstd', 'zstd.*damaged'), ('zboot-xz', 'xz.*damaged'), ('zboot-noise', 'cannot be unpacked|damaged')]] + [
    (f'-kernel {name}', ['-bios', 'none', '-kernel', name], 2, f'{name}.*{why}') for name, why in [
        ('elf-huge', 'RAM is'), ('elf-wraps', 'RAM is'), ('elf-above', 'RAM is'), ('image-huge', 'RAM is'),
        ('elf-entry', 'no memory')]] + [
    (f'-dtb {name}', ['-kernel', 'K', '-dtb', name], 2, f"'{name}' is no device tree") for name in [
        'one', 'noise', 'zeros', 'dtb-cut', 'dtb-magic', 'dtb-version', 'dtb-rootless', 'dtb-head', 'dtb-size0']] + [
    ('-dtb of 8T', ['-kernel', 'K', '-dtb', 'huge'], 2, 'larger than RAM'),
    ('-dtb of 200M', ['-kernel', 'K', '-m', '1G', '-dtb', 'large'], 2, 'no device tree'),
    ('-kernel that unpacks to 300M', ['-m', '4M', '-kernel', 'gz-bomb'], 2, 'larger than RAM'),
    ('-bios that RAM does not hold', ['-bios', 'large'], 2, 'large.*(RAM is|larger than RAM)'),
    ('-bios of 8T', ['-bios', 'huge'], 2, 'larger than RAM'),
    ('-bios: damaged ELF file', ['-bios', 'elf-cut'], 2, 'ends within its header'),
    ('-initrd that RAM does not hold', ['-kernel', 'K', '-initrd', 'large'], 2, 'large.*(fit|larger than RAM)'),
    ('-initrd of 8T', ['-kernel', 'K', '-initrd', 'huge'], 2, 'larger than RAM'),
    ('kernel and firmware at one place', ['-bios', 'noise', '-kernel', 'elf-plain'], 2, 'same memory'),
    ('image shorter than a sector', ['-kernel', 'K', '-drive', 'file=disk-small'], 2, 'shorter than a sector'),
    ('qcow2 image', ['-kernel', 'K', '-drive', 'file=disk-qcow2'], 2, 'qcow2'),
    ('image twice', ['-kernel', 'K', '-drive', 'file=disk', '-drive', 'file=disk'], 2, "'disk' is in use"),
    ('image read and written', ['-kernel', 'K', '-drive', 'file=disk', '-drive', 'file=disk,readonly=on'], 2,
     "'disk' is in use"),
    ('dumpdtb to a directory', ['-M', 'virt,dumpdtb=directory'], 2, 'cannot write'),
    ('dumpdtb to a full disk', ['-M', 'virt,dumpdtb=/dev/full'], 2, 'cannot write'),
]


def kernel(*options):
    return ['-kernel', 'K', *options]


OPTIONS = [
    ('nothing to run', [], 2, 'nothing to run'),
    ('-bios none alone', ['-bios', 'none'], 2, 'nothing to run'),
    ('-initrd alone', ['-bios', 'noise', '-initrd', 'disk'], 2, '-initrd needs -kernel'),
    ('-append alone', ['-bios', 'noise', '-append', 'x'], 2, '-append needs -kernel'),
    ('a word', kernel('word'), 2, "'word' is no option"),
    ('unknown option', kernel('-kernle', 'K'), 2, 'kernel'),
    ('option without value', ['-kernel'], 2, 'kernel'),
    ('unknown machine', kernel('-M', 'virtt'), 2, 'only virt'),
    ('unknown machine option', kernel('-M', 'virt,dumpdbt=x'), 2, 'dumpdtb'),
    ('unknown CPU', kernel('-cpu', 'rv65'), 2, 'rv64'),
    ('unknown accelerator', kernel('-accel', 'kvm'), 2, 'kvm'),
    ('gdb nowhere', kernel('-gdb', 'stdio'), 2, "gdb: 'stdio' is none of"),
    ('gdb at no port', kernel('-gdb', 'tcp::99999'), 2, "cannot wait for gdb at 'tcp::99999'"),
    ('a state that is not there', kernel('-loadvm', '/no/such/file'), 2, "-loadvm: cannot read '/no/such/file'"),
    ('a state that is none', kernel('-loadvm', '/dev/null'), 2, "'/dev/null' is no saved machine"),
    ('instructions without a time', kernel('-icount', 'sleep=on'), 2, 'shift= is missing'),
    ('instructions that take too long', kernel('-icount', 'shift=11'), 2, '-icount.*shift.*0.*10'),
    ('instructions that take no number', kernel('-icount', 'x'), 2, '-icount x.*0 to 10'),
    ('time by the host', kernel('-icount', 'shift=auto'), 2, 'shift=auto.*number'),
    ('counting on many threads', kernel('-icount', '3', '-accel', 'tcg,thread=multi'), 2, 'thread=multi'),
    ('unknown thread mode', kernel('-accel', 'tcg,thread=many'), 2, 'multi.*single'),
    ('display', kernel('-display', 'gtk'), 2, 'no display'),
] + [(f'-smp {n}', kernel('-smp', n), 2, 'smp') for n in ['0', '-1', '129', 'x', '', '1x', '99999999999999999999']] + [
    (f'-m {n}', kernel('-m', n), 2, '-m') for n in ['0', '-1', '1M', '2T', 'x', '', '4097K', '99999999999999999999']] + [
    (f'-drive {text}', kernel('-drive', text), 2, why) for text, why in [
        ('', 'file='), ('disk', 'file=disk'), ('file=', 'image'), ('if=virtio', 'file='), ('file=disk,if=scsi', 'virtio'),
        ('file=disk,format=qcow2', 'only raw'), ('file=disk,readonly=maybe', 'readonly'),
        ('file=disk,discard=x', 'unmap'), ('file=disk,sanpshot=on', 'snapshot'), ('file=disk,,', r"disk,'.*No such"),
        ('file=disk,=x', "'=x'")]] + [
    ('drives of one name', kernel('-drive', 'file=disk,id=a,if=none', '-drive', 'file=K,id=a,if=none'), 2, "id 'a'"),
] + [(f'-device {text}', kernel('-device', text), 2, why) for text, why in [
    ('', 'no device'), ('virtio-bkl', "'virtio-blk'"), ('virtio-blk', 'drive='), ('virtio-blk-device', 'drive='),
    ('virtio-blk-pci', 'drive='), ('virtio-blk-pcx', "'virtio-blk-pcx'"), ('virtconsole-pci', "'virtconsole'"),
    ('virtio-rng-pci,addr=20', 'addr=20'), ('virtio-rng-pci,addr=x', 'addr=x'), ('virtio-rng-pci,addr=', 'addr='),
    ('virtio-rng-pci,addr=3.1', 'function 0'), ('virtio-rng-pci,addr=0', 'taken'), ('virtio-rng-device,addr=3', 'PCI'),
    ('virtio-9p-pci,mount_tag=t', 'fsdev='), ('virtio-9p-pci,fsdev=x,mount_tag=t', 'id=x'),
    ('virtconsole,chardev=x,bus=y.0', 'bus=y.0'),
    ('virtio-blk-device,drive=x', 'id=x'), ('virtio-net-device', 'netdev='), ('virtio-net-device,netdev=x', 'id=x'),
    ('virtio-net-device,netdev=x,mac=1:2', 'mac=1:2'), ('virtconsole', 'chardev='), ('virtconsole,chardev=x', 'id=x'),
    ('drive=x', 'no device'), ('virtio-rng-device,x=y', "'x'")]] + [
    ('drive used twice', kernel('-drive', 'file=disk,id=a,if=none', '-device', 'virtio-blk-device,drive=a',
                                '-device', 'virtio-blk-device,drive=a'), 2, 'used twice'),
    ('drive of the board used again', kernel('-drive', 'file=disk,id=a', '-device', 'virtio-blk-device,drive=a'), 2,
     'used twice'),
    ('two devices in a slot', kernel(*['-device', 'virtio-rng-pci,addr=4'] * 2), 2, 'addr=4 is taken'),
    ('interrupts of no kind', kernel('-machine', 'virt,aia=aplic'), 2, 'none.aplic-imsic'),
] + [(f'-virtfs {text}', kernel('-virtfs', text), 2, why) for text, why in [
    ('', 'local'), ('local', 'path='), ('proxy,path=directory,mount_tag=t', 'local'), ('local,path=directory', 'mount_tag='),
    ('local,path=missing,mount_tag=t', "'missing'.*No such"), ('local,path=disk,mount_tag=t', "'disk'.*Not a directory"),
    ('local,path=directory,mount_tag=', '1 to 255'), ('local,path=directory,mount_tag=' + 256 * 'x', '1 to 255'),
    ('local,path=directory,mount_tag=t,security_model=mapped', 'none nor passthrough'),
    ('local,path=directory,mount_tag=t,readonly=x', 'readonly')]] + [
    ('folders of one name', kernel(*['-fsdev', 'local,id=f,path=directory'] * 2), 2, "id 'f'"),
    ('a folder without a name', kernel('-fsdev', 'local,path=directory'), 2, 'id='),
    ('nine devices', kernel(*['-device', 'virtio-rng-device'] * 9), 2, 'no virtio-mmio slot'),
    ('33 devices', kernel(*['-device', 'virtio-rng-device'] * 33), 2, 'more than 32'),
    ('33 drives', kernel(*['-drive', 'file=disk,if=none'] * 33), 2, 'more than 32'),
] + [(f'-netdev {text}', kernel('-netdev', text), 2, why) for text, why in [
    ('', 'user'), ('user', 'id='), ('tap,id=n', 'user'), ('id=n', 'user'), ('user,id=n,x=y', "'x'"),
    ('user,id=n,restrict=x', 'restrict'), ('user,id=n,hostfwd=tcp', 'hostfwd'),
    ('user,id=n,hostfwd=tcp::99999-:22', 'hostfwd'), ('user,id=n,hostfwd=tcp:1.2.3:5-:22', 'hostfwd'),
    ('user,id=n,hostfwd=tcp:1.2.3.4:5-:22', 'cannot listen'), ('user,id=n,hostfwd=icmp::1-:2', 'hostfwd')]] + [
    ('networks of one name', kernel('-netdev', 'user,id=n', '-netdev', 'user,id=n'), 2, "id 'n'"),
    ('a network with two cards', kernel('-netdev', 'user,id=n', *['-device', 'virtio-net-device,netdev=n'] * 2), 2,
     'two cards'),
] + [(f'-{option} {text}', kernel(f'-{option}', prefix + text), 2, why)
     for option, prefix in [('serial', ''), ('monitor', ''), ('qmp', '')] for text, why in [
         ('nonsense', 'none of'), ('chardev:x', 'id=x'), ('file:directory', 'directory'), ('file:missing/x', 'No such'),
         ('unix:missing/x', 'cannot connect'), ('unix:disk,server=on', 'cannot listen'), ('unix:' + 'x' * 200, 'too long'),
         ('tcp:', 'tcp:'), ('tcp:localhost', 'tcp:'), ('tcp:localhost:1', 'cannot connect'),
         ('tcp:localhost:99999', 'tcp:'), ('tcp:x,servre=on', 'server')]] + [
    (f'-chardev {text}', kernel('-chardev', text), 2, why) for text, why in [
        ('', 'KIND'), ('stdio', 'id='), ('id=x', 'KIND'), ('pty,id=x', 'known are'), ('file,id=x', 'path='),
        ('socket,id=x', 'path='), ('null,id=x,y=z', "'y'"), ('file,id=x,path=directory', 'directory')]] + [
    ('character devices of one name', kernel('-chardev', 'null,id=a', '-chardev', 'null,id=a'), 2, "id 'a'"),
    ('a character device with three users', kernel(
        '-chardev', 'null,id=a', *['-device', 'virtconsole,chardev=a'] * 3), 2, 'more than 2 users'),
]


class Suite:
    def __init__(self, braid, directory):
        self.braid, self.dir = braid, directory
        self.passed = self.failed = 0

    def one_sentence(self, what, args, status, pattern):
        try:
            r = subprocess.run([self.braid, '-nographic', *args], cwd=self.dir, stdin=subprocess.DEVNULL,
                               capture_output=True, timeout=20)
            got, out, err = r.returncode, r.stdout.decode(errors='replace'), r.stderr.decode(errors='replace')
        except subprocess.TimeoutExpired:
            got, out, err = 'still running', '', ''
        good = got == status and not out and err.count('\n') == 1 and err.endswith('\n') and re.search(pattern, err)
        self.passed += bool(good)
        if not good:
            self.failed += 1
            print(f'FAILED {what}: {got}, stdout {out[:300]!r}, stderr {err[:400]!r}, expected {pattern!r}')


def main():
    s = Suite(sys.argv[1], pathlib.Path(sys.argv[2]))
    s.dir.mkdir(parents=True, exist_ok=True)
    make_files(s.dir)
    (s.dir / 'elf-plain').write_bytes(elf())
    for row in FILES + DAMAGED + OPTIONS:
        if 'secret' in row[0] and os.geteuid() == 0:
            continue            # root may read everything
        s.one_sentence(*row)
    if (s.dir / 'disk').read_bytes() != bytes(4096):
        s.failed += 1
        print('FAILED: a refused command line changed a file')
    print(f'{s.passed} passed, {s.failed} failed')
    sys.exit(1 if s.failed else 0)


main()
