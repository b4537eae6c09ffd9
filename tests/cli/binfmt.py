#!/usr/bin/env python3
"""braid-binfmt and what the kernel hands over, in a chroot that holds nothing of braid.

usage: binfmt.py BRAID BRAID-BINFMT DIRECTORY     (DIRECTORY: for what it builds)

All of it happens in a user namespace with a binfmt_misc of its own (Linux 6.7), so that the
machine's entries are neither seen nor touched.  77 (skip) where that cannot be had.
"""
import ctypes
import os
import pathlib
import shutil
import subprocess
import sys

CROSS = 'riscv64-linux-gnu-gcc'
MISC = pathlib.Path('/proc/sys/fs/binfmt_misc')
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
USER = 1000         # somebody who is not root
PROGRAM = r'''
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "exec")) {
        execv(argv[2], argv + 3);
        printf("execv: %s\n", strerror(errno));
        return 3;
    }
    int extra = 0;
    char name[17] = "";
    prctl(PR_GET_NAME, name);
    for (int fd = 3; fd < 200; fd++)
        extra += fcntl(fd, F_GETFD) >= 0;
    printf("argv");
    for (int i = 0; i < argc; i++)
        printf(" %s", argv[i]);
    printf("\nfile %s\nids %d %d\nsecure %lu\ndescriptors %d\nname %s\n", (char *)getauxval(AT_EXECFN),
           (int)getuid(), (int)geteuid(), getauxval(AT_SECURE), extra, name);
    return 7;
}
'''

libc = ctypes.CDLL(None, use_errno=True)


def skip(why):
    print('skipped: ' + why)
    sys.exit(77)


def enter_namespace():
    """Continue in a child that is root of new namespaces; uids up to USER mapped if possible."""
    ready, go = os.pipe(), os.pipe()
    outer = os.getuid()
    child = os.fork()
    if child:
        ok = os.read(ready[0], 1)
        if ok == b'y':
            ids = f'0 0 {USER + 1}' if outer == 0 else f'0 {outer} 1'
            gids = ids if outer == 0 else f'0 {os.getgid()} 1'
            pathlib.Path(f'/proc/{child}/setgroups').write_text('deny')
            pathlib.Path(f'/proc/{child}/uid_map').write_text(ids)
            pathlib.Path(f'/proc/{child}/gid_map').write_text(gids)
        os.write(go[1], b'g')
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    good = libc.unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0
    os.write(ready[1], b'y' if good else b'n')
    os.read(go[0], 1)
    if not good:
        skip('no user namespaces')
    os.setresuid(0, 0, 0)
    os.setresgid(0, 0, 0)
    return outer == 0


def mount_own_misc():
    subprocess.run(['mount', '--make-rprivate', '/'], check=True)
    r = subprocess.run(['mount', '-t', 'binfmt_misc', 'none', MISC], capture_output=True)
    if r.returncode or sorted(os.listdir(MISC)) != ['register', 'status']:
        skip('no binfmt_misc of its own in a user namespace')


class Suite:
    def __init__(self, braid, tool, directory, many_users):
        self.many_users = many_users
        self.failed = self.passed = 0
        self.tool = tool
        work = pathlib.Path(directory)
        shutil.rmtree(work, ignore_errors=True)
        self.root = work / 'root'
        self.root.mkdir(parents=True)
        self.braid = work / 'braid-riscv64'
        shutil.copy(braid, self.braid)
        (work / 'program.c').write_text(PROGRAM)
        subprocess.run([CROSS, '-O2', '-static', work / 'program.c', '-o', self.root / 'program'],
                       check=True)
        (self.root / 'script').write_text('#!/program word\n')
        (self.root / 'script').chmod(0o755)
        self.variant('hidden', 0o711)
        self.variant('setuid', 0o4755)

    def variant(self, name, mode):
        shutil.copy(self.root / 'program', self.root / name)
        (self.root / name).chmod(mode)

    def check(self, what, condition, detail=''):
        self.passed += bool(condition)
        self.failed += not condition
        if not condition:
            print(f'FAILED {what}: {detail}')

    def binfmt(self, what, args, status, words=''):
        r = subprocess.run([self.tool, *args], capture_output=True, text=True, timeout=60)
        text = r.stdout + r.stderr
        self.check(what, r.returncode == status and words in text, f'status {r.returncode}: {text}')

    def run(self, argv, path=None, user=0, no_stdin=False, env=None):
        """argv in the chroot, with path as the file if it is not argv[0]."""
        def child():
            os.chroot(self.root)
            os.chdir('/')
            if user:
                os.setresgid(user, user, user)
                os.setresuid(user, user, user)
            if no_stdin:
                os.close(0)
        return subprocess.run(argv, executable=path, preexec_fn=child, env=env or {}, text=True,
                              capture_output=True, timeout=60, stdin=subprocess.DEVNULL)

    def expect(self, what, argv, words, status=7, **more):
        try:
            r = self.run(argv, **more)
        except OSError as e:
            self.check(what, False, e)
            return
        lines = r.stdout.splitlines()
        self.check(what, r.returncode == status and all(w in lines for w in words),
                   f'status {r.returncode}, {r.stdout!r} {r.stderr!r}, wanted {words}')

    def commands(self):
        # The first one mounts binfmt_misc itself.
        subprocess.run(['umount', MISC], check=True)
        if not (MISC / 'register').exists():
            self.binfmt('status, not mounted', ['status'], 1, 'not mounted')
            self.binfmt('register mounts', ['register', '--interpreter', self.braid], 0)
            self.binfmt('unregister', ['unregister'], 0)
        else:
            mount_own_misc()
        self.binfmt('status, not registered', ['status'], 1, 'not registered')
        self.binfmt('unregister nothing', ['unregister'], 0, 'nothing to do')
        self.binfmt('no interpreter', ['register', '--interpreter', '/nowhere'], 1, '/nowhere')
        self.binfmt('bad flags', ['register', '--flags', 'FZ'], 2, 'FZ')
        self.binfmt('bad command', ['enroll'], 2, 'enroll')
        self.binfmt('bad option', ['status', '--over'], 2, '--over')
        other = ':qemu-riscv64:M:0:' + ''.join(
            '\\x%02x' % b for b in b'\x7fELF\2\1\1' + bytes(9) + b'\2\0\xf3\0') + '::/bin/false:'
        (MISC / 'register').write_text(other)
        self.binfmt('somebody else is there', ['register', '--interpreter', self.braid], 1, 'qemu-riscv64')
        self.binfmt('over somebody else',
                    ['register', '--over', '--interpreter', self.braid], 0, 'qemu-riscv64')
        self.expect('the last one wins', ['/program'], ['argv /program'])
        self.binfmt('status names both', ['status'], 0, 'qemu-riscv64')
        self.binfmt('unregister leaves the other', ['unregister'], 0, 'qemu-riscv64')
        (MISC / 'qemu-riscv64').write_text('0')
        self.binfmt('one that is off is no matter', ['register', '--interpreter', self.braid], 0)
        (MISC / 'braid-riscv64').write_text('0')
        self.binfmt('switched off', ['status'], 1, 'switched off')

    def handover(self):
        self.binfmt('register', ['register', f'--interpreter={self.braid}'], 0, 'FCOP')
        self.binfmt('registered', ['status'], 0, str(self.braid))
        self.expect('argv[0] is kept', ['other', '-strace', 'b c'],
                    ['argv other -strace b c', 'file /program', 'secure 0', 'descriptors 0', 'name program'],
                    path='/program')
        self.expect('an empty argv[0]', ['', 'a'], ['argv  a'], path='/program')
        self.expect('relative', ['./program'], ['argv ./program', 'file ./program'])
        self.expect('a script', ['/script', 'x'], ['argv /program word /script x', 'name script'])
        self.expect('AT_EXECFD is 0', ['/program', 'x'], ['argv /program x'], no_stdin=True)
        self.expect('execve without /proc', ['/program', 'exec', '/program', 'name', 'y'],
                    ['argv name y', 'descriptors 0'])
        self.expect('execve of a script without /proc', ['/program', 'exec', '/script', 'name', 'y'],
                    ['argv /program word /script y', 'name script'])
        self.check('options in the environment',
                   'getuid()' in self.run(['/program'], env={'BRAID_STRACE': '1'}).stderr)

    def rights(self):
        if not self.many_users:
            return
        self.expect('may be executed, not read', ['/hidden'], [f'ids {USER} {USER}'], user=USER)
        self.expect('set-user-ID', ['/setuid'], [f'ids {USER} 0', 'secure 1'], user=USER)
        r = self.run(['/setuid'], user=USER, env={'BRAID_STRACE': '1', 'QEMU_LD_PREFIX': '/nowhere'})
        self.check('set-user-ID: the environment does not count', r.returncode == 7 and not r.stderr,
                   r.stderr)
        self.expect('set-user-ID from the guest', ['/program', 'exec', '/setuid', 'name'],
                    ['argv name', f'ids {USER} 0', 'secure 1'], user=USER)
        # braid finds itself here, and leaves it to the kernel all the same
        (self.root / 'proc').mkdir()
        subprocess.run(['mount', '--rbind', '/proc', self.root / 'proc'], check=True)
        self.expect('set-user-ID from the guest, with /proc',
                    ['/program', 'exec', '/setuid', 'name'],
                    ['argv name', f'ids {USER} 0', 'secure 1'], user=USER)
        self.expect('execve with /proc', ['/program', 'exec', '/program', 'name'],
                    ['argv name', f'ids {USER} {USER}', 'secure 0', 'descriptors 0'], user=USER)
        self.binfmt('register without C', ['register', '--interpreter', self.braid, '--flags', 'FP'], 0)
        self.expect('no set-user-ID without C', ['/setuid'], [f'ids {USER} {USER}', 'secure 0'],
                    user=USER)

    def fewer_flags(self):
        self.binfmt('register O', ['register', '--interpreter', self.braid, '--flags', 'FO'], 0)
        self.expect('without P the path is argv[0]', ['other', '-strace'],
                    ['argv /program -strace', 'descriptors 0', 'name program'], path='/program')
        self.binfmt('register F', ['register', '--interpreter', self.braid, '--flags', 'F'], 0)
        self.expect('F alone', ['other', 'a'], ['argv /program a', 'descriptors 0'], path='/program')


def main():
    braid, tool, directory = sys.argv[1:]
    if not shutil.which(CROSS):
        skip(CROSS + ' is missing')
    many_users = enter_namespace()
    mount_own_misc()
    s = Suite(braid, tool, directory, many_users)
    s.commands()
    s.handover()
    s.rights()
    s.fewer_flags()
    print(f'{s.passed} passed, {s.failed} failed')
    sys.exit(s.failed != 0)


if __name__ == '__main__':
    main()
