# nginx with two workers serving curl: files, ranges, compression, TLS, many connections, a reload.
#: packages: nginx curl openssl coreutils
#: quick
#: time: 200
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem -subj /CN=localhost -addext subjectAltName=DNS:localhost -days 30 2>/dev/null
mkdir -p www logs; seq 1 200000 > www/big.txt; echo small > www/small.txt
cat > nginx.conf <<E
daemon off; worker_processes 2; pid $PWD/pid; error_log $PWD/logs/error.log; user root root;
events { worker_connections 256; }
http { access_log $PWD/logs/access.log; gzip on; gzip_types text/plain; default_type text/plain; sendfile on; aio threads;
  client_body_temp_path $PWD/b; proxy_temp_path $PWD/p; fastcgi_temp_path $PWD/f; uwsgi_temp_path $PWD/u; scgi_temp_path $PWD/s;
  server { listen 127.0.0.1:18080; listen 127.0.0.1:18443 ssl; ssl_certificate $PWD/cert.pem; ssl_certificate_key $PWD/key.pem;
    root $PWD/www; location /proxy/ { proxy_pass http://127.0.0.1:18080/; } location = /version { return 200 one; } } }
E
nginx -p "$PWD" -c "$PWD/nginx.conf" -e "$PWD/logs/error.log" > out 2>&1 &
server=$!
get() { curl -sS --max-time 60 "$@"; }
until_ok 30 curl -s http://127.0.0.1:18080/small.txt
sum=$(sha256sum < www/big.txt)
is file "$(get http://127.0.0.1:18080/big.txt | sha256sum)" "$sum"
is compressed "$(get --compressed http://127.0.0.1:18080/big.txt | sha256sum)" "$sum"
is range "$(get -r 100-119 http://127.0.0.1:18080/big.txt)" "$(tail -c +101 www/big.txt | head -c 20)"
is TLS "$(get --cacert cert.pem --resolve localhost:18443:127.0.0.1 https://localhost:18443/big.txt | sha256sum)" "$sum"
get https://127.0.0.1:18443/small.txt > /dev/null 2>&1 && FAIL 'an unknown certificate is accepted'
is proxied "$(get http://127.0.0.1:18080/proxy/big.txt | sha256sum)" "$sum"
is missing "$(get -o /dev/null -w '%{http_code}' http://127.0.0.1:18080/missing)" 404
get --parallel --parallel-max 20 -o '#1.out' "http://127.0.0.1:18080/proxy/small.txt?[1-60]"
is parallel "$(cat *.out | sort | uniq -c | tr -s ' ')" ' 60 small'
sed -i 's/return 200 one/return 200 two/' nginx.conf; kill -HUP $server
until_ok 30 bash -c '[ "$(curl -s http://127.0.0.1:18080/version)" = two ]'
kill -QUIT $server; wait $server; is exit $? 0
! grep -E 'alert|emerg' logs/error.log || FAIL 'errors in the log'
