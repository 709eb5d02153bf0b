#!/usr/bin/env bash
# Runs the tests of a malloc: what a drop-in owes its callers (conformance,
# misuse, symbols, static) and real programs compared with a run without it.
#
#   tests/run.sh [conformance|misuse|symbols|static|real]...      default: all
#
#   LIB=path.so      the library to preload; LIB=none: the libc's own malloc
#   ARCHIVE=path.a   the archive for static programs
#   ONLY=regex       only tests whose name matches
#   JOBS=2           tests at a time
#   BUILD=dir        compiled programs and logs
#
# One line a test, the output of each that failed, and a last line with the
# counts. Status 0 where nothing failed. A test's first lines may say how it
# is run, as `run: key=value ...`:
#   static=no        not linked statically       preload=no    not preloaded
#   confs=default    without MEMMAN_CONF only    confs=caches  that and cache:off only
#   pool=no          not in a fixed pool         pools=SIZE    real: in such a pool, too
#   timeout=seconds  default 60                  needs=a,b     programs it needs
#   env=NAME=value   set for the test            ldflags=flag  for the linker
# Status 77 of a test: skipped, its last line says why.
set -u
shopt -s nullglob
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 2
tests=$PWD
root=$(dirname "$tests")

# ---- one job: name, seconds, command ----------------------------------------
if [ "${1-}" = --job ]; then
    IFS=$'\t' read -r name limit command <<<"$2"
    log=$BUILD/logs/${name//[^A-Za-z0-9._-]/_}
    { timeout -k 5 "$limit" bash -c "$command" >"$log" 2>&1 </dev/null; } 2>/dev/null
    status=$?
    [ $SECONDS -lt 10 ] || name+=" ($SECONDS s)"
    case $status in
    0) result=passed note= ;;
    77) result=skipped note=$(tail -n 1 "$log" | sed 's/^skipped: //') ;;
    124 | 137) result=FAILED note="not done after $limit s" ;;
    *) result=FAILED note="status $status" ;;
    esac
    text=$(printf '%-8s %s%s' "$result" "$name" "${note:+ ($note)}")
    if [ $result = FAILED ]; then
        text+=$'\n'$(tail -n 40 "$log" | sed 's/^/    | /')
    fi
    printf '%s\n' "$text"
    printf '%s\t%s\n' "$result" "$name" >>"$BUILD/results"
    exit 0
fi

# ---- what is tested ----------------------------------------------------------
LIB=${LIB-$root/target/release/libmemman.so}
ARCHIVE=${ARCHIVE-$root/target/release/libmemman.a}
[ "$LIB" = none ] && LIB=
export BUILD=${BUILD:-$root/build/tests}
mkdir -p "$BUILD"/{logs,bin,static,helpers,real}
BUILD=$(cd "$BUILD" && pwd)
exec 8>"$BUILD/lock" # two runs would overwrite each other's programs
flock -n 8 || { echo "tests: waiting for another run in $BUILD (or set BUILD)" >&2; flock 8; }
if [ -n "$LIB" ]; then
    [ -r "$LIB" ] || { echo "tests: no library at $LIB (build it, or set LIB)" >&2; exit 2; }
    LIB=$(realpath "$LIB")
fi
[ -r "$ARCHIVE" ] && ARCHIVE=$(realpath "$ARCHIVE")
export LIB ARCHIVE HELPERS=$BUILD/helpers MALLOC_LIB=$LIB ROOT=$root
export PATH=/usr/bin:/bin:$PATH # the packages' programs before anybody's own
unset MEMMAN MEMMAN_CONF LD_PRELOAD
ulimit -c 0

managers=(heap:ebuddy heap:ffit heap:buddy)
case ${LIB##*/} in
libmemman*)
    export MEMMAN=1
    caches=("" cache:off)
    confs=("" heap:ffit heap:buddy cache:off heap:ffit,cache:off heap:buddy,cache:off heaps:1 pool:256M)
    ;;
*) confs=("") caches=("") managers=("") ;;
esac

groups=("$@")
[ ${#groups[@]} -eq 0 ] && groups=(symbols conformance misuse static real)
for group in "${groups[@]}"; do
    case $group in
    symbols | conformance | misuse | static | real) ;;
    *) echo "tests: no group $group (symbols, conformance, misuse, static, real)" >&2; exit 2 ;;
    esac
done
"$tests/install-packages.sh" || echo "tests: what needs these programs is skipped" >&2

# ---- helpers of this script --------------------------------------------------
# option KEY FILE [DEFAULT]: the value of KEY in FILE's `run:` lines
option() {
    local value
    value=$(sed -n '1,15s/^\(\/\/\|#\) run: //p' "$2" | tr ' ' '\n' | sed -n "s/^$1=//p" | tail -n 1)
    echo "${value:-${3-}}"
}

queue=$BUILD/queue
: >"$queue"
: >"$BUILD/results"
job() { # NAME SECONDS COMMAND
    [[ $1 =~ ${ONLY-} ]] && printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$queue"
}

jobs=${JOBS:-2}
run_queue() {
    xargs -r -d '\n' -n 1 -P "$jobs" "$tests/run.sh" --job <"$queue" 8>&-
    : >"$queue"
}

# The command that runs "$2..." under the library with configuration $1.
preloaded() {
    local conf=$1
    shift
    echo "exec env ${LIB:+LD_PRELOAD='$LIB'} ${conf:+MEMMAN_CONF='$conf'} $*"
}

cc="gcc -std=gnu17 -O1 -g -fno-builtin -Wall -Wextra -Werror -pthread -I'$tests'"
cxx="g++ -std=c++17 -O1 -g -fno-builtin -Wall -Wextra -Werror -pthread -I'$tests'"
musl="musl-gcc -static -std=gnu17 -O1 -g -fno-builtin -Wall -Wextra -Werror -I'$tests'"

compile() { # SOURCE PROGRAM COMMAND: a job, unless the program is newer
    local needed
    for needed in "$1" check.h run.sh; do
        if [ ! "$2" -nt "$needed" ]; then
            job "compile ${1#"$tests"/} ${2%/*}" 120 "$3 -o '$2.new' && mv '$2.new' '$2'"
            return
        fi
    done
}

compiled() { # the compile jobs say nothing where they pass
    local only=${ONLY-}
    run_queue | grep -v '^passed'
    sed -i '/^passed\tcompile /d' "$BUILD/results"
}

# ---- compile -----------------------------------------------------------------
wanted() { [[ " ${groups[*]} " == *" $1 "* ]]; }
only=${ONLY-}
ONLY=
for source in helpers/*.c helpers/*.cc; do
    name=${source##*/}
    case $source in
    *_module.c) compile "$source" "$HELPERS/${name%.c}.so" "$cc -shared -fPIC $source" ;;
    *.cc) compile "$source" "$HELPERS/${name%.cc}" "$cxx $source" ;;
    *) compile "$source" "$HELPERS/${name%.c}" "$cc $source" ;;
    esac
done
for source in conformance/*.c conformance/*.cc misuse/*.c; do
    name=${source##*/}
    name=${name%.*}
    [[ ${source%/*}/$name =~ $only || static/$name =~ $only ]] || continue
    flags=$(option ldflags "$source")
    if wanted "${source%/*}"; then
        case $source in
        *.cc) compile "$source" "$BUILD/bin/$name" "$cxx $source $flags" ;;
        *) compile "$source" "$BUILD/bin/$name" "$cc $source $flags" ;;
        esac
    fi
    if wanted static && [[ $source == conformance/* ]] && [ "$(option static "$source" yes)" = yes ] && [ -r "$ARCHIVE" ] &&
        command -v musl-gcc >/dev/null && [ "${source##*.}" = c ]; then
        [ "$ARCHIVE" -nt "$BUILD/static/$name" ] && rm -f "$BUILD/static/$name"
        compile "$source" "$BUILD/static/$name" "$musl $source '$ARCHIVE'"
    fi
done
compiled
ONLY=$only

# ---- can it be preloaded at all? ---------------------------------------------
said=
if [ -n "$LIB" ] && { ! said=$(env LD_PRELOAD="$LIB" true 2>&1) || [ -n "$said" ]; }; then
    ONLY='' job preload 5 "echo $(printf %q "${said:-status $?}"); exit 1"
    groups=(symbols)
fi

# ---- symbols -----------------------------------------------------------------
if wanted symbols; then
    for script in symbols/*.sh; do
        job "${script%.sh}" 60 "exec $tests/$script"
    done
fi

# ---- conformance -------------------------------------------------------------
needs() { # the programs that FILE needs and that are missing
    local program
    for program in $(option needs "$1" | tr , ' '); do
        command -v "$program" >/dev/null || printf '%s ' "$program"
    done
}

configurations() { # those that FILE is run in, into the array chosen
    local conf
    case $(option confs "$1") in
    default) chosen=("") ;;
    caches) chosen=("${caches[@]}") ;;
    *) chosen=("${confs[@]}") ;;
    esac
    [ "$(option pool "$1")" = no ] || return
    for conf in "${!chosen[@]}"; do
        [[ ${chosen[conf]} == pool:* ]] && unset "chosen[conf]"
    done
}

if wanted conformance; then
    for source in conformance/*.c conformance/*.cc; do
        name=${source##*/}
        name=${name%.*}
        limit=$(option timeout "$source" 60) env=$(option env "$source")
        configurations "$source"
        for conf in "${chosen[@]}"; do
            label="conformance/$name${conf:+ [$conf]}"
            if [ "$(option preload "$source")" = no ]; then
                job "$label" "$limit" "exec $env '$BUILD/bin/$name'"
            else
                job "$label" "$limit" "$(preloaded "$conf" "$env" "'$BUILD/bin/$name'")"
            fi
        done
    done
    for script in conformance/*.sh; do
        missing=$(needs "$script")
        if [ -n "$missing" ]; then
            job "${script%.sh}" 5 "echo 'install $missing'; exit 77"
        else
            job "${script%.sh}" "$(option timeout "$script" 60)" "exec $tests/$script"
        fi
    done
fi

# ---- misuse ------------------------------------------------------------------
if wanted misuse && [ -z "${MEMMAN-}" ]; then
    job misuse 5 "echo 'the phrases are those of memman'; exit 77"
elif wanted misuse; then
    for expected in misuse/*.stderr; do
        name=${expected##*/}
        name=${name%.stderr}
        for conf in "${confs[@]}"; do
            job "misuse/$name${conf:+ [$conf]}" 20 "exec $tests/misuse/expect.sh $name '$conf'"
        done
    done
fi

# ---- static ------------------------------------------------------------------
if wanted static; then
    if ! command -v musl-gcc >/dev/null; then
        job static 5 "echo 'install musl-tools'; exit 77"
    elif [ ! -r "$ARCHIVE" ]; then
        job static 5 "echo 'no archive at $ARCHIVE'; exit ${MEMMAN:-77}"
    else
        for source in conformance/*.c; do
            name=${source##*/}
            name=${name%.c}
            [ "$(option static "$source" yes)" = yes ] || continue
            limit=$(option timeout "$source" 60) env=$(option env "$source")
            configurations "$source"
            for conf in "${chosen[@]}"; do
                job "static/$name${conf:+ [$conf]}" "$limit" \
                    "exec env ${conf:+MEMMAN_CONF=$conf} $env '$BUILD/static/$name'"
            done
        done
        for script in static/*.sh; do
            job "${script%.sh}" 60 "exec $tests/$script"
        done
    fi
fi

# ---- real programs -----------------------------------------------------------
if wanted real; then
    for script in real/*.sh; do
        [ "$script" = real/compare.sh ] && continue
        name=${script##*/}
        name=${name%.sh}
        missing=$(needs "$script") pool=$(option pools "$script")
        rm -rf "$BUILD/real/$name"
        if [ -n "$missing" ]; then
            job "real/$name" 5 "echo 'install $missing'; exit 77"
            continue
        fi
        for manager in "${managers[@]}"; do
            for conf in "$manager" ${pool:+${manager:+"$manager,pool:$pool"}}; do
                job "real/$name${conf:+ [$conf]}" "$(option timeout "$script" 100)" \
                    "exec $tests/real/compare.sh $name '$conf'"
            done
        done
    done
fi

run_queue
count() { grep -c "^$1" "$BUILD/results"; }
failed=$(count FAILED)
if [ "$failed" -gt 0 ]; then
    echo "failed:"
    sed -n 's/^FAILED\t/    /p' "$BUILD/results" | sort
fi
echo "$(count passed) passed, $failed failed, $(count skipped) skipped"
[ "$failed" -eq 0 ]
