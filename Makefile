# memman: the libraries, their tests in C, and their installation. `make help`
# says what can be made. Everything is built in build/ and in cargo's target/.

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
DESTDIR ?=
SYMBOL_PREFIX ?=
HEAP ?= ebuddy
POOL ?=
PROG ?= perl -e 'my %h; $$h{$$_} = "x" x ($$_ % 500) for 1 .. 200_000; print scalar(keys %h), " strings\n"'
SEED ?=
JOBS ?= 2

CARGO ?= cargo
AWK ?= awk
LD ?= ld
OBJCOPY ?= objcopy
NM ?= nm
MUSL_GCC ?= musl-gcc
INSTALL ?= install
STRIP_FLAGS := --strip-debug

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.SECONDARY:

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
RELEASE := $(or $(CARGO_TARGET_DIR),target)/release
BUILD := build$(if $(SYMBOL_PREFIX),/prefix-$(SYMBOL_PREFIX))
LIBRARIES := $(BUILD)/libmemman.so.1 $(BUILD)/libmemman.so $(BUILD)/libmemman.a
HEADERS := $(BUILD)/include/ffit.h $(BUILD)/include/buddy.h

# The target of cargo that this machine is.
HOST = $(shell rustc -vV | sed -n 's/^host: //p')

# What a libmemman.so is: its name for the loader, and that it stays, as
# handlers of exiting threads may run after a dlclose.
SO_FLAGS := -Wl,-soname,libmemman.so.1 -Wl,-z,nodelete

.DEFAULT_GOAL := all
.PHONY: all tools run test test-search c-test steps model assertions check-libraries check-prefix check-readme check-install fuzz miri sanitize tsan install install-tools uninstall clean help FORCE

all: $(LIBRARIES) $(HEADERS)

include benches/bench.mk

# ---- the libraries -------------------------------------------------------------

# The crate types stand here and not in Cargo.toml: beside a Rust library cargo
# links none of them with LTO, and leaves panic machinery in them.
$(RELEASE)/libmemman.so: FORCE
	$(CARGO) rustc --quiet -j$(JOBS) --release --package memman --lib --crate-type cdylib,staticlib \
	    -- $(addprefix -C link-arg=,$(SO_FLAGS))

$(RELEASE)/libmemman.a: $(RELEASE)/libmemman.so ;

# ---- the program ---------------------------------------------------------------

# What `memman record` preloads before the library.
$(RELEASE)/libmemman_record.so: FORCE
	$(CARGO) rustc --quiet -j$(JOBS) --release --package memman-record --lib --crate-type cdylib \
	    -- -C link-arg=-Wl,-soname,libmemman_record.so -C link-arg=-Wl,-z,nodelete

$(RELEASE)/memman: FORCE
	$(CARGO) build --quiet -j$(JOBS) --release --package memman-cli

$(BUILD)/libmemman_record.so $(BUILD)/memman: $(BUILD)/%: $(RELEASE)/%
	@mkdir -p $(@D)
	$(OBJCOPY) --strip-debug $< $@

tools: $(LIBRARIES) $(BUILD)/libmemman_record.so $(BUILD)/memman

# ---- the names of the libraries ------------------------------------------------

# The names that rustc exports are those that C sees, and C++'s operators, which
# only the library has as rustc links it; here they may get another name.
$(BUILD)/names: $(RELEASE)/libmemman.so
	@mkdir -p $(@D)
	$(NM) -D --defined-only $< | awk '$$NF !~ /^_Z/ {print $$NF}' > $@

$(BUILD)/exported: $(BUILD)/names
	sed 's/^\(ffit\|buddy\)_/$(SYMBOL_PREFIX)&/' $< > $@

# Rust's archive brings the whole of its core library. One object remains, in
# which only the names above are global: nothing can clash with a libc. What only
# C++'s operators needed goes, too.
$(BUILD)/memman.o: $(RELEASE)/libmemman.a $(BUILD)/names $(BUILD)/exported
	$(LD) -r --gc-sections $$(sed 's/^/-u /' $(BUILD)/names) -o $@ $<
	paste -d' ' $(BUILD)/names $(BUILD)/exported > $(BUILD)/renamed
	$(OBJCOPY) $(STRIP_FLAGS) --remove-section=.llvmbc --remove-section=.llvmcmd \
	    --strip-unneeded-symbol=dlopen --strip-unneeded-symbol=dlsym \
	    --redefine-syms=$(BUILD)/renamed --keep-global-symbols=$(BUILD)/exported $@

$(BUILD)/libmemman.a: $(BUILD)/memman.o
	@rm -f $@
	$(AR) rcs $@ $<

ifeq ($(SYMBOL_PREFIX),)
$(BUILD)/libmemman.so.1: $(RELEASE)/libmemman.so
	@mkdir -p $(@D)
	$(OBJCOPY) --strip-debug $< $@
else
$(BUILD)/libmemman.so.1: $(BUILD)/memman.o
	$(CC) -shared $(SO_FLAGS) -Wl,-z,now -o $@ $<
endif

$(BUILD)/libmemman.so: $(BUILD)/libmemman.so.1
	ln -sf $(<F) $@

# The headers as they are, or with the prefix before every name, in the
# comments too.
$(BUILD)/include/%.h: include/%.h
	@mkdir -p $(@D)
	sed 's/\b\(ffit\|buddy\)_/$(SYMBOL_PREFIX)&/g' $< > $@

include/ffit.h include/buddy.h: $(RELEASE)/libmemman.so

# ---- the tests in C ------------------------------------------------------------

CFLAGS ?= -O2 -g
C_TEST_FLAGS := -std=c11 -D_DEFAULT_SOURCE -Wall -Wextra -pedantic -Werror -pthread -I$(BUILD)/include
LINKS := shared static musl
CC_shared := $(CC)
CC_static := $(CC)
CC_musl := $(MUSL_GCC) -static
LIBS_shared := -L$(BUILD) -lmemman -Wl,-rpath,$(abspath $(BUILD))
LIBS_static := $(BUILD)/libmemman.a
LIBS_musl := $(BUILD)/libmemman.a

# program NAME SOURCE HEAP: one source, compiled for one heap, for each link
define program
C_PROGRAMS += $(1)
$$(BUILD)/c/%/$(1): c-tests/$(2).c c-tests/heap.h c-tests/test.h $$(LIBRARIES) $$(HEADERS)
	@mkdir -p $$(@D)
	$$(CC_$$*) $$(CFLAGS) $$(C_TEST_FLAGS) -DHEAP_$(3) $$< -o $$@ $$(LIBS_$$*)
endef
$(eval $(call program,ffitsmoke,smoke,FFIT))
$(eval $(call program,buddysmoke,smoke,BUDDY))
$(eval $(call program,ebuddysmoke,smoke,EBUDDY))
$(eval $(call program,testffit1,basic,FFIT))
$(eval $(call program,testbuddy1,basic,BUDDY))
$(eval $(call program,testebuddy1,basic,EBUDDY))
$(eval $(call program,monteffit,monte,FFIT))
$(eval $(call program,montebuddy,monte,BUDDY))
$(eval $(call program,monteebuddy,monte,EBUDDY))
$(eval $(call program,apicheck-ffit,apicheck,FFIT))
$(eval $(call program,apicheck-buddy,apicheck,BUDDY))
$(eval $(call program,apicheck-ebuddy,apicheck,EBUDDY))

# Built for the static library only: it is the code of all, without a loader.
define steps
$$(BUILD)/steps/steps-$(1): c-tests/steps.c c-tests/heap.h c-tests/test.h $$(LIBRARIES) $$(HEADERS)
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(C_TEST_FLAGS) -DHEAP_$(2) $$< -o $$@ $$(LIBS_static)
endef
$(eval $(call steps,ffit,FFIT))
$(eval $(call steps,buddy,BUDDY))
$(eval $(call steps,ebuddy,EBUDDY))

C_TESTS := $(foreach link,$(LINKS),$(addprefix $(BUILD)/c/$(link)/,$(C_PROGRAMS)))

c-test: $(C_TESTS)
	@for program in $(C_TESTS); do \
	    if $$program $(SEED) > $$program.out 2>&1; then echo "passed   $$program"; \
	    else cat $$program.out; echo "FAILED   $$program"; exit 1; fi; \
	done

steps: $(addprefix $(BUILD)/steps/steps-,ffit buddy ebuddy)
	@c-tests/steps.sh $(BUILD)/steps

check-libraries: all
	c-tests/check-libraries.sh $(BUILD)/libmemman.so.1 $(BUILD)/libmemman.a $(BUILD)/include '$(SYMBOL_PREFIX)'

check-prefix:
	$(MAKE) --no-print-directory SYMBOL_PREFIX=mm_ check-libraries build/prefix-mm_/prefixed
	build/prefix-mm_/prefixed

$(BUILD)/prefixed: c-tests/prefixed.c $(LIBRARIES) $(HEADERS)
	$(CC) $(CFLAGS) $(C_TEST_FLAGS) $< -o $@ $(LIBS_shared)

check-readme: all
	c-tests/check-readme.sh README.md $(BUILD)

check-install: all
	c-tests/check-install.sh

# ---- use -----------------------------------------------------------------------

comma := ,

run: all
	LD_PRELOAD=$(abspath $(BUILD)/libmemman.so.1) \
	MEMMAN_CONF=heap:$(HEAP)$(if $(POOL),$(comma)pool:$(POOL)),stats:exit $(PROG)

# Stale headers are not brought up to date but found: see build.rs.
test: export MEMMAN_HEADERS := frozen
test:
	tests/install-packages.sh
	$(CARGO) fmt --all --check
	$(CARGO) clippy --quiet -j$(JOBS) --lib -- -D warnings
	$(CARGO) clippy --quiet -j$(JOBS) --workspace --all-targets -- -D warnings
	$(MAKE) --no-print-directory tools
	$(CARGO) test --quiet -j$(JOBS) --workspace
	$(MAKE) --no-print-directory model check-libraries check-prefix check-readme check-install c-test steps
	LIB=$(abspath $(BUILD)/libmemman.so.1) ARCHIVE=$(abspath $(BUILD)/libmemman.a) JOBS=$(JOBS) tests/run.sh
	$(MAKE) --no-print-directory assertions

# What a drop-in owes, once more with debug assertions, as that the heaps' sums are
# those of their regions, and looking for overflow.
assertions: export CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS := true
assertions: export CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS := true
assertions: export CARGO_TARGET_DIR := target/assertions
assertions:
	$(MAKE) --no-print-directory BUILD=build/assertions RELEASE=target/assertions/release \
	    build/assertions/libmemman.so.1 build/assertions/libmemman.a
	LIB=$(abspath build/assertions/libmemman.so.1) ARCHIVE=$(abspath build/assertions/libmemman.a) JOBS=$(JOBS) \
	    tests/run.sh conformance static

# Remote frees and the lock in every order of their steps with at most so many
# changes of thread before a thread has to wait.
LOOM_MAX_PREEMPTIONS ?= 3

model: export RUSTFLAGS := --cfg loom
model:
	$(CARGO) clippy --quiet -j$(JOBS) --target-dir target/model --lib --tests -- -D warnings
	LOOM_MAX_PREEMPTIONS=$(LOOM_MAX_PREEMPTIONS) \
	    $(CARGO) test --quiet -j$(JOBS) --target-dir target/model --lib -- malloc:: sync::

# Minutes, two cores and up to 2 GiB: every exact figure of the theory, found
# again, and the experiments over all their seeds.
test-search:
	$(CARGO) test --release --quiet -j$(JOBS) --test analysis -- --ignored --nocapture

# ---- longer hunts -------------------------------------------------------------

FUZZ_TARGETS := ffit buddy ebuddy config trace profile
FUZZ_SECONDS ?= 60

fuzz:
	@$(CARGO) +nightly fuzz --version > /dev/null 2>&1 || \
	    { echo 'fuzz: needs `rustup toolchain install nightly` and `cargo install cargo-fuzz`'; exit 1; }
	for target in $(FUZZ_TARGETS); do \
	    mkdir -p fuzz/corpus/$$target fuzz/seeds/$$target; \
	    $(CARGO) +nightly fuzz run --jobs 1 $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
	        -max_total_time=$(FUZZ_SECONDS) -max_len=2048 -timeout=10 -print_final_stats=1 -verbosity=0; \
	done

# The managers' own tests, less of each, as Miri reads the language: nothing is
# read that was not written, nothing outside its array. Two minutes.
miri:
	@$(CARGO) +nightly miri --version > /dev/null 2>&1 || \
	    { echo 'miri: needs `rustup toolchain install nightly --component miri,rust-src`'; exit 1; }
	MIRIFLAGS='-Zmiri-permissive-provenance' \
	    $(CARGO) +nightly miri test --quiet --target-dir target/miri --lib -- heap::

# Not a byte outside the area is read or written. It needs a toolchain of
# rustup's, which bring the runtime; RUSTC_BOOTSTRAP has a release take what is
# otherwise for nightly.
sanitize:
	RUSTC_BOOTSTRAP=1 RUSTFLAGS='-Zsanitizer=address --cfg sanitized' \
	    $(CARGO) test --quiet -j$(JOBS) --target-dir target/sanitize --target $(HOST) --test managers

# No two threads touch the malloc's memory, or a block, in no order; with debug
# assertions, as the heaps' sums are held to their regions by. As above; and Rust's
# core library is not built for it, but nothing there is shared.
tsan:
	RUSTC_BOOTSTRAP=1 RUSTFLAGS='-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer' \
	CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=true \
	CARGO_BUILD_TARGET=$(HOST) CARGO_TARGET_DIR=target/tsan \
	    $(MAKE) --no-print-directory BUILD=build/tsan RELEASE=target/tsan/$(HOST)/release STRIP_FLAGS= build/tsan/memman.o
	tests/races.sh build/tsan

define PKG_CONFIG_FILE
prefix=$(PREFIX)
libdir=$(LIBDIR)
includedir=$(INCLUDEDIR)

Name: memman
Description: First fit and buddy heaps on descriptors, and a malloc on them
Version: $(VERSION)
Libs: -L$${libdir} -lmemman
Libs.private: -pthread
Cflags: -I$${includedir}
endef
export PKG_CONFIG_FILE

install: all
	$(INSTALL) -d $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(INCLUDEDIR) $(DESTDIR)$(MANDIR)/man3
	$(INSTALL) -m 755 $(BUILD)/libmemman.so.1 $(DESTDIR)$(LIBDIR)/libmemman.so.1
	ln -sf libmemman.so.1 $(DESTDIR)$(LIBDIR)/libmemman.so
	$(INSTALL) -m 644 $(BUILD)/libmemman.a $(DESTDIR)$(LIBDIR)/libmemman.a
	$(INSTALL) -m 644 $(HEADERS) $(DESTDIR)$(INCLUDEDIR)
	printenv PKG_CONFIG_FILE > $(DESTDIR)$(LIBDIR)/pkgconfig/memman.pc
	$(AWK) -f docs/memman.3.awk -v VERSION=$(VERSION) -v LIBDIR=$(LIBDIR) -v INCLUDEDIR=$(INCLUDEDIR) \
	    README.md docs/memman.3.in > $(DESTDIR)$(MANDIR)/man3/memman.3
	chmod 644 $(DESTDIR)$(LIBDIR)/pkgconfig/memman.pc $(DESTDIR)$(MANDIR)/man3/memman.3

# The program, what it preloads, and its man pages.
install-tools: install tools
	$(INSTALL) -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(MANDIR)/man1
	$(INSTALL) -m 755 $(BUILD)/memman $(DESTDIR)$(PREFIX)/bin/memman
	$(INSTALL) -m 755 $(BUILD)/libmemman_record.so $(DESTDIR)$(LIBDIR)/libmemman_record.so
	$(BUILD)/memman man $(DESTDIR)$(MANDIR)/man1

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/memman $(DESTDIR)$(LIBDIR)/libmemman_record.so
	rm -f $(addprefix $(DESTDIR)$(MANDIR)/,man3/memman.3 man1/memman.1 man1/memman-*.1)
	rm -f $(addprefix $(DESTDIR)$(LIBDIR)/,libmemman.so.1 libmemman.so libmemman.a pkgconfig/memman.pc)
	rm -f $(addprefix $(DESTDIR)$(INCLUDEDIR)/,$(notdir $(HEADERS)))

clean:
	rm -rf build
	$(CARGO) clean --quiet

help:
	@echo 'make                    libmemman.so.1, libmemman.a and the headers, in build/'
	@echo 'make tools              memman, the program, and what records, in build/'
	@echo 'make run                a program on memman, and what its heap did'
	@echo '     PROG="git log"     any other program'
	@echo '     HEAP=ffit          first fit; buddy; ebuddy, the default'
	@echo '     POOL=64M           in a fixed pool of that size'
	@echo 'make test               every test'
	@echo 'make test-search        the exhaustive searches that take minutes'
	@echo 'make model              remote frees and the lock in every order that threads may take; `make test` has it'
	@echo 'make assertions         what a drop-in owes, with debug assertions; `make test` has it'
	@echo 'make fuzz               the managers, and all that is read, against random input, on nightly'
	@echo '     FUZZ_SECONDS=60    each of the $(words $(FUZZ_TARGETS)) for so long'
	@echo 'make miri               tests of the managers under Miri, on nightly'
	@echo 'make sanitize           the tests of the managers under AddressSanitizer'
	@echo 'make tsan               tests of threads in the malloc under ThreadSanitizer: minutes'
	@echo 'make c-test [SEED=1]    the tests in C: shared, static, and static on musl'
	@echo 'make steps              instructions of single calls in the worst states'
	@echo 'make install            to PREFIX=$(PREFIX), under DESTDIR; LIBDIR, INCLUDEDIR, MANDIR'
	@echo 'make install-tools      the program memman and its man pages too'
	@echo 'make uninstall          the same files away'
	@echo 'make clean              what was built'
	@echo '     SYMBOL_PREFIX=mm_  with any of these: mm_ffit_init, mm_ffit_heap_t ..., for programs'
	@echo '                        that have buddy_* of their own; malloc keeps its name'
