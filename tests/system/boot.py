#!/usr/bin/env python3
"""Debian's own riscv64 kernel boots to a shell, sees all harts and devices, and switches itself off.

usage: boot.py EMULATOR... [--harts N] [--firmware]

debian.py says where the kernel comes from.  With --firmware Debian's OpenSBI runs in M-mode.
The same under QEMU: tests/system/boot.py qemu-system-riscv64 -M virt
Exit status 77 if something cannot be had.
"""
import hashlib
import pathlib
import random
import subprocess
import sys
import tempfile

import debian

OPENSBI = pathlib.Path('/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin')

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
/bin/counters
grep -q 'riscv-pmu' /proc/interrupts && echo "counters: interrupts"
echo "shell: alive"
poweroff -f
'''


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
            raise debian.Unavailable('opensbi is not installed')
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        counters = debian.build_program(pathlib.Path(__file__).with_name('counters.c'), work)
        kernel = debian.make_initramfs(work / 'initrd', INIT, [counters])
        disk, copy = work / 'disk', work / 'copy'
        disk.write_bytes(random.Random(1).randbytes(4 << 20))
        copy.write_bytes(bytes(4 << 20))
        options = [*debian.machine_options(harts, '512M', kernel, work / 'initrd'),
                   *debian.disk_options(0, disk, 'readonly=on'), *debian.disk_options(1, copy),
                   *debian.NET_OPTIONS, '-device', 'virtio-rng-device']
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
                  'jobs: 4', 'counters: ok', 'counters: interrupts', 'shell: alive', 'reboot: Power down']
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
