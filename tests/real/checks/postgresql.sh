# postgresql: initdb, a server, queries with known answers, pgbench with several clients, a crash and recovery.
#: packages: postgresql-17 postgresql-client-17 coreutils grep
#: user
#: time: 600
PATH=/usr/lib/postgresql/17/bin:$PATH
export PGHOST=$PWD PGPORT=15432 PGUSER=me PGDATABASE=postgres
initdb -D db -U me --no-locale -E UTF8 > initdb.log 2>&1 || { cat initdb.log; FAIL initdb; }
start() { pg_ctl -D db -w -t 120 -l log -o "-k $PWD -c listen_addresses= -c port=$PGPORT -c shared_buffers=16MB" start > /dev/null || { cat log; FAIL start; }; }
start
is arithmetic "$(psql -Atc 'select sum(i), count(distinct i % 97), round(stddev(i)::numeric, 4) from generate_series(1, 20000) i')" '200010000|97|5773.6470'
is json "$(psql -Atc "select '{\"a\": [1, 2.50]}'::jsonb->'a'->>1, to_char(timestamp 'epoch' + interval '1000000000 s', 'YYYY-MM-DD HH24:MI:SS')")" '2.50|2001-09-09 01:46:40'
pgbench -i -s 1 -q > init.log 2>&1 || { cat init.log; FAIL 'pgbench -i'; }
pgbench -c 4 -j 2 -t 50 > bench.log 2>&1 || { cat bench.log; FAIL pgbench; }
grep -q 'number of transactions actually processed: 200/200' bench.log || { cat bench.log; FAIL transactions; }
is balance "$(psql -Atc 'select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history), (select sum(bbalance) from pgbench_branches) = (select sum(tbalance) from pgbench_tellers), count(*) from pgbench_history')" 't|t|200'
psql -qc 'set max_parallel_workers_per_gather = 2; set parallel_setup_cost = 0; set parallel_tuple_cost = 0; set min_parallel_table_scan_size = 0' -Atc 'select count(*), sum(aid) from pgbench_accounts' > parallel
is 'parallel query' "$(cat parallel)" '100000|5000050000'
pg_ctl -D db -m immediate stop > /dev/null || FAIL 'immediate stop'
start
is 'after the crash' "$(psql -Atc 'select count(*) from pgbench_history')" 200
grep -q 'redo done' log || FAIL 'no recovery'
pg_ctl -D db -m fast -w stop > /dev/null || FAIL stop
