#!/usr/bin/env python3
"""Debian's riscv64 kernel finds the PCI bus and its virtio functions, and works with them.

usage: pci.py EMULATOR... [--harts N]

What the bus has to look like (ids, windows, interrupts) is what the kernel saw under QEMU 7.2, where
this passes as well: tests/system/pci.py qemu-system-riscv64 -M virt
Exit status 77 if something cannot be had.
"""
import hashlib
import pathlib
import random
import subprocess
import sys
import tempfile

import debian

INIT = r'''#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for m in MODULES; do insmod /lib/$m.ko || echo "no $m"; done
cd /sys/bus/pci/devices
for d in *; do
    echo "pci: $d $(cat $d/vendor $d/device $d/subsystem_vendor $d/subsystem_device $d/class $d/revision | tr '\n' ' ')"
    grep -v '^0x0* 0x0* 0x0*$' $d/resource | while read start end flags; do
        echo "bar: $d $((end - start + 1)) $flags $((start >> 30)) $((end >> 30))"
    done
done
echo "irqs: $(grep virtio /proc/interrupts | sed 's/.*PLIC *\([0-9]*\) .*\(virtio.*\)/\1 \2/' | sort | tr '\n' ';')"
echo "window: $(grep 'pci@' /proc/iomem | sed 's/^ *//' | tr '\n' ';')"
echo "disk: $(dd if=/dev/vda bs=64k 2>/dev/null | md5sum | cut -d' ' -f1)"
dd if=/dev/vda of=/dev/vdb bs=64k conv=fsync 2>/dev/null
echo "rng: $(cat /sys/class/misc/hw_random/rng_current) $(dd if=/dev/hwrng bs=512 count=1 2>/dev/null | wc -c)"
ifconfig eth0 10.0.2.15 up
ping -c 2 -W 5 10.0.2.2 >/dev/null && echo "net: up"
cd /
d=$(readlink -f /sys/class/net/eth0/device/..)
echo 1 > $d/remove
echo 1 > /sys/bus/pci/rescan
sleep 1
ifconfig eth0 10.0.2.15 up
ping -c 2 -W 5 10.0.2.2 >/dev/null && echo "again: up"
echo "shell: alive"
poweroff -f
'''


def function(slot, device, class_code):
    name = f'0000:00:{slot:02x}.0'
    # BARs: size, flags, in which GiB it begins and ends.
    return [f'pci: {name} 0x1af4 {device:#x} 0x1af4 0x1100 {class_code:#08x} 0x01',
            f'bar: {name} 4096 0x0000000000040200 1 1', f'bar: {name} 16384 0x000000000014220c 16 16']


WANTED = [
    'pci: 0000:00:00.0 0x1b36 0x0008 0x1af4 0x1100 0x060000 0x00',
    *function(1, 0x1042, 0x010000), *function(2, 0x1042, 0x010000), *function(3, 0x1041, 0x020000),
    *function(7, 0x1044, 0x00ff00),
    'irqs: 33 virtio0;34 virtio1;35 virtio3;',      # slot s, INTA: PLIC source 32 + s mod 4
    'window: 40000000-7fffffff : pci@30000000;400000000-7ffffffff : pci@30000000;',
]


def main():
    args = sys.argv[1:]
    harts = '1'
    if '--harts' in args:
        i = args.index('--harts')
        harts = args[i + 1]
        del args[i:i + 2]
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        try:
            kernel = debian.make_initramfs(work / 'initrd', INIT)
        except debian.Unavailable as why:
            print(why)
            sys.exit(77)
        disk, copy = work / 'disk', work / 'copy'
        disk.write_bytes(random.Random(1).randbytes(4 << 20))
        copy.write_bytes(bytes(4 << 20))
        modern = 'disable-legacy=on'
        options = [*debian.machine_options(harts, '512M', kernel, work / 'initrd'),
                   '-drive', f'file={disk},if=none,id=d0,format=raw,readonly=on',
                   '-drive', f'file={copy},if=none,id=d1,format=raw',
                   '-device', f'virtio-blk-pci,drive=d0,{modern}', '-device', f'virtio-blk-pci,drive=d1,{modern}',
                   '-netdev', 'user,id=n0', '-device', f'virtio-net-pci,netdev=n0,romfile=,{modern}',
                   '-device', f'virtio-rng-pci,addr=7,{modern}']
        try:
            r = subprocess.run([*args, *options], stdin=subprocess.DEVNULL, capture_output=True, timeout=280)
            output, status = r.stdout, r.returncode
            errors = r.stderr.decode('latin-1')
        except subprocess.TimeoutExpired as e:
            output, status, errors = e.stdout or b'', 'timeout', ''
        output = output.decode('latin-1').replace('\r', '')
        digest = hashlib.md5(disk.read_bytes()).hexdigest()
        wanted = WANTED + [f'disk: {digest}', 'rng: virtio_rng.0 512', 'net: up', 'again: up', 'shell: alive',
                           'reboot: Power down']
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
