#!/usr/bin/env python3
"""Every system call that Linux has for riscv64 has a row in the table, under its own name.

usage: check-syscalls.py GUEST-CC SOURCE-ROOT
The numbers come from the guest compiler's kernel headers, and above those from the list
below, which is Linux 6.12's.  Exit status 77 if there is no compiler for the guest.
"""
import re
import shutil
import subprocess
import sys
from pathlib import Path

# What Linux 6.12 has beyond the headers of Debian 12 (include/uapi/asm-generic/unistd.h).
YOUNGER = {
    450: 'set_mempolicy_home_node', 451: 'cachestat', 452: 'fchmodat2', 453: 'map_shadow_stack',
    454: 'futex_wake', 455: 'futex_wait', 456: 'futex_requeue', 457: 'statmount', 458: 'listmount',
    459: 'lsm_get_self_attr', 460: 'lsm_set_self_attr', 461: 'lsm_list_modules', 462: 'mseal',
}
# Kept in riscv/abi.c.
OF_THE_ARCHITECTURE = {258: 'riscv_hwprobe', 259: 'riscv_flush_icache'}
# asm-generic has it, riscv64 does not.
OTHERS = {38: 'renameat'}


def from_headers(compiler):
    text = subprocess.run([compiler, '-E', '-dM', '-include', 'asm/unistd.h', '-xc', '/dev/null'],
                          capture_output=True, text=True, check=True).stdout
    numbers = {}
    for name, value in re.findall(r'^#define __NR(?:3264)?_(\w+) (\d+)$', text, re.MULTILINE):
        numbers[int(value)] = name
    for name, other in re.findall(r'^#define __NR_(\w+) __NR3264_(\w+)$', text, re.MULTILINE):
        number = next(n for n, known in numbers.items() if known == other)
        numbers[number] = name
    numbers.pop(244, None)      # arch_specific_syscall, where the numbers 244 to 259 begin
    return numbers


def main():
    compiler, root = sys.argv[1], Path(sys.argv[2])
    if not shutil.which(compiler):
        return 77
    linux = {**from_headers(compiler), **YOUNGER, **OF_THE_ARCHITECTURE}
    for name in ('syscalls', 'arch_specific_syscall'):
        linux = {number: known for number, known in linux.items() if known != name}
    rows = re.findall(r'^(?:SYSCALL|HOSTCALL|NOCALL)\((\d+), (\w+)',
                      (root / 'src/linux-user/syscall-table.def').read_text(), re.MULTILINE)
    abi = (root / 'src/linux-user/riscv/abi.c').read_text()
    ours = {int(number): name for number, name in rows}
    ours.update({number: name for number, name in OF_THE_ARCHITECTURE.items() if f'"{name}"' in abi})
    faults = [f'{number} {name}: no row' for number, name in linux.items() if number not in ours]
    faults += [f'{number}: {name} is {linux[number]} in Linux' for number, name in ours.items()
               if number in linux and name != linux[number]]
    faults += [f'{number} {name}: Linux has no such call' for number, name in ours.items()
               if number not in linux and OTHERS.get(number) != name]
    if len(rows) != len({number for number, _ in rows}):
        faults.append('a number has two rows')
    print('\n'.join(faults) or f'{len(linux)} system calls')
    return 1 if faults or len(linux) < 300 else 0


if __name__ == '__main__':
    sys.exit(main())
