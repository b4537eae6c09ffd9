#!/usr/bin/env python3
"""QMP over a socket: negotiation, commands, events, broken input, as qemu-system-riscv64 answers them.

usage: qmp.py EMULATOR...
"""
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'lib'))
from checks import check, finish  # noqa: E402
from kernels import GCC, build  # noqa: E402

EMULATOR = sys.argv[1:]


class Client:
    def __init__(self, path):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(30)
        for _ in range(500):
            try:
                self.s.connect(path)
                break
            except OSError:
                time.sleep(0.02)
        self.f = self.s.makefile('rb')
        self.events = []
        self.greeting = self.read()

    def read(self):
        line = self.f.readline()
        if not line:
            raise EOFError
        return json.loads(line)

    def send(self, text):
        self.s.sendall(text if isinstance(text, bytes) else text.encode())

    def answer(self):
        while 'event' in (o := self.read()):
            self.events.append(o)
        return o

    def ask(self, text):
        self.send(text)
        return self.answer()

    def execute(self, name, **arguments):
        o = {'execute': name}
        if arguments:
            o['arguments'] = {k.replace('_', '-'): v for k, v in arguments.items()}
        return self.ask(json.dumps(o))

    def wait_event(self, name):
        while True:
            for i, e in enumerate(self.events):
                if e['event'] == name:
                    del self.events[i]
                    return e
            self.events.append(self.read())


def start(kernel, directory, *options):
    sock = directory + '/qmp'
    p = subprocess.Popen([*EMULATOR, '-M', 'virt', '-smp', '2', '-bios', 'none', '-display', 'none', '-kernel', kernel,
                          '-serial', 'null', '-monitor', 'none', '-qmp', 'unix:%s,server,nowait' % sock, *options],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return p, Client(sock)


def is_error(answer, cls, words=''):
    return answer.get('error', {}).get('class') == cls and words in answer['error']['desc']


def test_commands(kernel, directory):
    p, c = start(kernel, directory)
    v = c.greeting['QMP']['version']['qemu']
    check('greeting', set(v) == {'major', 'minor', 'micro'} and isinstance(c.greeting['QMP']['capabilities'], list))
    check('not yet', is_error(c.execute('query-status'), 'CommandNotFound', 'qmp_capabilities'))
    check('negotiated', c.execute('qmp_capabilities') == {'return': {}})
    check('once', is_error(c.execute('qmp_capabilities'), 'CommandNotFound', 'already complete'))
    s = c.execute('query-status')['return']
    check('running', s['status'] == 'running' and s['running'] is True, s)
    check('stop', c.execute('stop') == {'return': {}})
    s = c.execute('query-status')['return']
    check('paused', s['status'] == 'paused' and s['running'] is False, s)
    e = c.wait_event('STOP')
    check('event', abs(e['timestamp']['seconds'] - time.time()) < 60 and 0 <= e['timestamp']['microseconds'] < 10**6, e)
    check('cont', c.execute('cont') == {'return': {}})
    c.wait_event('RESUME')
    check('id', c.ask('{"execute": "query-name", "id": {"a": [1, "x"]}}') == {'return': {}, 'id': {'a': [1, 'x']}})
    check('error with id', c.ask('{"execute": "no-such", "id": 7}')['id'] == 7)
    cpus = c.execute('query-cpus-fast')['return']
    check('cpus', [x['cpu-index'] for x in cpus] == [0, 1] and all(
        os.path.exists('/proc/%d/task/%d' % (p.pid, x['thread-id'])) for x in cpus), cpus)
    check('version', 'qemu' in c.execute('query-version')['return'])
    names = {x['name'] for x in c.execute('query-commands')['return']}
    check('commands', {'quit', 'stop', 'cont', 'query-status', 'human-monitor-command'} <= names, names)
    text = c.execute('human-monitor-command', command_line='info status')['return']
    check('monitor', text.startswith('VM status: running'), text)
    text = c.execute('human-monitor-command', command_line='info registers')['return']
    check('registers', 'mhartid' in text and '\n' in text, text)
    check('missing', is_error(c.execute('human-monitor-command'), 'GenericError', "'command-line' is missing"))
    check('type', is_error(c.execute('human-monitor-command', command_line=7), 'GenericError', 'string'))
    check('unexpected', is_error(c.execute('query-status', foo=1), 'GenericError', "'foo' is unexpected"))
    check('unknown', is_error(c.execute('frobnicate'), 'CommandNotFound', 'frobnicate has not been found'))
    check('no button', is_error(c.execute('system_powerdown'), 'GenericError'))
    check('reset', c.execute('system_reset') == {'return': {}})
    e = c.wait_event('RESET')
    check('by the host', e['data'] == {'guest': False, 'reason': 'host-qmp-system-reset'}, e)
    # Another client when this one has gone; it begins anew.
    c.s.close()
    c.f.close()
    c = Client(directory + '/qmp')
    check('anew', is_error(c.execute('query-status'), 'CommandNotFound'))
    c.execute('qmp_capabilities')
    check('quit', c.execute('quit') == {'return': {}})
    e = c.wait_event('SHUTDOWN')
    check('shutdown', e['data'] == {'guest': False, 'reason': 'host-qmp-quit'}, e)
    p.communicate(timeout=30)
    check('status', p.returncode == 0, p.returncode)


def test_input(kernel, directory):
    p, c = start(kernel, directory, '-S')
    c.execute('qmp_capabilities')
    check('prelaunch', c.execute('query-status')['return']['status'] == 'prelaunch')
    good = '{"execute": "query-name"}'
    for bad in ('garbage\n', '{"execute" "x"}', '}', ']', '{]', '[1, 2]', '"text"\n', '7\n', '{"a": nul}',
                '{"execute": "a", "execute": "b"}', '{"execute": 5}', '{}', '{"arguments": {}}',
                '{"execute": "query-name", "arguments": []}', '{"execute": "query-name", "more": 1}', b'\xff\xfe\n',
                '{"execute": "\\ud800"}', '{"execute": "a\\u0000b"}'):
        a = c.ask(bad)
        check('broken %r' % bad, 'error' in a and a['error']['desc'], a)
        check('after %r' % bad, c.ask(good) == {'return': {}})
    # Objects in pieces, several at once, brackets in strings, over lines.
    for byte in '{"execute":\n"query-name",\n\n"id": "}{\\"]\\\\"}':
        c.send(byte)
    check('in pieces', c.answer() == {'return': {}, 'id': '}{"]\\'})
    c.send(good + good + ' \r\n\t' + good)
    check('together', [c.answer() for _ in range(3)] == [{'return': {}}] * 3)
    check('long', 'error' in c.ask('{"execute": "%s"}' % ('x' * 2000000)))
    check('deep', 'error' in c.ask('[' * 100000 + ']' * 100000))
    check('still there', c.ask(good) == {'return': {}})
    # A client that asks and does not read keeps neither the machine nor its other monitor from working.
    c.execute('cont')
    c.s.close()
    c.f.close()
    p.terminate()
    p.communicate(timeout=30)


def test_guest(directory):
    """Events that the guest causes; the kernel resets the machine a few times and switches it off."""
    p, c = start(build('reset', directory + '/reset'), directory, '-S')
    c.execute('qmp_capabilities')
    c.execute('cont')
    e = c.wait_event('RESET')
    check('guest resets', e['data'] == {'guest': True, 'reason': 'guest-reset'}, e)
    e = c.wait_event('SHUTDOWN')
    check('guest ends', e['data'] == {'guest': True, 'reason': 'guest-shutdown'}, e)
    p.communicate(timeout=30)


def main():
    if not shutil.which(GCC):
        print(GCC + ' is missing')
        sys.exit(77)
    with tempfile.TemporaryDirectory() as directory:
        kernel = build('debug', directory + '/debug')
        test_commands(kernel, directory)
        test_input(kernel, directory)
        test_guest(directory)
    finish()


main()
