# Node.js running a bundler with a parser in native code: rollup, and lodash's 640 modules.
#: packages: nodejs coreutils
#: npm: rollup@4.50.0 @rollup/rollup-linux-riscv64-gnu@4.50.0 @rollup/rollup-linux-x64-gnu@4.50.0 lodash-es@4.17.21
#: native
#: time: 240
cat > in.mjs <<'EOF'
import * as _ from './node_modules/lodash-es/lodash.js';
console.log(JSON.stringify(_.groupBy(_.map([1.2, 1.3, 2.4], x => x * 2), Math.floor)), Object.keys(_).length);
EOF
node node_modules/rollup/dist/bin/rollup in.mjs -f cjs -o out.cjs --silent; echo "status $?"
wc -c < out.cjs
sha256sum < out.cjs
node out.cjs
