#!/usr/bin/env bash
# SONAME libmemman.so.1; not unloaded by dlclose; TLS initial-exec only and at
# most 640 bytes of it, so that a second copy has room in the 1664 that glibc keeps
# for modules that come late; every symbol bound at start; no text relocations, no
# executable stack.
. "$(dirname "$0")/lib.bash"
memman_only
dynamic=$(readelf -dW "$LIB") segments=$(readelf -lW "$LIB") relocations=$(readelf -rW "$LIB")
grep -q '(SONAME).*\[libmemman\.so\.1\]' <<<"$dynamic" || complain "SONAME is not libmemman.so.1"
grep -q '(FLAGS_1).*NODELETE' <<<"$dynamic" || complain "it is not marked NODELETE"
grep -qE '\((FLAGS|FLAGS_1|BIND_NOW)\).*(BIND_)?NOW' <<<"$dynamic" || complain "it binds symbols lazily"
grep -qE 'TEXTREL' <<<"$dynamic" && complain "it has text relocations"
nm -D "$LIB" | grep -q '__tls_get_addr' && complain "it calls __tls_get_addr"
kinds=$(grep -oE 'R_[A-Z0-9_]*(TLSDESC|DTPMOD|DTPOFF|DTPREL)[A-Z0-9]*' <<<"$relocations" | sort -u)
[ -z "$kinds" ] || complain "it has dynamic TLS:" $kinds
grep -q IRELATIV <<<"$relocations" && complain "it has IFUNCs, which are resolved before it is ready"
size=$(awk '$1 == "TLS" { print $6 }' <<<"$segments")
if [ -n "$size" ]; then
    [ $((size)) -le 640 ] || complain "$((size)) bytes of TLS"
    grep -q '(FLAGS).*STATIC_TLS' <<<"$dynamic" || complain "its TLS is not marked static"
fi
awk '$1 == "GNU_STACK" { exit !/RWE/ }' <<<"$segments" && complain "its stack is executable"
awk '$1 == "LOAD" && / RWE / { found = 1 } END { exit !found }' <<<"$segments" && complain "a segment is writable and executable"
exit $failed
