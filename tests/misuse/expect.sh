#!/usr/bin/env bash
# expect.sh NAME CONF: runs the misuse NAME under the library with MEMMAN_CONF=CONF
# and compares how it ends with NAME.stderr (README.md).
set -u
expected=$(dirname "$0")/$1.stderr
said=$({ env ${LIB:+LD_PRELOAD="$LIB"} ${2:+MEMMAN_CONF="$2"} "$BUILD/bin/$1" >/dev/null; } 2>&1)
status=$?
[ $status -eq 77 ] && { echo "$said"; exit 77; }
said=$(sed 's/0x[0-9a-f]\{1,16\}/0x.../g' <<<"$said")
cache=on
[[ $2 == *cache:off* || $2 == *pool:* && $2 != *cache:on* ]] && cache=off
while read -r line; do
    if [[ $line == "[cache:"* ]]; then # right only there
        [[ $line == "[cache:$cache] "* ]] || continue
        line=${line#* }
    fi
    case $line in
    "(status $status)") [ -z "$said" ] && exit 0 ;;
    "(status "*) ;;
    *) [ $status -eq 134 ] && [ "$said" = "$line" ] && exit 0 ;;
    esac
done <"$expected"
echo "expected one of these lines, with status 134 (SIGABRT) where it names none; cache:$cache here:"
cat "$expected"
echo "it ended with status $status and said:"
echo "$said"
exit 1
