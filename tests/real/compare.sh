#!/usr/bin/env bash
# compare.sh NAME CONF: runs real/NAME.sh plain (once, kept for the other
# configurations) and under the library with MEMMAN_CONF=CONF, each in a folder
# of its own, and compares standard output, standard error and status.
#
# A program's script runs it by `under PROGRAM...`, in the empty folder where
# it starts, and writes what the program made to its standard output. The first
# command that fails ends it.
set -u
name=$1 conf=$2
script=$(realpath "$(dirname "$0")")/$name.sh
runs=$BUILD/real/$name
mkdir -p "$runs"

under() { env ${PRELOADED:+LD_PRELOAD="$PRELOADED"} ${CONF:+MEMMAN_CONF="$CONF"} "$@"; }
export -f under

run() { # FOLDER
    rm -rf "$1"
    mkdir -p "$1/work"
    (cd "$1/work" && exec bash -e -o pipefail "$script") >"$1/stdout" 2>"$1/stderr"
    echo $? >"$1/status"
    rm -rf "$1/work"
}

plain=$runs/plain
(
    flock 9
    [ -e "$plain/status" ] || PRELOADED='' CONF='' run "$plain"
) 9>"$runs/lock"
if [ "$(cat "$plain/status")" -eq 77 ]; then
    cat "$plain/stdout"
    exit 77
fi
if [ "$(cat "$plain/status")" -ne 0 ]; then
    echo "without the library it ended with status $(cat "$plain/status"):"
    tail -n 20 "$plain/stderr"
    exit 1
fi
mine=$runs/under-${conf//[^a-z0-9A-Z]/_}
PRELOADED=$LIB CONF=$conf run "$mine"
failed=0
for part in status stdout stderr; do
    if ! difference=$(diff "$plain/$part" "$mine/$part"); then
        echo "$part differs (< plain, > under the library):"
        head -n 20 <<<"$difference"
        failed=1
    fi
done
exit $failed
