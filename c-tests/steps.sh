#!/usr/bin/env bash
# Counts the instructions of single calls in the worst states that steps.c builds:
#   steps.sh DIRECTORY      where steps-ffit, steps-buddy and steps-ebuddy are
# Prints a table, for each call the most of its rounds. Status 1 where a call
# costs more than three times as much with 100,000 free blocks as with 100.
set -eu -o pipefail
programs=$1
sizes=(100 1000 10000 100000)
most=3
export LC_ALL=C
command -v valgrind >/dev/null || { echo "steps: please install: valgrind" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for heap in ffit buddy ebuddy; do
    for size in "${sizes[@]}"; do
        valgrind --tool=callgrind --instr-atstart=no --combine-dumps=yes \
            --callgrind-out-file="$work/counts" "$programs/steps-$heap" "$size" >"$work/log" 2>&1 ||
            { cat "$work/log" >&2; echo "steps: steps-$heap $size failed" >&2; exit 1; }
        awk -v heap="$heap" -v size="$size" -v OFS='\t' '
            sub(/^desc: Trigger: Client Request: /, "") { call = $0 }
            /^totals: / && call != "" { print heap, call, size, $2; call = "" }' "$work/counts"
    done
done >"$work/calls"

awk -F'\t' -v sizes="${sizes[*]}" -v most="$most" '
    BEGIN {
        n = split(sizes, size, " ")
        printf "| heap | call, and what the heap is full of |"
        for (i = 1; i <= n; i++) printf " %d |", size[i]
        printf " ratio |\n|---|---|"
        for (i = 0; i <= n; i++) printf "---:|"
        printf "\n"
    }
    {
        call = $1 " | " $2
        if (!(call in seen)) { seen[call] = 1; order[++calls] = call }
        if ($4 > count[call, $3]) count[call, $3] = $4
    }
    END {
        for (c = 1; c <= calls; c++) {
            call = order[c]
            printf "| %s |", call
            for (i = 1; i <= n; i++) {
                if (!((call, size[i]) in count)) { print "steps: no count of " call >"/dev/stderr"; exit 1 }
                printf " %d |", count[call, size[i]]
            }
            ratio = count[call, size[n]] / count[call, size[1]]
            printf " %.2f |\n", ratio
            if (ratio > most) { print "steps: more than " most " times: " call >"/dev/stderr"; failed = 1 }
        }
        if (calls < 3 * 12) { print "steps: only " calls " calls were counted" >"/dev/stderr"; failed = 1 }
        exit failed
    }' "$work/calls"
