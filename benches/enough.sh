#!/usr/bin/env bash
# How much memory three programs need: each is recorded with each heap, `memman
# size` says the least pool from the trace, the same again in that pool, and the
# program is run in the least pool, in a page less and in a tenth less. Prints the
# table of docs/enough.md.
#
#   benches/enough.sh [BUILD [PLOTS]]        default: build; `make bench-enough`
#
# With PLOTS, a directory, also draws enough-PROGRAM.png there, under first fit.
set -eu
quit() {
    echo "enough.sh: $1" >&2
    exit 1
}
build=$(realpath "${1:-build}")
plots=${2:+$(realpath "$2")}
export PATH=/usr/bin:/bin:$PATH LC_ALL=C
[ -x "$build/memman" ] || quit "$build/memman is missing: make tools"
for needed in setarch sqlite3 gcc python3; do
    command -v $needed >/dev/null || quit "$needed is missing"
done
cc1=$(gcc -print-prog-name=cc1)
[ -x "$cc1" ] || quit "gcc has no cc1"
setarch -R true || quit "addresses cannot be fixed here"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Nothing is written beside the inputs: python3 lists the directory of its script.
mkdir "$work/inputs"
cd "$work/inputs"

cat >rows.sql <<'END'
CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)
  INSERT INTO t SELECT i, hex(i * 7919 % 40009) FROM n;
CREATE INDEX i ON t(b);
DELETE FROM t WHERE a % 3 = 0;
UPDATE t SET b = b || '-' || b WHERE a % 5 = 0;
SELECT count(*), sum(length(b)), max(b) FROM t;
SELECT count(*), max(length(x)) FROM (SELECT group_concat(b) AS x FROM t GROUP BY a % 1000);
END
awk 'function random(below) { seed = seed * 16807 % 2147483647; return seed % below }
BEGIN {
    seed = 1
    for (f = 0; f < 400; f++) {
        printf "int f%d(int *a, int n)\n{\n    int x = %d;\n    for (int i = 0; i < n; i++) {\n", f, random(100)
        for (s = random(2); s >= 0; s--)
            if (random(2))
                printf "        x += a[i] * %d;\n", random(1000)
            else
                printf "        if (a[i] > %d)\n            x ^= n >> %d;\n", random(1000), random(16)
        printf "    }\n    return x%s;\n}\n", f ? sprintf(" + f%d(a, n / 2)", random(f)) : ""
    }
}' >functions.c
cat >words.py <<'END'
import collections, json, re
d = {}
for n in range(20000):
    d["key%d" % n] = [n, str(n) * (n % 7), {"n": n}]
text = json.dumps(d)
back = json.loads(text)
words = collections.Counter(re.findall(r"\w+", text))
for n in range(0, 20000, 3):
    del back["key%d" % n]
print(len(text), len(back), len(words), sum(words.values()))
END

# fixed COMMAND...: without address randomisation, and in the same environment
# everywhere, as python3 copies it
fixed() { env -i PATH=/usr/bin:/bin LC_ALL=C PYTHONMALLOC=malloc PYTHONHASHSEED=0 setarch -R "$@"; }
# memman OPTION...: runs or records $program
memman() { fixed "$build/memman" "$@" -- "${program[@]}" <"$input"; }
# fate POOL: how $program ends in a pool of $heap, and what was refused
fate() {
    local refused end
    if memman run --heap "$heap" --pool "$1" --stats >../output 2>../errors && cmp -s ../output ../expected; then
        end='same output'
    else
        end=$(grep -oEm1 'out of memory|MemoryError' ../errors) || end='another end'
    fi
    refused=$(awk '/^ heap/ { getline; print $9 }' ../errors)
    [ "$refused" = 0 ] || end="$end, ${refused:-some} refused"
    echo "$end"
}
grouped() { sed -E ':again; s/([0-9])([0-9]{3})\>/\1,\2/; t again' <<<"$1"; }
times() { awk -v a="$1" -v b="$live" 'BEGIN { printf "%.2f", a / b }'; }

echo '| program | heap | requests | peak live | least area | least pool | /live | guaranteed | /live | in the least pool | a page less | a tenth less |'
echo '|---|---|---|---|---|---|---|---|---|---|---|---|'
cases=0 exact=0
for name in sqlite3 cc1 python3; do
    input=/dev/null
    case $name in
    sqlite3) program=(sqlite3 -batch :memory:) input=rows.sql ;;
    cc1) program=("$cc1" -quiet -O1 functions.c -o -) ;;
    python3) program=(python3 words.py) ;;
    esac
    fixed "${program[@]}" <$input >../expected
    for heap in ffit buddy ebuddy; do
        # The second trace is made where the pool will lie: cc1's requests depend on addresses.
        pool=1G
        for _ in 1 2; do
            memman record --heap $heap --pool $pool -o ../trace >/dev/null
            read -r requests live area pool guaranteed < <("$build/memman" size --json ../trace | tr -d '",' | awk -v heap=$heap '
                $1 == "heap:" { of = $2 }
                !of || of == heap { is[$1] = $2 }
                END { print is["requests:"], is["peak_live:"], is["least_area:"], is["least_pool:"], is["guaranteed:"] }')
        done
        enough=$(fate "$pool") page=$(fate $((pool - 4096))) tenth=$(fate $((pool * 9 / 10)))
        echo "| $name | $heap | $(grouped "$requests") | $(grouped "$live") | $(grouped "$area") | $(grouped "$pool") |" \
            "$(times "$pool") | $(grouped "$guaranteed") | $(times "$guaranteed") | $enough | $page | $tenth |"
        cases=$((cases + 1))
        [[ $enough == 'same output' && $page == *refused ]] && exact=$((exact + 1))
        [[ -n $plots && $heap == ffit ]] && "$build/memman" plot ../trace -o "$plots/enough-$name.png"
    done
done
echo "exact to the page: $exact of $cases"
