#!/usr/bin/env python3
"""Debian's kernel, booted again and again, and ended while its harts are busy: no hang, no oops, no stall.

usage: boots.py [--repeat N] [--reboots N] [--harts N[,N...]] [--load SECONDS] [--timeout SECONDS] EMULATOR...

Each machine boots to a shell, which starts two loops of fork and exec for each hart, sleeps now and then, and
after --load seconds ends the machine while the loops go on: first by a reset, as often as --reboots says, at
last by switching it off. --repeat: so many machines one after the other, with the numbers of --harts in turns.
--timeout is for one start to shell, load included.

The same under QEMU: tests/system/boots.py qemu-system-riscv64 -M virt
Exit status 77 if something cannot be had.
"""
import argparse
import pathlib
import sys
import tempfile
import time

import console
import debian

# The kernel makes environment variables of what it does not know on its command line.
INIT = r'''#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
for m in MODULES; do insmod /lib/$m.ko || echo "no $m"; done
echo "harts: $(nproc)"
read n </dev/vda
spin() { while :; do /bin/busybox true; done; }
i=0; while [ $i -lt $((2 * $(nproc))) ]; do spin & i=$((i+1)); done
end=$(($(cut -d. -f1 /proc/uptime) + LOAD))
while [ $(cut -d. -f1 /proc/uptime) -lt $end ]; do usleep 20000; echo x | cat | cat >/tmp/x; done
echo "shell: alive"
if [ $n -lt $REBOOTS ]; then
    echo $((n+1)) | dd of=/dev/vda conv=fsync 2>/dev/null
    reboot -f
fi
poweroff -f
'''


def run_machine(args, harts, kernel, initrd, directory):
    """One machine, from start to power-off; returns how long its starts took."""
    disk = directory / 'disk'
    disk.write_bytes(b'0\n'.ljust(512, b'\0'))
    command = [*args.emulator, *debian.machine_options(harts, '512M', kernel, initrd), *debian.disk_options(0, disk),
               '-device', 'virtio-rng-device']
    command.remove('-no-reboot')
    command[command.index('-append') + 1] += f' LOAD={args.load} REBOOTS={args.reboots}'
    times = []
    ask = [] if 'qemu' in args.emulator[0] else ['info cpus', 'info registers', 'info jit']
    with console.Console(command, ask=ask) as c:
        for _ in range(args.reboots + 1):
            start = time.monotonic()
            c.expect(rf'harts: {harts}\n', args.timeout)
            c.expect(r'shell: alive\n', args.timeout)
            times.append(time.monotonic() - start)
        c.expect(r'reboot: Power down', args.timeout)
        status = c.wait_end(60)
        if status != 0:
            c.fail(f'exit status {status}')
        if 'does not come out' in c.output:
            c.fail('a hart could not be stopped')
    return times


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--repeat', type=int, default=1)
    p.add_argument('--reboots', type=int, default=0)
    p.add_argument('--harts', default='1,2,4')
    p.add_argument('--load', type=int, default=2)
    p.add_argument('--timeout', type=int, default=300)
    p.add_argument('emulator', nargs=argparse.REMAINDER)
    args = p.parse_args()
    if not args.emulator:
        p.error('which emulator?')
    numbers = [int(n) for n in args.harts.split(',')]
    passed = failed = 0
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        kernel = debian.make_initramfs(directory / 'initrd', INIT)
        for i in range(args.repeat):
            harts = numbers[i % len(numbers)]
            try:
                times = run_machine(args, harts, kernel, directory / 'initrd', directory)
                passed += len(times)
                print(f'{i + 1}: {harts} harts, ' + ' '.join(f'{t:.1f}' for t in times) + ' s', flush=True)
            except console.Failure as why:
                failed += 1
                print(f'{i + 1}: {harts} harts: {why}', flush=True)
    print(f'{passed} passed, {failed} failed')
    sys.exit(1 if failed or not passed else 0)


main()
