#!/usr/bin/env python3
"""braid-riscv64 -g: by gdb-multiarch, where it is installed, and by a client of our own.

usage: run.py BRAID THREADS FORKS      threads.c and forks.c, compiled with -g -O1 -static
"""
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'lib'))
from checks import check, finish  # noqa: E402
from client import Client  # noqa: E402

BRAID, PROGRAM, FORKS = sys.argv[1:4]


def start(sock, *args, program=None):
    p = subprocess.Popen([BRAID, '-g', sock, program or PROGRAM, *args], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True)
    for _ in range(500):
        if os.path.exists(sock):
            break
        time.sleep(0.02)
    return p


def symbols(program):
    out = subprocess.run(['riscv64-linux-gnu-nm', program], capture_output=True, text=True,
                         check=True).stdout
    return {f[2]: int(f[0], 16) for f in map(str.split, out.splitlines()) if len(f) == 3}


SCRIPT = r'''
set pagination off
set confirm off
target remote %s
break hot
continue
backtrace
print i
info threads
stepi
print $pc == (char *)&hot + 2 || $pc == (char *)&hot + 4
delete
watch shared
continue
delete
tbreak never
handle SIGUSR1 nostop noprint pass
catch signal SIGSEGV
print scale
set var scale = 4
info auxv
continue
print shared
continue
'''


FOLLOW_PARENT = r'''
set pagination off
set confirm off
target remote %s
break in_child
break in_parent
catch fork
continue
continue
print n
delete 3
continue
continue
'''

FOLLOW_CHILD = r'''
set pagination off
set confirm off
target remote %s
set follow-fork-mode child
break in_child
break in_parent
continue
print value + n
stepi
info inferiors
continue
'''


FOLLOW_EXEC = r'''
set pagination off
set confirm off
target remote %s
catch exec
break in_parent
continue
continue
print n
delete
continue
'''


def test_gdb_forks(dir):
    gdb = shutil.which('gdb-multiarch')
    for name, script, patterns in gdb and [
            ('parent', FOLLOW_PARENT, [r'Catchpoint 3 \(forked process \d+\)', r'Detaching after fork from child',
                                       r'Breakpoint 2, in_parent', r'\$1 = 2', r'Inferior 1 .*exited with code 03']),
            ('child', FOLLOW_CHILD, [r'Attaching after .* fork to child', r'Breakpoint 1\S*, in_child', r'\$1 = 15',
                                     r'Inferior 2 .*exited with code 017']),
            ('exec', FOLLOW_EXEC, [r"Catchpoint 1 \(exec'd .*gdb-forks\)", r'Breakpoint 2.*, in_parent', r'\$1 = 2',
                                   r'Inferior 1 .*exited with code 03'])] or []:
        sock, path = f'{dir}/gdb-{name}', f'{dir}/script-{name}'
        with open(path, 'w') as f:
            f.write(script % sock)
        p = start(sock, *([FORKS] if name == 'exec' else []), program=FORKS)
        out = subprocess.run([gdb, '-nx', '-batch', '-x', path, FORKS], capture_output=True, text=True, timeout=100,
                             stdin=subprocess.DEVNULL)
        guest, _ = p.communicate(timeout=60)
        for pattern in patterns:
            check(f'gdb, following the {name}: {pattern}', re.search(pattern, out.stdout), out.stdout + out.stderr)
        check('no breakpoint elsewhere: ' + name, ('in_parent (' if name == 'child' else 'in_child') not in
              out.stdout.replace('Breakpoint 1 at', ''), out.stdout)
        check('both went on: ' + name, guest == 'child 15\nchild 21\nparent 20\n' and p.returncode == 3, guest)


def test_forks(dir, sym):
    """Who leaves what at a fork: the child, the parent, both without a word."""
    for leave in ('child', 'parent', 'both', 'kill'):
        p = start(f'{dir}/fork-{leave}', program=FORKS)
        c = Client(f'{dir}/fork-{leave}')
        check('forks offered', ';multiprocess+;fork-events+' in c.ask('qSupported:multiprocess+;swbreak+;fork-events+'))
        own = 'p%x.%x' % (p.pid, p.pid)
        check('names', c.ask('?') == f'T05thread:{own};' and c.ask('qC') == 'QC' + own and
              c.ask('qfThreadInfo') == 'm' + own and own in c.ask('qXfer:threads:read::0,1000'))
        c.ask('Z0,%x,2' % sym['in_child'])
        stop = c.ask('vCont;c:p%x.-1' % p.pid)
        event = re.fullmatch(r'T05fork:p(\w+)\.(\w+);thread:%s;' % own, stop)
        check('fork event', event and event.group(1) == event.group(2), stop)
        child = event.group(1)
        if leave == 'child':
            check('breakpoints of the child', c.ask(f'Hgp{child}.{child}') == 'OK' and
                  c.ask('z0,%x,2' % sym['in_child']) == 'OK' and c.ask('Hg' + own) == 'OK')
            check('it is left', c.ask('D;' + child) == 'OK')
            stop = c.ask('vCont;c')
            check('the next one', re.match(r'T05fork:p\w+', stop) and f':p{child}.' not in stop, stop)
            stop = c.ask('vCont;c')
            check('end', stop == 'W03;process:%x' % p.pid, stop)
        elif leave == 'parent':
            check('the parent is left', c.ask('D;%x' % p.pid) == 'OK')
            check('the child is there', c.ask('qC') == f'QCp{child}.{child}' and c.register(10) == 0)
            check('its breakpoint', c.ask('Z0,%x,2' % sym['in_child']) == 'OK')
            stop = c.ask('vCont;c')
            check('it is hit', stop.startswith('T05') and c.register(32) == sym['in_child'] and c.register(10) == 10, stop)
            check('another argument', c.ask('Pa=' + struct.pack('<Q', 20).hex()) == 'OK' and
                  c.ask('z0,%x,2' % sym['in_child']) == 'OK')
            stop = c.ask('vCont;c')
            check('its end', stop == f'W19;process:{child}', stop)
        elif leave == 'both':
            c.s.close()
        else:
            c.send('k')
        out, _ = p.communicate(timeout=60)
        first = 25 if leave == 'parent' else 15
        if leave != 'kill':
            check('output: ' + leave, out == f'child {first}\nchild 21\nparent 20\n' and p.returncode == 3, out)
        else:
            check('killed', p.returncode == -9 and out == '', out)


def test_exec(dir, sym):
    """The program that takes this one's place goes on with the connection; if gdb does not know how, that ends."""
    path = os.path.realpath(FORKS)
    for known in (True, False):
        p = start(f'{dir}/exec-{known}', path, program=FORKS)
        c = Client(f'{dir}/exec-{known}')
        offer = c.ask('qSupported:multiprocess+;swbreak+' + (';exec-events+' if known else ''))
        check('exec offered', known == (';exec-events+' in offer), offer)
        c.ask('?')
        c.ask('Z0,%x,2' % sym['in_child'])
        if known:
            stop = c.ask('vCont;c')
            check('exec event', stop == 'T05exec:%s;thread:p%x.%x;' % (path.encode().hex(), p.pid, p.pid), stop)
            check('at its start', c.register(32) == sym['_start'] and
                  c.ask('Z0,%x,2' % sym['in_parent']) == 'OK')
            stop = c.ask('vCont;c')
            check('its breakpoint', stop.startswith('T05swbreak:;') and c.register(32) == sym['in_parent'], stop)
            check('removed', c.ask('z0,%x,2' % sym['in_parent']) == 'OK')
            stop = c.ask('vCont;c')
            check('its end', stop == 'W03;process:%x' % p.pid, stop)
        else:
            c.send('vCont;c')
        out, _ = p.communicate(timeout=60)
        check('output', out == 'child 15\nchild 21\nparent 20\n' and p.returncode == 3, out)


def test_gdb(dir):
    gdb = shutil.which('gdb-multiarch')
    if not gdb:
        print('no gdb-multiarch: its part is left out')
        return
    sock, script = dir + '/gdb', dir + '/script'
    with open(script, 'w') as f:
        f.write(SCRIPT % sock)
    p = start(sock, 'crash')
    out = subprocess.run([gdb, '-nx', '-batch', '-x', script, PROGRAM], capture_output=True,
                         text=True, timeout=100, stdin=subprocess.DEVNULL)
    text = out.stdout
    try:
        guest, _ = p.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        p.kill()
        guest, _ = p.communicate()
    for name, pattern in [
            ('breakpoint', r'hit Breakpoint 1, hot \(i=.*0\)'),
            ('backtrace', r'#1 +0x\w+ in main'),
            ('argument', r'\$1 = 0'),
            ('four threads', r'  4    Thread'),
            ('step', r'\$2 = 1'),
            ('watchpoint', r'Hardware watchpoint 2: shared\s+Old value = 0\s+New value = 1'),
            ('variable', r'\$3 = 1\.5'),
            ('auxv', r'AT_ENTRY'),
            ('fault', r'Catchpoint \d+ \(signal SIGSEGV\), .*main'),
            ('result', r'\$4 = 1045'),
            ('end', r'Program terminated with signal SIGSEGV')]:
        check('gdb: ' + name, re.search(pattern, text), '\n' + text + out.stderr)
    check('gdb: variable set', 'shared 1045 scale 8' in guest, guest)
    check('gdb: guest status', p.returncode == -11, p.returncode)


def test_registers_and_memory(dir, sym):
    p = start(dir + '/a')
    c = Client(dir + '/a')
    check('supported', 'qXfer:features:read+' in c.ask('qSupported:swbreak+'))
    check('first stop', c.ask('?').startswith('T05'))
    check('entry', c.register(32) == sym['_start'])
    check('x0', c.register(0) == 0)
    check('write a register', c.ask('P5=efbeadde00000000') == 'OK' and c.register(5) == 0xdeadbeef)
    check('g', len(c.ask('g')) == 33 * 16)
    check('bad register', c.ask('p4000').startswith('E'))
    check('bad memory', c.ask('m10,4').startswith('E'))
    check('no memory of braid', c.ask('m7fffffffe000,8').startswith('E'))
    check('write code', c.ask('M%x,4:00000000' % sym['never']) == 'OK' and c.word(sym['never']) == 0)
    check('unknown command', c.ask('jabberwocky') == '')
    check('target.xml', 'riscv.cpu' in c.ask('qXfer:features:read:target.xml:0,800'))
    check('breakpoint', c.ask('Z0,%x,2' % sym['hot']) == 'OK')
    stop = c.ask('vCont;c')
    check('hit', 'swbreak' in stop and c.register(32) == sym['hot'], stop)
    check('remove', c.ask('z0,%x,2' % sym['hot']) == 'OK')
    # To the end: each signal on the way is passed on.
    while (stop := c.ask('vCont;c')).startswith('T'):
        sig, thread = stop[1:3], re.search(r'thread:(\w+)', stop).group(1)
        check('signal', sig == '1e', stop)
        c.send('vCont;C%s:%s;c' % (sig, thread))
        stop = c.receive()
        break
    check('exit', stop == 'W07', stop)
    out, _ = p.communicate(timeout=30)
    check('output', out == 'shared 1045 scale 3\n', out)


def test_files(dir):
    """gdb's manual, "Host I/O Packets"."""
    with open(dir + '/file', 'wb') as f:
        f.write(bytes(range(256)) * 100)
    os.symlink('file', dir + '/link')
    p = start(dir + '/f')
    c = Client(dir + '/f')
    name = (dir + '/file').encode().hex()

    def attachment(reply):
        head, _, data = reply.partition(';')
        return int(head[1:], 16), data.encode('latin-1')

    check('setfs', c.ask('vFile:setfs:0') == 'F0')
    check('no file', c.ask('vFile:open:%s,0,0' % (dir + '/none').encode().hex()) == 'F-1,2')
    check('not for writing', c.ask('vFile:open:%s,1,0' % name) == 'F-1,d')
    fd = c.ask('vFile:open:%s,0,0' % name)
    check('open', re.fullmatch('F[0-9a-f]+', fd), fd)
    fd = fd[1:]
    n, data = attachment(c.ask('vFile:fstat:' + fd))
    mode, = struct.unpack_from('>I', data, 8)
    size, = struct.unpack_from('>Q', data, 28)
    check('fstat', n == len(data) == 64 and size == 25600 and mode == os.stat(dir + '/file').st_mode, data)
    n, data = attachment(c.ask('vFile:pread:%s,1000,80' % fd))
    check('pread', n == len(data) == 4096 and data == (bytes(range(256)) * 17)[0x80:0x1080], n)
    check('at the end', attachment(c.ask('vFile:pread:%s,10,6400' % fd)) == (0, b''))
    check('readlink', c.ask('vFile:readlink:' + (dir + '/link').encode().hex()) == 'F4;file')
    check('not a link', c.ask('vFile:readlink:' + name) == 'F-1,16')
    check('close', c.ask('vFile:close:' + fd) == 'F0')
    check('closed', c.ask('vFile:close:' + fd) == 'F-1,9' and c.ask('vFile:pread:%s,1,0' % fd) == 'F-1,9')
    check('nonsense', c.ask('vFile:open:zz,0,0') == 'F-1,16' and c.ask('vFile:jump:1') == '')
    c.send('k')
    p.wait(30)


def test_syscalls(dir):
    """gdb's manual, "General Query Packets": QCatchSyscalls.  (gdb 13 offers `catch syscall` for other architectures only.)"""
    p = start(dir + '/s')
    c = Client(dir + '/s')
    check('offered', 'QCatchSyscalls+' in c.ask('qSupported:swbreak+'))
    c.ask('?')
    check('nonsense', all(c.ask('QCatchSyscalls:' + s).startswith('E') for s in ('2', '1;', '1;x', '0;40', '')))
    c.ask('QPassSignals:1e')
    check('all', c.ask('QCatchSyscalls:1') == 'OK')
    entry = c.ask('vCont;c')
    nr = re.fullmatch(r'T05syscall_entry:(\w+);thread:\w+;', entry)
    check('any entry', nr and int(nr.group(1), 16) == c.register(17), entry)
    back = c.ask('vCont;c')
    check('its return', back.startswith('T05syscall_return:%s;' % nr.group(1)), back)
    check('write only', c.ask('QCatchSyscalls:1;40;fffffff') == 'OK')
    stop = c.ask('vCont;c')
    text, n = c.register(11), c.register(12)
    check('write', stop.startswith('T05syscall_entry:40;') and c.register(10) == 1, stop)
    check('its text', bytes.fromhex(c.ask('m%x,%x' % (text, n))) == b'shared 1045 scale 3\n')
    check('written less', c.ask('Pc=' + struct.pack('<Q', 11).hex()) == 'OK')
    stop = c.ask('vCont;c')
    check('write returns', stop.startswith('T05syscall_return:40;') and c.register(10) == 11, stop)
    check('another result', c.ask('Pa=' + struct.pack('<Q', n).hex()) == 'OK')
    check('none', c.ask('QCatchSyscalls:0') == 'OK')
    check('end', c.ask('vCont;c') == 'W07')
    out, _ = p.communicate(timeout=30)
    check('changed output', out == 'shared 1045', out)


def test_toggle(dir, sym):
    """A breakpoint that comes and goes under three threads that run into it; Ctrl-C between."""
    p = start(dir + '/b', 'spin')
    c = Client(dir + '/b')
    c.ask('?')
    c.ask('QPassSignals:1e')
    c.send('vCont;c')
    time.sleep(0.5)
    c.s.sendall(b'\x03')
    check('interrupt', c.receive().startswith('T02'))
    hits = set()
    for i in range(300):
        c.ask('Z0,%x,2' % sym['hot'])
        stop = c.ask('vCont;c')
        pc, thread = c.register(32), re.search(r'thread:(\w+)', stop).group(1)
        check('toggle', stop.startswith('T05') and pc == sym['hot'], '%s pc %x' % (stop, pc))
        hits.add(thread)
        c.ask('z0,%x,2' % sym['hot'])
        # One step of one thread, the others stand still.
        before = c.word(sym['shared'])
        stop = c.ask('vCont;s:' + thread)
        check('step', stop.startswith('T05') and sym['hot'] < c.register(32) <= sym['hot'] + 4, stop)
        check('held', c.word(sym['shared']) == before)
    check('several threads', len(hits) > 1, hits)
    check('thread list', c.ask('qfThreadInfo').count(',') == 3)
    check('detach', c.ask('D') == 'OK')
    time.sleep(0.2)
    check('runs on', p.poll() is None)
    p.kill()
    p.communicate()


def test_kill(dir):
    p = start(dir + '/c', 'spin')
    c = Client(dir + '/c')
    c.ask('?')
    c.send('k')
    p.communicate(timeout=30)
    check('kill', p.returncode == -9, p.returncode)
    bad = subprocess.run([BRAID, '-g', dir + '/no/such/dir', PROGRAM], capture_output=True, text=True,
                         timeout=30)
    check('bad socket', bad.returncode == 1 and 'gdb' in bad.stderr, bad)


with tempfile.TemporaryDirectory() as d:
    s = symbols(PROGRAM)
    test_registers_and_memory(d, s)
    test_files(d)
    test_syscalls(d)
    test_forks(d, symbols(FORKS))
    test_exec(d, symbols(FORKS))
    test_toggle(d, s)
    test_kill(d)
    test_gdb(d)
    test_gdb_forks(d)
finish()
