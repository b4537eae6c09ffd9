#!/usr/bin/env python3
"""The terminal of a machine whose serial line it is: its keys, and that it is as before however the machine ends.

usage: terminal.py BRAID-SYSTEM

Each case runs the kernel echo.c with two harts, one of which goes round in a loop, on a pseudoterminal of its own.
"""
import os
import pathlib
import pty
import select
import shutil
import signal
import sys
import tempfile
import termios
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'lib'))
from kernels import GCC, build  # noqa: E402

TIMEOUT = 20


class Wrong(Exception):
    pass


class Machine:
    """braid as a shell would start it: leader of a session with the terminal `self.tty`."""

    def __init__(self, command):
        self.master, slave = pty.openpty()
        self.tty = os.ttyname(slave)
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.output = b''
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            fd = os.open(self.tty, os.O_RDWR)       # becomes the controlling terminal
            for n in 0, 1, 2:
                os.dup2(fd, n)
            os.closerange(3, 100)
            signal.signal(signal.SIGQUIT, signal.SIG_DFL)   # a background job of a shell's ignores it
            os.execv(command[0], command)

    def expect(self, text, timeout=TIMEOUT):
        limit = time.monotonic() + timeout
        while text not in self.output:
            left = limit - time.monotonic()
            if left <= 0 or not select.select([self.master], [], [], left)[0]:
                raise Wrong(f'no {text!r} within {timeout} s, but {self.output[-200:]!r}')
            self.output += os.read(self.master, 4096)
        self.early, self.output = self.output.split(text, 1)

    def send(self, data):
        os.write(self.master, data)

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & (termios.ICANON | termios.ECHO | termios.ISIG)

    def end(self):
        """How the process ended: a status, or minus a signal."""
        limit = time.monotonic() + TIMEOUT
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = None
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > limit:
                raise Wrong('the process does not end')
            if self.master >= 0 and select.select([self.master], [], [], 0.01)[0]:
                try:
                    self.output += os.read(self.master, 4096)
                except OSError:
                    time.sleep(0.01)

    def check_restored(self):
        if termios.tcgetattr(self.slave) != self.before:
            raise Wrong('the terminal is not as it was')

    def close(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        for fd in self.slave, self.master:
            if fd >= 0:
                os.close(fd)


def expect_equal(what, got, wanted):
    if got != wanted:
        raise Wrong(f'{what} is {got}, expected {wanted}')


def check_signal(m, sig, wanted):
    expect_equal('raw mode', m.is_raw(), True)
    os.kill(m.pid, sig)
    expect_equal('the end', m.end(), wanted)
    m.check_restored()


def check_keys(m):
    m.send(b'\x03')         # no signal to braid: the guest's
    m.expect(b'\x04')
    m.send(b'\x01h')
    m.expect(b'Ctrl-A x')
    m.send(b'\x01\x01')
    m.expect(b'\x02')
    m.send(b'\x01c')
    m.expect(b'(braid) ')
    m.send(b'info status\r')
    m.expect(b'running')
    m.send(b'\x01cG')
    m.expect(b'H')
    m.send(b'\x01x')
    expect_equal('the end', m.end(), 0)
    m.check_restored()


def check_quit(m):
    m.send(b'\x01c')
    m.expect(b'(braid) ')
    m.send(b'quit\r')
    expect_equal('the end', m.end(), 0)
    m.check_restored()


def check_stopped(m):
    """Stopped, the terminal put right by the shell, continued."""
    os.kill(m.pid, signal.SIGSTOP)
    os.waitpid(m.pid, os.WUNTRACED)
    termios.tcsetattr(m.slave, termios.TCSANOW, m.before)
    os.kill(m.pid, signal.SIGCONT)
    limit = time.monotonic() + TIMEOUT
    while not m.is_raw() and time.monotonic() < limit:
        time.sleep(0.01)
    expect_equal('raw mode', m.is_raw(), True)
    m.send(b'a')
    m.expect(b'b')


def check_hangup(m):
    """The terminal goes away."""
    os.close(m.slave)
    os.close(m.master)
    m.slave = m.master = -1
    expect_equal('the end', m.end(), 128 + signal.SIGHUP)


def check_background(m):
    """A job of a shell's that has not got the terminal: runs without input, and can be ended."""
    job = int(m.early.split(b'job ')[1].split()[0])
    expect_equal('raw mode', m.is_raw(), False)
    m.send(b'hello\n')
    time.sleep(0.5)
    state = pathlib.Path(f'/proc/{job}/stat').read_text().rsplit(')', 1)[1].split()[0]
    if state == 'T':
        raise Wrong('the job has been stopped')
    os.kill(job, signal.SIGTERM)
    expect_equal('the end', m.end(), 128 + signal.SIGTERM)
    m.check_restored()


CASES = [(f'SIG{name}', lambda m, sig=getattr(signal, 'SIG' + name): check_signal(m, sig, -sig))
         for name in ('SEGV', 'BUS', 'ILL', 'FPE', 'ABRT', 'QUIT', 'SYS')]
CASES += [(f'SIG{name}', lambda m, sig=getattr(signal, 'SIG' + name): check_signal(m, sig, 128 + sig))
          for name in ('TERM', 'HUP', 'INT')]
CASES += [('keys', check_keys), ('quit', check_quit), ('stopped', check_stopped), ('hangup', check_hangup),
          ('background', check_background)]
IN_BACKGROUND = ['/bin/sh', '-c', 'set -m; "$@" & echo job $!; wait $!', 'sh']


def main():
    if not shutil.which(GCC):
        print(f'{GCC} is missing')
        sys.exit(77)
    passed = failed = 0
    with tempfile.TemporaryDirectory() as directory:
        kernel = build('echo', directory + '/echo', harts=2)
        command = [sys.argv[1], '-M', 'virt', '-nographic', '-smp', '2', '-bios', 'none', '-kernel', str(kernel)]
        for name, check in CASES:
            m = Machine(IN_BACKGROUND + command if check is check_background else command)
            try:
                m.expect(b'ready')
                check(m)
                passed += 1
            except Wrong as why:
                failed += 1
                print(f'{name}: {why}')
            finally:
                m.close()
    print(f'{passed} passed, {failed} failed')
    sys.exit(1 if failed else 0)


main()
