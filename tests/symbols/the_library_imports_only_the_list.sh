#!/usr/bin/env bash
# The library takes nothing from others that imports.txt does not name, and
# depends on nothing but the libc.
. "$(dirname "$0")/lib.bash"
memman_only
more=$(comm -13 <(listed "$here/imports.txt") <(nm -D --undefined-only "$LIB" | awk '{ print $2 }' | sed 's/@.*//' | sort -u))
[ -z "$more" ] || complain "imported, but not on the list:" $more
needed=$(readelf -dW "$LIB" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -v '^libc\.so\.6$')
[ -z "$needed" ] || complain "it needs" $needed
exit $failed
