# javac and java with its compilers: threads that allocate, lock, fault on purpose and are stopped for the
# collector, under three collectors.
#: packages: openjdk-21-jdk-headless coreutils grep
#: chroot
#: time: 600
cat > Threads.java <<'EOF'
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;

public class Threads {
    static final class Node {
        final Node next;
        final long value;
        Node(Node next, long value) { this.next = next; this.value = value; }
    }

    /** The sum of those after the last multiple of 1024. */
    static long lists(int n) {
        Node head = null;
        long sum = 0;
        for (int i = 0; i < n; i++) {
            head = new Node((i & 1023) == 0 ? null : head, i);
        }
        for (Node x = head; x != null; x = x.next) {
            sum += x.value;
        }
        return sum;
    }

    /** Nulls are found by SIGSEGV in compiled code. */
    static int nulls(Object[] a) {
        int n = 0;
        for (Object o : a) {
            try {
                o.hashCode();
            } catch (NullPointerException e) {
                n++;
            }
        }
        return n;
    }

    static long work(int rounds, AtomicLong total, LongAdder adder, Map<Integer, Long> map, long[] guarded) {
        Object[] objects = new Object[64];
        for (int i = 0; i < 64; i++) {
            objects[i] = i % 7 == 0 ? null : Integer.valueOf(i);
        }
        long sum = 0;
        for (int r = 0; r < rounds; r++) {
            sum += lists(20000) + nulls(objects);
            total.addAndGet(r);
            adder.increment();
            map.merge(r % 97, 1L, Long::sum);
            synchronized (guarded) {
                guarded[0]++;
            }
            try {
                int[] z = new int[r % 5];
                sum += z[r % 7];
            } catch (ArrayIndexOutOfBoundsException e) {
                sum += 1000000;
            }
        }
        return sum;
    }

    static int recurse(int n) { return recurse(n + 1) + 1; }

    public static void main(String[] args) throws Exception {
        int threads = 4, rounds = 300;
        AtomicLong total = new AtomicLong();
        LongAdder adder = new LongAdder();
        ConcurrentHashMap<Integer, Long> map = new ConcurrentHashMap<>();
        long[] guarded = new long[1];
        List<Future<Long>> results = new ArrayList<>();
        try (ExecutorService pool = Executors.newFixedThreadPool(threads)) {
            for (int t = 0; t < threads; t++) {
                results.add(pool.submit(() -> work(rounds, total, adder, map, guarded)));
            }
        }
        for (Future<Long> f : results) {
            System.out.print(f.get() + " ");
        }
        System.out.println(total + " " + adder + " " + guarded[0] + " " +
                           map.values().stream().mapToLong(x -> x).sum());
        AtomicInteger woken = new AtomicInteger();
        Thread[] virtual = new Thread[200];
        for (int i = 0; i < virtual.length; i++) {
            virtual[i] = Thread.startVirtualThread(() -> {
                try {
                    Thread.sleep(1);
                } catch (InterruptedException e) {
                }
                woken.incrementAndGet();
            });
        }
        for (Thread v : virtual) {
            v.join();
        }
        int[] squares = java.util.stream.IntStream.range(0, 1000).parallel().map(x -> x * x).toArray();
        System.gc();
        System.out.println(woken + " " + Arrays.stream(squares).sum());
        try {
            recurse(0);
        } catch (StackOverflowError e) {
            System.out.println("overflow");
        }
        Process p = new ProcessBuilder("/bin/echo", "from a child").redirectErrorStream(true).start();
        System.out.print(new String(p.getInputStream().readAllBytes()));
        System.out.println(p.waitFor());
    }
}
EOF
jdk=$(echo /usr/lib/jvm/java-21-openjdk-*/bin)
"$jdk/javac" Threads.java || FAIL 'javac'
# Each round: the numbers 19456..19999, ten nulls; 216 of 300 rounds index an array outside.
sum=$((300 * (544 * (19456 + 19999) / 2 + 10) + 216 * 1000000))
expected="$sum $sum $sum $sum $((4 * 299 * 150)) 1200 1200 1200
200 $((999 * 1000 * 1999 / 6))
overflow
from a child
0"
for collector in -XX:+UseSerialGC '-XX:+UseG1GC -XX:ParallelGCThreads=4' '-XX:+UseZGC -XX:+ZGenerational'; do
    is "$collector" "$("$jdk/java" $collector -Xmx256m -cp . Threads)" "$expected"
done
echo 'class Bad { int f() { return x; } }' > Bad.java
! "$jdk/javac" Bad.java 2> errors || FAIL 'a bad program was compiled'
grep -q 'cannot find symbol' errors || FAIL "$(cat errors)"
