# go build and go test. The program's goroutines allocate against an eager collector while four others
# spin in loops that only a signal (SIGURG) can leave; nil dereferences are SIGSEGVs that become panics.
#: packages: golang-go coreutils grep
#: chroot
#: time: 1800
export GOCACHE=$PWD/cache GOPATH=$PWD/gopath GOTOOLCHAIN=local GOPROXY=off CGO_ENABLED=0
cat > spin.go <<'EOF'
package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

type node struct {
	left, right *node
	value       int64
}

func tree(depth int64) *node {
	if depth == 0 {
		return &node{value: 1}
	}
	return &node{tree(depth - 1), tree(depth - 1), depth}
}

func (n *node) sum() int64 {
	if n == nil {
		return 0
	}
	return n.value + n.left.sum() + n.right.sum()
}

func dereference(n *node) (result int64) {
	defer func() {
		if recover() != nil {
			result = -1
		}
	}()
	return n.value
}

func deep(n int) int {
	var a [64]byte
	a[n%64] = 1
	if n == 0 {
		return int(a[0])
	}
	return deep(n-1) + int(a[n%64])
}

var spun uint64

func spin() {
	x := uint64(1)
	for {
		for i := 0; i < 1000000000; i++ {
			x = x*6364136223846793005 + 1
		}
		atomic.AddUint64(&spun, x)
	}
}

func main() {
	if len(os.Args) > 1 {
		fmt.Println("child", os.Args[1])
		return
	}
	runtime.GOMAXPROCS(4)
	debug.SetGCPercent(20)
	for i := 0; i < 4; i++ {
		go spin()
	}
	var wg sync.WaitGroup
	var lock sync.Mutex
	var total, nils int64
	depths := 0
	for i := int64(0); i < 16; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for k := 1; k <= 8; k++ {
				atomic.AddInt64(&total, tree(9+i%3).sum())
				atomic.AddInt64(&nils, dereference(nil))
				lock.Lock()
				depths += deep(1000 * k)
				lock.Unlock()
				runtime.Gosched()
			}
		}()
	}
	numbers := make(chan int, 3)
	go func() {
		for i := 0; i < 3000; i++ {
			numbers <- i
		}
		close(numbers)
	}()
	sum := 0
	for n := range numbers {
		sum += n
	}
	ticker := time.NewTicker(time.Millisecond)
	for i := 0; i < 20; i++ {
		<-ticker.C
	}
	for i := 0; i < 4; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			out, err := exec.Command("/proc/self/exe", fmt.Sprint(i)).Output()
			if err != nil || string(out) != fmt.Sprintf("child %d\n", i) {
				fmt.Println("bad child:", err, string(out))
			}
		}()
	}
	wg.Wait()
	runtime.GC()
	fmt.Println(total, nils, depths, sum)
}
EOF
go build -o spin spin.go || FAIL 'go build'
# A tree of depth d sums up to s(d) = 2 s(d-1) + d with s(0) = 1: 1525, 3060, 6131 for 9, 10, 11.
expected="$((8 * (6 * 1525 + 5 * 3060 + 5 * 6131))) -128 $((16 * 36008)) $((2999 * 1500))"
for ((i = 0; i < 10; i++)); do
    is 'the program' "$(./spin)" "$expected"
done
cd /usr/lib/go-1.24/src && go test -short -vet=off sort strings > "$GOCACHE/log" 2>&1 ||
    FAIL "go test: $(tail -n 40 "$GOCACHE/log")"
is 'packages tested' "$(grep -c '^ok' "$GOCACHE/log")" 2
