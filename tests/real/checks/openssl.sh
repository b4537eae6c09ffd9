# openssl: digests and ciphers against known answers of a native openssl, signatures, and a TLS session between s_server and s_client.
#: packages: openssl coreutils
#: native
#: time: 200
head -c 3000000 /dev/zero | openssl enc -aes-256-ctr -K $(printf '%064d' 7) -iv $(printf '%032d' 9) > data
for d in md5 sha1 sha256 sha512 sha3-256 blake2b512 ripemd160 sm3; do openssl dgst -$d -r data; done
for c in aes-128-cbc aes-256-ctr chacha20 camellia-192-cbc aria-128-ctr sm4-cbc; do
    openssl enc -$c -pbkdf2 -S 0011223344556677 -k secret -in data 2>/dev/null | openssl dgst -sha256 -r
done
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem -subj /CN=localhost -days 30 2>/dev/null || FAIL req
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem 2>/dev/null && openssl pkey -in rsa.pem -pubout -out rsa.pub
for k in ed25519 x25519 ed448; do openssl genpkey -algorithm $k -out $k.pem && echo $k; done
openssl dgst -sha256 -sign rsa.pem -out sig data && openssl dgst -sha256 -verify rsa.pub -signature sig data
openssl dgst -sha512 -verify rsa.pub -signature sig data; openssl pkeyutl -sign -inkey ed25519.pem -rawin -in cert.pem -out s2 &&
    openssl pkeyutl -verify -inkey ed25519.pem -rawin -in cert.pem -sigfile s2
for tls in tls1_2 tls1_3; do
    openssl s_server -accept 127.0.0.1:14433 -key key.pem -cert cert.pem -$tls -rev -quiet > server.log 2>&1 &
    server=$!
    until_ok 20 bash -c 'echo > /dev/tcp/127.0.0.1/14433'
    (echo 'hello from the client'; sleep 2) | openssl s_client -connect 127.0.0.1:14433 -CAfile cert.pem -verify_return_error \
        -verify_hostname localhost -quiet -no_ign_eof 2> client.log | head -n 1
    kill $server; wait $server 2>/dev/null
    until_ok 20 bash -c '! echo > /dev/tcp/127.0.0.1/14433'
    echo "$tls done"
done
for a in sha256 aes-256-gcm ecdsap256 ed25519; do
    openssl speed -seconds 1 ${a/aes/-evp aes} 2>/dev/null | grep -Eq '[0-9]{3}' && echo "speed $a" || FAIL speed $a
done
openssl speed -seconds 1 -multi 2 sha512 2>/dev/null | grep -q '^sha512' && echo multi
