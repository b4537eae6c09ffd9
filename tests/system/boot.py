#!/usr/bin/env python3
"""Debian's own riscv64 kernel boots to a shell, sees all harts and devices, and switches itself off.

usage: boot.py EMULATOR... [--harts N] [--firmware]

Kernel and busybox come from Debian's archive (tools/fetch-debian keeps them outside the checkout); the
initramfs is made here, with the kernel's modules for virtio.  With --firmware Debian's OpenSBI runs in M-mode.
The same under QEMU: tests/system/boot.py qemu-system-riscv64 -M virt
Exit status 77 if something cannot be had.
"""
import gzip
import hashlib
import lzma
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get('XDG_CACHE_HOME', pathlib.Path.home() / '.cache')) / 'braid' / 'system'
OPENSBI = pathlib.Path('/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin')
MODULES = ['virtio_mmio', 'virtio_blk', 'failover', 'net_failover', 'virtio_net', 'virtio-rng']

INIT = r'''#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
echo "kernel: $(uname -s -m)"
echo "harts: $(nproc)"
for m in MODULES; do insmod /lib/$m.ko || echo "no $m"; done
echo "disk: $(dd if=/dev/vda bs=64k 2>/dev/null | md5sum | cut -d' ' -f1)"
dd if=/dev/vda of=/dev/vdb bs=64k conv=fsync 2>/dev/null
echo "rng: $(cat /sys/class/misc/hw_random/rng_current)"
ifconfig eth0 10.0.2.15 up
ping -c 2 -W 5 10.0.2.2 >/dev/null && echo "net: up"
i=0; while [ $i -lt 100 ]; do /bin/busybox true; i=$((i+1)); done
for h in 1 2 3 4; do (j=0; while [ $j -lt 2000 ]; do j=$((j+1)); done; echo done >/tmp.$h) & done
wait
echo "jobs: $(cat /tmp.* | wc -l)"
sleep 1
echo "shell: alive"
poweroff -f
'''


def fetch(directory, *packages):
    r = subprocess.run([ROOT / 'tools/fetch-debian', directory, *packages])
    if r.returncode:
        print(f'{", ".join(packages)} cannot be had from the Debian archive')
        sys.exit(77)


def get_files():
    """(kernel, busybox, directory of modules)"""
    busybox = CACHE / 'usr/bin/busybox'
    if not busybox.exists():
        fetch(CACHE, 'busybox-static')
    if not list((CACHE / 'boot').glob('vmlinux-*')):
        fetch(CACHE, 'linux-image-riscv64')
        control = sorted((CACHE.parent / 'debian-trixie-riscv64' / 'archives').glob('linux-image-riscv64_*.deb'))[-1]
        depends = subprocess.run(['dpkg-deb', '-f', control, 'Depends'], capture_output=True, text=True).stdout
        fetch(CACHE, re.match(r'\S+', depends).group())
    kernel = sorted((CACHE / 'boot').glob('vmlinux-*'))[-1]
    return kernel, busybox, CACHE / 'usr/lib/modules' / kernel.name.removeprefix('vmlinux-')


class Cpio:
    """An archive in the format that the kernel unpacks (newc)."""

    def __init__(self):
        self.bytes, self.inode = b'', 0

    def add(self, name, mode, data=b'', device=(0, 0)):
        self.inode += 1
        raw = name.encode() + b'\0'
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(raw), 0)
        head = b'070701' + b''.join(b'%08X' % f for f in fields) + raw
        for part in head, data:
            self.bytes += part + b'\0' * (-len(part) % 4)


def make_initramfs(path, busybox, modules):
    cpio = Cpio()
    for directory in 'bin', 'dev', 'lib', 'proc', 'sys':
        cpio.add(directory, 0o40755)
    cpio.add('dev/console', 0o20600, device=(5, 1))
    cpio.add('bin/busybox', 0o100755, busybox.read_bytes())
    cpio.add('init', 0o100755, INIT.replace('MODULES', ' '.join(MODULES)).encode())
    for name in MODULES:
        found = sorted(modules.rglob(f'{name}.ko*'))
        if not found:
            raise SystemExit(f'module {name} is not in {modules}')
        data = found[0].read_bytes()
        cpio.add(f'lib/{name}.ko', 0o100644, lzma.decompress(data) if found[0].suffix == '.xz' else data)
    cpio.add('TRAILER!!!', 0)
    path.write_bytes(gzip.compress(cpio.bytes, 1))


def main():
    args = sys.argv[1:]
    harts = '1'
    if '--harts' in args:
        i = args.index('--harts')
        harts = args[i + 1]
        del args[i:i + 2]
    firmware = '--firmware' in args
    if firmware:
        args.remove('--firmware')
        if not OPENSBI.exists():
            print('opensbi is not installed')
            sys.exit(77)
    kernel, busybox, modules = get_files()
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        make_initramfs(work / 'initrd', busybox, modules)
        disk, copy = work / 'disk', work / 'copy'
        disk.write_bytes(random.Random(1).randbytes(4 << 20))
        copy.write_bytes(bytes(4 << 20))
        options = ['-smp', harts, '-m', '512M', '-nographic', '-kernel', kernel, '-initrd', work / 'initrd',
                   '-append', 'console=ttyS0', '-no-reboot',
                   '-drive', f'file={disk},if=none,id=d0,format=raw,readonly=on', '-device', 'virtio-blk-device,drive=d0',
                   '-drive', f'file={copy},if=none,id=d1,format=raw', '-device', 'virtio-blk-device,drive=d1',
                   '-netdev', 'user,id=n0', '-device', 'virtio-net-device,netdev=n0', '-device', 'virtio-rng-device']
        if firmware:
            options += ['-bios', OPENSBI]
        try:
            r = subprocess.run([*args, *options], stdin=subprocess.DEVNULL, capture_output=True, timeout=280)
            output, status = r.stdout, r.returncode
            errors = r.stderr.decode('latin-1')
        except subprocess.TimeoutExpired as e:
            output, status, errors = e.stdout or b'', 'timeout', ''
        output = output.decode('latin-1').replace('\r', '')
        digest = hashlib.md5(disk.read_bytes()).hexdigest()
        wanted = ['kernel: Linux riscv64', f'harts: {harts}', f'disk: {digest}', 'rng: virtio_rng.0', 'net: up',
                  'jobs: 4', 'shell: alive', 'reboot: Power down']
        missing = [w for w in wanted if w not in output]
        if copy.read_bytes() != disk.read_bytes():
            missing.append('a copy of the disk')
        for bad in 'Oops', 'BUG:', 'rcu: INFO', 'Call Trace':
            if bad in output:
                missing.append(f'no "{bad}"')
        if status != 0:
            missing.append(f'exit status 0 rather than {status}')
    total = len(wanted) + 2
    if missing:
        print(output[-3000:], errors)
        print('missing:', ', '.join(missing))
    print(f'{total - len(missing)} passed, {len(missing)} failed')
    sys.exit(1 if missing else 0)


main()
