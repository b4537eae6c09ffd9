# stress-ng: the classes that are about threads, processes, signals and memory; each checks its own results.
#: packages: stress-ng coreutils grep
#: time: 600
classes='cpu vm futex pthread clone fork vfork sigq sigchld mmap mremap atomic qsort io-uring'
for class in $classes; do
    case $class in
    vm) limits='--vm-bytes 32m' ;;
    mmap) limits='--mmap-bytes 32m' ;;
    mremap) limits='--mremap-bytes 16m' ;;
    qsort) limits='--qsort-size 16384' ;;
    clone) limits='--clone-max 64' ;;
    pthread) limits='--pthread-max 64' ;;
    fork | vfork) limits="--$class-max 2" ;;
    *) limits='' ;;
    esac
    # shellcheck disable=SC2086
    stress-ng --$class 2 $limits -t 3 --verify --oomable --temp-path . > log 2>&1 ||
        FAIL "$class: status $?: $(cat log)"
    grep -q 'skipped: 0' log && grep -q "passed: 2: $class (2)" log && ! grep -qi 'fail:\|error:' log ||
        FAIL "$class: $(cat log)"
done
