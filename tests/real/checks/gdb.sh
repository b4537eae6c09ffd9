# gdb on a threaded program: breakpoints, steps, threads, registers, calls into it, changed variables, attach, catch of exec.
#: packages: gdb bash coreutils grep gcc libc6-dev
#: time: 600
cat > program.c <<'END'
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
volatile int total, limit = 5;
__attribute__((noinline)) int add(int n)
{
    return __atomic_add_fetch(&total, n, __ATOMIC_RELAXED);
}
static void *work(void *p)
{
    for (int i = 0; i < limit; i++) {
        add((int)(long)p);
        usleep(1000);
    }
    return p;
}
int main(int argc, char **argv)
{
    pthread_t t[4];
    for (long i = 0; i < 4; i++)
        pthread_create(&t[i], 0, work, (void *)(1l << 4 * i));
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], 0);
    printf("%x\n", total);
    fflush(stdout);
    while (argc > 1)
        usleep(1000);
    system("exit 0");
    return 7;
}
END
gcc -g -O1 -pthread program.c -o program || FAIL gcc
is 'program' "$(./program)" 5555
g() { local out=$1; shift; gdb -nx -batch -iex 'set debuginfod enabled off' "${@/#/-ex=}" --args "${PROGRAM[@]}" > $out 2>&1; }
PROGRAM=(./program)
g out 'break add if n == 256' run bt 'info threads' 'print $pc' 'print add(0) >= 0' finish 'delete' c
grep -q 'hit Breakpoint 1, add (n=n@entry=256)' out || FAIL "breakpoint: $(cat out)"
grep -Eq '#1 .* work \(p=' out || FAIL "backtrace: $(cat out)"
grep -q '\$2 = 1' out || FAIL "call: $(cat out)"
grep -q 'Value returned is' out || FAIL "finish: $(cat out)"
grep -q '^5555' out || FAIL "result: $(cat out)"
grep -q 'exited with code 07' out || FAIL "end: $(cat out)"
# Each of the twenty calls is seen, by whichever thread.
g out 'break add' 'commands' 'silent' 'printf "at %d\n", n' 'c' 'end' run < /dev/null
printf 'break add\ncommands\nsilent\nprintf "at %%d\\n", n\ncontinue\nend\nrun\n' > script
gdb -nx -batch -x script ./program > out 2>&1
for n in 1 16 256 4096; do is "stops at $n" "$(grep -c "^at $n\$" out)" 5; done
grep -q '^5555' out || FAIL "result: $(cat out)"
g out 'break main' run 'set var limit = 2' 'stepi 20' next c
grep -q '^2222' out || FAIL "changed variable: $(cat out)"
g out 'catch exec' 'set follow-fork-mode child' run c
grep -Eq 'exec.d .*/(da)?sh' out || FAIL "exec: $(cat out)"
# Attach to it while it sleeps, and go.
./program stay > attached & pid=$!
until_ok 60 grep -q 5555 attached
gdb -nx -batch -p $pid -ex 'bt' -ex 'set var argc = 1' -ex 'detach' > out 2>&1
kill -0 $pid || FAIL "attach: $(cat out)"
grep -q 'in main' out || FAIL "attach: $(cat out)"
kill -KILL $pid
