# Python's own test_int.
#: packages: python3.13 libpython3.13-testsuite coreutils
#: time: 300
python3.13 -m test test_int 2>&1 | tee log
grep -q '^Result: SUCCESS' log && grep -Eq '^Total tests: run=[1-9]' log || FAIL test_int
