"""A machine at its serial console, for tests: started, talked to, watched for signs of trouble.

    with Console([emulator, *options], log=file) as c:
        c.expect('login: ', 300)
        c.send('root\n')

Everything that the machine prints is collected (without carriage returns) and written to `log`.  While something
is waited for, signs of a sick kernel (TROUBLE) end the test, as do the machine's end and the time limit: with
the last lines of the console, and all that came from the trouble on. `ask` are commands for braid's monitor (on
the same line, behind Ctrl-A c), whose answers come behind that: where is each hart?

Time limits are for a machine that has little else to do; $PATIENCE is a factor for others.
"""
import os
import re
import selectors
import subprocess
import time

TROUBLE = re.compile(r'Oops|BUG:|rcu: INFO|rcu_sched (self-)?detected|Call Trace|soft lockup|hard LOCKUP|hung task|'
                     r'blocked for more than|Kernel panic|unhandled signal|EXT4-fs error|I/O error')

PATIENCE = float(os.environ.get('PATIENCE', 1))

# How many lines of the console a report has, and how many of them lie before the trouble.
LINES = 60
LINES_BEFORE = 20


class Failure(Exception):
    """The machine did not do what was expected of it; the text has the last lines of its console."""


def find_line(text, position, lines):
    """Where the line begins that lies so many lines before the one with this position."""
    for _ in range(lines + 1):
        position = text.rfind('\n', 0, max(position, 0))
    return position + 1


class Console:
    def __init__(self, command, log=None, ask=(), trouble=TROUBLE):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ)
        self.log = log
        self.ask = ask
        self.trouble = trouble
        self.output = ''
        self.seen = 0           # what expect() has gone past
        self.checked = 0        # where the search for trouble goes on
        self.start = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.selector.close()

    def seconds(self):
        """Since the start."""
        return time.monotonic() - self.start

    def fail(self, why, trouble=None):
        """End the test, with the console's last lines; at least from `trouble` on, a position in what it printed."""
        self.settle(quiet=2 * PATIENCE, limit=30 * PATIENCE)    # a slow machine is in the middle of its message
        begin = find_line(self.output, len(self.output), LINES)
        if trouble is not None:
            begin = min(begin, find_line(self.output, trouble, LINES_BEFORE))
        text = f'{why} (after {self.seconds():.0f} s)\n--- console:\n{self.output[begin:]}\n---'
        answers = self.ask_monitor()
        raise Failure(text + (f' monitor:\n{answers}\n---' if answers else ''))

    def ask_monitor(self):
        """What braid says to the commands `ask`."""
        begin = len(self.output)
        if self.ask and self.process.poll() is None:
            try:
                self.send('\x01c' + ''.join(command + '\r' for command in self.ask))
            except BrokenPipeError:
                return ''
            self.settle(quiet=5, limit=5)
        return self.output[begin:]

    def settle(self, quiet, limit):
        """Take what the machine prints until it has been quiet for so long, but no longer than the limit."""
        limit += time.monotonic()
        last = time.monotonic()
        while time.monotonic() < min(limit, last + quiet):
            length = len(self.output)
            if not self.pump(min(quiet, 0.5)):
                return
            if len(self.output) > length:
                last = time.monotonic()

    def pump(self, timeout):
        """Take what the machine prints within the time; False: its output has ended."""
        if not self.selector.select(timeout):
            return True
        data = self.process.stdout.read(65536)
        if not data:
            return data is None
        if self.log:
            self.log.write(data)
            self.log.flush()
        self.output += data.decode('latin-1').replace('\r', '')
        return True

    def check_trouble(self):
        """Whole lines only, so that one is seen as a whole in the report."""
        end = self.output.rfind('\n') + 1
        m = self.trouble.search(self.output, self.checked, end) if end > self.checked else None
        if m:
            self.fail(f'the machine is in trouble: "{m.group()}"', m.start())
        self.checked = max(self.checked, end)

    def expect(self, pattern, timeout):
        """Wait for a regular expression behind what was seen so far; returns the match."""
        timeout *= PATIENCE
        limit = time.monotonic() + timeout
        pattern = re.compile(pattern)
        going = True
        while True:
            self.check_trouble()
            m = pattern.search(self.output, self.seen)
            if m:
                self.seen = m.end()
                return m
            if not going:
                self.fail(f'the machine ended with status {self.process.wait()}; expected was /{pattern.pattern}/')
            if time.monotonic() > limit:
                self.fail(f'no /{pattern.pattern}/ within {timeout:.0f} s')
            going = self.pump(min(1, max(0, limit - time.monotonic())))

    def send(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def run(self, command, timeout, status=0):
        """Have a shell run a command; returns what it printed. The status must be right (None: any)."""
        # The format is such that the echo of the command line is not taken for the answer.
        self.send(f"{command}; printf '\\n<%s %d>\\n' done $?\n")
        begin = self.seen
        m = self.expect(r'\n<done (\d+)>\n', timeout)
        if status is not None and int(m.group(1)) != status:
            self.fail(f'"{command}" gave status {m.group(1)}, expected {status}')
        text = self.output[begin:m.start()]
        echo = text.find("done $?\n")
        return text[echo + len("done $?\n"):] if echo >= 0 else text

    def wait_end(self, timeout):
        """Wait until the machine is switched off; returns the exit status."""
        timeout *= PATIENCE
        limit = time.monotonic() + timeout
        while self.pump(1):
            self.check_trouble()
            if time.monotonic() > limit:
                self.fail(f'the machine is still on after {timeout:.0f} s')
        self.check_trouble()
        try:
            return self.process.wait(max(1, limit - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.fail('the output has ended, but not the process')
