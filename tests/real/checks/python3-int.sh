# Python's own test_int; in a chroot, for it follows absolute links to python and enters /usr/bin.
#: packages: python3.13 libpython3.13-testsuite coreutils
#: chroot
#: time: 300
python3.13 -m test -W test_int 2>&1 | tee log
grep -q '^Result: SUCCESS' log && grep -Eq '^Total tests: run=[1-9]' log || FAIL test_int
