# Node.js: code that V8 compiles, drops and compiles again, in four workers at once.
#: packages: nodejs
#: native
#: time: 240
cat > hot.js <<'EOF'
const { Worker, isMainThread, workerData, parentPort } = require('worker_threads');
function floats(n, seed) {
    const a = new Float64Array(1024);
    let x = seed, s = 0;
    for (let i = 0; i < n; i++) {
        x = (Math.imul(x, 1103515245) + 12345) >>> 0;
        a[x & 1023] += Math.sqrt(x) * 0.5;
    }
    for (const v of a) s += v;
    return s;
}
function objects(n) {
    const m = new Map();
    let r = 0;
    for (let i = 0; i < n; i++) {
        const o = { id: i, s: 'k' + i % 977, f(x) { return x + this.id; } };
        m.set(o.s, (m.get(o.s) || 0) + o.f(1));
        if (i % 3 === 0) o.extra = i;
        r += Object.keys(o).length;
    }
    for (const [k, v] of m) r = (r * 31 + v + k.length) | 0;
    return r;
}
function polymorphic(n) {
    const fs = [x => x + 1, x => x * 2, x => x | 0, function (x) { return x - 3; }];
    let r = 1;
    for (let i = 0; i < n; i++) {
        r = fs[i & 3](r) & 0xfffffff;
        if (i === n >> 1) fs[1] = x => x ^ 5;
    }
    return r;
}
function deoptimised(n) {
    const add = (a, b) => a + b;
    let r = 0, s = '';
    for (let i = 0; i < n; i++) r = add(r, i);
    for (let i = 0; i < 100; i++) s = add(s, 'x');
    for (let i = 0; i < n; i++) r = add(r, 0.5);
    return r + s.length;
}
function expressions(n) {
    let c = 0;
    for (let i = 0; i < n; i++) if (/^(a+)(\d{2,3})[x-z]$/.test('aaa' + i % 1000 + 'xyzw'[i & 3])) c++;
    return c;
}
function generators(n) {
    function* g(k) {
        for (let i = 0; i < k; i++) {
            try {
                if (i % 7 === 3) throw i;
                yield i;
            } catch (e) {
                yield -e;
            }
        }
    }
    let r = 0;
    for (const v of g(n)) r += v;
    return r;
}
function factorial(n) {
    let a = 1n;
    for (let i = 1n; i <= n; i++) a *= i;
    return a % 1000003n + a.toString().length.toString();
}
// local 1 = local 1 * local 0 + local 0, local 0 times
function wasm(n) {
    const code = [0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 127, 1, 127, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0,
        10, 30, 1, 28, 1, 1, 127, 3, 64, 32, 1, 32, 0, 108, 32, 0, 106, 33, 1, 32, 0, 65, 1, 107, 34, 0, 13,
        0, 11, 32, 1, 11];
    return new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array(code))).exports.f(n);
}
function fresh(n) {
    let r = 0;
    for (let i = 0; i < n; i++) r += new Function('x', `let s = ${i}; for (let k = 0; k < 50; k++) s ^= x * k; return s;`)(i);
    return r;
}
const all = k => [floats(200000, k), objects(20000), polymorphic(100000), deoptimised(50000),
    expressions(20000), generators(20000), factorial(300n), wasm(100000), fresh(200)].join(' ');
if (isMainThread) {
    const shared = new Int32Array(new SharedArrayBuffer(64)), out = [];
    let left = 4;
    for (let i = 0; i < 4; i++) {
        const w = new Worker(__filename, { workerData: { i, shared } });
        w.on('message', r => { out[i] = r; });
        w.on('error', e => { console.log('error', e); process.exit(3); });
        w.on('exit', code => {
            if (code) process.exit(4);
            if (--left === 0) console.log([...out, shared[0], shared[1]].join('\n'));
        });
    }
    console.log(all(7));
} else {
    const { i, shared } = workerData, r = all(i);
    for (let n = 0; n < 20000; n++) {
        Atomics.add(shared, 0, 1);
        for (let v = Atomics.load(shared, 1); ; ) {
            const seen = Atomics.compareExchange(shared, 1, v, v + 3);
            if (seen === v) break;
            v = seen;
        }
    }
    parentPort.postMessage(r);
}
EOF
node hot.js
node -p 'process.arch === process.env.ARCH.replace("amd64", "x64")'
node -e 'try { (function f() { f(); })(); } catch (e) { console.log(e instanceof RangeError); }'
node -e 'console.log(require("child_process").execFileSync(process.execPath, ["-p", "6 * 7"]).toString().trim())'
