#!/usr/bin/env bash
# The archive's global symbols are those that the library exports, but for C++'s
# operators: nothing else of it can clash with a libc (memcpy, strlen, the Rust
# runtime ...), and what it takes from others a static musl has.
. "$(dirname "$0")/lib.bash"
memman_only
[ -r "$ARCHIVE" ] || { echo "does not hold: no archive at $ARCHIVE"; exit 1; }
globals=$(nm -g --defined-only "$ARCHIVE" 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u)
expected=$(expected_exports | grep -v '^_Z')
missing=$(comm -23 <(cat <<<"$expected") - <<<"$globals") more=$(comm -13 <(cat <<<"$expected") - <<<"$globals")
[ -z "$missing" ] || complain "not in the archive:" $missing
[ -z "$more" ] || complain "global in the archive, but on no list:" $more
libc=$(musl-gcc -print-file-name=libc.a 2>/dev/null)
if [ -r "$libc" ]; then
    has=$({ nm -g --defined-only "$libc" 2>/dev/null | awk 'NF == 3 { print $3 }'; echo "$globals"; echo _GLOBAL_OFFSET_TABLE_; } | sort -u)
    lacks=$(comm -13 - <(nm -g --undefined-only "$ARCHIVE" 2>/dev/null | awk '$1 == "U" { print $2 }' | sort -u) <<<"$has")
    [ -z "$lacks" ] || complain "musl does not have:" $lacks
fi
exit $failed
