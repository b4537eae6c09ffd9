# The build is Meson's; this file is for the habit of typing `make`.
BUILD ?= build

.PHONY: all deps demo check check-quick check-real check-debootstrap check-debian check-sanitize bench bench-system bench-structures bench-translate install clean

# braid-system-riscv64 needs libfdt and libslirp; without them there is no such target.
all: $(BUILD)/build.ninja
	@ninja -C $(BUILD) programs
	@cd $(BUILD) && ln -sf $$(ls src/main/braid-riscv64 src/main/braid-system-riscv64 2>/dev/null) .

$(BUILD)/build.ninja: | have-tools
	meson setup $(BUILD)

.PHONY: have-tools
have-tools:
	@command -v meson >/dev/null && command -v ninja >/dev/null || \
	  { echo "meson or ninja is missing: run 'make deps' (as root) first" >&2; exit 1; }

# Install what building, testing and measuring need (Debian packages; as root or with sudo).
deps:
	tools/install-deps

# See it work: install what is missing, build, run a multi-threaded riscv64 program.
demo:
	@tools/install-deps --if-missing
	@$(MAKE) --no-print-directory all
	@mkdir -p $(BUILD)/demo
	riscv64-linux-gnu-gcc -O2 -static -pthread examples/demo.c -o $(BUILD)/demo/demo -lm
	$(BUILD)/braid-riscv64 $(BUILD)/demo/demo

check:
	@tools/install-deps --if-missing
	@$(MAKE) --no-print-directory all
	@ninja -C $(BUILD)
	@tools/check $(BUILD)

check-quick:
	@$(MAKE) --no-print-directory all
	@ninja -C $(BUILD)
	@tools/check $(BUILD) --quick

# Programs of Debian's riscv64 archive, all of them; CHECK_ARGS: options and names (docs/testing.md).
check-real: all
	tests/real/run.py $(CHECK_ARGS) $(BUILD)/braid-riscv64 $(CHECKS)

# debootstrap's second stage through binfmt_misc, then apt-get inside (as root).
check-debootstrap: all
	tools/bench-debootstrap --check --braid $(BUILD)/braid-riscv64

# A Debian 13 on a disk, made by braid and booted by braid, then by QEMU; CHECK_ARGS as distribution.py has them.
check-debian: all
	tests/system/distribution.py $(CHECK_ARGS) $(BUILD)/braid-riscv64 $(BUILD)/braid-system-riscv64

# The same sources under AddressSanitizer and UndefinedBehaviorSanitizer (docs/testing.md).
check-sanitize:
	@tools/install-deps --if-missing
	@tools/check-sanitize build-sanitize

bench: all
	tools/bench.py --braid $(BUILD)/braid-riscv64 $(BENCH_ARGS)

# Whole machines: Debian's kernel under braid and under QEMU, in turns; BENCH_ARGS: --quick, --harts 2, ...
bench-system: all
	tools/bench-system.py --braid $(BUILD)/braid-system-riscv64 $(BENCH_ARGS)

bench-structures: $(BUILD)/build.ninja
	ninja -C $(BUILD) bench/structures/bench-hash-tables
	$(BUILD)/bench/structures/bench-hash-tables

# Translation speed: guest instructions per second.
bench-translate: all
	tools/bench-translate --braid $(BUILD)/braid-riscv64

install: all
	meson install -C $(BUILD)

clean:
	rm -rf $(BUILD)
