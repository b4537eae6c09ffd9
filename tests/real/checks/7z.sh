# 7-Zip: its benchmark with two threads checks its own results; then an archive with known sums.
#: packages: 7zip coreutils
#: time: 300
7z b -mmt2 -md18 1 > log 2>&1 || { cat log; FAIL benchmark; }
grep -E '^(Avr|Tot):' log
! grep -qiE 'error|fail' log || FAIL "$(grep -iE 'error|fail' log)"
is 'lines of ratings' "$(grep -cE '^(Avr|Tot): +[1-9]' log)" 2
seq 1 300000 > data
is data "$(sha256sum < data)" 'a036031249164ec858e23450a91585ae7dcb73d481105832ca33813da893233f  -'
for how in 7z zip; do
    7z a -mmt2 -bso0 -bsp0 -t$how a.$how data || FAIL "7z a $how"
    is "$how" "$(7z x -so a.$how | sha256sum)" "$(sha256sum < data)"
done
7z a -mmt2 -bso0 -bsp0 -m0=PPMd -psecret -mhe a2.7z data && 7z t -bso0 -bsp0 -psecret a2.7z || FAIL encrypted
7z t -bso0 -bsp0 -pwrong a2.7z 2>/dev/null && FAIL 'a wrong password is accepted'
exit 0
