#!/usr/bin/env python3
"""-icount is deterministic: two runs of Debian's kernel write the same bytes and execute the same instructions.

usage: icount.py EMULATOR... [--harts N] [--icount TEXT]

The second run is disturbed: by a process that spins, and by SIGSTOP and SIGCONT at random times.  The third one is
stopped at random times, saved, and goes on in another process.
Exit status 77 if the kernel cannot be had.
"""
import contextlib
import difflib
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

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


def tell_monitor(p, path, *commands):
    """And wait for the answers.  The end of the machine is one."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as s:
        s.settimeout(100)
        while s.connect_ex(str(path)) and p.poll() is None:     # it has just been started
            time.sleep(0.01)
        for line in ('', *commands):
            s.sendall((line and line + '\n').encode())
            text = b''
            while not text.endswith(b'(braid) '):
                text += s.recv(4096) or b'(braid) '


def run_in_parts(command, work, marks):
    """As run(); stopped, saved and taken to another process whenever the console has as many bytes."""
    out, count, saved, sock, load = b'', 0, work / 'saved', work / 'monitor', []
    for mark in (*marks, sys.maxsize):
        with open(work / 'console', 'w+b') as f, open(work / 'errors', 'w+b') as err:
            p = subprocess.Popen([*command, '--stats', '-monitor', f'unix:{sock},server=on,wait=off', *load],
                                 stdin=subprocess.DEVNULL, stdout=f, stderr=err)
            while p.poll() is None and len(out) + (work / 'console').stat().st_size < mark:
                time.sleep(0.01)
            time.sleep(random.random() / 5)
            tell_monitor(p, sock, 'stop', f'savevm {saved}.new', 'quit')
            status = p.wait(timeout=280)
            f.seek(0)
            err.seek(0)
            out += f.read()
            errors = err.read()
            n = re.search(rb'^insns_executed +(\d+)', errors, re.M)
            if not n:
                return out, errors.decode(), status
            count += int(n.group(1))
        new = pathlib.Path(f'{saved}.new')
        if not new.exists():
            break               # it has come to its end
        new.rename(saved)
        load = ['-loadvm', saved]
    return out, count, status


def find_problems(first, second):
    (out1, n1, status1), (out2, n2, status2) = first, second
    if status1 or status2:
        yield f'exit status {status1}, {status2}'
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
        results, problems = [], []

        def try_again(fn, *how):
            copy.write_bytes(bytes(1 << 20))
            results.append(fn(command, work, *how))
            problems.extend(find_problems(results[0], results[-1]))
            if copy.read_bytes() != disk.read_bytes():
                problems.append('the copy of the disk is none')

        try_again(run, False)
        if b'Power down' not in results[0][0]:
            problems.append('the guest did not switch itself off')
            print(results[0][0][-2000:].decode('latin-1'))
        try_again(run, True)
        marks = sorted(random.randrange(len(results[0][0])) for _ in range(3))
        try_again(run_in_parts, marks)
    print(f'{len(results[0][0])} bytes, {results[0][1]} instructions, saved at {marks}', *problems, sep='; ')
    print(f'{13 - len(problems)} passed, {len(problems)} failed')
    sys.exit(1 if problems else 0)


main()
