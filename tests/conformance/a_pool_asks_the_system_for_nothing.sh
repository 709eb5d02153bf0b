#!/usr/bin/env bash
# With pool:SIZE nothing is asked of the OS after the start: a trace of the
# system calls of a load in three threads shows no mmap, munmap, mremap, brk or
# mprotect between its two marks.
# run: needs=strace
. "$(dirname "$0")/lib.bash"

memman_only "a pool is memman's"
strace -o /dev/null true 2>/dev/null || skip "strace is not permitted here"
for manager in ebuddy ffit buddy; do
    for cache in on off; do
        conf=heap:$manager,pool:64M,cache:$cache
        strace -f -e trace=mmap,munmap,mremap,brk,mprotect,write -o "$work/trace" \
            -E LD_PRELOAD="$LIB" -E MEMMAN_CONF="$conf" "$HELPERS/pool_load" || fail "$conf: status $?"
        grep -q '"begin"' "$work/trace" && grep -q '"end"' "$work/trace" || fail "$conf: the marks are missing"
        between=$(sed -n '/"begin"/,/"end"/p' "$work/trace" | grep -E '(mmap|munmap|mremap|brk|mprotect)\(')
        [ -z "$between" ] || fail "$conf: $(head -n 5 <<<"$between")"
    done
done
