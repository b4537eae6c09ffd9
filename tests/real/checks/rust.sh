# rustc and cargo: a threaded program with panics caught in its threads, and its tests.
#: packages: rustc cargo gcc coreutils grep
#: chroot
#: time: 600
mkdir -p small/src && cd small || exit
cat > Cargo.toml <<'EOF'
[package]
name = "small"
version = "0.1.0"
edition = "2021"
EOF
cat > src/main.rs <<'EOF'
use std::collections::HashMap;
use std::sync::{atomic::{AtomicU64, Ordering}, mpsc, Arc, Mutex};
use std::{panic, process::Command, thread};

fn main() {
    let (tx, rx) = mpsc::channel();
    let map = Arc::new(Mutex::new(HashMap::new()));
    let count = Arc::new(AtomicU64::new(0));
    panic::set_hook(Box::new(|_| {}));
    let threads: Vec<_> = (0..8u64).map(|i| {
        let (tx, map, count) = (tx.clone(), map.clone(), count.clone());
        thread::spawn(move || {
            for k in 0..1000 {
                *map.lock().unwrap().entry(k % 10).or_insert(0u64) += i;
                count.fetch_add(k, Ordering::Relaxed);
            }
            let v = vec![1, 2, 3];
            tx.send(panic::catch_unwind(|| v[i as usize]).is_err()).unwrap();
        })
    }).collect();
    drop(tx);
    for t in threads {
        t.join().unwrap();
    }
    let panics = rx.iter().filter(|p| *p).count();
    println!("{} {} {}", map.lock().unwrap().values().sum::<u64>(), count.load(Ordering::SeqCst), panics);
    let echo = Command::new("/bin/echo").arg("from a child").output().unwrap();
    print!("{}", String::from_utf8_lossy(&echo.stdout));
    println!("{:?}", Command::new("/no/such/program").status().map_err(|e| e.kind()));
}

#[cfg(test)]
mod tests {
    #[test]
    fn adds() { assert_eq!(2 + 2, 4); }
    #[test]
    #[should_panic]
    fn panics() { None::<u8>.unwrap(); }
}
EOF
export CARGO_TARGET_RISCV64GC_UNKNOWN_LINUX_GNU_LINKER=gcc
cargo build -q --release --offline || FAIL 'cargo build'
# Sums of 0..7 and 0..999, 1000 and 8 times; the indexes 3..7 are outside.
is 'the program' "$(./target/release/small)" '28000 3996000 5
from a child
Err(NotFound)'
cargo test -q --offline > tests.log 2>&1 || FAIL "cargo test: $(cat tests.log)"
grep -q '2 passed; 0 failed' tests.log || FAIL "$(cat tests.log)"
