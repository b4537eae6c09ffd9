#!/usr/bin/env python3
"""savevm and loadvm: a machine of four harts is stopped at random moments, written to a file and goes on in another
process; console and checksums must be those of a machine that was not interrupted.

usage: savevm.py [--times N] EMULATOR...
"""
import argparse
import contextlib
import hashlib
import os
import pathlib
import random
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'lib'))
import debian  # noqa: E402
from checks import check, finish  # noqa: E402
from kernels import GCC, build  # noqa: E402

PARTS = 400
# sums[] and floats[] of kernels/state.c with so many parts, as qemu-system-riscv64 7.2 prints them
EXPECTED = '''ecb5ba1eda62701d
409fffe98b8d2050
a28799eac53bfe50
409fffe98b8d4d34
1740d4fd626ce043
409fffe98b8d7a2c
c512fc0debbf5b7c
409fffe98b8da778
'''
OUTPUT = '.' * PARTS + '\n' + EXPECTED


class Ended(Exception):
    """The machine has ended by itself."""


class Machine:
    def __init__(self, directory, *options):
        self.directory = directory
        self.console, self.sock = directory + '/console', directory + '/monitor'
        for f in (self.console, self.sock):
            if os.path.exists(f):
                os.unlink(f)
        self.p = subprocess.Popen([*args.emulator, '-M', 'virt', '-smp', '4', '-bios', 'none', '-serial',
                                   'file:' + self.console, '-monitor', 'unix:%s,server=on,wait=off' % self.sock,
                                   *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
        self.s = None

    def connect(self):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(200)
        while True:
            try:
                self.s.connect(self.sock)
                break
            except OSError:
                if self.p.poll() is not None:
                    raise Ended(self.output())
                time.sleep(0.01)
        self.until_prompt()

    def until_prompt(self):
        text = b''
        while not text.endswith(b'(braid) '):
            more = self.s.recv(65536)
            if not more:
                raise Ended(self.output())
            text += more
        return text.decode('latin-1')

    def command(self, line):
        """What the monitor says, without the echo and the prompt."""
        if not self.s:
            self.connect()
        self.s.sendall(line.encode() + b'\n')
        text = self.until_prompt().replace('\r', '')
        return text.split('\n', 1)[1].replace('(braid) ', '') if '\n' in text else text

    def output(self):
        try:
            with open(self.console, encoding='latin-1') as f:
                return f.read().replace('\r', '')
        except FileNotFoundError:
            return ''

    def wait_dots(self, n):
        for _ in range(3000):
            if self.output().count('.') >= n or self.p.poll() is not None:
                return
            time.sleep(0.002)

    def wait_text(self, text):
        for _ in range(6000):
            if text in self.output() or self.p.poll() is not None:
                return
            time.sleep(0.01)

    def quit(self):
        self.s.sendall(b'quit\n')
        self.p.communicate(timeout=200)

    def end(self):
        try:
            out, _ = self.p.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            self.p.kill()
            out, _ = self.p.communicate()
            out += '(killed)'
        return out


def test_resume(directory, kernel):
    """One run, interrupted once or several times; how often.  On a busy host it may end before it is stopped."""
    state = directory + '/saved'
    before, saved = '', 0
    m = Machine(directory, '-kernel', kernel)
    for _ in range(random.choice((1, 1, 1, 3))):
        m.wait_dots(random.randrange(0, PARTS // 5))
        time.sleep(random.random() * 0.01)
        try:
            m.command('stop')
        except Ended:
            break
        said = m.command('savevm ' + state)
        check('saved', said == '', said)
        m.quit()
        saved += 1
        before += m.output()
        m = Machine(directory, '-kernel', kernel, '-loadvm', state)
    said = m.end()
    check('goes on', before + m.output() == OUTPUT and m.p.returncode == 0,
          '%r, then %r, status %s, %s' % (before, m.output(), m.p.returncode, said))
    return saved


def test_back(directory, kernel):
    """loadvm in the same process, while the machine runs; without a kernel; and parts that are done again.  Raises
    Ended if the machine was faster than this test."""
    state = directory + '/saved'
    m = Machine(directory, '-kernel', kernel)
    m.wait_dots(5)
    check('saved while it runs', m.command('savevm ' + state) == '')
    m.wait_dots(20)
    check('loaded', m.command('loadvm ' + state) == '')
    m.end()
    out = m.output()
    check('the same end', out.endswith('\n' + EXPECTED), out)
    check('parts are done again', PARTS < out.count('.') <= 2 * PARTS, out)
    m = Machine(directory, '-loadvm', state)
    m.end()
    check('no kernel needed', m.output().endswith('\n' + EXPECTED), m.output())


def put_clock_forward(state, seconds):
    """In the file: sections of a header (id, type, layout, offset, length, checksum) and as many bytes."""
    header, at = struct.Struct('<32sIIQII'), 8
    data = bytearray(pathlib.Path(state).read_bytes())
    while at < len(data):
        name, kind, layout, offset, length, _ = header.unpack_from(data, at)
        if name.rstrip(b'\0') == b'clock':
            body = struct.pack('<Q', struct.unpack_from('<Q', data, at + header.size)[0] + seconds * 10 ** 9)
            crc = zlib.crc32(body, zlib.crc32(header.pack(name, kind, layout, offset, length, 0)))
            header.pack_into(data, at, name, kind, layout, offset, length, crc)
            data[at + header.size:at + header.size + 8] = body
            pathlib.Path(state).write_bytes(data)
            return
        at += header.size + length
    check('there is a clock', False)


def test_due(directory):
    """A machine that was saved after its timers were due, and before they fired: nobody sleeps on.  And the real-time
    clock, whose day goes on."""
    state = directory + '/saved'
    kernel = build('due', directory + '/due', harts=5)
    for options in ([], ['-accel', 'tcg,thread=single'], ['-icount', 'shift=4,sleep=off']):
        options += ['-smp', '5', '-kernel', kernel]
        m = Machine(directory, *options)
        m.wait_text('asleep')
        m.command('stop')
        check('due: saved', m.command('savevm ' + state) == '')
        put_clock_forward(state, 1010)
        for _ in range(2):
            check('due: loaded', m.command('loadvm ' + state) == '')    # twice: over a machine that is awake
        m.command('cont')
        said = m.end()
        check('due: all wake', m.output() == 'asleep\n01234\n', (options, m.output(), said))
        m = Machine(directory, *options, '-loadvm', state)
        said = m.end()
        check('due: all wake', m.output() == '01234\n', (options, m.output(), said))


def test_stop(directory, kernel):
    """Stopped and continued at random moments, a hundred times."""
    m = Machine(directory, '-kernel', kernel)
    stops = 0
    with contextlib.suppress(Ended):
        for stops in range(100):
            m.command('stop')
            time.sleep(random.choice((0, 0, 0.0005, 0.003)))
            m.command('cont')
            time.sleep(random.random() * 0.003)
    m.end()
    check('stopped often', stops > 3 and m.output() == OUTPUT, (stops, m.output()))


def test_bad(directory, kernel):
    """Files that are none leave the machine as it is."""
    state, bad = directory + '/saved', directory + '/bad'
    m = Machine(directory, '-kernel', kernel, '-S')
    check('saved', m.command('savevm ' + state) == '')
    with open(state, 'rb') as f:
        good = f.read()
    check('small', len(good) < 400000, len(good))
    check('no such file', 'No such file' in m.command('loadvm ' + directory + '/none'))
    check('no directory', 'cannot write' in m.command('savevm ' + directory + '/none/x'))
    check('a device', 'not a file' in m.command('savevm /dev/null'))
    check('no part is left', not os.path.exists(state + '.part'))
    cases = [(b'', 'no saved machine'), (b'\x7fELF' + good[4:], 'no saved machine'),
             (good[:7] + b'\x09' + good[8:], 'another version')]
    cases += [(good[:n], 'cut off') for n in (8, 9, 63, 100, len(good) // 2, len(good) - 1)]
    for _ in range(40):
        i = random.randrange(8, len(good))
        cases.append((good[:i] + bytes([good[i] ^ 1 << random.randrange(8)]) + good[i + 1:], ''))
    for content, words in cases:
        with open(bad, 'wb') as f:
            f.write(content)
        said = m.command('loadvm ' + bad)
        check('refused', words in said and said.count('\n') == 1 and len(said) > 20, repr((words, said)))
    for options, words in ((('-smp', '2'), 'another machine'), (('-m', '64M'), 'another machine'),
                           (('-cpu', 'rv64,sstc=off'), 'another machine'),
                           (('-device', 'virtio-rng-device'), 'has no device')):
        other = Machine(directory + '/2', '-kernel', kernel, *options, '-loadvm', state)
        said = other.end()
        check('refused at start', words in said and other.p.returncode == 2, said)
    m.command('cont')
    m.end()
    check('it goes on', m.output() == OUTPUT, m.output())


def test_disks(directory, kernel):
    state, disk = directory + '/saved', directory + '/disk'
    with open(disk, 'wb') as f:
        f.truncate(1 << 20)
    drive = ['-drive', 'file=%s,format=raw,if=virtio' % disk]
    m = Machine(directory, '-kernel', kernel, '-S', *drive)
    check('info block', disk in m.command('info block'))
    check('saved', m.command('savevm ' + state) == '')
    m.quit()
    m = Machine(directory, '-kernel', kernel, '-loadvm', state, *drive)
    m.end()
    check('disk as it was', m.output() == OUTPUT, m.output())
    m = Machine(directory, '-kernel', kernel, '-loadvm', state, drive[0], drive[1] + ',snapshot=on')
    m.end()
    check('over a snapshot', m.output() == OUTPUT, m.output())
    with open(disk, 'r+b') as f:
        f.write(b'x')
    m = Machine(directory, '-kernel', kernel, '-loadvm', state, *drive)
    said = m.end()
    check('disk was written', 'was written to after' in said and m.p.returncode == 2, said)
    m = Machine(directory, '-kernel', kernel, '-loadvm', state)
    said = m.end()
    check('disk is missing', m.p.returncode == 2, said)


INIT = r'''#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for m in MODULES; do insmod /lib/$m.ko || echo "no $m"; done
ifconfig eth0 10.0.2.15 up
for h in 1 2 3; do (while :; do seq 1 3000 | md5sum >/tmp/$h; done) & done
i=0; while [ $i -lt 8 ]; do
  i=$((i+1))
  dd if=/dev/vda of=/dev/vdb bs=64k conv=fsync 2>/dev/null
  echo 3 >/proc/sys/vm/drop_caches
  ping -c 3 -W 5 10.0.2.2 >/dev/null && net=up || net=down
  echo "tick $i $(md5sum </dev/vda | cut -c1-32) $(md5sum </dev/vdb | cut -c1-32) $net"
done
echo "rng: $(dd if=/dev/hwrng bs=16 count=1 2>/dev/null | wc -c)"
poweroff -f
'''


def test_linux(directory, bus, *machine):
    """Debian's kernel with disks, network and random numbers in use, and its own disk writes in the state.  A new
    libslirp has to learn the guest's address, and loses the first packet."""
    work = pathlib.Path(directory)
    try:
        kernel = debian.make_initramfs(work / 'initrd', INIT)
    except debian.Unavailable:
        return
    disks = []
    for i, option in enumerate((',readonly=on', ',snapshot=on')):
        (work / ('disk%d' % i)).write_bytes(random.Random(i).randbytes(1 << 20))
        disks += ['-drive', 'if=none,format=raw,id=d%d,file=%s/disk%d%s' % (i, directory, i, option),
                  '-device', 'virtio-blk-%s,drive=d%d' % (bus, i)]
    options = [*machine, '-m', '256M', '-bios', 'default', '-kernel', str(kernel), '-initrd', str(work / 'initrd'), '-append',
               'console=ttyS0 quiet', *disks, '-netdev', 'user,id=n', '-device', 'virtio-net-%s,netdev=n' % bus,
               '-device', 'virtio-rng-' + bus]
    state, before = directory + '/saved', ''
    m = Machine(directory, *options)
    for tick in (2, 4, 6):
        for _ in range(6000):
            if 'tick %d' % tick in before + m.output() or m.p.poll() is not None:
                break
            time.sleep(0.01)
        time.sleep(random.random() * 0.3)
        m.command('stop')
        said = m.command('savevm ' + state)
        check('linux saved', said == '', said)
        m.quit()
        before += m.output()
        m = Machine(directory, *options, '-loadvm', state)
    m.end()
    out = before + m.output()
    sum = hashlib.md5((work / 'disk0').read_bytes()).hexdigest()
    ticks = re.findall(r'tick (\d+) (\w+) (\w+) (\w+)', out)
    check('linux ticks', ticks == [(str(i + 1), sum, sum, 'up') for i in range(8)], out[-3000:])
    check('linux goes on', 'rng: 16' in out and m.p.returncode == 0 and
          not re.search('Oops|BUG:|rcu: INFO|Call Trace|I/O error', out), out[-3000:])
    check('the image is as it was', (work / 'disk1').read_bytes() == random.Random(1).randbytes(1 << 20))


def main():
    if not shutil.which(GCC):
        print(GCC + ' is missing')
        sys.exit(77)
    print('SEED=%d' % args.seed)
    random.seed(args.seed)
    with tempfile.TemporaryDirectory() as directory:
        os.mkdir(directory + '/2')
        kernel = build('state', directory + '/state', f'-DPARTS={PARTS}', harts=4)
        test_due(directory)
        test_stop(directory, kernel)
        test_bad(directory, kernel)
        test_disks(directory, kernel)
        for _ in range(20):
            with contextlib.suppress(Ended):
                test_back(directory, kernel)
                break
        else:
            check('loaded while it runs', False)
        saved = sum(test_resume(directory, kernel) for _ in range(args.times))
        check('runs were interrupted', saved > 0)
        test_linux(directory, 'device')
        test_linux(directory, 'pci', '-machine', 'aia=aplic-imsic')
    finish()


parser = argparse.ArgumentParser()
parser.add_argument('--times', type=int, default=8)
parser.add_argument('--seed', type=int, default=int.from_bytes(os.urandom(4), 'little'))
parser.add_argument('emulator', nargs=argparse.REMAINDER)
args = parser.parse_args()
main()
