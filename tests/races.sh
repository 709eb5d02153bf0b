#!/usr/bin/env bash
# Runs tests of threads under ThreadSanitizer, which sees what they and the
# malloc do. It has a malloc of its own: theirs is called mm_malloc.
#
#   races.sh DIRECTORY      where memman.o, built for it, and the list `names` are
#
# Status 1 where two threads touched memory in no order, or a test failed.
set -eu -o pipefail
directory=$(realpath "$1")
cd "$(dirname "${BASH_SOURCE[0]}")"
confs=("" heap:ffit heaps:1 cache:off pool:256M)
tests=(
    any_thread_may_free_any_block
    counting_and_trimming_may_meet_load
    random_calls_never_overlap
    thread_exit_destructors_may_malloc
    threads_take_over_what_others_left
)

runtime=$(echo "$(rustc --print target-libdir)"/librustc-*_rt.tsan.a)
[ -r "$runtime" ] || { echo "races: needs a toolchain of rustup's, which bring the sanitizer" >&2; exit 1; }
sed 's/.*/& mm_&/' "$directory/names" >"$directory/renamed"
objcopy --redefine-syms="$directory/renamed" "$directory/memman.o" "$directory/prefixed.o"
mapfile -t names < <(sed 's/\(.*\) \(.*\)/-D\1=\2/' "$directory/renamed")

for test in "${tests[@]}"; do
    gcc -std=gnu17 -O1 -g -fno-builtin -fsanitize=thread "${names[@]}" -c "conformance/$test.c" -I. -o "$directory/$test.o"
    gcc "$directory/$test.o" "$directory/prefixed.o" -Wl,--whole-archive "$runtime" -Wl,--no-whole-archive \
        -Wl,--export-dynamic -pthread -lm -lresolv -lgcc_eh -o "$directory/$test"
    for conf in "${confs[@]}"; do
        if MEMMAN_CONF=$conf TSAN_OPTIONS=halt_on_error=1 timeout 300 "$directory/$test" >"$directory/log" 2>&1; then
            echo "passed   $test${conf:+ $conf}"
        else
            cat "$directory/log"
            echo "FAILED   $test${conf:+ $conf}"
            exit 1
        fi
    done
done
