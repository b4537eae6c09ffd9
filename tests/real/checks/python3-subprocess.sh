# Python's own test_subprocess.
#: packages: python3.13 libpython3.13-testsuite coreutils
#: time: 900
python3.13 -m test test_subprocess 2>&1 | tee log
grep -q '^Result: SUCCESS' log && grep -Eq '^Total tests: run=[1-9]' log || FAIL test_subprocess
