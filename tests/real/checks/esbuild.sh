# esbuild's own binary from npm, a Go program: its collector and its preemption signals, ten times over.
#: packages: coreutils
#: npm: @esbuild/linux-riscv64@0.25.9 @esbuild/linux-x64@0.25.9 lodash-es@4.17.21
#: native
#: time: 240
echo 'import * as _ from "lodash-es"; console.log(_.chunk(_.range(7), 3), Object.keys(_).length);' > in.mjs
case $ARCH in riscv64) name=linux-riscv64 ;; *) name=linux-x64 ;; esac
for i in 1 2 3 4 5 6 7 8 9 10; do
    GOGC=5 GOMAXPROCS=4 node_modules/@esbuild/$name/bin/esbuild --bundle --minify --sourcemap \
        --platform=node --log-level=error in.mjs --outfile=out.js || echo "status $?"
    sha256sum out.js out.js.map
done
node_modules/@esbuild/$name/bin/esbuild --log-level=error --bundle missing.mjs; echo "status $?"
