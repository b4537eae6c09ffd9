# The tools that every shell script uses: bash itself, coreutils, findutils, grep, sed, gawk, tar.
#: packages: bash coreutils findutils grep sed gawk tar diffutils
#: native
#: quick
#: time: 120
seq 1 20000 > numbers
sort -rn --parallel=4 numbers | sha256sum
shuf --random-source=numbers numbers | sha256sum
gawk '{ s += $1; n[$1 % 7]++ } END { printf "%d %d %s %.15g\n", s, NR, n[3], sqrt(s) }' numbers
gawk 'BEGIN { printf "%s %s\n", strftime("%F %T", 1e9, 1), toupper("äöü") }'
sed -En 's/^([0-9])([0-9])\1$/\2\1\2/p' numbers | paste -sd ' '
grep -c '9.*9' numbers
grep -Po '^(\d)(?=\1{3}$)' numbers | paste -sd,
grep -ci 'É' <<< 'é'
mkdir -p tree/{a,b,c}/{d,e}
for f in tree/*/*; do echo "$f" > $f/file; ln -s file $f/link; ln $f/file $f/hard; done
chmod 640 tree/a/d/file; find tree -exec touch -hd @1700000000 {} +; touch -d '2001-02-03 04:05:06Z' tree/a/d/file
stat -c '%a %h %s %Y %F' tree/a/d/file tree/a/d/link tree
tar cf tree.tar --sort=name --owner=0 --group=0 --numeric-owner tree
sha256sum < tree.tar
mkdir out && tar xf tree.tar -C out && diff -r tree out/tree && echo equal
find tree -type l -printf '%p %l\n' | sort
find tree -name file -newermt 2002-01-01 -print0 | sort -z | xargs -0 -n 2 -P 2 cat | sort
find tree -samefile tree/a/d/file | sort
find tree -name hard -delete; find tree | wc -l
dd if=numbers bs=100 skip=2 count=3 status=none | md5sum
split -n 5 numbers part. && cat part.* | cmp - numbers && echo rejoined
od -An -tx8 -N16 numbers; base64 -w 40 numbers | head -n 2; b2sum numbers; cksum numbers
factor 1000000016000000063 18446744073709551557; numfmt --to=iec 123456789
printf '%s %05d %x %.3f %q\n' text 42 255 3.14159 'a b'
join <(seq 1 2 9) <(seq 1 3 10); comm -12 <(seq 1 5 | sort) <(seq 3 8 | sort); tac numbers | tail -n 1
expr 12 '*' 13; echo $((1 << 62)) $((7 ** 20)) $((-7 / 2)) $((-7 % 3))
df . > /dev/null && du -s --apparent-size -B1 numbers; truncate -s 1T sparse; stat -c %s sparse; rm sparse
date -u -d '1999-12-31 23:59:60Z - 1 day' 2>&1 | head -n 1; date -u -d @1700000000 +%FT%TZ%j%U
TZ=Europe/Berlin date -d @1700000000 +%s
mkfifo pipe; (echo through a pipe > pipe) & cat pipe; wait
timeout 0.2 sleep 5; echo timeout $?
timeout -s KILL 0.2 sleep 5; echo killed $?
# Killed before it is sleep, it would run bash's EXIT trap and bash, natively too, might wait for ever.
kill -l 10; sleep 9 & until [ "$(< /proc/$!/comm)" = sleep ]; do :; done; kill $!; wait $! 2>/dev/null; echo status $?
nice -n 5 nice; nohup echo hup 2>/dev/null; env -i A=1 env; id -u > /dev/null && echo id
trap 'echo usr1' USR1; kill -USR1 $$; trap - USR1
coproc cat; echo into >&${COPROC[1]}; read -r line <&${COPROC[0]}; echo "$line back"
f() { [ "$1" -le 1 ] && echo 1 && return; echo $(($(f $(($1 - 1))) * $1)); }
f 15
declare -A map=([x]=1 [y]=2); for k in x y; do echo "$k=${map[$k]}"; done
[[ 2024-05-06 =~ ^([0-9]+)-([0-9]+) ]] && echo "${BASH_REMATCH[@]:1}"
for ((i = 0; i < 100; i++)); do (exit $i) || :; done; echo $i
ulimit -n 256; ulimit -n; (ulimit -s 1024; ulimit -s; echo small stack | cat)
/bin/true && /bin/false; echo $?; nonexistent-program 2>/dev/null; echo $?; ./numbers 2>/dev/null; echo $?
cat > script <<'E'
#!/bin/bash -e
echo "$0 $* $BASH_SUBSHELL"
E
chmod +x script; ./script a 'b c'; exec -a named bash -c 'echo $0'
