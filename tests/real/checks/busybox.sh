# busybox, statically linked: dozens of tools in one program.
#: packages: busybox-static
#: native
#: quick
#: time: 120
BB=$ROOT/usr/bin/busybox
b() { "$BB" "$@"; }

b seq 1 2000 > numbers
b sort -rn numbers | b head -3
b awk '{ s += $1 } END { print s, NR }' numbers
b sed -n 's/^\([0-9]\)7$/<\1>/p' numbers | b tr '\n' ' '; echo
b grep -c '9' numbers
b sha256sum numbers | b cut -d' ' -f1
b md5sum < numbers
b gzip -c numbers | b gunzip | b cmp - numbers && echo same
b mkdir -p tree/a/b tree/c
for i in 1 2 3 4 5 6 7 8; do echo "file $i" > tree/a/b/$i; done
b tar cf tree.tar tree && b mkdir out && b tar xf tree.tar -C out
b find out -type f | b sort | b xargs cat | b sha256sum
b diff -r tree out/tree && echo equal
b dd if=numbers bs=100 skip=2 count=3 2>/dev/null | b wc -c
b stat -c '%s %F' numbers tree
b od -An -tx1 -N8 numbers
echo 'x = 12345678901; y' | b tr a-z A-Z
printf '%s-%05d-%x\n' text 42 255

n=0
while [ $n -lt 200 ]; do n=$((n + 1)); done
echo $n $((n * n % 97)) $((1 << 40))
f() { [ "$1" -le 1 ] && echo 1 && return; echo $(($(f $(($1 - 1))) * $1)); }
f 12

( sleep 0.1; echo later ) & pid=$!
echo first; wait $pid; echo "status $?"
( exit 3 ); echo "status $?"
sh_trap() { trap 'echo caught' USR1; kill -USR1 $$; }
sh_trap
b sh -c 'kill -9 $$'; echo "status $?"
b timeout 1 "$BB" sleep 10; echo "timeout $?"
echo one two three | while read -r a rest; do echo "$rest $a"; done
b nonexistent-applet 2>/dev/null; echo "status $?"
for i in 1 2 3 4 5 6 7 8 9 10; do echo $i | b cat | b cat; done | b wc -l
b rm -rf tree out tree.tar numbers
b ls | b wc -l
