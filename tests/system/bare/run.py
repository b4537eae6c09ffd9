#!/usr/bin/env python3
"""Build a bare-metal test and run it on the virt board.

usage: run.py [--qemu] NAME HARTS EMULATOR [OPTION...]

--qemu leaves out what QEMU 7.2 is known to do otherwise than the manual says:
    run.py --qemu traps 1 qemu-system-riscv64
A test prints "ok" and ends with status 0 by way of the board's test device.
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
CROSS = 'riscv64-linux-gnu-gcc'
FLAGS = ['-march=rv64gc', '-mabi=lp64d', '-mcmodel=medany', '-O2', '-g', '-Wall', '-ffreestanding', '-fno-pic',
         '-nostdlib', '-static', '-fno-stack-protector', '-Wl,--build-id=none', '-Wl,-z,norelro',
         '-Wl,--no-warn-rwx-segments']


def build(name, directory, *defines):
    elf = f'{directory}/{name}'
    if not shutil.which(CROSS):
        print(f'{CROSS} is missing')
        sys.exit(77)
    subprocess.run([CROSS, *FLAGS, *defines, '-T', HERE / 'bare.ld', HERE / 'start.S', HERE / f'{name}.c', '-lgcc',
                    '-o', elf], check=True)
    return elf


def run(elf, harts, emulator):
    return subprocess.run([*emulator, '-M', 'virt', '-smp', harts, '-m', '128M', '-nographic', '-bios', 'none',
                           '-kernel', elf], stdin=subprocess.DEVNULL, capture_output=True, timeout=100)


def main():
    args = sys.argv[1:]
    defines = []
    if args[0] == '--qemu':
        defines = ['-DQEMU_7_2']
        del args[0]
    name, harts, *emulator = args
    with tempfile.TemporaryDirectory() as directory:
        if name == 'noc':
            emulator += ['-cpu', 'rv64,c=off']
            defines += ['-march=rv64g', '-mabi=lp64d']
        if '-icount' in emulator:
            defines += ['-DICOUNT']
        r = run(build(name, directory, *defines), harts, emulator)
    text = r.stdout.decode(errors='replace')
    sys.stdout.write(text)
    sys.stderr.write(r.stderr.decode(errors='replace'))
    sys.exit(0 if r.returncode == 0 and text.endswith('ok\n') else 1)


if __name__ == '__main__':
    main()
