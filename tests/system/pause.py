#!/usr/bin/env python3
"""Harts that wait with PAUSE for one that sleeps leave the host's processors alone.

usage: pause.py EMULATOR...

Fifteen harts on two processors; with one more that computes, they would be in its way as much.
"""
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'lib'))
import kernels  # noqa: E402

HARTS = 16
LIMIT = 0.8         # seconds; two seconds on two processors are 4, on a host that has nothing else to do


def main():
    if not shutil.which(kernels.GCC):
        print(f'{kernels.GCC} is missing')
        sys.exit(77)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    with tempfile.TemporaryDirectory() as directory:
        kernel = kernels.build('pause', f'{directory}/pause', harts=HARTS)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        r = subprocess.run([*sys.argv[1:], '-nographic', '-bios', 'none', '-smp', str(HARTS), '-kernel', kernel],
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    good = r.returncode == 0 and r.stdout.replace('\r', '') == 'pause\n' and seconds < LIMIT
    print(f'{seconds:.2f} s of processor time, exit status {r.returncode}\n{r.stdout}{r.stderr}')
    print(f'{int(good)} passed, {int(not good)} failed')
    sys.exit(not good)


main()
