#!/usr/bin/env bash
# Compiles and runs the C examples of the README with the commands that stand
# below each:
#   check-readme.sh README BUILD-DIRECTORY
set -eu -o pipefail
readme=$(realpath "$1") build=$(realpath "$2")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ln -s "$build" "$work/build"

# Each example begins with a comment that is its name; each command that begins
# with a compiler belongs to one of them.
awk -v work="$work" '
    /^```/ { block = block == "" ? substr($0, 4) : ""; file = ""; next }
    block == "c" && file == "" { file = $2; sub(/:$/, "", file); print file >(work "/examples") }
    block == "c" { print >(work "/" file) }
    block == "sh" && /^(gcc|musl-gcc) / { print >(work "/commands") }' "$readme"
[ "$(wc -l <"$work/examples")" -eq "$(wc -l <"$work/commands")" ] || { echo "check-readme: an example has no command" >&2; exit 1; }
cd "$work"
while read -r command; do
    timeout 20 bash -c "$command" >out 2>err && [ -s out ] && [ ! -s err ] ||
        { cat out err >&2; echo "check-readme: failed: $command" >&2; exit 1; }
done <commands
echo "passed   README: $(wc -l <commands) examples in C"
