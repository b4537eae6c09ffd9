# Python's own test_socket.
#: packages: python3.13 libpython3.13-testsuite coreutils
#: time: 900
python3.13 -m test -i "*VSOCK*" test_socket 2>&1 | tee log
grep -q '^Result: SUCCESS' log && grep -Eq '^Total tests: run=[1-9]' log || FAIL test_socket
