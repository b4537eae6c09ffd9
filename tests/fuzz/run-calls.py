#!/usr/bin/env python3
"""Random system calls of a guest (calls.c), in namespaces and a directory of its own.

usage: run-calls.py BRAID WORK-DIRECTORY [--seed N] [--batches N] [--seconds S]
BRAID must be static.  Exit status 1 if braid says that it has a bug, or ends by itself; 77 if
there is no cross compiler or no namespaces are to be had.
"""
import argparse
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

CC = 'riscv64-linux-gnu-gcc'
NAMESPACES = ['unshare', '--user', '--map-root-user', '--mount', '--pid', '--fork', '--kill-child',
              '--net', '--ipc', '--uts']
# What braid prints when it is braid that is wrong.
CONFESSION = re.compile(rb'bug in braid|braid: internal error|AddressSanitizer|runtime error:')


def prepare(options):
    root = options.work.resolve()
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    shutil.copy(options.braid, root / 'braid')
    source = Path(__file__).resolve().parent / 'calls.c'
    subprocess.run([CC, '-O2', '-static', '-Wall', '-Wextra', '-Wno-unused-parameter', str(source),
                    '-o', str(root / 'calls'), '-pthread'], check=True)
    return root


def run(root, seed, batches):
    """(what went wrong, or an empty string; what the program said)"""
    command = [*NAMESPACES, 'chroot', str(root), '/braid', '/calls', str(seed), str(batches)]
    limit = 60 + 8 * batches
    # Pipes: files, and /dev/null, could be changed by the guest, which is their owner if this is run by root.
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, cwd=root)
    try:
        out, err = child.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        return f'still running after {limit} s', b''
    confession = CONFESSION.search(out + err)
    if confession:
        at = max(0, confession.start() - 200)
        return (out + err)[at:at + 1000].decode(errors='replace'), out
    return (f'exit status {child.returncode}' if child.returncode else ''), out


def main():
    parser = argparse.ArgumentParser(description='Random system calls of a guest.')
    parser.add_argument('braid')
    parser.add_argument('work', type=Path)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--batches', type=int, default=20, help='of 400 calls, each round')
    parser.add_argument('--seconds', type=float, default=0, help='more rounds, until so much has passed')
    options = parser.parse_args()
    if not shutil.which(CC) or subprocess.run([*NAMESPACES, 'true'], capture_output=True).returncode:
        return 77
    root = prepare(options)
    end = time.monotonic() + options.seconds
    seed = options.seed
    while True:
        wrong, out = run(root, seed, options.batches)
        print(f'seeds {seed} to {seed + options.batches - 1}:', out.decode(errors='replace').strip()[-200:],
              flush=True)
        if wrong:
            print(f'FAILED: {wrong}')
            for one in range(seed, seed + options.batches):
                if run(root, one, 1)[0]:
                    print(f'alone: seed {one}')
            return 1
        seed += options.batches
        if time.monotonic() >= end:
            return 0


if __name__ == '__main__':
    sys.exit(main())
