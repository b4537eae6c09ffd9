# bubblewrap: a user, process table, network and mounts of its own, a seccomp filter, one sandbox in another.
#: packages: bubblewrap coreutils grep
#: time: 120
mkdir -p here && echo outside > here/note
box() {
    bwrap --unshare-all --uid 1234 --gid 77 --ro-bind "$ROOT/" / --dev /dev --proc /proc --tmpfs /tmp \
        --bind "$PWD/here" /tmp/here --chdir /tmp/here --die-with-parent --new-session "$@"
}
is 'ids' "$(box bash -c 'id -u; id -g; echo $UID' | paste -sd ' ')" '1234 77 1234'
is 'process table' "$(box bash -c 'cat /proc/1/comm; echo $$; set -- /proc/[0-9]*; echo $#' | paste -sd ' ')" 'bwrap 2 2'
is 'network' "$(box bash -c 'grep -c : /proc/net/dev; grep -o lo: /proc/net/dev' | paste -sd ' ')" '1 lo:'
is 'mounts' "$(box bash -c 'cat note; ls /tmp; echo x 2>/dev/null > /usr/x || echo read-only; echo inside > made' | paste -sd ' ')" 'outside here read-only'
is 'what it wrote' "$(cat here/made)" inside
is 'host name' "$(box --hostname inner uname -n)" inner
is 'environment' "$(box --clearenv --setenv A b --unsetenv PWD /usr/bin/env | grep -v '^PWD=')" A=b
box bash -c 'exit 42'; is 'exit status' $? 42
box bash -c 'kill -KILL $$'; is 'killed' $? 137
# if the call is uname (160): EPERM; else: go on
printf '\x20\x00\x00\x00\x00\x00\x00\x00\x15\x00\x00\x01\xa0\x00\x00\x00\x06\x00\x00\x00\x01\x00\x05\x00\x06\x00\x00\x00\x00\x00\xff\x7f' > filter
is 'filter' "$(box --seccomp 9 bash -c 'uname 2>&1; grep -w Seccomp: /proc/self/status | tr "\t" " "' 9< filter | paste -sd +)" \
    "uname: cannot get system name: Operation not permitted+Seccomp: 2"
is 'inner box' "$(box bwrap --unshare-user --uid 5 --ro-bind / / --tmpfs /tmp bash -c 'id -u; ls /tmp | wc -l' | paste -sd ' ')" '5 0'
# The process inside goes with the one that waits outside.
bwrap --unshare-pid --dev-bind / / --die-with-parent bash -c 'echo > here/started; sleep 1000; echo > here/late' & outer=$!
until_ok 30 test -e here/started
kill -KILL $outer; wait $outer 2>/dev/null; is 'outer' $? 137
