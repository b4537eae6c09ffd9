#!/usr/bin/env python3
"""braid-system-riscv64 -gdb: by gdb-multiarch, where it is installed, and by a client of our own, on the
bare-metal kernel tests/system/kernels/debug.c.

usage: system.py EMULATOR [OPTION...]
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'lib'))
import kernels  # noqa: E402
from checks import check, finish  # noqa: E402
from client import Client  # noqa: E402

EMULATOR = sys.argv[1:]
CROSS = 'riscv64-linux-gnu-'
PC = 32


def build(name, directory, **options):
    out = kernels.build(name, directory + '/' + name, **options)
    text = subprocess.run([CROSS + 'nm', out], capture_output=True, text=True, check=True).stdout
    return out, {f[2]: int(f[0], 16) for f in map(str.split, text.splitlines()) if len(f) == 3}


class Machine:
    def __init__(self, kernel, directory, *options):
        self.sock = directory + '/gdb'
        if os.path.exists(self.sock):
            os.unlink(self.sock)
        self.p = subprocess.Popen([*EMULATOR, '-M', 'virt', '-smp', '2', '-bios', 'none', '-kernel', kernel, '-gdb',
                                   'unix:' + self.sock, *options], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(500):
            if os.path.exists(self.sock):
                break
            time.sleep(0.02)

    def end(self):
        try:
            out, _ = self.p.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.p.kill()
            out, _ = self.p.communicate()
            out += b' (killed)'
        return out.decode('latin-1').replace('\r', '')


SCRIPT = r'''
set pagination off
set confirm off
target remote %s
info threads
print/x $pc
break hot
continue
backtrace
print i
print/x $mscratch
print $priv
stepi
print $pc == (char *)&hot + 2 || $pc == (char *)&hot + 4
delete
watch watched
continue
continue
delete
tbreak count
continue
break hot
continue
delete
awatch *(long *)(straddled + 4096)
continue
delete
monitor info cpus
thread 2
print $mhartid
print $misa >> 62 & 3
set $old = other_count
set scheduler-locking on
thread 1
tbreak hot
continue
print other_count == $old
set scheduler-locking off
maintenance packet Qqemu.PhyMemMode:1
x/2xb 0x1000
set var stop_now = 1
continue
'''


def test_gdb(kernel, directory):
    gdb = shutil.which('gdb-multiarch')
    if not gdb:
        print('no gdb-multiarch: its part is left out')
        return
    m = Machine(kernel, directory, '-S')
    script = directory + '/script'
    with open(script, 'w') as f:
        f.write(SCRIPT % m.sock)
    r = subprocess.run([gdb, '-nx', '-batch', '-x', script, kernel], capture_output=True, text=True, timeout=100,
                       stdin=subprocess.DEVNULL)
    out = m.end()
    for name, pattern in [
            ('two threads', r'\* 1    Thread 1 \(hart 0, M-mode\).*\n  2    Thread 2 \(hart 1, M-mode\)'),
            ('reset vector', r'\$1 = 0x1000'),
            ('breakpoint', r'hit Breakpoint 1, hot \(i=.*0\)'),
            ('backtrace', r'#1 +0x\w+ in main'),
            ('argument', r'\$2 = 0'),
            ('CSR', r'\$3 = 0x1234567890abcdef'),
            ('priv', r'\$4 = 3'),
            ('step', r'\$5 = 1'),
            ('the other hart comes', r'Thread 2 hit Temporary breakpoint 3, count'),
            ('watchpoint', r'Hardware watchpoint 2: watched\s+Old value = 0\s+New value = 5'),
            ('AMO watched', r'Hardware watchpoint 2: watched\s+Old value = 5\s+New value = 16'),
            ('straddling access', r'access \(read/write\) watchpoint 5: .*\n\s*Value = 0'),
            ('monitor', r'hart 1: pc=0x0000000080'),
            ('mhartid', r'\$6 = 1'),
            ('misa', r'\$7 = 2'),
            ('the other hart was held', r'\$8 = 1'),
            ('physical memory', r'0x1000:\s+0x97\s+0x02'),
            ('end', r'exited normally')]:
        check('gdb: ' + name, re.search(pattern, r.stdout + r.stderr), '\n' + r.stdout + r.stderr)
    check('gdb: console', out.endswith('debugged\n'), out)
    check('gdb: exit status', m.p.returncode == 0, m.p.returncode)


def csr_numbers(c):
    """Register numbers by name, from the description."""
    text, offset = '', 0
    while True:
        piece = c.ask('qXfer:features:read:target.xml:%x,800' % offset)
        text += piece[1:]
        offset += len(piece) - 1
        if piece[0] == 'l':
            break
    return {name: i for i, name in enumerate(re.findall(r'<reg name="(\w+)"', text))}


def monitor(c, command):
    c.send('qRcmd,' + command.encode().hex())
    text = ''
    while (reply := c.receive()) != 'OK':
        text += bytes.fromhex(reply[1:]).decode()
    return text


def test_client(kernel, directory, sym):
    m = Machine(kernel, directory, '-S')
    c = Client(m.sock)
    check('supported', 'qXfer:features:read+' in c.ask('qSupported:swbreak+'))
    check('first stop', c.ask('?').startswith('T05thread:1'))
    regs = csr_numbers(c)
    check('registers', regs['pc'] == 32 and regs['fcsr'] == 67 and 'satp' in regs and 'priv' in regs, regs)
    check('pc', c.register(PC) == 0x1000)
    check('CSR written', c.ask('P%x=0807060504030201' % regs['sscratch']) == 'OK' and
          c.register(regs['sscratch']) == 0x0102030405060708)
    check('read-only CSR', c.ask('P%x=0100000000000000' % regs['mhartid']).startswith('E'))
    check('no mode 2', c.ask('P%x=0200000000000000' % regs['priv']).startswith('E'))
    check('nothing there', c.ask('m%x,4' % 0x50000000).startswith('E'))
    # A device: a store to the scratch register of the serial port, found before and reported behind the access.
    check('MMIO watchpoint', c.ask('Z2,10000007,1') == 'OK')
    stop = c.ask('vCont;c')
    check('MMIO store', 'watch:10000007' in stop, stop)
    text = monitor(c, 'info cpus')
    check('monitor', 'hart 1: pc=' in text, text)
    check('status', 'paused' in monitor(c, 'info status'))
    check('removed', c.ask('z2,10000007,1') == 'OK')
    # A read watchpoint sees the loop's load of stop_now, by the instruction after it.
    check('read watchpoint', c.ask('Z3,%x,8' % sym['stop_now']) == 'OK')
    stops = set()
    for _ in range(5000):       # on a busy machine one of them may be the first for long
        stops.add(re.search('thread:(\\w+)', c.ask('vCont;c')).group(1))
        if len(stops) == 2:
            break
    check('both harts read it', stops == {'1', '2'}, stops)
    check('removed', c.ask('z3,%x,8' % sym['stop_now']) == 'OK')
    # Steps of one hart while the other runs, and while it is held.
    c.ask('Hg1')
    for how, moves in (('vCont;s:1;c', True), ('vCont;s:1', False)):
        before, pcs = c.word(sym['other_count']), set()
        for i in range(5000):
            stop = c.ask(how)
            check('step', stop.startswith('T05thread:1;'), stop)
            pcs.add(c.register(PC))
            if i >= 50 and (not moves or c.word(sym['other_count']) != before):
                break
        check('steps move', len(pcs) > 10)
        check('other hart ' + how, (c.word(sym['other_count']) != before) == moves)
    # Code that is changed: an endless loop at hot(), and back.
    code = c.ask('m%x,2' % sym['hot'])
    check('write code', c.ask('M%x,2:01a0' % sym['hot']) == 'OK')
    c.send('vCont;c')
    time.sleep(0.3)
    c.s.sendall(b'\x03')
    check('interrupt', c.receive().startswith('T02'))
    c.ask('Hg1')
    check('the loop', c.register(PC) == sym['hot'], hex(c.register(PC)))
    check('code is back', c.ask('M%x,2:%s' % (sym['hot'], code)) == 'OK')
    # gdb leaves, the machine runs, another one comes.
    check('detach', c.ask('D') == 'OK')
    c.s.close()
    time.sleep(0.2)
    c = Client(m.sock)
    check('stopped again', c.ask('?').startswith('T05'))
    first = c.word(sym['other_count'])
    time.sleep(0.2)
    check('it stands still', c.word(sym['other_count']) == first)
    # A connection that just breaks leaves nothing behind.
    check('breakpoint', c.ask('Z0,%x,2' % sym['hot']) == 'OK')
    c.s.close()
    time.sleep(0.2)
    c = Client(m.sock)
    check('it ran on', c.word(sym['other_count']) != first)
    check('end', c.ask('M%x,1:01' % sym['stop_now']) == 'OK')
    check('exit', c.ask('vCont;c') == 'W00')
    check('console', m.end() == 'debugged\n')


def test_storm(kernel, directory, sym):
    """Breakpoints that come and go, interrupts, steps and detaching under two harts that run."""
    m = Machine(kernel, directory)
    hits = 0
    for _ in range(12):
        c = Client(m.sock)
        check('stop', c.ask('?').startswith('T05'))
        for i in range(20):
            check('set', c.ask('Z0,%x,2' % sym['hot']) == 'OK')
            check('watch', c.ask('Z2,%x,8' % sym['watched']) == 'OK' if i % 3 == 0 else True)
            stop = c.ask('vCont;c')
            hits += 'thread:1' in stop
            check('hit', stop.startswith('T05'), stop)
            check('reset', c.ask('z0,%x,2' % sym['hot']) == 'OK')
            check('unwatch', c.ask('z2,%x,8' % sym['watched']) == 'OK')
            stop = c.ask('vCont;s:%x;c' % (1 + i % 2))
            check('step', stop.startswith('T05'), stop)
            c.send('vCont;c')
            c.s.sendall(b'\x03')
            check('interrupt', c.receive().startswith('T02'))
        c.s.close()
    check('hits', hits == 12 * 20, hits)
    c = Client(m.sock)
    check('kill', c.ask('vKill;1') == 'OK')
    m.end()
    check('killed', m.p.returncode == 0, m.p.returncode)


def run_a_bit(c, sym):
    """Until both harts have begun and ended a round."""
    words = sym['rounds'], sym['rounds'] + 8
    first = [c.word(w) for w in words]
    for _ in range(1000):
        c.send('vCont;c')
        time.sleep(0.005)
        c.s.sendall(b'\x03')
        check('interrupt', c.receive().startswith('T02'))
        if all(c.word(w) - n > 1 for w, n in zip(words, first)):
            return
    check('the harts run', False)


def test_patched(directory):
    """Code that runs is changed by gdb, by virtual and physical addresses, and by loadvm; no breakpoint drops
    translations, no hart executes FENCE.I."""
    kernel, sym = build('patched', directory, harts=2)
    m = Machine(kernel, directory)
    c = Client(m.sock)
    check('stop', c.ask('?').startswith('T05'))
    code, state = (sym['value'], sym['in_loop']), directory + '/state'
    seen = [sym[name] + 8 * hart for name in ('called', 'looped') for hart in (0, 1)]

    def patch(n):
        for at, register in zip(code, (10, 12)):
            insn = n << 20 | register << 7 | 0x13           # addi register, zero, n
            check('patch', c.ask('M%x,4:%s' % (at, insn.to_bytes(4, 'little').hex())) == 'OK')

    def look(n, what):
        run_a_bit(c, sym)
        values = [c.word(at) for at in seen]
        check(what, values == [n] * 4, (n, values))

    run_a_bit(c, sym)       # out of the boot ROM
    look(1, 'as built')
    for n in range(2, 20):
        check('mode', c.ask('Qqemu.PhyMemMode:%d' % (n % 2)) == 'OK')
        patch(n)
        look(n, 'after a write')
    check('saved', monitor(c, 'savevm ' + state) == '')
    for n in range(30, 40):
        patch(n)
        look(n, 'after a write')
        check('loaded', monitor(c, 'loadvm ' + state) == '')
        look(19, 'after loadvm')
    check('end', c.ask('M%x,1:01' % sym['stop_now']) == 'OK')
    check('exit', c.ask('vCont;c') == 'W00')
    check('console', m.end() == 'patched\n')


def main():
    if not shutil.which(CROSS + 'gcc'):
        print(CROSS + 'gcc is missing')
        sys.exit(77)
    with tempfile.TemporaryDirectory() as directory:
        kernel, sym = build('debug', directory)
        test_gdb(kernel, directory)
        test_client(kernel, directory, sym)
        test_storm(kernel, directory, sym)
        test_patched(directory)
    finish()


main()
