# ps, pidof, pgrep and start-stop-daemon find programs by their names, arguments and files.
#: packages: procps sysvinit-utils dpkg bash coreutils grep
#: time: 120
#: quick
sleep 1000 & one=$!
sleep 1001 & two=$!
until_ok 20 pgrep -f 'sleep 1001'
is 'ps' "$(ps -o args= -p $one)" 'sleep 1000'
is 'ps, name and parent' "$(ps -o comm=,ppid= -p $two | tr -s ' ')" "sleep $$"
is 'environment' "$(ps e -o args= -p $one | grep -c ' PATH=')" 1
is 'pidof' "$(pidof sleep | tr ' ' '\n' | sort | tr '\n' ' ')" "$(printf '%s\n' $one $two | sort | tr '\n' ' ')"
is 'pgrep -f' "$(pgrep -f 'sleep 1001')" $two
exe=$(readlink -f "$(type -P sleep)")
[ /proc/$one/exe -ef $exe ] || FAIL 'exe'
[ "$(readlink /proc/$one/exe)" != "$(readlink /proc/$$/exe)" ] || FAIL 'one exe for all'
start-stop-daemon --status --exec $exe || FAIL 'running: no'
start-stop-daemon --stop --exec $exe --retry 10 > stop || FAIL 'stop'
wait $one; is 'the first' $? 143
wait $two; is 'the second' $? 143
start-stop-daemon --status --exec $exe && FAIL 'running: yes'
true
