#!/usr/bin/env bash
# Conformance 7: static programs, linked in each of the usual ways, run: also
# with nothing around them (a chroot with no /proc, /sys or library), and with
# every manager.
. "$(dirname "$0")/../conformance/lib.bash"

source=$ROOT/tests/helpers/workload.c
cp "$ARCHIVE" "$work/libmemman.a"
mkdir "$work/jail"
build() { # NAME ARGUMENTS...
    local name=$1
    shift
    musl-gcc -std=gnu17 -O1 -Wall -Wextra -Werror -I"$ROOT/tests" -o "$work/jail/$name" "$@" ||
        fail "$name does not link"
}
build plain -static "$source" "$work/libmemman.a"
build library -static "$source" -L"$work" -lmemman
build whole -static "$source" -Wl,--whole-archive "$work/libmemman.a" -Wl,--no-whole-archive
build collected -static -ffunction-sections -Wl,--gc-sections "$source" "$work/libmemman.a"

confs=("")
[ -z "${MEMMAN-}" ] || confs=("" heap:ffit heap:buddy cache:off pool:64M)
for program in "$work"/jail/*; do
    for conf in "${confs[@]}"; do
        ok "${program##*/}, ${conf:-default}" env ${conf:+MEMMAN_CONF="$conf"} "$program"
        [ "$(id -u)" -eq 0 ] || continue
        ok "${program##*/} in a chroot, ${conf:-default}" env ${conf:+MEMMAN_CONF="$conf"} \
            chroot "$work/jail" "/${program##*/}"
    done
    [ -z "${MEMMAN-}" ] && continue
    said=$(MEMMAN_CONF=stats:exit "$program" 2>&1 >/dev/null)
    grep -qi live <<<"$said" || fail "${program##*/}: memman is not its malloc: $said"
done
