"""Counts what a test has checked.  A test prints what failed, and at its end how many checks passed and failed."""
import sys

passed = failed = 0


def check(name, good, detail=''):
    global passed, failed
    if good:
        passed += 1
    else:
        failed += 1
        print('FAILED: %s %s' % (name, detail))


def finish():
    """Ends the program: status 1 if something failed or nothing was checked."""
    print('%d passed, %d failed' % (passed, failed))
    sys.exit(1 if failed or not passed else 0)
