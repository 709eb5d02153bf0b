#!/usr/bin/env bash
# What recording costs: programs on memman without and with the recorder,
# interleaved, the median of user and system seconds; bytes of the trace and
# nanoseconds for each request; and, with valgrind, instructions for each request.
#
#   benches/record.sh [BUILD [ROUNDS]]       default: build 7; `make bench-record`
set -eu
build=$(realpath "${1:-build}")
rounds=${2:-7}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export PATH=/usr/bin:/bin:$PATH LC_ALL=C PYTHONMALLOC=malloc PYTHONHASHSEED=0

cat >loop.c <<'END'
#include <pthread.h>
#include <stdlib.h>
static void *work(void *count) {
    for (long i = 0; i < (long)count; i++)
        free(malloc(100));
    return NULL;
}
int main(int number, char **arguments) {
    long threads = atol(arguments[1]), count = atol(arguments[2]);
    pthread_t thread;
    for (long i = 1; i < threads; i++)
        pthread_create(&thread, NULL, work, (void *)count);
    work((void *)count);
    if (threads > 1)
        pthread_join(thread, NULL);
    return number == 0;
}
END
gcc -O1 -fno-builtin -pthread loop.c -o loop
cat >sql <<'END'
CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)
  INSERT INTO t SELECT i, hex(i * 7919 % 300007) FROM n;
CREATE INDEX i ON t(b);
SELECT count(*), max(length(x)) FROM (SELECT group_concat(b) AS x FROM t GROUP BY a % 1000);
END

# cpu PROGRAM...: its user and system seconds
cpu() {
    local TIMEFORMAT='%U %S'
    { time "$@" >/dev/null <"$input"; } 2>&1 | awk '{ print $1 + $2 }'
}
median() { sort -n "$1" | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }
# instructions PRELOAD: what valgrind counts for a request of the loop
instructions() {
    local count all=()
    for count in 50000 150000; do
        rm -f counted*
        LD_PRELOAD=$1 MEMMAN_RECORD=$work/counted valgrind --tool=callgrind --callgrind-out-file=/dev/null \
            --log-file=valgrind.log ./loop 1 $count
        all+=("$(sed -n 's/.*Collected : //p' valgrind.log)")
    done
    echo $(((all[1] - all[0]) / 200000))
}
# bench NAME PROGRAM...
bench() {
    local name=$1 plain recorded requests bytes
    shift
    rm -f plain recorded
    for _ in $(seq "$rounds"); do
        cpu "$build/memman" run -- "$@" >>plain
        cpu "$build/memman" record -o trace -- "$@" >>recorded
    done
    plain=$(median plain) recorded=$(median recorded)
    requests=$("$build/memman" replay --json trace | sed -n 's/.*"requests": \([0-9]*\).*/\1/p')
    bytes=$(stat -c %s trace)
    awk -v n="$name" -v p="$plain" -v r="$recorded" -v q="$requests" -v b="$bytes" \
        'BEGIN { printf "%-16s %10d %8.3f %8.3f %5.2f %8.1f %8.2f\n", n, q, p, r, r / p, (r - p) / q * 1e9, b / q }'
}

printf '%-16s %10s %8s %8s %5s %8s %8s\n' program requests 'plain s' recorded times 'ns each' 'bytes each'
input=/dev/null
bench 'loop' ./loop 1 20000000
bench 'loop, 2 threads' ./loop 2 10000000
# shellcheck disable=SC2016
bench perl perl -e 'my %h; $h{$_} = "x" x ($_ % 500) for 1 .. 500_000'
bench python3 python3 -c 'd = {}
for n in range(400000): d[str(n)] = [n] * (n % 9)'
input=sql
bench sqlite3 sqlite3 :memory:
input=/dev/null
if command -v valgrind >/dev/null; then
    library=$build/libmemman.so.1
    echo "instructions for each request of the loop: $(instructions "$library") plain," \
        "$(instructions "$build/libmemman_record.so:$library") recorded"
fi
