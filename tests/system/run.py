#!/usr/bin/env python3
"""Bare-metal kernels on the virt machine: compiled here, run by the emulator, output and exit status compared.

usage: run.py EMULATOR... [--only NAME]

The same files run under qemu-system-riscv64, where the expectations come from:
    tests/system/run.py qemu-system-riscv64 -M virt -nographic
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent / 'kernels'
CROSS = 'riscv64-linux-gnu-gcc'
OPENSBI = pathlib.Path('/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin')

# name, options, address, output, exit status
NONE = ['-bios', 'none']
CASES = [
    ('hello', ['-smp', '2'] + NONE, 0x80000000, 'hello\n', 7),
    ('ipi', ['-smp', '2'] + NONE, 0x80000000, 'ipi\n', 0),
    ('timer', ['-smp', '2'] + NONE, 0x80000000, 'timer\n', 0),
    ('plic', ['-smp', '2'] + NONE, 0x80000000, '....plic\n', 0),
    ('reset', ['-smp', '4'] + NONE, 0x80000000, 'again\nagain\nagain\nreset\n', 0),
    ('sbi', ['-smp', '2'], 0x80200000, 'sbi\n', 0),
    ('fences', ['-smp', '4'], 0x80200000, 'fences\n', 0),
]
FIRMWARE_CASES = [('sbi', ['-smp', '2', '-bios', str(OPENSBI)], 0x80200000, 'sbi\n', 0)]


def build(name, address, directory):
    out = pathlib.Path(directory) / name
    subprocess.run([CROSS, '-O1', '-g', '-march=rv64imac_zicsr', '-mabi=lp64', '-mcmodel=medany', '-ffreestanding',
                    '-fno-pic', '-no-pie', '-nostdlib', '-static', '-Wl,--build-id=none',
                    f'-Wl,--defsym=BASE={address:#x}', '-Wl,-T', HERE / 'kernel.ld',
                    HERE / f'{name}.c', '-o', out], check=True)
    return out


def main():
    args = sys.argv[1:]
    only = None
    if '--only' in args:
        i = args.index('--only')
        only = args[i + 1]
        del args[i:i + 2]
    if not shutil.which(CROSS):
        print(f'{CROSS} is missing')
        sys.exit(77)
    cases = CASES + (FIRMWARE_CASES if OPENSBI.exists() else [])
    passed = failed = 0
    with tempfile.TemporaryDirectory() as directory:
        for name, options, address, output, status in cases:
            if only and name != only:
                continue
            kernel = build(name, address, directory)
            try:
                r = subprocess.run([*args, *options, '-kernel', kernel], stdin=subprocess.DEVNULL,
                                   capture_output=True, timeout=60)
                got, code, errors = r.stdout, r.returncode, r.stderr
            except subprocess.TimeoutExpired as e:
                got, code, errors = e.stdout or b'', 'timeout', e.stderr or b''
            got = got.decode('latin-1').replace('\r', '')
            # Firmware speaks first.
            good = got == output or ('none' not in options and got.endswith(output))
            if good and code == status:
                passed += 1
            else:
                failed += 1
                print(f'{name} {" ".join(options)}: exit status {code}, expected {status}')
                print(f'output {got[-500:]!r}, expected {output!r}\n{errors.decode("latin-1")[-500:]}')
    print(f'{passed} passed, {failed} failed')
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
