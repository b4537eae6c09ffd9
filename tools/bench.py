#!/usr/bin/env python3
"""Run the benchmark set natively, under braid and under QEMU, side by side.

Every program of bench/programs is compiled twice with the same options, for this
machine and for riscv64.  The runs alternate (native, braid, QEMU, native, …) so
that a machine that gets slower or faster in between favours nobody.  Outputs must
agree.  Results: a table of medians with ratios on standard output, and in the
output directory results.json, table.txt and chart.svg.

Exit status: 0 all ran and agreed, 1 a program failed or outputs differ, 2 the
command line or a missing tool.
"""

import argparse
import concurrent.futures
import json
import math
import os
import platform
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = ROOT / "bench" / "programs"
SYSROOT = "/usr/riscv64-linux-gnu"
CROSS = "riscv64-linux-gnu-"
# No contraction of a*b+c into fma: x86-64's base set has no fma, so outputs
# would differ in the last bit, and the two builds would not do the same work.
FLAGS = ["-O2", "-ffp-contract=off"]
LIBS = ["-pthread", "-lm"]
CLASSES = ["integer", "fp", "threads", "startup"]
CLASS_NAMES = {"integer": "integer", "fp": "floating point", "threads": "two threads",
               "startup": "start-up"}


class Failure(Exception):
    """Ends the run with one sentence and exit status 2."""


class Program:
    """One line of the table: a source file, how to link it, its arguments."""

    def __init__(self, source, link, fields, quick, one_thread=False):
        self.source = source
        self.link = link
        self.cls = fields["class"]
        self.args = fields["quick" if quick else "args"].split()
        self.repeat = int(fields.get("repeat", "1"))
        self.name = source.stem
        if len(fields.get("link", "static").split()) > 1:
            self.name += "-" + link
        self.binary = self.name
        if one_thread:
            self.name += "-1"
            self.args[-1] = "1"
            self.cls = "scaling"

    def compile_command(self, compiler_prefix, out):
        cxx = self.source.suffix == ".cc"
        command = [compiler_prefix + ("g++" if cxx else "gcc"), *FLAGS]
        # Both sides the same way, so that start-up compares like with like.
        command += ["-static"] if self.link == "static" else []
        return command + [str(self.source), "-o", str(out), *LIBS]


def read_programs(quick):
    programs = []
    for source in sorted(PROGRAMS.glob("*.c*")):
        fields = dict(re.findall(r"bench-(\w+):[ \t]*(.*)", source.read_text()))
        if fields.get("class") not in CLASSES:
            raise Failure(f"{source}: no valid 'bench-class:' in its first comment")
        for link in fields.get("link", "static").split():
            programs.append(Program(source, link, fields, quick))
        if fields.get("scaling") == "yes":
            programs.append(Program(source, "static", fields, quick, one_thread=True))
    order = CLASSES[:3] + ["scaling", "startup"]
    return sorted(programs, key=lambda p: (order.index(p.cls), p.name))


def choose(programs, wanted):
    if not wanted:
        return programs
    known = {p.name for p in programs} | {p.binary for p in programs} | set(CLASSES)
    for word in wanted:
        if word not in known:
            raise Failure(f"no program or class named '{word}'; there are: "
                          + " ".join(sorted(known)))
    return [p for p in programs
            if {p.name, p.binary, p.cls} & set(wanted)
            or p.cls == "scaling" and "threads" in wanted]


def need(tool, why):
    found = shutil.which(tool)
    if not found:
        raise Failure(f"{tool} was not found: {why}.")
    return found


def find_braid(path):
    if path:
        candidates = [path]
    else:
        candidates = [os.environ.get("BRAID", ""),
                      *map(str, sorted(ROOT.glob("build*/src/main/braid-riscv64"))),
                      shutil.which("braid-riscv64") or ""]
    for candidate in candidates:
        if candidate and os.access(candidate, os.X_OK) and not os.path.isdir(candidate):
            return str(Path(candidate).resolve())
    raise Failure((f"{path} is not a program" if path else "braid-riscv64 was not found")
                  + ": build it first or name it with --braid PATH (or --without braid).")


def collect_runners(options):
    """Ordered list of (name, command prefix); native comes first."""
    runners = [("native", [])]
    if "braid" not in options.without:
        runners.append(("braid", [find_braid(options.braid), *shlex.split(options.braid_args)]))
    if "qemu" not in options.without:
        qemu = os.environ.get("QEMU", "qemu-riscv64")
        runners.append(("qemu", [need(qemu, "install QEMU's user mode, set QEMU=PATH, or "
                                            "leave it out with --without qemu")]))
    for text in options.emulator:
        name, equals, command = text.partition("=")
        if not equals or not name or not command.split() or name in dict(runners):
            raise Failure(f"--emulator {text}: expected a new NAME=COMMAND")
        words = shlex.split(command)
        runners.append((name, [need(words[0], f"named by --emulator {name}"), *words[1:]]))
    return runners


def build_all(programs, build_dir):
    """Compile what is older than its sources."""
    need("gcc", "the native programs are compiled with it (Debian package gcc)")
    need(CROSS + "gcc", "the guest programs are compiled with it (Debian package "
                        "gcc-riscv64-linux-gnu)")
    if any(p.source.suffix == ".cc" for p in programs):
        need("g++", "one native program is C++ (Debian package g++)")
        need(CROSS + "g++", "one guest program is C++ (Debian package "
                            "g++-riscv64-linux-gnu)")
    headers = max(f.stat().st_mtime for f in
                  [*PROGRAMS.glob("*.h"), Path(__file__), ROOT / "bench/measure.c"])
    jobs = [(["gcc", "-O2", str(ROOT / "bench/measure.c"), "-o", str(build_dir / "measure")],
             build_dir / "measure", headers)]
    for machine, prefix in (("native", ""), ("riscv64", CROSS)):
        (build_dir / machine).mkdir(parents=True, exist_ok=True)
        for p in {p.binary: p for p in programs}.values():
            out = build_dir / machine / p.binary
            jobs.append((p.compile_command(prefix, out), out,
                         max(headers, p.source.stat().st_mtime)))

    def run(job):
        command, out, newest = job
        if out.exists() and out.stat().st_mtime > newest:
            return
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise Failure(f"compiling failed: {shlex.join(command)}\n{done.stderr}")

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(run, jobs))


def run_one(program, runner, prefix, build_dir, timeout):
    """One measurement: a dict, with 'error' when the run failed."""
    machine = "native" if runner == "native" else "riscv64"
    command = [*prefix, str(build_dir / machine / program.binary), *program.args]
    environment = dict(os.environ)
    if runner != "native" and program.link == "dynamic":
        if Path(SYSROOT).is_dir():
            command[1:1] = ["-L", SYSROOT]
    out = build_dir / f"output-{os.getpid()}"
    done = subprocess.run([str(build_dir / "measure"), str(program.repeat), str(timeout),
                           str(out), *command], capture_output=True, text=True,
                          env=environment, stdin=subprocess.DEVNULL)
    words = done.stdout.split()
    if done.returncode or len(words) != 5:
        raise Failure(f"measure failed: {done.stderr.strip()}")
    result = {"wall": float(words[0]), "user": float(words[1]), "sys": float(words[2]),
              "cpu": float(words[1]) + float(words[2]), "peak_mb": int(words[3]) / 1024, "output": out.read_text(errors="replace")}
    out.unlink()
    status = int(words[4])
    if status == 137 and result["wall"] * program.repeat >= timeout:
        result["error"] = f"still running after {timeout} s"
    elif status:
        result["error"] = f"exit status {status}: " + (done.stderr.strip() or
                                                       result["output"].strip())[-200:]
    return result


def measure(programs, runners, options, build_dir):
    """{program: {runner: [runs]}}, and the list of complaints."""
    results = {p.name: {name: [] for name, _ in runners} for p in programs}
    complaints = []
    broken = set()
    for round_number in range(options.runs):
        for p in programs:
            for name, prefix in runners:
                if (p.name, name) in broken:
                    continue
                if sys.stderr.isatty():
                    print(f"\r\033[Krun {round_number + 1}/{options.runs}: {p.name} {name}",
                          end="", file=sys.stderr, flush=True)
                run = run_one(p, name, prefix, build_dir, options.timeout)
                output = run.pop("output")
                expected = results[p.name]["native"]
                if "error" not in run and name != "native" and expected and \
                        output != expected[0]["output"]:
                    run["error"] = (f"printed {output.strip()!r}, native printed "
                                    f"{expected[0]['output'].strip()!r}")
                if "error" in run:
                    broken.add((p.name, name))
                    complaints.append(f"{p.name} under {name}: {run['error']}")
                    continue
                if name == "native":
                    run["output"] = output
                results[p.name][name].append(run)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    for by_runner in results.values():
        for run in by_runner["native"]:
            run.pop("output", None)
    return results, complaints


def median_of(runs, key):
    return statistics.median(r[key] for r in runs) if runs else None


def geomean(values):
    values = [v for v in values if v]
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def pairs_to_compare(names):
    """Which ratios the table shows: each emulator over native, each other over braid."""
    others = [n for n in names if n != "native"]
    pairs = [(n, "native") for n in others]
    if "braid" in others:
        pairs += [(n, "braid") for n in others if n != "braid"]
    return pairs


def summarise(programs, names, results, metric):
    """Medians, ratios of `metric` ("wall" or "cpu"), their geometric means, scaling."""
    rows = {}
    for p in programs:
        runs = results[p.name]
        rows[p.name] = {
            "class": p.cls,
            "median": {n: {k: median_of(runs[n], k) for k in ("wall", "cpu", "user", "sys", "peak_mb")}
                       for n in names}}
        time_of = {n: rows[p.name]["median"][n][metric] for n in names}
        rows[p.name]["ratio"] = {f"{a}/{b}": time_of[a] / time_of[b]
                                 if time_of[a] and time_of[b] else None
                                 for a, b in pairs_to_compare(names)}
    ratios = [f"{a}/{b}" for a, b in pairs_to_compare(names)]
    geo = {}
    for cls in CLASSES:
        members = [r for r in rows.values() if r["class"] == cls]
        if members:
            geo[cls] = {k: geomean([r["ratio"][k] for r in members]) for k in ratios}
    timed = [r for r in rows.values() if r["class"] in CLASSES[:3]]
    if timed:
        geo["all but start-up"] = {k: geomean([r["ratio"][k] for r in timed]) for k in ratios}
    scaling = {}
    for p in programs:
        if p.cls == "scaling" and p.binary in rows:
            one, two = rows[p.name]["median"], rows[p.binary]["median"]
            scaling[p.binary] = {n: 2 * one[n]["wall"] / two[n]["wall"]
                                 if one[n]["wall"] and two[n]["wall"] else None for n in names}
    return {"programs": rows, "geomean": geo, "scaling": scaling}


def cell(value, form):
    return "-" if value is None else format(value, form)


def make_table(programs, names, summary):
    ratios = [f"{a}/{b}" for a, b in pairs_to_compare(names)]
    head = (["program"] + [f"{n} s" for n in names] + [f"{n} cpu" for n in names]
            + [f"{n} MB" for n in names] + ratios)
    lines = [head]
    last = None
    for p in programs:
        row = summary["programs"][p.name]
        if row["class"] != last:
            lines.append([])
            last = row["class"]
        m = row["median"]
        lines.append([p.name] + [cell(m[n]["wall"], ".3f") for n in names]
                     + [cell(m[n]["cpu"], ".2f") for n in names]
                     + [cell(m[n]["peak_mb"], ".1f") for n in names]
                     + [cell(row["ratio"][k], ".2f") for k in ratios])
    lines.append([])
    blanks = [""] * (3 * len(names))
    for cls, values in summary["geomean"].items():
        lines.append(["geomean " + CLASS_NAMES.get(cls, cls)] + blanks
                     + [cell(values[k], ".2f") for k in ratios])
    widths = [max(len(line[i]) for line in lines if line) for i in range(len(head))]
    text = "\n".join("  ".join(c.ljust(w) if i == 0 else c.rjust(w)
                               for i, (c, w) in enumerate(zip(line, widths))).rstrip()
                     for line in lines) + "\n"
    for name, by_runner in summary["scaling"].items():
        text += (f"\n{name}, two threads over one (2.00 is ideal): "
                 + ", ".join(f"{n} {cell(v, '.2f')}" for n, v in by_runner.items()) + "\n")
    return text


GNUPLOT = """set terminal svg size {width},480 background '#ffffff' font 'sans,12'
set output '{svg}'
set title 'Time relative to native (median of {runs}; lower is better)'
set style data histogram
set style histogram clustered gap 1
set style fill solid 0.9 noborder
set logscale y
set ylabel 'times native'
set grid ytics lc '#dddddd'
set xtics rotate by -40 left scale 0 noenhanced
set ytics (0.5, 1, 2, 5, 10, 20, 50, 100)
set key top left
set yrange [0.5:*]
plot {plots}
"""


def draw_chart(programs, names, summary, out, runs):
    if not shutil.which("gnuplot"):
        print("No chart: gnuplot was not found (Debian package gnuplot-nox).")
        return
    others = [n for n in names if n != "native"]
    shown = [p for p in programs if p.cls != "scaling"]
    if not others or not shown:
        return
    rows = [["program", *others]]
    for p in shown:
        ratio = summary["programs"][p.name]["ratio"]
        rows.append([p.name, *(cell(ratio[f"{n}/native"], ".4f") for n in others)])
    for cls, values in summary["geomean"].items():
        rows.append([f'"geomean {CLASS_NAMES.get(cls, cls)}"',
                     *(cell(values[f"{n}/native"], ".4f") for n in others)])
    (out / "chart.dat").write_text("\n".join(" ".join(r) for r in rows) + "\n")
    colours = ["#2a6fbb", "#d98a2b", "#5a9e4b", "#8a5fb0", "#888888"]
    plots = ", ".join(
        f"'{out}/chart.dat' using {i + 2}:xtic(1) title columnheader lc rgb '{colours[i % 5]}'"
        for i in range(len(others)))
    script = GNUPLOT.format(width=160 + 34 * len(rows), svg=out / "chart.svg", runs=runs,
                            plots="1 notitle lc rgb '#444444' with lines, " + plots)
    done = subprocess.run(["gnuplot"], input=script, capture_output=True, text=True)
    if done.returncode:
        print(f"No chart: gnuplot says: {done.stderr.strip()}")


def first_line(command):
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.split("\n")[0]
    except OSError:
        return ""


def describe(runners, options):
    cpu = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    return {"date": time.strftime("%Y-%m-%d %H:%M"), "cpu": cpu.group(1) if cpu else "",
            "cpus": os.cpu_count(), "kernel": platform.release(),
            "load_at_start": os.getloadavg()[0],
            "gcc": first_line(["gcc", "--version"]),
            "cross_gcc": first_line([CROSS + "gcc", "--version"]), "flags": FLAGS,
            "emulators": {n: {"command": c, "version": first_line([c[0], "--version"])}
                          for n, c in runners if c},
            "commit": first_line(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]),
            "runs": options.runs, "quick": options.quick, "metric": options.metric}


def parse_command_line():
    parser = argparse.ArgumentParser(
        description="Compare native, braid and QEMU on the benchmark set.")
    parser.add_argument("--programs", default="", metavar="A,B",
                        help="only these programs or classes (" + ", ".join(CLASSES) + ")")
    parser.add_argument("--list", action="store_true", help="list the programs and stop")
    parser.add_argument("--runs", type=int, default=None, metavar="N",
                        help="measurements of each (default 3; 1 with --quick)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    parser.add_argument("--braid", metavar="PATH", help="the braid-riscv64 to measure")
    parser.add_argument("--braid-args", default="", metavar="ARGS",
                        help="options for braid, in one word")
    parser.add_argument("--without", action="append", default=[], choices=["braid", "qemu"],
                        help="leave this emulator out")
    parser.add_argument("--emulator", action="append", default=[], metavar="NAME=CMD",
                        help="measure another emulator too (may be repeated)")
    parser.add_argument("--metric", default="wall", choices=["wall", "cpu"],
                        help="what ratios compare: wall-clock time (default), or "
                             "processor time, which other load disturbs less")
    parser.add_argument("--timeout", type=int, default=300, metavar="S",
                        help="seconds after which a run is killed (default 300)")
    parser.add_argument("--out", default=str(ROOT / "build-bench"), metavar="DIR",
                        help="where programs and results go (default build-bench)")
    options = parser.parse_args()
    if options.runs is None:
        options.runs = 1 if options.quick else 3
    if options.runs < 1:
        parser.error("--runs: at least 1")
    return options


def main():
    options = parse_command_line()
    programs = choose(read_programs(options.quick),
                      [w for w in options.programs.split(",") if w])
    if options.list:
        for p in programs:
            print(f"{p.name:22} {p.cls:9} {' '.join(p.args)}")
        return 0
    runners = collect_runners(options)
    out = Path(options.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    build_all(programs, out)
    info = describe(runners, options)
    results, complaints = measure(programs, runners, options, out)
    names = [name for name, _ in runners]
    summary = summarise(programs, names, results, options.metric)
    table = make_table(programs, names, summary)
    print(table)
    if info["load_at_start"] > 0.5:
        print(f"The machine was busy at the start (load {info['load_at_start']:.1f}): "
              "wall-clock figures are not reliable.")
    (out / "table.txt").write_text(table)
    (out / "results.json").write_text(json.dumps(
        {"about": info, "summary": summary, "runs": results, "complaints": complaints},
        indent=1) + "\n")
    draw_chart(programs, names, summary, out, options.runs)
    for complaint in complaints:
        print("FAILED " + complaint)
    print(f"Results are in {out}")
    return 1 if complaints else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        print(f"bench: {failure}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nbench: interrupted", file=sys.stderr)
        sys.exit(130)
