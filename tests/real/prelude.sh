# Put before each check's script; run by bash of the root under test.
set -u
FAIL() { echo "FAIL: $*" >&2; exit 1; }
# is WHAT GOT EXPECTED
is() { [ "$2" = "$3" ] || FAIL "$1: got '$2', expected '$3'"; }
# Wait up to SECONDS until a command succeeds.
until_ok() {
    local n=$(($1 * 10))
    shift
    until "$@" >/dev/null 2>&1; do
        n=$((n - 1))
        [ $n -gt 0 ] || FAIL "never succeeded: $*"
        sleep 0.1
    done
}
# A program that the root lacks would be found on this machine, and prove nothing.
no_host_programs() {
    local status=$? p
    [ $BASHPID = $$ ] || return     # a child that a signal ends before it has forgotten the trap
    for p in "${BASH_CMDS[@]}"; do
        [ "${p#/usr/}" = "$p" ] || [ -e "$ROOT$p" ] || { echo "FAIL: not in the root: $p" >&2; status=1; }
    done
    exit $status
}
trap no_host_programs EXIT
