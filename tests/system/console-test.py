#!/usr/bin/env python3
"""console.py itself: a report has all that a kernel in trouble says, before what the monitor answers.

The machine is a script here, that prints slowly what it has to say and knows the monitor's keys.
"""
import sys

import console

OOPS = ['BUG: unable to handle something', 'Oops [#1]', *(f'register {i}' for i in range(100)), 'end trace']
MACHINE = r'''
import sys, time
def say(lines):
    for line in lines:
        print(line, end='\r\n', flush=True)
say([f'line {i}' for i in range(1000)])
LATER
while c := sys.stdin.read(1):
    if c == '\1':
        sys.stdin.read(1)
        say(['monitor ' + 'x' * 70] * 200)
'''
SLOW_OOPS = f'''
oops = {OOPS}
say(oops[:3])
time.sleep(1.2)
say(oops[3:60])
time.sleep(1.2)
say(oops[60:])
'''

results = []


def check(good, what):
    results.append(good)
    if not good:
        print('wrong: ' + what)


def report(later, pattern, timeout, ask=('info cpus',)):
    """What the failure says that must come of waiting for the pattern."""
    command = [sys.executable, '-c', MACHINE.replace('LATER', later)]
    try:
        with console.Console(command, ask=ask) as c:
            c.expect(pattern, timeout)
    except console.Failure as why:
        return str(why)
    return ''


text = report(SLOW_OOPS, 'shell: alive', 60)
check('trouble: "BUG:"' in text.split('\n')[0], 'why it failed')
check('\n'.join(['line 998', 'line 999', *OOPS]) in text, 'the whole message, and what came before')
check('line 900\n' not in text, 'what came long before is not told')
check('end trace' in text and 0 < text.index('end trace') < text.find('monitor x'), 'the monitor comes behind')
check(text.count('monitor x') == 200, 'the whole answer')

text = report('', 'shell: alive', 1)
check('no /shell: alive/' in text.split('\n')[0], 'why it failed: time')
check('\n'.join(f'line {i}' for i in range(940, 1000)) in text, 'the last sixty lines')
check('line 900\n' not in text, 'not more of them')

text = report('sys.exit(3)', 'shell: alive', 60, ask=())
check('ended with status 3' in text.split('\n')[0], 'why it failed: the end')
check('line 999\n' in text and 'monitor' not in text, 'its last line')

check(report('', r'line 999\n', 60) == '', 'no failure')
print(f'{sum(results)} passed, {len(results) - sum(results)} failed')
sys.exit(0 if all(results) else 1)
