#!/usr/bin/env python3
"""Bare-metal kernels on the virt machine: compiled here, run by the emulator, output and exit status compared.

usage: run.py [--only NAME,...] [--harts N] [--scale N] [--repeat N] EMULATOR...

--scale makes those longer that look for races: CI has 1, where a storm ends by time on a busy machine; longer ones
do all their rounds.  Each kernel has a minute, times scale, times $PATIENCE.  The same files run under QEMU, where
the expectations come from (it knows nothing of virtio 1 on this board by default):
    tests/system/run.py qemu-system-riscv64 -M virt -nographic -cpu rv64,svnapot=on \\
        -global virtio-mmio.force-legacy=false
"""
import argparse
import dataclasses
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'lib'))
import kernels  # noqa: E402

PATIENCE = float(os.environ.get('PATIENCE', 1))
OPENSBI = pathlib.Path('/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin')


@dataclasses.dataclass
class Case:
    name: str
    output: str
    harts: int = 2
    sbi: bool = False           # in S-mode, over the built-in SBI (QEMU: its own OpenSBI)
    firmware: bool = False      # the same over Debian's OpenSBI
    status: int = 0
    disk: bool = False          # sector n of it is a function that returns n

    def __str__(self):
        return self.name + ('-opensbi' if self.firmware else '-sbi' if self.sbi else '')


CASES = [
    Case('hello', 'hello\n', status=7),
    Case('ipi', 'ipi\n'),
    Case('timer', 'timer\n'),
    Case('set-time', 'set-time\n', harts=3),
    Case('slices', 'slices\n'),
    Case('plic', '....plic\n'),
    Case('reset', 'again\nagain\nagain\nreset\n', harts=4),
    Case('sbi', 'sbi\n', sbi=True),
    Case('sbi', 'sbi\n', sbi=True, firmware=True),
    Case('pmu', 'pmu\n', harts=1, sbi=True),
    Case('pmu', 'pmu\n', harts=1, sbi=True, firmware=True),
    Case('fences', 'fences\n', harts=4, sbi=True),
    Case('rfence', 'rfence\n', harts=4, sbi=True),
    Case('rfence', 'rfence\n', harts=4, sbi=True, firmware=True),
    Case('sleep-fence', 'sleep-fence\n', sbi=True),
    Case('sleep-fence', 'sleep-fence\n', sbi=True, firmware=True),
    Case('storm', 'storm\n', harts=4),
    Case('storm', 'storm\n', harts=4, sbi=True),
    Case('ticket', 'ticket\n', harts=16),
    Case('text', 'text\n', harts=4, sbi=True),
    Case('dma', 'dma\n', harts=4, disk=True),
    Case('hsm', 'hsm\n', harts=4, sbi=True),
    Case('hsm', 'hsm\n', harts=4, sbi=True, firmware=True),
    Case('reset-busy', 'reset-busy\n', harts=5),
    Case('wrs', 'wrs\n', harts=2),
    Case('wrs', 'wrs\n', harts=8),
    Case('plic-race', 'plic-race\n', harts=4),
]


def run(case, args, directory):
    harts = args.harts if args.harts and case.harts > 2 else case.harts
    one_thread = ['-DONE_THREAD'] if any('thread=single' in a for a in args.emulator) else []
    kernel = kernels.build(case.name, f'{directory}/{case}', *one_thread, sbi=case.sbi, harts=harts, scale=args.scale)
    options = ['-smp', str(harts), '-kernel', kernel]
    if case.disk:
        image = pathlib.Path(directory) / 'disk'
        image.write_bytes(b''.join(struct.pack('<II', 0x513 | n << 20, 0x8067).ljust(512, b'\0') for n in range(64)))
        options += ['-drive', f'file={image},if=none,id=d,format=raw', '-device', 'virtio-blk-device,drive=d']
    if case.firmware:
        options += ['-bios', str(OPENSBI)]
    elif not case.sbi:
        options += ['-bios', 'none']
    try:
        r = subprocess.run([*args.emulator, *options], stdin=subprocess.DEVNULL, capture_output=True,
                           timeout=60 * max(1, args.scale) * PATIENCE, cwd=directory)
        got, code, errors = r.stdout, r.returncode, r.stderr
    except subprocess.TimeoutExpired as e:
        got, code, errors = e.stdout or b'', 'timeout', e.stderr or b''
    got = got.decode('latin-1').replace('\r', '')
    # Firmware speaks first.
    good = got == case.output or (case.sbi and got.endswith(case.output))
    if good and code == case.status:
        return True
    print(f'{case}: exit status {code}, expected {case.status}')
    print(f'output {got[-500:]!r}, expected {case.output!r}\n{errors.decode("latin-1")[-500:]}')
    return False


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--only')
    parser.add_argument('--harts', type=int)
    parser.add_argument('--scale', type=int, default=1)
    parser.add_argument('--repeat', type=int, default=1)
    parser.add_argument('emulator', nargs=argparse.REMAINDER)
    args = parser.parse_args()
    if not shutil.which(kernels.GCC):
        print(f'{kernels.GCC} is missing')
        sys.exit(77)
    cases = [c for c in CASES if not c.firmware or OPENSBI.exists()]
    if args.only:
        only = args.only.split(',')
        cases = [c for c in cases if c.name in only or str(c) in only]
    args.emulator[0] = os.path.abspath(shutil.which(args.emulator[0]) or args.emulator[0])
    results = []
    with tempfile.TemporaryDirectory() as directory:
        for _ in range(args.repeat):
            results += [run(c, args, directory) for c in cases]
    print(f'{sum(results)} passed, {len(results) - sum(results)} failed')
    sys.exit(0 if results and all(results) else 1)


if __name__ == "__main__":
    main()
