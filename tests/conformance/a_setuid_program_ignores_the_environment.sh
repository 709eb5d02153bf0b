#!/usr/bin/env bash
# Conformance 2: in secure execution (AT_SECURE) every setting in the
# environment is ignored, also a wrong one, and nothing is printed. The
# library is linked to the program: the loader preloads nothing there.
. "$(dirname "$0")/lib.bash"

memman_only "MEMMAN_CONF is memman's"
[ "$(id -u)" -eq 0 ] || skip "a setuid program needs root to make it"
mkdir "$work/lib"
cp "$LIB" "$work/lib/libmemman.so.1"
chmod 755 "$work" "$work/lib" "$work/lib/libmemman.so.1"
gcc -Wall -Wextra -Werror -I"$ROOT/tests" "$ROOT/tests/helpers/secure.c" "$work/lib/libmemman.so.1" \
    -Wl,--no-as-needed,-rpath,"$work/lib" -pthread -o "$work/dynamic" || fail "the program does not link"
programs=("$work/dynamic")
if [ -r "$ARCHIVE" ] && command -v musl-gcc >/dev/null; then
    musl-gcc -static -Wall -Wextra -Werror -I"$ROOT/tests" "$ROOT/tests/helpers/secure.c" "$ARCHIVE" \
        -o "$work/static" || fail "the static program does not link"
    programs+=("$work/static")
fi
for program in "${programs[@]}"; do
    said=$(MEMMAN_CONF=pool:1M "$program" 2>&1)
    [ "$said" = "skipped: setuid has no effect on this file system" ] || fail "without setuid: $said"
    chown nobody "$program" && chmod 4755 "$program"
    for conf in pool:1M stats:exit nonsense; do
        said=$(MEMMAN_CONF=$conf "$program" 2>&1)
        status=$?
        [ $status -eq 77 ] && skip "setuid has no effect on this file system"
        [ $status -eq 0 ] && [ "$said" = ok ] || fail "$program, $conf: status $status: $said"
    done
done
