#!/usr/bin/env bash
# Conformance 5: in a chroot with nothing but the program and its libraries
# (no /proc, /sys, /dev) the library starts and works.
. "$(dirname "$0")/lib.bash"

[ "$(id -u)" -eq 0 ] || skip "chroot needs root"
mkdir -p "$work/root"
for file in "$HELPERS/workload" "$HELPERS/preload" ${LIB:+"$LIB"} \
    $(ldd "$HELPERS/workload" ${LIB:+"$LIB"} | grep -o '/[^ :]*' | sort -u); do
    mkdir -p "$work/root$(dirname "$file")"
    cp -L "$file" "$work/root$file"
done
chroot "$work/root" "$HELPERS/workload" >/dev/null 2>&1 || skip "chroot is not permitted here"
for conf in "" ${MEMMAN:+heap:ffit heap:buddy cache:off pool:64M}; do
    ok "chroot, ${conf:-default}" env ${conf:+MEMMAN_CONF="$conf"} \
        chroot "$work/root" ${LIB:+"$HELPERS/preload" "$LIB"} "$HELPERS/workload"
done
