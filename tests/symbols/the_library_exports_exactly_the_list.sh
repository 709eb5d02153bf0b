#!/usr/bin/env bash
# The dynamic symbols of the library are exports.txt and what the C headers
# declare: none is missing, and none is more (strdup and its like, Rust's
# runtime, C++'s other operators).
. "$(dirname "$0")/lib.bash"
memman_only
for header in ffit buddy; do
    [ -r "$ROOT/include/$header.h" ] || complain "include/$header.h is missing"
    declared | grep -q "^${header}_init$" || complain "include/$header.h declares no ${header}_init"
done
differences=$(diff <(expected_exports) <(nm -D --defined-only "$LIB" | awk '{ print $3 }' | sort -u))
missing=$(sed -n 's/^< //p' <<<"$differences") more=$(sed -n 's/^> //p' <<<"$differences")
[ -z "$missing" ] || complain "not exported:" $missing
[ -z "$more" ] || complain "exported, but on no list:" $more
exit $failed
