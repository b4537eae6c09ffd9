# gzip, xz, zstd and tar: what they pack is the same, bit for bit, as natively, and unpacks to what it was.
#: packages: gzip xz-utils zstd tar coreutils gawk
#: native
#: quick
#: time: 120
gawk 'BEGIN { for (i = 0; i < 60000; i++) { x = (x * 1103515245 + 12345) % 2147483648; print i, x, x % 97 } }' > data
sha256sum data
for how in 'gzip -9n' 'xz -6' 'xz -e --check=sha256' 'xz -T2 --block-size=256KiB' 'zstd -q -3' 'zstd -q -12' 'zstd -q -T2 -B256K'; do
    $how -c data > packed
    sha256sum packed
    ${how%% *} -dc < packed | cmp - data && echo "$how: equal"
done
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -czf a.tar.gz data && tar xzf a.tar.gz -O | sha256sum
tar -cJf a.tar.xz data && tar xJf a.tar.xz -O | sha256sum
tar --zstd -cf a.tar.zst data && tar --zstd -xf a.tar.zst -O | sha256sum
echo broken | gzip -d 2>/dev/null; echo $?
head -c 1000 packed | zstd -dc 2>/dev/null > /dev/null; echo $?
