#!/usr/bin/env python3
"""Debian's riscv64 kernel finds the PCI bus and all kinds of virtio functions on it, and works with them.

usage: pci.py EMULATOR... [--harts N] [--aia]

What the bus has to look like (ids, BARs, windows, interrupts) is what the kernel saw under QEMU 7.2, where
this passes as well: tests/system/pci.py qemu-system-riscv64 -M virt
The folder that is shared by 9P is looked at from both sides; a port is forwarded into the guest; the second
console is a socket.  With --aia messages (MSI-X) go to an IMSIC, else there are none.  Exit status 77 if something cannot be had.
"""
import hashlib
import os
import pathlib
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time

import debian

MODULES = ['netfs', '9pnet', '9pnet_virtio', '9p']
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
cd /
echo "messages: $(grep -c 'PCI-MSIX.*virtio' /proc/interrupts)"
echo "irqs: $(grep virtio /proc/interrupts | sed 's/.*PLIC *\([0-9]*\) *[A-Za-z]* */\1 /' | sort | tr '\n' ';')"
echo "window: $(grep 'pci@' /proc/iomem | sed 's/^ *//' | tr '\n' ';')"

echo "disk: $(dd if=/dev/vda bs=64k 2>/dev/null | md5sum | cut -d' ' -f1)"
dd if=/dev/vda of=/dev/vdb bs=64k conv=fsync 2>/dev/null
echo "rng: $(cat /sys/class/misc/hw_random/rng_current) $(dd if=/dev/hwrng bs=512 count=1 2>/dev/null | wc -c)"
ifconfig eth0 10.0.2.15 up
ping -c 2 -W 5 10.0.2.2 >/dev/null && echo "net: up"
d=$(readlink -f /sys/class/net/eth0/device/..)
echo 1 > $d/remove
echo 1 > /sys/bus/pci/rescan
sleep 1
ifconfig eth0 10.0.2.15 up
ping -c 2 -W 5 10.0.2.2 >/dev/null && echo "again: up"
echo "port: open"
echo "hello from the guest" | nc -l -p 80 > /got
echo "port: $(cat /got)"

echo "console: open"
read line < /dev/hvc0
echo "console: $line"
echo "line from the guest" > /dev/hvc0

mkdir /mnt /ro
mount -t 9p -o trans=virtio,version=9p2000.L share /mnt || echo "no share"
mount -t 9p -o trans=virtio,version=9p2000.L,ro old /ro || echo "no old"
cd /mnt
echo "9p: $(ls | sort | tr '\n' ' ')"
echo "9p: $(md5sum < big | cut -d' ' -f1)"
cp big copy
cat outside absolute up/secret ../secret 2>/dev/null
echo "9p: $(readlink absolute)"
mkdir -p a/b/c && echo text > a/b/c/file && mv a/b/c/file a/moved && rmdir a/b/c
ln -s moved a/link && ln a/moved a/hard && cat a/link
chmod 751 a/moved; stat -c 'mode: %a %h %s' a/moved
echo more >> a/moved; dd if=/dev/zero of=a/hole bs=1 seek=1000000 count=1 2>/dev/null
touch -d '2001-02-03 04:05:06' a/hole
truncate -s 3 short; rm unwanted; mknod node b 8 0 && echo "9p: a device node"
i=0; while [ $i -lt 300 ]; do echo $i > many/$i; i=$((i+1)); done
echo "many: $(ls many | wc -l) $(cat many/* | md5sum | cut -d' ' -f1)"
cat /ro/big | md5sum | sed 's/^/ro: /'
mount -o remount,rw /ro; touch /ro/new 2>/dev/null && echo "ro: written"
sync; cd /; umount /mnt /ro
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
    *function(4, 0x1043, 0x078000), *function(5, 0x1049, 0x000200), *function(6, 0x1049, 0x000200),
    *function(10, 0x1044, 0x00ff00),
    'window: 40000000-7fffffff : pci@30000000;400000000-7ffffffff : pci@30000000;',
]
# Slot s, INTA: PLIC source 32 + s mod 4.
IRQS = {'32': {'virtio3'}, '33': {'virtio0', 'virtio4'}, '34': {'virtio1', 'virtio5', 'virtio6'}, '35': {'virtio2'}}
# With an IMSIC: one for the configuration and one for each queue of each function.
MESSAGES = 16
SECRET = 'nothing for guests'


def make_folder(share, data):
    (share / 'many').mkdir(parents=True)
    (share / 'sub').mkdir()
    (share / 'big').write_bytes(data)
    (share / 'short').write_text('longer')
    (share / 'unwanted').write_text('x')
    (share.parent / 'secret').write_text(SECRET)
    (share / 'absolute').symlink_to(share.parent / 'secret')
    (share / 'outside').symlink_to('../secret')
    (share / 'up').symlink_to('..')


def check_folder(share, data, problems):
    """What the guest did, seen from here."""
    for name, want in (('copy', data), ('a/moved', b'text\nmore\n'), ('a/hole', bytes(1000001)), ('short', b'lon')):
        if not (share / name).is_file() or (share / name).read_bytes() != want:
            problems.append(f'the right {name}')
    moved = (share / 'a/moved').stat()
    if (share / 'unwanted').exists() or moved.st_nlink != 2:
        problems.append('changes of the folder')
    if int((share / 'a/hole').stat().st_mtime) != 981173106 or moved.st_mode & 0o777 != 0o751:
        problems.append('times and modes')
    if os.readlink(share / 'a/link') != 'moved' or len(list((share / 'many').iterdir())) != 300:
        problems.append('links and many files')


class Machine:
    """A guest that runs; parts of its output have this side do something."""

    def __init__(self, command, port, console):
        self.port, self.console, self.text, self.heard = port, console, '', {}
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        self.timer = threading.Timer(280, self.process.kill)

    def talk(self):
        self.timer.start()
        with self.process:
            for line in self.process.stdout:
                line = line.decode('latin-1').replace('\r', '')
                self.text += line
                if line == 'port: open\n':
                    threading.Thread(target=self.use_port, daemon=True).start()
                elif line == 'console: open\n':
                    threading.Thread(target=self.use_console, daemon=True).start()
            errors = self.process.stderr.read().decode('latin-1')
        self.timer.cancel()
        return self.process.returncode, errors

    def use_port(self):
        # The forwarding side accepts before the guest's program listens: try until something comes back.
        end = time.monotonic() + 120
        while not self.heard.get('port') and time.monotonic() < end:
            try:
                with socket.create_connection(('127.0.0.1', self.port), 20) as s:
                    s.sendall(b'hello from here\n')
                    s.shutdown(socket.SHUT_WR)
                    self.heard['port'] = s.makefile().read()
            except OSError:
                pass
            time.sleep(0.2)

    def use_console(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(self.console))
            s.settimeout(60)
            s.sendall(b'line from here\n')
            heard = ''
            while 'line from the guest' not in heard:
                heard += s.recv(100).decode('latin-1')
            self.heard['console'] = heard


def irqs(text):
    """PLIC source -> names, from the line of the guest."""
    lines = re.findall(r'^irqs: (.*);$', text, re.M)
    entries = lines[0].split(';') if lines else []
    return {n: set(names.split(', ')) for n, names in (entry.split(' ', 1) for entry in entries)}


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def options(work, port):
    modern = 'disable-legacy=on'
    return ['-drive', f'file={work}/disk,if=none,id=d0,format=raw,readonly=on',
            '-drive', f'file={work}/copy,if=none,id=d1,format=raw',
            '-device', f'virtio-blk-pci,drive=d0,{modern}', '-device', f'virtio-blk-pci,drive=d1,{modern}',
            '-netdev', f'user,id=n0,hostfwd=tcp:127.0.0.1:{port}-:80',
            '-device', f'virtio-net-pci,netdev=n0,romfile=,{modern}',
            '-chardev', f'socket,id=c1,path={work}/console,server=on,wait=off',
            '-device', f'virtio-serial-pci,id=vs,{modern}', '-device', 'virtconsole,chardev=c1,bus=vs.0',
            '-fsdev', f'local,id=f0,path={work}/share,security_model=none',
            '-fsdev', f'local,id=f1,path={work}/share,security_model=none,readonly=on',
            '-device', f'virtio-9p-pci,fsdev=f0,mount_tag=share,{modern}',
            '-device', f'virtio-9p-pci,fsdev=f1,mount_tag=old,{modern}',
            '-device', f'virtio-rng-pci,addr=a,{modern}']


def main():
    args = sys.argv[1:]
    harts = '1'
    aia = '--aia' in args
    if aia:
        args.remove('--aia')
        args += ['-machine', 'virt,aia=aplic-imsic']
    if '--harts' in args:
        i = args.index('--harts')
        harts = args[i + 1]
        del args[i:i + 2]
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        kernel = debian.make_initramfs(work / 'initrd', INIT, more_modules=MODULES)
        data = random.Random(1).randbytes(4 << 20)
        (work / 'disk').write_bytes(data)
        (work / 'copy').write_bytes(bytes(len(data)))
        make_folder(work / 'share', data)
        port = free_port()
        machine = Machine([*args, *debian.machine_options(harts, '512M', kernel, work / 'initrd'), *options(work, port)],
                          port, work / 'console')
        status, errors = machine.talk()
        digest = hashlib.md5(data).hexdigest()
        numbers = ''.join(f'{i}\n' for i in sorted(range(300), key=str)).encode()
        wanted = WANTED + [
            f'disk: {digest}', 'rng: virtio_rng.0 512', 'net: up', 'again: up', 'port: hello from here',
            'console: line from here', '9p: absolute big many outside short sub unwanted up ', f'9p: {digest}',
            f'9p: {work}/secret', 'mode: 751 2 5', f'many: 300 {hashlib.md5(numbers).hexdigest()}', f'ro: {digest}',
            'shell: alive', 'reboot: Power down', f'messages: {MESSAGES if aia else 0}\n']
        missing = [w for w in wanted if w not in machine.text]
        if not aia and irqs(machine.text) != IRQS:
            missing.append(f'interrupts {IRQS}')
        if (work / 'copy').read_bytes() != data:
            missing.append('a copy of the disk')
        if machine.heard.get('port') != 'hello from the guest\n' or 'console' not in machine.heard:
            missing.append(f'what the guest sent ({machine.heard})')
        try:
            check_folder(work / 'share', data, missing)
        except OSError as e:
            missing.append(f'the folder ({e})')
        for bad in 'Oops', 'BUG:', 'rcu: INFO', 'Call Trace', SECRET, 'ro: written', '9p: a device node':
            if bad in machine.text:
                missing.append(f'no "{bad}"')
        if status != 0:
            missing.append(f'exit status 0 rather than {status}')
    total = len(wanted) + 11
    if missing:
        print(machine.text[-4000:], errors)
        print('missing:', ', '.join(missing))
    print(f'{total - len(missing)} passed, {len(missing)} failed')
    sys.exit(1 if missing else 0)


main()
