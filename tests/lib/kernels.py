"""Builds the bare-metal kernels of tests/system/kernels."""
import pathlib
import subprocess

KERNELS = pathlib.Path(__file__).resolve().parent.parent / 'system/kernels'
GCC = 'riscv64-linux-gnu-gcc'


def build(name, out, *options, sbi=False, harts=1, scale=1):
    """kernels/NAME.c as an ELF file `out`: for M-mode at the start of RAM, or for S-mode behind a firmware.
    options: more of them for the compiler."""
    address = 0x80200000 if sbi else 0x80000000
    subprocess.run([GCC, '-O1', '-g', '-march=rv64imac_zicsr_zifencei', '-mabi=lp64', '-mcmodel=medany',
                    '-ffreestanding', '-fno-pic', '-no-pie', '-nostdlib', '-static', '-Wl,--build-id=none', '-Wall',
                    '-Wno-unused-function', '-Wl,--no-warn-rwx-segments', f'-DHARTS={harts}', f'-DSCALE={scale}',
                    *(['-DSBI'] if sbi else []), *options, f'-Wl,--defsym=BASE={address:#x}',
                    '-Wl,-T', KERNELS / 'kernel.ld', KERNELS / f'{name}.c', '-o', out], check=True)
    return out
