# What the symbol tests share. Sourced.
set -u
here=$(dirname "${BASH_SOURCE[0]}")
export LC_ALL=C
failed=0
complain() {
    echo "does not hold: $*"
    failed=1
}
listed() { sed '/^#/d;/^$/d' "$1" | sort -u; }

# The functions that the C headers declare, by the compiler's own reading of
# them: a declaration is a name before a parenthesis, outside any braces.
declared() {
    local header
    for header in ffit buddy; do
        [ -r "$ROOT/include/$header.h" ] || continue
        gcc -E -P -x c -std=c99 "$ROOT/include/$header.h" 2>/dev/null
    done | tr '\n' ' ' | grep -o '\b\(ffit\|buddy\)_[a-z0-9_]* *(' | tr -d ' (' | sort -u
}
expected_exports() { { listed "$here/exports.txt"; declared; } | sort -u; }
memman_only() {
    [ -n "${MEMMAN-}" ] || { echo "skipped: the lists are those of memman"; exit 77; }
}
