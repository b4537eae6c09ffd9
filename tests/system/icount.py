#!/usr/bin/env python3
"""-icount is deterministic: two runs of Debian's kernel write the same bytes and execute the same instructions.

usage: icount.py EMULATOR... [--harts N] [--icount TEXT]

The second run is disturbed: by a process that spins, and by SIGSTOP and SIGCONT at random times.
Exit status 77 if the kernel cannot be had.
"""
import contextlib
import difflib
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile

import debian

INIT = r'''#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for m in MODULES; do insmod /lib/$m.ko; done
dd if=/dev/vda of=/dev/vdb bs=64k conv=fsync 2>/dev/null
md5sum /dev/vdb
dd if=/dev/hwrng bs=16 count=1 2>/dev/null | md5sum
for h in 1 2 3 4; do (j=0; while [ $j -lt 500 ]; do j=$((j+1)); done; echo done $h $(cat /proc/uptime)) & done
wait
sleep 1
cat /proc/interrupts /proc/stat /proc/uptime /proc/sys/kernel/random/boot_id
date
poweroff -f
'''


@contextlib.contextmanager
def spinning(on):
    spin = subprocess.Popen(['sh', '-c', 'while :; do :; done']) if on else None
    yield
    if spin:
        spin.kill()
        spin.wait()


def run(command, work, disturb):
    """(console, instructions, exit status)"""
    with open(work / 'console', 'w+b') as out, open(work / 'errors', 'w+b') as err, spinning(disturb):
        p = subprocess.Popen([*command, '--stats'], stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        while disturb and p.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                p.wait(random.random() / 5)
            p.send_signal(signal.SIGSTOP)
            p.send_signal(signal.SIGCONT)
        status = p.wait(timeout=280)
        out.seek(0)
        err.seek(0)
        count = re.search(rb'^insns_executed +(\d+)', err.read(), re.M)
        return out.read(), int(count.group(1)) if count else None, status


def find_problems(first, second):
    (out1, n1, status1), (out2, n2, status2) = first, second
    if status1 or status2:
        yield f'exit status {status1}, {status2}'
    if b'Power down' not in out1:
        yield 'the guest did not switch itself off'
        print(out1[-2000:].decode('latin-1'))
    if out1 != out2:
        yield 'the consoles differ'
        text1, text2 = (o.decode('latin-1').splitlines() for o in (out1, out2))
        print('\n'.join(list(difflib.unified_diff(text1, text2, n=1, lineterm=''))[:40]))
    if n1 is None or n1 != n2:
        yield f'{n1} and {n2} instructions'


def main():
    args = sys.argv[1:]
    values = {'--harts': '1', '--icount': 'shift=0,sleep=off'}
    for name in values:
        if name in args:
            i = args.index(name)
            values[name] = args[i + 1]
            del args[i:i + 2]
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        kernel = debian.make_initramfs(work / 'initrd', INIT)
        disk, copy = work / 'disk', work / 'copy'
        disk.write_bytes(random.Random(1).randbytes(1 << 20))
        command = [*args, *debian.machine_options(values['--harts'], '256M', kernel, work / 'initrd'),
                   *debian.disk_options(0, disk, 'readonly=on'), *debian.disk_options(1, copy),
                   '-device', 'virtio-rng-device', '-icount', values['--icount']]
        results = []
        for disturb in False, True:
            copy.write_bytes(bytes(1 << 20))
            results.append(run(command, work, disturb))
        problems = list(find_problems(*results))
        if copy.read_bytes() != disk.read_bytes():
            problems.append('the copy of the disk is none')
    print(f'{len(results[0][0])} bytes, {results[0][1]} instructions', *problems, sep='; ')
    print(f'{5 - len(problems)} passed, {len(problems)} failed')
    sys.exit(1 if problems else 0)


main()
