# strace of threads, forks, exec and signals: what it saw must be what the program did. Faults are injected.
#: packages: strace bash coreutils grep python3 sed
#: time: 240
strace -f -o calls bash -c 'echo a | cat | wc -c; kill -USR1 $$; exit 3'; is 'status' $? 138
is 'programs' "$(grep -Ec 'execve(\(.*| resumed>.*) = 0$' calls)" 3
grep -q '+++ killed by SIGUSR1 +++' calls || FAIL 'the signal'
grep -q -- '--- SIGUSR1 {si_signo=SIGUSR1, si_code=SI_USER, si_pid=[0-9]*' calls || FAIL 'siginfo'
grep -Eq '^[0-9]+ +write\(1, "a\\n", 2' calls || FAIL 'write'
cat > threads.py <<'END'
import os, threading
def work(n):
    for i in range(50):
        os.pread(3, n, i)
f = os.open('threads.py', os.O_RDONLY)
os.dup2(f, 3)
all = [threading.Thread(target=work, args=(100 + n,)) for n in range(8)]
for t in all: t.start()
for t in all: t.join()
print('done')
END
is 'python' "$(strace -f -o calls -e trace=pread64 python3 threads.py)" done
for n in 0 1 2 3 4 5 6 7; do
    is "thread $n" "$(grep -Ec "pread64.*, 10$n, [0-9]+\\) += 10$n\$" calls)" 50
done
is 'threads' "$(grep -F pread64 calls | cut -d' ' -f1 | sort -u | wc -l)" 8
is 'injected' "$(strace -o calls -e trace=geteuid -e inject=geteuid:retval=4242 id -u)" 4242
strace -o calls -e inject=openat:error=EACCES:when=1+ cat threads.py 2> errors && FAIL 'an injected error'
# Attach to a program that runs, and leave it alone again.
(while :; do sleep 0.1; done) & loop=$!
timeout 5 strace -f -o calls -p $loop; is 'timeout' $? 124
kill -0 $loop || FAIL 'detached'
grep -Eq "^$loop +(clone|wait4)\(" calls || FAIL 'attached'
kill $loop
