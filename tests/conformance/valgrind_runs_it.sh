#!/usr/bin/env bash
# Conformance 6: under valgrind --tool=none the library's own code runs: no
# reservation and no instruction that valgrind lacks.
# run: needs=valgrind timeout=120
. "$(dirname "$0")/lib.bash"

valgrind --tool=none -q true 2>/dev/null || skip "valgrind does not run here"
for conf in "" ${MEMMAN:+heap:ffit heap:buddy}; do
    ok "valgrind, ${conf:-default}" under "$conf" valgrind --tool=none -q "$HELPERS/workload"
done
