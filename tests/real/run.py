#!/usr/bin/env python3
"""Debian's busybox for riscv64 does what the same version does natively.

usage: run.py BRAID [OPTIONS-OF-BRAID...]

Both busyboxes come from Debian's archive (tools/fetch-debian keeps them outside the checkout).
Exit status 77 if they cannot be had.
"""
import difflib
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get('XDG_CACHE_HOME', pathlib.Path.home() / '.cache')) / 'braid' / 'real'


def fetch(arch):
    """Path of busybox for an architecture."""
    where = CACHE / arch
    found = [where / 'usr/bin/busybox', where / 'bin/busybox']
    if not any(p.exists() for p in found):
        r = subprocess.run([ROOT / 'tools/fetch-debian', '-a', arch, where, 'busybox-static'])
        if r.returncode or not any(p.exists() for p in found):
            print(f'busybox-static for {arch} cannot be had from the Debian archive')
            sys.exit(77)
    return next(p for p in found if p.exists())


def run(prefix, busybox):
    with tempfile.TemporaryDirectory() as work:
        return subprocess.run([*prefix, busybox, 'sh', ROOT / 'tests/real/busybox.sh', work],
                              env={'BB': str(busybox), 'PATH': '/usr/bin:/bin', 'LC_ALL': 'C'},
                              capture_output=True, text=True, timeout=300)


def main():
    expected = run([], fetch('amd64'))
    got = run(sys.argv[1:], fetch('riscv64'))
    good = (got.stdout, got.returncode) == (expected.stdout, expected.returncode)
    lines = expected.stdout.count('\n')
    if not good:
        print(f'exit status {got.returncode}, natively {expected.returncode}')
        print('\n'.join(difflib.unified_diff(expected.stdout.split('\n'), got.stdout.split('\n'),
                                             'native', 'braid', lineterm='')))
        print(got.stderr[:2000])
    print(f'{lines if good else 0} passed, {0 if good else 1} failed')
    sys.exit(0 if good and lines >= 25 else 1)


main()
