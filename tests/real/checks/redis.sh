# redis-server under redis-benchmark; data survives a background save (fork) and a restart.
#: packages: redis-server redis-tools coreutils
#: time: 300
start() {
    redis-server --port 16379 --bind 127.0.0.1 --save '' --enable-debug-command local --dir "$PWD" --io-threads 2 --daemonize no > server.log 2>&1 &
    server=$!
    until_ok 30 redis-cli -p 16379 ping
}
cli() { redis-cli -p 16379 "$@"; }
start
redis-benchmark -p 16379 -q -n 4000 -c 20 -P 4 -t ping,set,get,incr,lpush,rpop,sadd,hset,zadd,mset | tr '\r' '\n' | grep 'requests per' > bench
is benchmarks "$(wc -l < bench)" 11
is counter "$(cli get counter:__rand_int__)" 4000
is eval "$(cli eval 'local s = 0 for i = 1, 1000 do s = s + redis.call("incr", "n") end return s' 0)" 500500
for i in $(seq 1 500); do echo "set key:$i $((i * i))"; done | cli > replies
is replies "$(sort replies | uniq -c | tr -s ' ')" ' 500 OK'
cli bgsave > /dev/null
until_ok 30 bash -c 'redis-cli -p 16379 info persistence | grep rdb_bgsave_in_progress:0'
cli info persistence | grep -q rdb_last_bgsave_status:ok || FAIL 'background save'
keys=$(cli dbsize) digest=$(cli debug digest)
cli shutdown nosave; wait $server
is exit $? 0
start
is keys "$(cli dbsize)" "$keys"
is value "$(cli get key:321)" $((321 * 321))
is digest "$(cli debug digest)" "$digest"
is 'length of the digest' ${#digest} 40
cli shutdown nosave; wait $server; is exit $? 0
