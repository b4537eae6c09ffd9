"""Debian 13's riscv64 kernel and an initramfs for it: what the tests and the benchmark of whole machines boot.

Kernel and busybox come from Debian's archive (tools/debian-root keeps them outside the checkout); the initramfs
is made here, with the kernel's modules for virtio.
"""
import gzip
import lzma
import os
import pathlib
import re
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get('XDG_CACHE_HOME', pathlib.Path.home() / '.cache')) / 'braid' / 'system'
GCC = 'riscv64-linux-gnu-gcc'
MODULES = ['virtio_mmio', 'virtio_blk', 'failover', 'net_failover', 'virtio_net', 'virtio-rng']


class Unavailable(SystemExit):
    """Something cannot be had on this machine: who does not catch this ends as a skipped test."""

    def __init__(self, why):
        print(why)
        super().__init__(77)


def fetch(directory, package):
    """The package alone, unpacked."""
    r = subprocess.run([ROOT / 'tools/debian-root', '-n', directory, package])
    if r.returncode:
        raise Unavailable(f'{package} cannot be had from the Debian archive')


def get_files():
    """(kernel, busybox, directory of modules)"""
    busybox = CACHE / 'usr/bin/busybox'
    if not busybox.exists():
        fetch(CACHE, 'busybox-static')
    if not list((CACHE / 'boot').glob('vmlinux-*')):
        # The package of this name is empty, and depends on the newest kernel.
        fetch(CACHE / 'newest', 'linux-image-riscv64')
        package = sorted((CACHE.parent / 'debian-trixie-riscv64' / 'archives').glob('linux-image-riscv64_*.deb'))[-1]
        depends = subprocess.run(['dpkg-deb', '-f', package, 'Depends'], capture_output=True, text=True).stdout
        fetch(CACHE, re.match(r'\S+', depends).group())
    kernel = sorted((CACHE / 'boot').glob('vmlinux-*'))[-1]
    return kernel, busybox, CACHE / 'usr/lib/modules' / kernel.name.removeprefix('vmlinux-')


def build_program(source, directory):
    """A C program for the guest, linked statically."""
    if not shutil.which(GCC):
        raise Unavailable(f'{GCC} is missing')
    out = directory / source.stem
    subprocess.run([GCC, '-O2', '-Wall', '-static', source, '-o', out], check=True)
    return out


class Cpio:
    """An archive in the format that the kernel unpacks (newc)."""

    def __init__(self):
        self.parts, self.inode = [], 0

    def add(self, name, mode, data=b'', device=(0, 0)):
        self.inode += 1
        raw = name.encode() + b'\0'
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(raw), 0)
        head = b'070701' + b''.join(b'%08X' % f for f in fields) + raw
        for part in head, data:
            self.parts += [part, b'\0' * (-len(part) % 4)]


def make_initramfs(path, init, programs=(), more_modules=()):
    """An initramfs with busybox, the modules in /lib, `init`, a shell script's text, and `programs` in /bin.

    The word MODULES in the script stands for the modules, in the order in which they are loaded.
    """
    names = [*MODULES, *more_modules]
    kernel, busybox, modules = get_files()
    cpio = Cpio()
    for directory in 'bin', 'dev', 'lib', 'proc', 'sys', 'tmp':
        cpio.add(directory, 0o40755)
    cpio.add('dev/console', 0o20600, device=(5, 1))
    cpio.add('bin/busybox', 0o100755, busybox.read_bytes())
    cpio.add('init', 0o100755, init.replace('MODULES', ' '.join(names)).encode())
    for name in names:
        found = sorted(modules.rglob(f'{name}.ko*'))
        if not found:
            raise SystemExit(f'module {name} is not in {modules}')
        data = found[0].read_bytes()
        cpio.add(f'lib/{name}.ko', 0o100644, lzma.decompress(data) if found[0].suffix == '.xz' else data)
    for program in programs:
        cpio.add(f'bin/{program.name}', 0o100755, program.read_bytes())
    cpio.add('TRAILER!!!', 0)
    path.write_bytes(gzip.compress(b''.join(cpio.parts), 1))
    return kernel


def machine_options(harts, memory, kernel, initrd):
    """Command line of a machine that boots; the same for braid and QEMU."""
    return ['-smp', str(harts), '-m', memory, '-nographic', '-kernel', kernel, '-initrd', initrd,
            '-append', 'console=ttyS0', '-no-reboot']


def disk_options(number, file, *more):
    return ['-drive', ','.join([f'file={file},if=none,id=d{number},format=raw', *more]),
            '-device', f'virtio-blk-device,drive=d{number}']


NET_OPTIONS = ['-netdev', 'user,id=n0', '-device', 'virtio-net-device,netdev=n0']
