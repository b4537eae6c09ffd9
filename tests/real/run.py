#!/usr/bin/env python3
"""Programs of Debian's riscv64 archive under braid.

usage: run.py [--quick] [--qemu [QEMU]] [--keep] BRAID [NAME...]
       run.py --list [--quick]

Each file checks/NAME.sh is one check: a script for the bash of a Debian root, with fields in its
first lines (docs/testing.md).  The roots are made by tools/debian-root outside the checkout, fetched
when a check needs them.  A check passes if its script exits with 0 in time and, with the field
`native`, prints what the same script prints in a root of this machine's own architecture.

--qemu also times each check under a qemu-riscv64, with binfmt_misc in a namespace of its own.
Exit status 77 if everything had to be skipped.
"""
import argparse
import difflib
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache') / 'braid'
NATIVE = {'x86_64': 'amd64', 'aarch64': 'arm64'}.get(os.uname().machine)

# Run as root of new namespaces.  $1: the root to enter or "", $2: uid for the script or "", $3: the
# QEMU to register or "", $4: the work directory.  Being a namespace's first process, it takes
# everything that the script leaves running with it.
ENTER = r'''
root=$1 uid=$2 qemu=$3 work=$4; shift 4
mount --make-rprivate / && mount -t proc proc /proc || exit 126
python3 -c 'import fcntl, socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
fcntl.ioctl(s, 0x8914, struct.pack("16sh22x", b"lo", 0x49))' || exit 126
if [ "$root" ]; then
    mkdir -p "$root/work" && mount --bind "$work" "$root/work" && mount --rbind /dev "$root/dev" &&
        mount --rbind /proc "$root/proc" && mount -t tmpfs tmp "$root/tmp" || exit 126
fi
if [ "$qemu" ]; then
    for d in /lib64 /usr/lib/x86_64-linux-gnu; do
        mkdir -p "$root/$d" && mount --bind "$(readlink -f $d)" "$root/$d" || exit 126
    done
    mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc && printf '%s' \
        ':qemu:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xf3\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:'"$qemu"':F' \
        >/proc/sys/fs/binfmt_misc/register || exit 126
fi
[ -z "$root" ] || set -- --root="$root" --wd=/work -- "$@"
[ -z "$uid" ] || set -- --map-user="$uid" --map-group="$uid" "$@"
unshare "$@"
exit $?
'''


class Skip(Exception):
    pass


class Check:
    """One file of checks/, and its fields."""

    def __init__(self, path):
        self.name, self.path = path.stem, path
        self.fields = {}
        for line in path.read_text().split('\n'):
            if line.startswith('#: '):
                key, _, value = line[3:].partition(':')
                self.fields[key.strip()] = value.strip()
        unknown = set(self.fields) - {'packages', 'native-packages', 'npm', 'time', 'quick', 'native', 'chroot',
                                      'user', 'options'}
        if unknown or 'packages' not in self.fields or 'time' not in self.fields:
            sys.exit(f'{path}: fields: {", ".join(unknown) or "packages and time must be there"}')
        self.limit = float(self.fields['time']) * float(os.environ.get('PATIENCE', 1))

    def has(self, field):
        return field in self.fields


def checks():
    return [Check(p) for p in sorted((HERE / 'checks').glob('*.sh'))]


def installed(root):
    try:
        with open(root / '.debian-root') as f:
            return {line[9:-1] for line in f if line.startswith('Package: ')}
    except FileNotFoundError:
        return set()


def need_root(arch, packages):
    """The root for an architecture, with these packages in it."""
    root = CACHE / f'root-{arch}'
    wanted = ['bash', 'libc-bin', *packages]
    if set(wanted) - installed(root):
        r = subprocess.run([HERE.parents[1] / 'tools/debian-root', '-a', arch, root, *wanted],
                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if r.returncode == 77:
            raise Skip(r.stderr.strip().split('\n')[-1])
        if r.returncode:
            sys.exit(f'debian-root failed:\n{r.stderr[-2000:]}')
    return root


def need_npm(packages):
    """The archives of npm packages, given as NAME@VERSION, with the names they are imported by."""
    cache = CACHE / 'npm'
    cache.mkdir(parents=True, exist_ok=True)
    found = []
    for spec in packages:
        name, _, version = spec.rpartition('@')
        archive = cache / f'{name.lstrip("@").replace("/", "-")}-{version}.tgz'
        if not archive.exists():
            if not shutil.which('npm'):
                raise Skip('this machine has no npm')
            with tempfile.TemporaryDirectory(dir=cache) as new:
                r = subprocess.run(['npm', 'pack', '--silent', spec], cwd=new, stdout=subprocess.DEVNULL)
                if r.returncode:
                    raise Skip(f'npm cannot fetch {spec}')
                os.replace(pathlib.Path(new) / archive.name, archive)
        found.append((name, archive))
    return found


def unpack_npm(packages, work):
    """As npm would, into node_modules of the work directory; what a package needs is listed beside it."""
    for name, archive in need_npm(packages):
        where = pathlib.Path(work) / 'node_modules' / name
        where.mkdir(parents=True)
        subprocess.run(['tar', '-xzf', archive, '-C', where, '--strip-components=1'], check=True)


def namespaces(user):
    """The command that makes them; a user namespace where it is needed."""
    flags = ['--map-root-user'] if user or os.geteuid() else []
    return ['unshare', *flags, '--mount', '--net', '--pid', '--fork', '--kill-child']


def have_namespaces():
    return subprocess.run([*namespaces(False), 'true'], stderr=subprocess.DEVNULL).returncode == 0


class Result:
    def __init__(self, status, out, err, seconds):
        self.status, self.out, self.err, self.seconds = status, out, err, seconds


def run_in(check, root, prefix, chroot, qemu=None, limit=None):
    """Run a check's script with the bash of a root."""
    with tempfile.TemporaryDirectory(prefix=f'braid-{check.name}-') as work:
        script = (HERE / 'prelude.sh').read_text() + check.path.read_text()
        (pathlib.Path(work) / '.script').write_text(script)
        os.chmod(work, 0o777)
        unpack_npm(check.fields.get('npm', '').split(), work)
        inside = chroot or qemu
        here = '/work' if inside else work
        if inside and prefix:
            shutil.copy(prefix[0], f'{work}/.emulator')
            prefix = ['/work/.emulator', *prefix[1:]]
        env = {'PATH': '/usr/bin:/usr/sbin', 'HOME': here, 'TMPDIR': here, 'LC_ALL': 'C.UTF-8',
               'ROOT': '' if inside else str(root), 'ARCH': 'riscv64' if prefix or qemu else NATIVE}
        if not inside:
            prefix = [*prefix, '-L', str(root)]
        bash = '/usr/bin/bash' if inside else f'{root}/usr/bin/bash'
        command = [*prefix, *shlex.split(check.fields.get('options', '') if prefix else ''),
                   bash, f'{here}/.script']
        if have_namespaces():
            command = [*namespaces(qemu), 'sh', '-c', ENTER, 'enter', str(root) if inside else '',
                       '65534' if check.has('user') and os.geteuid() == 0 else '', qemu or '', work, *command]
        elif inside:
            raise Skip('namespaces are not allowed here')
        start = time.monotonic()
        p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, errors='replace', cwd=work,
                             start_new_session=True, env={**env, 'PATH': env['PATH'] + ':/bin:/sbin'})
        try:
            out, err = p.communicate(timeout=limit or check.limit)
            status = p.returncode
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)
            out, err = p.communicate()
            status = f'still running after {limit or check.limit:.0f} s'
        finally:
            if p.poll() is None:
                os.killpg(p.pid, signal.SIGKILL)
        return Result(status, out, err, time.monotonic() - start)


def complaint(check, got, native):
    """What is wrong with a result, or None."""
    if got.status != 0:
        return f'exit status {got.status}\n{got.out[-5000:]}{got.err[-2500:]}'
    if native is None:
        return None
    if native.status != 0 or native.out.count('\n') < 3:
        return f'the native twin is no reference: exit status {native.status}\n{native.out}{native.err}'
    if got.out != native.out:
        return '\n'.join(difflib.unified_diff(native.out.split('\n'), got.out.split('\n'), 'native',
                                              'braid', lineterm='')) + f'\n{got.err[-2500:]}'
    return None


def run_check(check, braid, qemu):
    """True if it passed; prints one line, and more if not."""
    packages = check.fields['packages'].split()
    root = need_root('riscv64', packages)
    native = None
    if check.has('native') and NATIVE:
        twin = need_root(NATIVE, check.fields.get('native-packages', check.fields['packages']).split())
        native = run_in(check, twin, [], True)
    got = run_in(check, root, braid, check.has('chroot'))
    bad = complaint(check, got, native)
    line = f'{"FAILED" if bad else "ok":7}{check.name:20}{got.seconds:8.1f} s'
    if native:
        line += f'   native {native.seconds:.1f} s'
    if qemu:
        q = run_in(check, root, [], True, qemu, limit=5 * check.limit)
        line += f'   qemu {q.seconds:.1f} s' + ('' if q.status == 0 else f' (fails: {q.status})')
    print(line + (f'\n{bad}' if bad else ''), flush=True)
    return not bad


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))     # so that nothing is left running
    # Ignored if a shell started us in the background; the programs under test inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    p = argparse.ArgumentParser()
    p.add_argument('--list', action='store_true')
    p.add_argument('--quick', action='store_true', help='only what make check runs')
    p.add_argument('--qemu', nargs='?', const=shutil.which('qemu-riscv64'))
    p.add_argument('braid', nargs='?')
    p.add_argument('names', nargs='*')
    args = p.parse_args()
    chosen = [c for c in checks() if (not args.quick or c.has('quick')) and
              (not args.names or c.name in args.names)]
    if args.list:
        print('\n'.join(c.name for c in chosen))
        return 0
    if not args.braid or len(args.names) > len(chosen):
        p.error('no such check' if args.braid else 'braid is missing')
    braid = shlex.split(args.braid)
    braid[0] = str(pathlib.Path(braid[0]).resolve())
    tally = {True: 0, False: 0}
    skipped = 0
    for c in chosen:
        try:
            tally[run_check(c, braid, args.qemu)] += 1
        except Skip as reason:
            skipped += 1
            print(f'skip   {c.name:20}{reason}', flush=True)
    print(f'{tally[True]} passed, {tally[False]} failed' + (f', {skipped} skipped' if skipped else ''))
    return 1 if tally[False] else 0 if tally[True] else 77


sys.exit(main())
