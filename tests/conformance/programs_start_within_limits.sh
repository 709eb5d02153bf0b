#!/usr/bin/env bash
# Conformance 5: no reservation at start that a limit on address space or data
# would refuse: programs start and work under small RLIMIT_AS, RLIMIT_DATA and
# RLIMIT_STACK.
. "$(dirname "$0")/lib.bash"

for limit in "-v 120000" "-d 100000" "-s 256"; do
    for conf in "" ${MEMMAN:+heap:ffit heap:buddy cache:off pool:32M}; do
        # shellcheck disable=SC2086
        ok "ulimit $limit, ${conf:-default}" \
            bash -c "ulimit $limit; exec env ${LIB:+LD_PRELOAD='$LIB'} ${conf:+MEMMAN_CONF=$conf} '$HELPERS/workload'"
    done
done
