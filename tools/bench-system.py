#!/usr/bin/env python3
"""Measure whole machines: Debian's riscv64 kernel under braid and under QEMU, in turns.

Both boot the same kernel, initramfs and disks with the same options; in the guest bench/system/guest-bench.c and
some of bench/programs run and take their times by the guest's clock.  The boot is timed from outside: from the
start of the emulator to the first line of init.  What programs print must agree.

On a machine with other work --metric cpu says more: the emulator's processor time from line to line of the
guest, what starting each measurement costs included.

The table has, for each number of harts, the medians and how many times as fast as QEMU braid is.  The output
directory gets system.txt and system.json (all single readings).

QEMU is QEMU_SYSTEM, or qemu-system-riscv64.  Exit status: 0 all ran and agreed, 1 something failed,
2 the command line or a missing tool, 77 the kernel cannot be had.
"""
import argparse
import json
import os
import random
import re
import shlex
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import bench

ROOT = bench.ROOT
sys.path.insert(0, str(ROOT / 'tests' / 'system'))
import debian  # noqa: E402

INIT = '''#!/bin/busybox sh
echo
echo "=bench= boot 0 mark"
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
dmesg -n 1
for m in MODULES; do insmod /lib/$m.ko || echo "no $m"; done
ifconfig eth0 10.0.2.15 up
guest-bench tree /tmp/tree
COMMANDS
echo "=bench= end 0 mark"
poweroff -f
'''
SHELL_LOOP = 'i=0; while [ $i -lt {0} ]; do /bin/busybox true; i=$((i+1)); done; echo $i'
FIND_LOOP = ('i=0; while [ $i -lt {0} ]; do find /tmp/tree -type f -name "*7" | wc -l; i=$((i+1)); done')
TAR_LOOP = ('i=0; while [ $i -lt {0} ]; do rm -rf /tmp/copy; mkdir /tmp/copy; '
            'tar cf - -C /tmp tree | tar xf - -C /tmp/copy; i=$((i+1)); done; find /tmp/copy | wc -l')
DISK_MIB = 64


class Row:
    """One line of the table: what the guest is told to do, and how many times QEMU's speed is wanted."""

    def __init__(self, name, cls, command, full, quick, least):
        self.name, self.cls, self.least = name, cls, least
        self.command, self.full, self.quick = command, full, quick

    def line(self, quick, port):
        amount = self.quick if quick else self.full
        return self.command.format(amount, port=port)


def shell(name, script):
    # Braces of the script itself stay for Row.line().
    return f"guest-bench run {name} sh -c '{script}'"


def kernel_rows():
    return [
        Row('boot', 'boot', '', '', '', 1 / 0.6),
        Row('syscall', 'kernel', 'guest-bench syscall {0}', 1000000, 20000, 2),
        Row('switch', 'kernel', 'guest-bench switch {0}', 100000, 2000, 2),
        Row('fault', 'kernel', 'guest-bench fault {0}', 102400, 4096, 2),
        Row('exec', 'kernel', 'guest-bench exec {0}', 1000, 50, 2),
        Row('shell', 'kernel', shell('shell', SHELL_LOOP), 300, 20, 2),
        Row('pipe', 'kernel', 'guest-bench pipe {0}', 512, 16, None),
        Row('tar', 'kernel', shell('tar', TAR_LOOP), 6, 1, None),
        Row('find', 'kernel', shell('find', FIND_LOOP), 12, 1, None),
        Row('read', 'device', 'guest-bench read /dev/vda {0}', DISK_MIB, 8, 1),
        Row('write', 'device', 'guest-bench write /dev/vdb {0}', DISK_MIB, 8, 1),
        Row('send', 'device', 'guest-bench send {port} {0}', 64, 4, 1),
        Row('receive', 'device', 'guest-bench receive {port} {0}', 64, 4, 1),
    ]


PROGRAMS = {'integer': (['sha256', 'core-mix', 'interp-switch', 'binary-trees', 'record-mix'], 3),
            'fp': (['nbody', 'mandelbrot', 'spectral-norm'], 5)}
SCALING = 'mt-indep'    # with one thread and with two


def program_rows():
    """Programs of bench/programs, with the arguments that tools/bench.py gives them."""
    full, quick = ({p.name: p for p in bench.read_programs(is_quick)} for is_quick in (False, True))
    rows = []

    def add(name, cls, binary, arguments_of, least):
        args = [' '.join(arguments_of(known[binary].args)) for known in (full, quick)]
        rows.append(Row(name, cls, f'guest-bench run {name} /bin/{binary} {{0}}', *args, least))

    for cls, (names, least) in PROGRAMS.items():
        for name in names:
            add(name, cls, name, lambda args: args, least)
    for threads in '1', '2':
        add(f'{SCALING}-{threads}', 'scaling', SCALING, lambda args: [*args[:-1], threads], None)
    return rows


def choose(rows, wanted):
    known = {r.name for r in rows} | {r.cls for r in rows}
    for word in wanted:
        if word not in known:
            raise bench.Failure(f"nothing is named '{word}'; there are: " + ' '.join(sorted(known)))
    return [r for r in rows if not wanted or {r.name, r.cls} & set(wanted) or r.cls == 'boot']


def build_programs(directory):
    """The guest's programs, compiled if older than their sources."""
    bench.need(bench.CROSS + 'gcc', "the guest's programs are compiled with it (Debian package gcc-riscv64-linux-gnu)")
    directory.mkdir(parents=True, exist_ok=True)
    sources = [ROOT / 'bench/system/guest-bench.c', bench.PROGRAMS / f'{SCALING}.c']
    sources += [bench.PROGRAMS / f'{name}.c' for names, _ in PROGRAMS.values() for name in names]
    newest_header = max(f.stat().st_mtime for f in bench.PROGRAMS.glob('*.h'))
    programs = []
    for source in sources:
        out = directory / source.stem
        if not out.exists() or out.stat().st_mtime < max(source.stat().st_mtime, newest_header):
            command = [bench.CROSS + 'gcc', *bench.FLAGS, '-static', source, '-o', out, *bench.LIBS]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise bench.Failure(f'compiling failed: {shlex.join(map(str, command))}\n{done.stderr}')
        programs.append(out)
    return programs


class Server:
    """What the guest's send and receive talk to; see call_host() in guest-bench.c."""

    def __init__(self):
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection:
            try:
                if connection.recv(1) == b's':
                    while connection.recv(1 << 16):
                        pass
                    connection.sendall(b'.')
                else:
                    mib = int(connection.makefile('rb').readline())
                    block = bytes(1 << 20)
                    for _ in range(mib):
                        connection.sendall(block)
            except OSError:
                pass    # the machine was killed; its reading is missing


LINE = re.compile(rb'^=bench= (\S+) (\S+) (\S+) ?(.*)$')


def processor_time(pid):
    """Seconds of all threads, as clock_getcpuclockid(3) of that process."""
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return 0.0


def boot(command, timeout, metric):
    """Run a machine to its end.  ({name: (value, unit, output)}, complaint or None)"""
    readings, tail, ended = {}, [], False
    start = time.monotonic()
    machine = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    timer = threading.Timer(timeout, machine.kill)
    timer.start()
    spent = 0.0
    try:
        for line in machine.stdout:
            tail = [*tail[-9:], line.decode('latin-1').rstrip()]
            found = LINE.match(line.rstrip())
            if not found:
                continue
            name, value, unit, output = (x.decode('latin-1') for x in found.groups())
            ended |= name == 'end'
            before, spent = spent, processor_time(machine.pid)
            if metric == 'cpu':
                value, unit = spent - before, 's'
            elif name == 'boot':
                value, unit = time.monotonic() - start, 's'
            readings[name] = (float(value), unit, output)
        status = machine.wait()
    finally:
        machine.kill()
        timer.cancel()
    if not ended or status:
        why = f'was killed after {timeout} s' if time.monotonic() - start >= timeout else f'ended with status {status}'
        return readings, f'{why}; its last lines:\n    ' + '\n    '.join(tail)
    return readings, None


class Lab:
    """The kernel, the disks, and what was measured: readings[harts][emulator][row] is a list of values."""

    def __init__(self, rows, emulators, options):
        self.rows, self.emulators, self.options = rows, emulators, options
        self.directory = Path(options.out).resolve()
        self.server = Server()
        self.readings, self.units, self.outputs, self.complaints = {}, {}, {}, []

    def prepare(self):
        programs = build_programs(self.directory / 'guest')
        commands = [r.line(self.options.quick, self.server.port) for r in self.rows]
        self.kernel = debian.make_initramfs(self.directory / 'initrd', INIT.replace('COMMANDS', '\n'.join(commands)),
                                            programs)
        block = random.Random(1).randbytes(1 << 20)
        (self.directory / 'disk0').write_bytes(block * DISK_MIB)
        (self.directory / 'disk1').write_bytes(bytes(DISK_MIB << 20))

    def command(self, prefix, harts):
        return [*prefix, *debian.machine_options(harts, '1G', self.kernel, self.directory / 'initrd'),
                *debian.disk_options(0, self.directory / 'disk0', 'readonly=on'),
                *debian.disk_options(1, self.directory / 'disk1'), *debian.NET_OPTIONS]

    def complain(self, name, harts, text):
        self.complaints.append(f'{name} with {harts} harts: {text}')
        print('FAILED ' + self.complaints[-1], flush=True)

    def run(self, name, harts):
        readings, complaint = boot(self.command(self.emulators[name], harts), self.options.timeout,
                                   self.options.metric)
        if complaint:
            self.complain(name, harts, complaint)
        for row in self.rows:
            if row.name not in readings:
                if not complaint:
                    self.complain(name, harts, f'no figure of {row.name}')
                continue
            value, unit, output = readings[row.name]
            expected = self.outputs.setdefault(row.name, output)
            if output != expected:
                self.complain(name, harts, f'{row.name} printed {output!r}, the first run {expected!r}')
                continue
            self.units[row.name] = unit
            self.readings.setdefault(harts, {}).setdefault(name, {}).setdefault(row.name, []).append(value)

    def run_all(self):
        for n in range(self.options.runs):
            for harts in self.options.harts:
                for name in self.emulators:
                    print(f'run {n + 1}/{self.options.runs}: {name}, {harts} harts', file=sys.stderr, flush=True)
                    self.run(name, harts)

    def median(self, harts, emulator, row):
        values = self.readings.get(harts, {}).get(emulator, {}).get(row)
        return statistics.median(values) if values else None

    def speed(self, harts, row, base, other):
        """How many times as fast `base` is."""
        a, b = self.median(harts, base, row), self.median(harts, other, row)
        if not a or not b:
            return None
        return a / b if self.units[row].endswith('/s') else b / a

    def scaling(self, harts, emulator):
        one, two = (self.median(harts, emulator, f'{SCALING}-{n}') for n in (1, 2))
        return 2 * one / two if one and two else None

    def table(self):
        """Columns: each emulator's medians and the ratios to the first, for each number of harts."""
        names = list(self.emulators)
        others = names[1:]
        head = ['', 'unit']
        for harts in self.options.harts:
            head += [f'{n} {harts}' for n in names] + [f'{names[0]}:{n} {harts}' for n in others]
        lines = [head + ['aim']]
        for row in self.rows:
            line = [row.name, self.units.get(row.name, '')]
            for harts in self.options.harts:
                line += [bench.cell(self.median(harts, n, row.name), '.4g') for n in names]
                line += [bench.cell(self.speed(harts, row.name, names[0], n), '.2f') for n in others]
            lines.append(line + [bench.cell(row.least, '.2f') if row.least else ''])
        for cls in PROGRAMS:
            line = [f'geomean {bench.CLASS_NAMES[cls]}', '']
            for harts in self.options.harts:
                line += [''] * len(names)
                line += [bench.cell(bench.geomean([self.speed(harts, r.name, names[0], n)
                                                   for r in self.rows if r.cls == cls]), '.2f') for n in others]
            lines.append(line + [bench.cell(PROGRAMS[cls][1], '.2f')])
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        text = '\n'.join('  '.join(c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths)))
                         .rstrip() for line in lines) + '\n'
        for harts in self.options.harts:
            found = [f'{n} {bench.cell(self.scaling(harts, n), ".2f")}' for n in names]
            if harts > 1 and self.options.metric == 'wall':
                text += f'two threads over one with {harts} harts (2.00 is ideal): ' + ', '.join(found) + '\n'
        return text


def find_emulators(options):
    candidates = [options.braid] if options.braid else [
        *map(str, sorted(ROOT.glob('build*/src/main/braid-system-riscv64')))]
    braid = next((c for c in candidates if c and os.access(c, os.X_OK)), None)
    if not braid:
        raise bench.Failure('braid-system-riscv64 was not found: build it first or name it with --braid PATH')
    emulators = {'braid': [str(Path(braid).resolve()), *shlex.split(options.braid_args)]}
    if not options.without_qemu:
        qemu = os.environ.get('QEMU_SYSTEM', 'qemu-system-riscv64')
        emulators['qemu'] = [bench.need(qemu, "install Debian's qemu-system-misc, set QEMU_SYSTEM=PATH, or give "
                                              '--without-qemu')]
    for text in options.emulator:
        name, equals, command = text.partition('=')
        if not equals or not name or not command.split() or name in emulators:
            raise bench.Failure(f'--emulator {text}: expected a new NAME=COMMAND')
        words = shlex.split(command)
        emulators[name] = [bench.need(words[0], f'named by --emulator {name}'), *words[1:]]
    return {name: [*command, '-M', 'virt'] for name, command in emulators.items()}


def parse_command_line():
    p = argparse.ArgumentParser(description='Compare braid and QEMU as whole machines.')
    p.add_argument('--harts', default='1,2,4', metavar='N,N', help='numbers of harts (default 1,2,4; 1 with --quick)')
    p.add_argument('--rows', default='', metavar='A,B', help='only these rows or classes (boot is always there)')
    p.add_argument('--runs', type=int, metavar='N', help='boots of each (default 3; 1 with --quick)')
    p.add_argument('--quick', action='store_true', help='little work, one hart, one run: a smoke test')
    p.add_argument('--braid', metavar='PATH', help='the braid-system-riscv64 to measure')
    p.add_argument('--braid-args', default='', metavar='ARGS', help='options for braid, in one word')
    p.add_argument('--without-qemu', action='store_true', help='leave QEMU out')
    p.add_argument('--emulator', action='append', default=[], metavar='NAME=CMD',
                   help='measure another emulator too (may be repeated)')
    p.add_argument('--metric', default='wall', choices=['wall', 'cpu'],
                   help="time by the guest's clock (default), or processor time of the emulator")
    p.add_argument('--timeout', type=int, default=900, metavar='S', help='seconds for a machine (default 900)')
    p.add_argument('--out', default=str(ROOT / 'build-bench' / 'system'), metavar='DIR',
                   help='where programs, disks and results go (default build-bench/system)')
    options = p.parse_args()
    if options.quick and options.harts == '1,2,4':
        options.harts = '1'
    try:
        options.harts = [int(h) for h in options.harts.split(',')]
    except ValueError:
        p.error('--harts: numbers')
    options.runs = options.runs or (1 if options.quick else 3)
    if options.runs < 1 or min(options.harts) < 1:
        p.error('--runs and --harts: at least 1')
    return options


def main():
    options = parse_command_line()
    rows = choose(kernel_rows() + program_rows(), [w for w in options.rows.split(',') if w])
    emulators = find_emulators(options)
    lab = Lab(rows, emulators, options)
    lab.directory.mkdir(parents=True, exist_ok=True)
    lab.prepare()
    load = os.getloadavg()[0]
    lab.run_all()
    table = lab.table()
    print(table)
    if load > 0.5:
        print(f'The machine was busy at the start (load {load:.1f}): the figures are not reliable.')
    versions = {n: bench.first_line([c[0], '--version']) for n, c in emulators.items()}
    (lab.directory / 'system.txt').write_text(table)
    (lab.directory / 'system.json').write_text(json.dumps(
        {'metric': options.metric, 'date': time.strftime('%Y-%m-%d %H:%M'), 'versions': versions, 'commands': emulators, 'load_at_start': load,
         'kernel': lab.kernel.name, 'units': lab.units, 'readings': lab.readings, 'complaints': lab.complaints},
        indent=1) + '\n')
    print(f'Results are in {lab.directory}')
    return 1 if lab.complaints else 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except bench.Failure as failure:
        print(f'bench-system: {failure}', file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print('\nbench-system: interrupted', file=sys.stderr)
        sys.exit(130)
