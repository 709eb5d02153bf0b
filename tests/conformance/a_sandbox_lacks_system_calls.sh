#!/usr/bin/env bash
# Conformance 4 and 5: membarrier, rseq, sched_getaffinity, getcpu, madvise,
# mremap, getrandom, sysinfo and prctl say ENOSYS: the library falls back
# quietly, and calloc's bytes are zero all the same. And without glibc's rseq.
. "$(dirname "$0")/lib.bash"

for conf in "" ${MEMMAN:+heap:ffit heap:buddy cache:off pool:64M}; do
    ok "sandbox, ${conf:-default}" \
        env SANDBOX_PRELOAD="$LIB" ${conf:+MEMMAN_CONF="$conf"} "$HELPERS/sandbox" "$HELPERS/workload"
    ok "no rseq, ${conf:-default}" under "$conf" GLIBC_TUNABLES=glibc.pthread.rseq=0 "$HELPERS/workload"
done
