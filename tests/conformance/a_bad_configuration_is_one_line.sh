#!/usr/bin/env bash
# A bad key or value in MEMMAN_CONF is one line on stderr that names it, and
# the program runs as if it were not there.
. "$(dirname "$0")/lib.bash"

memman_only "MEMMAN_CONF is memman's"
for conf in heap:banana pool:banana pool:64Q pool:-1 pool:99999999999999999999999 stats:banana cache:banana \
    heaps:banana heaps:-1 banana banana:1 "heap:ffit,banana:1" "banana:1,heap:ffit"; do
    said=$(under "$conf" "$HELPERS/workload" 2>"$work/stderr") || fail "$conf: status $?: $(cat "$work/stderr")"
    [ "$said" = ok ] || fail "$conf: it said: $said"
    # the workload forks, and a child does not parse again: one line
    [ "$(wc -l <"$work/stderr")" -eq 1 ] || fail "$conf: not one line: $(cat "$work/stderr")"
    grep -q '^memman: ' "$work/stderr" || fail "$conf: it said: $(cat "$work/stderr")"
    wrong=$(grep -o 'banana\|64Q\|-1\|9999*' <<<"$conf")
    grep -qe "$wrong" "$work/stderr" || fail "$conf: the line does not name it: $(cat "$work/stderr")"
done
for conf in heap:ffit heap:buddy heap:ebuddy pool:64M cache:off cache:on heaps:1 heaps:3 \
    heap:ffit,pool:64M,cache:off,heaps:2 "pool:65536K" "pool:67108864"; do
    ok "$conf" under "$conf" "$HELPERS/workload"
done
