#!/usr/bin/env python3
"""Text in, text out: runs the cases of files through ir-tool.

    test-cases.py IR-TOOL FILE...        BLESS=1 rewrites the expected parts

A file is a list of cases with blank lines between them:

    # what it shows                      (a title; more lines are remarks)
    ! -p fold -p backward                (options of ir-tool; kept for the cases that follow)
    %10 = add i64 %1, 0                  (the input)
    out r0=%10
    =>
    exit.jump  [pc=0x2000 r0=%1]         (the expected output)

Input that does not begin with "unit" is the body of one block, behind %1 and %2 (i64 from
r1, r2) and %3 and %4 (f64 from f1, f2); "out ..." is an exit with that snapshot.  The output is compared
without the lines that every unit has.
"""
import os
import re
import subprocess
import sys

HEAD = '''unit 0x1000
block 0:
%1 = getreg i64 r1
%2 = getreg i64 r2
%3 = getreg f64 f1
%4 = getreg f64 f2
'''


def input_text(body):
    if body and body[0].startswith('unit'):
        return '\n'.join(body) + '\n'
    lines = [re.sub(r'^out ?(.*)', r'exit.jump [pc=0x2000 \1]', line) for line in body]
    return HEAD + '\n'.join(lines) + '\n'


def run(tool, options, bodies):
    """The output of each of the units."""
    text = '---\n'.join(input_text(b) for b in bodies)
    p = subprocess.run([tool] + options.split(), input=text, text=True, capture_output=True)
    if p.stderr:
        print(p.stderr)
        sys.exit(1)
    outputs = p.stdout.split('---\n')
    if len(outputs) != len(bodies):
        print('%d units went in, %d came out' % (len(bodies), len(outputs)))
        sys.exit(1)
    for body, out in zip(bodies, outputs):
        lines = [line.strip() for line in out.splitlines()]
        if not body[0].startswith('unit'):
            lines = [line for line in lines if not line.startswith(('unit', 'block')) and
                     not re.match(r'%[1-4] = getreg', line)]
        yield lines


class Case:
    def __init__(self, text, options):
        lines = text.split('\n')
        self.remarks = [line for line in lines if line.startswith(('#', '!'))]
        self.options = ([line[1:].strip() for line in self.remarks if line[0] == '!'] or [options])[-1]
        rest = [line for line in lines if line not in self.remarks]
        split = rest.index('=>') if '=>' in rest else len(rest)
        self.body = rest[:split]
        self.expected = [line.strip() for line in rest[split + 1:]]

    def text(self):
        return '\n'.join(self.remarks + self.body + (['=>'] + self.expected if self.body else []))


def check_file(tool, name, bless):
    options, cases, n, failures = '', [], 0, 0
    with open(name) as f:
        for text in f.read().rstrip('\n').split('\n\n'):
            cases.append(Case(text, options))
            options = cases[-1].options
    for options in sorted(set(c.options for c in cases)):
        group = [c for c in cases if c.options == options and c.body]
        for c, got in zip(group, run(tool, options, [c.body for c in group])):
            n += 1
            if bless:
                c.expected = got
            elif got != c.expected:
                failures += 1
                print('%s: %s\n  expected:\n    %s\n  got:\n    %s' % (
                    os.path.basename(name), c.remarks[:1], '\n    '.join(c.expected), '\n    '.join(got)))
    if bless:
        with open(name, 'w') as f:
            f.write('\n\n'.join(c.text() for c in cases) + '\n')
    return n, failures


def main():
    bless = os.environ.get('BLESS') == '1'
    counts = [check_file(sys.argv[1], name, bless) for name in sys.argv[2:]]
    n, failures = map(sum, zip(*counts))
    print('%d passed, %d failed' % (n - failures, failures))
    sys.exit(failures != 0)


main()
