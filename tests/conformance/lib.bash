# What the shell tests of the conformance group share. Sourced.
set -u
work=$(mktemp -d "${TMPDIR:-/tmp}/memman-test-XXXXXX")
trap 'rm -rf "$work"' EXIT

fail() {
    echo "does not hold: $*"
    exit 1
}
skip() {
    echo "skipped: $*"
    exit 77
}
# under CONF PROGRAM...: the program under the library, with MEMMAN_CONF=CONF
under() {
    local conf=$1
    shift
    env ${LIB:+LD_PRELOAD="$LIB"} ${conf:+MEMMAN_CONF="$conf"} "$@"
}
# ok WHAT COMMAND...: the workload must say "ok" and nothing else
ok() {
    local what=$1 said
    shift
    said=$("$@" 2>&1) || fail "$what: status $?: $said"
    [ "$said" = ok ] || fail "$what: it said: $said"
}
memman_only() {
    [ -n "${MEMMAN-}" ] || skip "$1"
}
