# sqlite3: a database on disk, indexes, transactions in WAL mode from two processes, an integrity check.  Text of REALs is left out:
# natively it is made with 80-bit arithmetic.
#: packages: sqlite3 coreutils
#: native
#: quick
#: time: 120
sqlite3 a.db <<'E'
PRAGMA journal_mode=wal;
CREATE TABLE t(id INTEGER PRIMARY KEY, a INT, b TEXT, c REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO t SELECT i, (i * 7919) % 10007, printf('%08x', i * i), i / 7.0 FROM n;
CREATE INDEX ta ON t(a); CREATE UNIQUE INDEX tb ON t(b);
SELECT count(*), sum(a), max(b), round(total(c), 3) FROM t;
SELECT a, count(*) k FROM t GROUP BY a HAVING k > 1 ORDER BY k DESC, a LIMIT 3;
SELECT json_extract('{"x": [1, {"y": 2.50}]}', '$.x[1].y'), date(1e9, 'unixepoch'), 1e400, 9223372036854775807 + 1;
DELETE FROM t WHERE id % 3 = 0; UPDATE t SET c = c * 2 WHERE a < 500; VACUUM;
SELECT count(*), round(total(c), 3) FROM t;
SELECT id, sum(a) OVER (ORDER BY id ROWS 2 PRECEDING) FROM t WHERE id < 10;
E
adder() { for i in $(seq 1 40); do echo "PRAGMA busy_timeout=60000; BEGIN IMMEDIATE; UPDATE t SET a = a + 1 WHERE id = 1; COMMIT;"; done | sqlite3 a.db > /dev/null; }
before=$(sqlite3 a.db 'SELECT a FROM t WHERE id = 1')
adder & adder & wait
echo $(($(sqlite3 a.db 'SELECT a FROM t WHERE id = 1') - before)) increments
sqlite3 a.db 'PRAGMA integrity_check; SELECT id, a, b, c = id / 7.0 FROM t;' | sha256sum
