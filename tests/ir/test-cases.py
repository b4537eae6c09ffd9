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


def run(tool, options, body):
    p = subprocess.run([tool] + options.split(), input=input_text(body), text=True, capture_output=True)
    out = p.stdout.splitlines() + [e for e in p.stderr.splitlines()]
    if body and not body[0].startswith('unit'):
        out = [line for line in out if not line.startswith(('unit', 'block')) and
               not re.match(r' *%[1-4] = getreg', line)]
    return [line.strip() for line in out]


def check_file(tool, name, bless):
    options, failures, n, done = '', 0, 0, []
    with open(name) as f:
        cases = f.read().rstrip('\n').split('\n\n')
    for case in cases:
        lines = case.split('\n')
        remarks = [line for line in lines if line.startswith(('#', '!'))]
        for line in remarks:
            options = line[1:].strip() if line.startswith('!') else options
        body = [line for line in lines if line not in remarks]
        if not body:
            done.append(case)
            continue
        split = body.index('=>') if '=>' in body else len(body)
        expected = [line.strip() for line in body[split + 1:]]
        got = run(tool, options, body[:split])
        n += 1
        if got != expected and not bless:
            failures += 1
            print('%s: %s\n  expected:\n    %s\n  got:\n    %s' % (
                os.path.basename(name), remarks[0] if remarks else '', '\n    '.join(expected),
                '\n    '.join(got)))
        done.append('\n'.join(remarks + body[:split] + ['=>'] + got))
    if bless:
        with open(name, 'w') as f:
            f.write('\n\n'.join(done) + '\n')
    print('%s: %d cases, %d failures' % (os.path.basename(name), n, failures))
    return failures


def main():
    bless = os.environ.get('BLESS') == '1'
    sys.exit(sum([check_file(sys.argv[1], name, bless) for name in sys.argv[2:]]) != 0)


main()
