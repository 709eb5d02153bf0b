#!/usr/bin/env bash
# stats:exit prints, on stderr and when the program exits, a table with live,
# peak, free, largest free, fragmentation and failed requests per heap; the
# program's own output and exit status stay as they were.
. "$(dirname "$0")/lib.bash"

memman_only "stats:exit is memman's"
for conf in heap:ebuddy heap:ffit heap:buddy heap:ffit,pool:64M heap:buddy,cache:off; do
    said=$(under "$conf,stats:exit" "$HELPERS/workload" 2>"$work/stderr") || fail "$conf: status $?"
    [ "$said" = ok ] || fail "$conf: stdout: $said"
    for word in live peak free largest frag fail; do
        grep -qi "$word" "$work/stderr" || fail "$conf: no '$word' in: $(cat "$work/stderr")"
    done
    grep -q '[0-9]' "$work/stderr" || fail "$conf: no number in: $(cat "$work/stderr")"
    lines=$(wc -l <"$work/stderr")
    [ "$lines" -le 60 ] || fail "$conf: $lines lines"
    [ "$(under "$conf" "$HELPERS/workload" 2>&1)" = ok ] || fail "$conf: something is printed without stats:exit"
done
# the program's status is kept, and a closed stderr harms nothing
under stats:exit bash -c 'exit 7' 2>/dev/null
[ $? -eq 7 ] || fail "the exit status changed"
under stats:exit "$HELPERS/workload" >/dev/null 2>&- || fail "with stderr closed: status $?"
# a full region is no failure where the next one serves the request
failed=$(under stats:exit perl -e 'my %h; $h{$_} = "x" x ($_ % 500) for 1 .. 200_000' 2>&1 | awk '$1 == "0" { print $9 }')
[ "$failed" = 0 ] || fail "nothing was refused, and the table says: $failed"
