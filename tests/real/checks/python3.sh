# python3: the interpreter and its extension modules, briefly.
#: packages: python3 python3.13
#: native
#: quick
#: time: 120
cat > t.py <<'E'
import sys, json, hashlib, zlib, bz2, lzma, sqlite3, ssl, struct, math, decimal, fractions, random, re, threading, queue
import subprocess, multiprocessing, asyncio, ctypes, mmap, os, signal, socket, select, time, concurrent.futures as cf
# Spawned children import this file: only definitions may stand outside main.
def work(n):
    global total
    for i in range(2000):
        with lock: total += 1
    q.put(n)
def square(x): return x * x
async def main():
    async def one(i): await asyncio.sleep(0.01 * (i % 3)); return i
    r = await asyncio.gather(*(one(i) for i in range(50))); print(sum(r))
    p = await asyncio.create_subprocess_exec('echo', 'async', stdout=asyncio.subprocess.PIPE); print(await p.communicate())
    s = await asyncio.start_server(lambda r, w: echo(r, w), '127.0.0.1', 0); port = s.sockets[0].getsockname()[1]
    r, w = await asyncio.open_connection('127.0.0.1', port); w.write(b'hello\n'); print(await r.readline()); w.close(); s.close()
async def echo(r, w): w.write((await r.readline()).upper()); await w.drain(); w.close()
if __name__ == '__main__':
    print(sys.version_info[:2], sys.byteorder, sys.maxsize, struct.calcsize('P'))
    random.seed(7)
    data = bytes(random.randrange(256) for _ in range(20000)) + b'abc' * 5000
    for f in (zlib, bz2, lzma):
        assert f.decompress(f.compress(data)) == data
        print(hashlib.sha256(f.compress(data)).hexdigest()[:16])
    print(hashlib.sha3_512(data).hexdigest()[:20], hashlib.blake2b(data).hexdigest()[:20], hashlib.md5(data).hexdigest())
    print(math.gamma(4.5), math.fsum([.1] * 10), 2 ** 500 % 10 ** 40, decimal.Decimal(2).sqrt(), fractions.Fraction(1.1))
    print(json.dumps(json.loads('[1.5e300, -0.0, "\\u00e9", null, true, {"a": [1]}]')), repr(1e22), 0.1 + 0.2, float('nan'))
    db = sqlite3.connect(':memory:')
    db.execute('create table t(a, b)'); db.executemany('insert into t values(?, ?)', ((i, i * i % 101) for i in range(5000)))
    print(db.execute('select b, count(*), sum(a) from t group by b order by 2 desc, 1 limit 3').fetchall())
    total = 0; lock = threading.Lock(); q = queue.Queue()
    ts = [threading.Thread(target=work, args=(i,)) for i in range(16)]; [t.start() for t in ts]; [t.join() for t in ts]
    print(total, sorted(q.get() for _ in ts))
    print(subprocess.run(['sh', '-c', 'cat; exit 4'], input=b'pipe', capture_output=True))
    try: subprocess.run(['/nonexistent'])
    except FileNotFoundError as e: print(e)
    for method in ('fork', 'spawn', 'forkserver'):
        with multiprocessing.get_context(method).Pool(3) as p: print(method, sum(p.map(square, range(200))))
    with cf.ThreadPoolExecutor(8) as e: print(sum(e.map(square, range(100))))
    asyncio.run(main())
    m = mmap.mmap(-1, 8192); m[4090:4100] = b'0123456789'
    if os.fork() == 0: m[0:3] = b'kid'; os._exit(7)
    print(os.waitstatus_to_exitcode(os.wait()[1]), m[:3], m[4090:4100])
    got = []; signal.signal(signal.SIGALRM, lambda *a: got.append(1)); signal.setitimer(signal.ITIMER_REAL, .002, .002)
    while len(got) < 40: pass
    signal.setitimer(signal.ITIMER_REAL, 0); print('alarms')
    libc = ctypes.CDLL(None); cmp = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
    a = (ctypes.c_int * 6)(5, 3, 9, -1, 0, 7); libc.qsort(a, 6, 4, cmp(lambda x, y: x[0] - y[0])); print(list(a))
    print(ssl.OPENSSL_VERSION_INFO[0], len(ssl.create_default_context().get_ciphers()) > 5)
    print(len(re.findall(r'(\w)\1', ' '.join(map(hex, range(20000))))))
E
python3 t.py
