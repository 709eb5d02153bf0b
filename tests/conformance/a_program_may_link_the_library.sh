#!/usr/bin/env bash
# Conformance 2: the library as an ordinary dependency instead of a preload,
# found by its SONAME, and preloaded on top of that.
. "$(dirname "$0")/lib.bash"

memman_only "the SONAME is memman's"
cp "$LIB" "$work/libmemman.so.1"
ln -s libmemman.so.1 "$work/libmemman.so"
gcc -Wall -Wextra -Werror -I"$ROOT/tests" "$ROOT/tests/helpers/workload.c" -pthread -L"$work" \
    -Wl,--no-as-needed -lmemman -Wl,-rpath,"$work" -o "$work/linked" || fail "the program does not link"
LD_TRACE_LOADED_OBJECTS=1 "$work/linked" | grep -q "libmemman.so.1 => $work/libmemman.so.1" ||
    fail "it does not depend on libmemman.so.1"
ok "linked" "$work/linked"
ok "linked and preloaded" under "" "$work/linked"
said=$(MEMMAN_CONF=stats:exit "$work/linked" 2>&1 >/dev/null)
grep -qi live <<<"$said" || fail "the linked program does not use the library: $said"
