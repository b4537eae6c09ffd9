#!/usr/bin/env python3
"""Build the guest programs of tests/user and run them under an emulator.

Each program is one C file that checks itself and exits with 0.  It is compiled
for riscv64 with the cross compiler and run under every option set asked for;
portable ones are also compiled and run natively from the same source, which
keeps the tests honest: what fails natively is the test's own fault.

One line per run, a closing "N passed, N failed", exit status 0, 1 (a failure),
2 (command line, or a missing tool), 77 (nothing to run here: no cross compiler).
"""

import argparse
import concurrent.futures
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests" / "user"
SYSROOT = "/usr/riscv64-linux-gnu"
CROSS_CC = "riscv64-linux-gnu-gcc"
FLAGS = ["-O2", "-g", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wno-unused-parameter",
         "-Wno-unused-function", "-Wno-clobbered", "-Wno-stringop-overread",
         "-std=gnu11", "-frounding-math", "-ffp-contract=off", "-fno-strict-aliasing"]
LIBS = ["-pthread", "-lm", "-ldl"]

# Option sets: options for the emulator, percent of the repetitions (TEST_SCALE),
# the factor for time limits, and additions to the environment.
MATRIX = {
    "default": ([], 100, 1, {}),
    "one-insn": (["-one-insn-per-tb"], 20, 4, {}),
    "tiny-buffer": (["-accel", "tcg,tb-size=1"], 100, 2, {}),
    "no-chain": (["-d", "nochain"], 30, 4, {}),
    "interp": (["-accel", "interp"], 5, 4, {}),
    "llsc-strict": (["-accel", "tcg,llsc=strict"], 50, 2, {"LLSC_STRICT": "1"}),
    "serial": (["-accel", "tcg,translate=serial"], 50, 2, {}),
}


# Where a test's conditions on --stats must hold: others translate more, or differently.
STATS_SETS = ("default", "no-chain", "serial")
STATS_COMPARE = {"<=": int.__le__, ">=": int.__ge__, "=": int.__eq__}


class Failure(Exception):
    """Ends the run with one sentence and exit status 2."""


class Test:
    """One program in one way of linking, for one set of guest extensions."""

    def __init__(self, source, link, march, fields):
        self.source = source
        self.link = link
        self.march = march
        self.native = fields.get("native", "no") == "yes"
        self.compare = fields.get("output", "") == "native"
        self.seconds = int(fields.get("time", "30"))
        self.plugins = int(fields.get("plugins", "0"))
        self.alone = fields.get("alone", "no") == "yes"
        self.stats = re.findall(r"(\w+) *(<=|>=|=) *(\d+)", fields.get("stats", ""))
        self.skip = [s for s in re.split(r"[,\s]+", fields.get("skip", "")) if s]
        self.name = source.stem + ("-dynamic" if link == "dynamic" else "")
        if march:
            self.name += march.removeprefix("rv64gc").replace("_", "-")

    def compile_commands(self, compiler, directory):
        out = directory / self.name
        link = ["-static"] if self.link == "static" else []
        march = [f"-march={self.march}"] if self.march and compiler == CROSS_CC else []
        commands = [[compiler, *FLAGS, *march, *link, str(self.source), "-o", str(out), *LIBS]]
        for i in range(self.plugins):
            commands.append([compiler, "-O2", "-shared", "-fPIC", f"-DVALUE={i}",
                             str(self.source.with_suffix("")) + ".plugin",
                             "-o", f"{out}.{i}.so"])
            commands[-1][5:5] = ["-x", "c"]
        return out, commands


def read_tests():
    tests = []
    for source in sorted(TESTS.glob("*.c")):
        text = source.read_text()
        comment = text[:text.find("*/")]
        fields = dict(re.findall(r"test-(\w+):[ \t]*(.*)", comment))
        if "native" not in fields:
            raise Failure(f"{source}: no 'test-native:' line in its first comment")
        for link in fields.get("link", "static").split():
            tests += [Test(source, link, march, fields)
                      for march in fields.get("march", "").split() or [None]]
    return tests


def build(test, compiler, directory):
    """The program's path; compiles when it is older than its sources."""
    directory.mkdir(parents=True, exist_ok=True)
    out, commands = test.compile_commands(compiler, directory)
    inputs = [test.source, *TESTS.glob("*.h"), *TESTS.glob("*.plugin"), Path(__file__)]
    newest = max(f.stat().st_mtime for f in inputs)
    if out.exists() and out.stat().st_mtime > newest:
        return out
    for command in commands[::-1]:
        # Into a temporary name first: several runners may share the directory.
        target = command[command.index("-o") + 1]
        temporary = f"{target}.{os.getpid()}.tmp"
        command[command.index("-o") + 1] = temporary
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise Failure(f"compiling failed: {shlex.join(command)}\n{done.stderr}")
        if done.stderr:
            print(done.stderr, file=sys.stderr, end="")
        os.replace(temporary, target)
    return out


def session_members(session):
    """The processes of a session, by their numbers."""
    members = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and \
                    int((entry / "stat").read_text().rpartition(")")[2].split()[3]) == session:
                members.append(entry.name)
        except OSError:
            pass                                    # it has ended meanwhile
    return sorted(members, key=int)


def keep_stacks(session, where):
    """Where a hanging test's threads are, for whoever has to find out why, into the file `where`."""
    with open(where, "w", encoding="utf-8") as out:
        for pid in session_members(session):
            for name in ("cmdline", "status", "maps"):
                try:
                    text = Path(f"/proc/{pid}/{name}").read_text(errors="replace")
                except OSError as e:
                    text = str(e)
                print(f"---- {pid} {name}", text.replace("\0", " "), sep="\n", file=out, flush=True)
            if shutil.which("gdb"):
                subprocess.run(["timeout", "120", "gdb", "-nx", "-batch", "-p", pid,
                                "-ex", "thread apply all bt"],
                               stdin=subprocess.DEVNULL, stdout=out, stderr=out)


def run(command, seconds, scale, extra=None, stacks=None):
    """(ok, detail, standard output, standard error, seconds taken); `stacks`: a file for a hang's"""
    environment = dict(os.environ, TEST_SCALE=str(scale), **(extra or {}))
    start = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                 env=environment, start_new_session=True)
        try:
            status = child.wait(seconds)
            detail = ""
        except subprocess.TimeoutExpired:
            status = None
            detail = f"still running after {seconds} s"
            if stacks:
                keep_stacks(child.pid, stacks)
                detail += f", see {stacks}"
        finally:
            try:
                os.killpg(child.pid, signal.SIGKILL)   # stray children of the test as well
            except ProcessLookupError:
                pass
            child.wait()
        out.seek(0)
        err.seek(0)
        output = out.read()
        message = err.read().decode(errors="replace").strip()
    if status is not None and status != 0:
        detail = f"exit status {status}" if status > 0 else \
            f"killed by {signal.Signals(-status).name}"
    if detail and message:
        detail += ": " + message.splitlines()[-1]
    return not detail, detail, output, message, time.monotonic() - start


def failed_condition(test, report):
    """The first condition on --stats that `report` does not meet, or an empty string."""
    values = {name: int(value) for name, value in
              re.findall(r"^(\w+) +(\d+)  ", report, re.MULTILINE)}
    for name, compare, limit in test.stats:
        if name not in values:
            return f"--stats says nothing of {name}"
        if not STATS_COMPARE[compare](values[name], int(limit)):
            return f"--stats: {name} is {values[name]}, not {compare} {limit}"
    return ""


class Job:
    """One run to make: a test under one option set, or natively."""

    def __init__(self, test, option_set):
        self.test = test
        self.option_set = option_set
        self.label = f"{test.name} [{option_set}]"

    def execute(self, options):
        test = self.test
        native_output = None
        if self.option_set == "native" or test.compare:
            program = build(test, "gcc", options.directory("gcc"))
            ok, detail, native_output, _, taken = run([str(program)], test.seconds, 100)
            if self.option_set == "native" or not ok:
                return ok, detail and "natively: " + detail, taken
        program = build(test, CROSS_CC, options.directory(CROSS_CC))
        words, scale, factor, extra = MATRIX[self.option_set]
        scale = scale * options.scale // 100
        command = [*options.emulator, *words]
        if test.link == "dynamic" and Path(SYSROOT).is_dir():
            command += ["-L", SYSROOT]
        with_stats = (test.stats and self.option_set in STATS_SETS and
                      Path(options.emulator[0]).name.startswith("braid"))
        if with_stats:
            command.append("--stats")
        stacks = options.build / f"hang-{test.name}-{self.option_set}.txt"
        ok, detail, output, report, taken = run([*command, str(program)],
                                                int(test.seconds * factor * options.slower),
                                                scale, extra, stacks)
        if ok and with_stats:
            detail = failed_condition(test, report)
            if detail:
                return False, detail, taken
        if ok and test.compare and output != native_output:
            ours, theirs = output.splitlines(), native_output.splitlines()
            line = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b),
                        min(len(ours), len(theirs)))
            pick = [x[line].decode(errors="replace") if line < len(x) else "(end)"
                    for x in (ours, theirs)]
            return False, f"output line {line + 1} is '{pick[0]}', natively '{pick[1]}'", taken
        return ok, detail, taken


def repeat(job, options):
    """`job` options.repeat times, for options.seconds at most, or until it fails: as Job.execute()."""
    if options.repeat == 1:
        return job.execute(options)
    total, n = 0.0, 0
    while n < options.repeat and total < options.seconds:
        ok, detail, taken = job.execute(options)
        total += taken
        n += 1
        if not ok:
            return False, f"run {n}: {detail}", total
    return True, f"{n} runs", total


def plan(tests, options):
    jobs = []
    for test in tests:
        if options.native and test.native:
            jobs.append(Job(test, "native"))
        if options.emulator:
            jobs += [Job(test, s) for s in options.matrix if s not in test.skip]
    return jobs


def build_all(jobs, options):
    """Compile before anything runs, so that each program is compiled once."""
    wanted = {}
    for job in jobs:
        if job.option_set == "native" or job.test.compare:
            wanted[job.test.name, "gcc"] = job.test
        if job.option_set != "native":
            wanted[job.test.name, CROSS_CC] = job.test
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(lambda key: build(wanted[key], key[1], options.directory(key[1])),
                      wanted))


def execute_all(jobs, options):
    build_all(jobs, options)
    failed = 0
    for alone in (False, True):
        with concurrent.futures.ThreadPoolExecutor(1 if alone else options.jobs) as pool:
            futures = {pool.submit(repeat, job, options): job for job in jobs
                       if job.test.alone == alone}
            for future in concurrent.futures.as_completed(futures):
                job = futures[future]
                ok, detail, taken = future.result()
                failed += not ok
                print(f"{'ok    ' if ok else 'FAILED'} {job.label} {taken:.1f} s"
                      + (f": {detail}" if detail else ""), flush=True)
    print(f"{len(jobs) - failed} passed, {failed} failed")
    return failed


def parse_command_line():
    parser = argparse.ArgumentParser(description="Run the guest tests of tests/user.")
    parser.add_argument("tests", nargs="*", metavar="TEST", help="only these (default all)")
    parser.add_argument("--emulator", default="", metavar="CMD",
                        help="the emulator and its options, in one word")
    parser.add_argument("--matrix", default="default", metavar="A,B",
                        help="option sets: " + ", ".join(MATRIX) + ", or all")
    parser.add_argument("--native", action="store_true",
                        help="also (or, without --emulator, only) run portable tests natively")
    parser.add_argument("--list", action="store_true",
                        help="list the tests, one a line: name, seconds allowed, option sets "
                             "skipped or -, 'alone' when nothing may run beside it")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="at once (default 2)")
    parser.add_argument("--slower", type=float, default=1.0, metavar="F",
                        help="multiply time limits, for slow emulators or sanitizers")
    parser.add_argument("--repeat", type=int, default=1, metavar="N",
                        help="run each test N times, or until it fails")
    parser.add_argument("--seconds", type=float, default=float("inf"), metavar="S",
                        help="with --repeat: begin no more runs of a test after S seconds of it")
    parser.add_argument("--scale", type=int, default=100, metavar="P",
                        help="percent of each test's own repetitions")
    parser.add_argument("--build", type=Path, default=ROOT / "build-user-tests", metavar="DIR",
                        help="where the programs are compiled (default build-user-tests)")
    options = parser.parse_args()
    options.matrix = list(MATRIX) if options.matrix == "all" else options.matrix.split(",")
    for name in options.matrix:
        if name not in MATRIX:
            parser.error(f"no option set '{name}'; there are: {' '.join(MATRIX)}")
    options.emulator = shlex.split(options.emulator)
    root = options.build.resolve()
    options.directory = lambda compiler: root / ("native" if compiler == "gcc" else "riscv64")
    return options


def main():
    options = parse_command_line()
    tests = read_tests()
    if options.tests:
        unknown = set(options.tests) - {t.name for t in tests}
        if unknown:
            raise Failure(f"no test named {' '.join(sorted(unknown))}; see --list")
        tests = [t for t in tests if t.name in options.tests]
    if options.list:
        for test in tests:
            print(test.name, test.seconds, ",".join(test.skip) or "-",
                  "alone" if test.alone else "parallel")
        return 0
    if not options.emulator and not options.native:
        raise Failure("say what to run: --emulator CMD, --native, or both")
    if options.emulator and not shutil.which(options.emulator[0]):
        raise Failure(f"{options.emulator[0]} was not found: build it first")
    if options.emulator and not shutil.which(CROSS_CC):
        print(f"{CROSS_CC} was not found (Debian package gcc-riscv64-linux-gnu): skipped")
        return 77
    return 1 if execute_all(plan(tests, options), options) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        print(f"run-user-tests: {failure}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nrun-user-tests: interrupted", file=sys.stderr)
        sys.exit(130)
