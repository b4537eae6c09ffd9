#!/usr/bin/env python3
"""The machine ends at any moment, whatever its harts do: by a signal, by a key, by the monitor, by the guest.

usage: shutdown.py [--runs N] [--harts N] EMULATOR...

Each run must be over within 30 seconds, with its exit status.
"""
import argparse
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'lib'))
from kernels import GCC, build  # noqa: E402


def end(process, how):
    if how == 'signal':
        process.send_signal(signal.SIGTERM)
    elif how == 'key':
        process.stdin.write(b'\1x')
    elif how == 'monitor':
        process.stdin.write(b'\1cquit\n')
    elif how == 'stop, quit':
        process.stdin.write(b'\1cstop\nsystem_reset\nquit\n')
    elif how == 'reset, signal':
        process.stdin.write(b'\1csystem_reset\n')
        process.stdin.flush()
        time.sleep(random.random() / 20)
        process.send_signal(signal.SIGTERM)
    if how != 'signal' and how != 'guest':
        process.stdin.flush()


WAYS = {'signal': 143, 'key': 0, 'monitor': 0, 'stop, quit': 0, 'reset, signal': 143, 'guest': 3}


def run(emulator, kernels, harts, how):
    process = subprocess.Popen([*emulator, '-nographic', '-smp', str(harts), '-bios', 'none', '-kernel',
                                kernels[how == 'guest']], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE)
    delay = random.choice([0, 0.01, 0.1, 0.3]) * random.random()
    time.sleep(delay)
    try:
        end(process, how)
        errors = process.communicate(timeout=30)[1]
    except BrokenPipeError:
        errors = process.communicate(timeout=30)[1]
    except subprocess.TimeoutExpired:
        print(f'{how} after {delay:.3f} s: still running, process {process.pid}')
        process.kill()
        return False
    # A signal that comes before braid listens ends it as signals do.
    good = process.returncode == WAYS[how] or (WAYS[how] == 143 and process.returncode == -signal.SIGTERM)
    if not good or errors:
        print(f'{how} after {delay:.3f} s: exit status {process.returncode}, {errors[-300:]!r}')
    return good and not errors


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--runs', type=int, default=30)
    parser.add_argument('--harts', type=int, default=6)
    parser.add_argument('emulator', nargs=argparse.REMAINDER)
    args = parser.parse_args()
    if subprocess.run(['which', GCC], stdout=subprocess.DEVNULL).returncode:
        print(f'{GCC} is missing')
        sys.exit(77)
    with tempfile.TemporaryDirectory() as directory:
        kernels = [build('states', directory + '/states', harts=args.harts),
                   build('states', directory + '/finish', '-DFINISH', harts=args.harts)]
        results = [run(args.emulator, kernels, args.harts, list(WAYS)[i % len(WAYS)]) for i in range(args.runs)]
    print(f'{sum(results)} passed, {len(results) - sum(results)} failed')
    sys.exit(0 if results and all(results) else 1)


main()
