#!/usr/bin/env python3
"""A whole Debian 13 on a disk: login, DHCP, apt, a compiler, four harts; then the same disk under QEMU.

usage: distribution.py [--stress SECONDS] [--no-qemu] [--keep LOG] BRAID-USER BRAID-SYSTEM [IMAGE]

Without IMAGE one is made by tools/debian-image, with BRAID-USER, and kept in the cache; the test runs on a copy.
--stress: stress-ng's classes in the guest, so long all together. QEMU: $QEMU_SYSTEM or qemu-system-riscv64.
Exit status 77 if something cannot be had.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import console
import debian

PACKAGES = ['gcc', 'libc6-dev', 'stress-ng']
HARTS = 4
# Classes of stress-ng.
STRESS = ['cpu', 'vm', 'fork', 'switch', 'futex', 'mmap', 'sock', 'timer', 'tlb-shootdown']

# Four threads add up what must be a known sum, under a mutex and with atomics, and say on how many harts they ran.
PROGRAM = r'''
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
enum { THREADS = 4, ROUNDS = 300000 };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long plain;
static atomic_long sum, harts;
static void *work(void *arg)
{
    for (long i = 1; i <= ROUNDS; i++) {
        pthread_mutex_lock(&lock);
        plain++;
        pthread_mutex_unlock(&lock);
        atomic_fetch_add(&sum, i);
        if (i % 1000 == 0)
            atomic_fetch_or(&harts, 1L << sched_getcpu());
    }
    return NULL;
}
int main(void)
{
    pthread_t t[THREADS];
    for (int i = 0; i < THREADS; i++)
        pthread_create(&t[i], NULL, work, NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    printf("locked %ld sum %ld harts %d\n", plain, (long)sum, __builtin_popcountl(harts));
    return 0;
}
'''
EXPECTED = f'locked {4 * 300000} sum {4 * 300000 * 300001 // 2} harts '


class Report:
    """What was checked, a line each."""

    def __init__(self):
        self.passed = 0

    def good(self, what):
        self.passed += 1
        print('ok: ' + what, flush=True)


def make_image(braid_user):
    image = debian.CACHE / 'debian.img'
    if image.exists() and pathlib.Path(f'{image}.initrd').exists():
        return image
    debian.CACHE.mkdir(parents=True, exist_ok=True)
    r = subprocess.run([debian.ROOT / 'tools/debian-image', '-b', braid_user, image, *PACKAGES])
    if r.returncode:
        raise debian.Unavailable('the image cannot be made') if r.returncode == 77 else SystemExit(1)
    return image


def machine(emulator, image, kernel, initrd):
    return [*emulator, '-smp', str(HARTS), '-m', '2G', '-nographic', '-kernel', kernel, '-initrd', initrd,
            '-append', 'root=/dev/vda console=ttyS0', *debian.disk_options(0, image),
            *debian.NET_OPTIONS, '-device', 'virtio-rng-device']


def log_in(c, timeout):
    c.expect(r'debian login: ', timeout)
    c.send('root\n')
    c.expect(r'root@debian:~# ', timeout)
    c.send('export TERM=dumb PS1= LC_ALL=C; stty -echo; set +m\n')
    c.run("bind 'set enable-bracketed-paste off'; dmesg -n 4", 60)


def switch_off(c, image, timeout):
    c.send('systemctl poweroff\n')
    c.expect(r'reboot: Power down', timeout)
    status = c.wait_end(60)
    if status:
        c.fail(f'exit status {status} after power-off')
    r = subprocess.run(['e2fsck', '-fn', image], capture_output=True, text=True)
    if r.returncode:
        c.fail(f'e2fsck finds the file system damaged:\n{r.stdout}{r.stderr}')


def check_network(c, report):
    out = c.run('networkctl --no-pager; for i in $(seq 60); do ip -4 -o addr show scope global | grep inet && break;'
                ' sleep 1; done', 120)
    if not re.search(r'inet 10\.0\.2\.15/24', out):
        c.fail('no address by DHCP')
    report.good('an address by DHCP')


def check_apt(c, report):
    c.run('apt-get -q -o DPkg::Lock::Timeout=300 update', 600)
    c.run('apt-get -q -y -o DPkg::Lock::Timeout=300 install hello', 600)
    if 'Hello, world!' not in c.run('hello', 60):
        c.fail('the installed program does not say hello')
    report.good('apt installs a package')


def check_compiler(c, report):
    c.run(f"cat >t.c <<'END'{PROGRAM}END\ngcc -O2 -pthread t.c -o t", 300)
    out = c.run('./t', 300)
    if EXPECTED not in out:
        c.fail(f'a threaded program: expected "{EXPECTED}"')
    if int(out.split(EXPECTED)[1].split()[0]) < 2:
        c.fail('its threads have all run on one hart')
    report.good('gcc, and a threaded program')


def stress(c, seconds, report):
    each = max(1, seconds // len(STRESS))
    for name in STRESS:
        out = c.run(f'stress-ng --{name} {HARTS} --verify --timeout {each} --vm-bytes 256M 2>&1', each + 300)
        if re.search(r'\bfail(ed|ure)?: [1-9]|error:|stress-ng: fail', out) or 'passed:' not in out:
            c.fail(f'stress-ng --{name}')
        report.good(f'stress-ng --{name} --verify, {each} s')


def check_kernel_log(c, report):
    # What the console does not show below its level.
    out = c.run("dmesg | grep -E 'rcu:.*(stall|detected)|soft lockup|BUG|Oops|hung task|blocked for more' || true", 60)
    if 'rcu' in out or 'BUG' in out or 'lockup' in out or 'Oops' in out or 'hung' in out or 'blocked' in out:
        c.fail('the kernel has complained')
    report.good('nothing in the kernel log')


def run_braid(args, image, kernel, initrd, log, report):
    emulator = [args.system, '-M', 'virt']
    with console.Console(machine(emulator, image, kernel, initrd), log, ask=['info cpus', 'info registers']) as c:
        log_in(c, 600)
        report.good(f'login after {c.seconds():.0f} s')
        if c.run('nproc', 60).strip() != str(HARTS):
            c.fail(f'not {HARTS} harts')
        check_network(c, report)
        check_apt(c, report)
        check_compiler(c, report)
        if args.stress:
            stress(c, args.stress, report)
        check_kernel_log(c, report)
        switch_off(c, image, 300)
        report.good('power-off, and e2fsck finds nothing')


def run_qemu(qemu, image, kernel, initrd, log, report):
    with console.Console(machine([qemu, '-M', 'virt'], image, kernel, initrd), log) as c:
        log_in(c, 1500)
        c.run('hello && ./t', 300)
        switch_off(c, image, 600)
        report.good(f'the same disk under QEMU, {c.seconds():.0f} s')


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--stress', type=int, default=0)
    p.add_argument('--no-qemu', action='store_true')
    p.add_argument('--keep', default=os.devnull, help='file for what the consoles say')
    p.add_argument('user')
    p.add_argument('system')
    p.add_argument('image', nargs='?', type=pathlib.Path)
    args = p.parse_args()
    report, failed = Report(), 0
    original = args.image or make_image(args.user)
    if not original.exists():
        sys.exit(f'{original} does not exist (tools/debian-image makes one)')
    kernel, initrd = f'{original}.vmlinux', f'{original}.initrd'
    with tempfile.TemporaryDirectory(dir=original.parent) as directory, open(args.keep, 'wb') as log:
        image = pathlib.Path(directory) / 'disk'
        subprocess.run(['cp', '--sparse=always', original, image], check=True)
        try:
            run_braid(args, image, kernel, initrd, log, report)
            qemu = shutil.which(os.environ.get('QEMU_SYSTEM', 'qemu-system-riscv64'))
            if qemu and not args.no_qemu:
                run_qemu(qemu, image, kernel, initrd, log, report)
            elif not args.no_qemu:
                print('not under QEMU: there is none')
        except console.Failure as why:
            failed = 1
            print(why)
    print(f'{report.passed} passed, {failed} failed')
    sys.exit(failed)


main()
