#!/usr/bin/env bash
# In a pool with one heap and no caches, stats:exit says how many bytes the pool
# guarantees for blocks of the sizes that were requested, and how many of them
# the program used; beyond it, that it was luck, or what was refused.
. "$(dirname "$0")/lib.bash"

memman_only "the guarantee is memman's"
# guarantee CONF ARGUMENT...: what is said of a run, into line, promised and used
guarantee() {
    local conf=$1
    shift
    under "$conf,stats:exit" "$HELPERS/demand" "$@" 2>"$work/stderr"
    status=$?
    line=$(grep '^memman: guarantee: ' "$work/stderr")
    promised=$(sed -n 's/^memman: guarantee: \([0-9]*\) bytes live in blocks of .*/\1/p' <<<"$line")
    used=$(sed -n 's/.*: used \([0-9]*\), .*/\1/p' <<<"$line")
}
for heap in ffit buddy ebuddy; do
    [ $heap = ffit ] && gross=1008 || gross=1024
    conf=heap:$heap,pool:1M
    guarantee "$conf" 100 1000
    [ "$status,$used" = 0,$((100 * gross)) ] || fail "$conf: status $status: $line"
    [[ $line == *" of $gross to $gross: "*", $((used * 100 / promised))%" ]] || fail "$conf: $line"
    # blocks of one size leave no hole that is too small: all that is promised
    # can be had, and with first fit or without an emergency heap no block more
    fit=$((promised / gross))
    guarantee "$conf" $fit 1000
    [ "$status" = 0 ] && [[ $line == *"%" ]] || fail "$conf, $fit blocks: status $status: $line"
    guarantee "$conf" $((fit + 1)) 1000
    case $heap in
    ebuddy) [ "$status" = 0 ] && [[ $line == *", beyond it: that all was served is luck" ]] ;;
    *) [ "$status" = 3 ] && [[ $line == *", beyond it: 1 request(s) refused" ]] ;;
    esac || fail "$conf, $((fit + 1)) blocks: status $status: $line"
    # small blocks among the large ones cost most of it
    guarantee "$conf" 600 1000 100
    [ "$status" = 0 ] && [ "$promised" -lt 500000 ] && [ "$used" -gt 600000 ] &&
        [[ $line == *" of 64 to $gross: "*", beyond it: that all was served is luck" ]] || fail "$conf: status $status: $line"
    grep -q '^memman: not covered: 1 block(s) resized in place, 1 over-aligned$' "$work/stderr" ||
        fail "$conf: $(cat "$work/stderr")"
    guarantee "$conf" 1 2000000
    [ "$status" = 3 ] && [[ $line == *": none for blocks of "*" 1 request(s) refused" ]] || fail "$conf: $line"
    for other in cache:on heaps:2; do
        guarantee "$conf,$other" 100 1000
        [[ $line == *": none but with cache:off and heaps:1" ]] || fail "$conf,$other: $line"
    done
done
guarantee cache:off 100 1000
[ -z "$line" ] || fail "without a pool: $line"
