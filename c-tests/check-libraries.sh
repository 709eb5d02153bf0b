#!/usr/bin/env bash
# Checks what libmemman.so and libmemman.a show to a linker:
#   check-libraries.sh SO ARCHIVE INCLUDE-DIRECTORY PREFIX
set -eu -o pipefail
so=$1 archive=$2 include=$3 prefix=$4
export LC_ALL=C
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

wrong() {
    echo "check-libraries: $*" >&2
    exit 1
}

# The functions of the headers are there, and no others of their prefixes.
cat "$include"/ffit.h "$include"/buddy.h | grep -v '^ \*' |
    grep -oE "\b${prefix}(ffit|buddy)_[a-z_]+\(" | tr -d '(' | sort -u >"$work/declared"
nm -D --defined-only "$so" | awk '{print $NF}' | sort >"$work/shared"
[ "$(wc -l <"$work/declared")" -ge 33 ] || wrong "the headers declare too little"
grep -E "(ffit|buddy)_" "$work/shared" | diff "$work/declared" - >&2 ||
    wrong "the headers (<) and $so (>) differ"

# The archive is one object with the same names but for C++'s operators, and
# nothing else is global.
[ "$(ar t "$archive" | wc -l)" -eq 1 ] || wrong "$archive is not one object"
nm -g --defined-only "$archive" | awk 'NF == 3 {print $3}' | sort | diff <(grep -v '^_Z' "$work/shared") - >&2 ||
    wrong "$so (<) and $archive (>) show different names"

# What the archive lacks, a libc has: it links without any other library.
echo 'int main(void) { return 0; }' >"$work/empty.c"
for cc in "${CC:-cc}" "${MUSL_GCC:-musl-gcc} -static"; do
    $cc "$work/empty.c" -o "$work/empty" -nodefaultlibs \
        -Wl,--whole-archive "$archive" -Wl,--no-whole-archive -lc 2>"$work/log" ||
        { cat "$work/log" >&2; wrong "$archive does not link with $cc"; }
    "$work/empty" || wrong "an empty program with $archive ($cc) fails"
done

dynamic=$(readelf -dW "$so")
grep -q 'SONAME.*\[libmemman.so.1\]' <<<"$dynamic" || wrong "$so: wrong SONAME"
grep -q 'NODELETE' <<<"$dynamic" || wrong "$so can be unloaded"
needed=$(sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' <<<"$dynamic" | tr '\n' ' ')
[ "$needed" = 'libc.so.6 ' ] || wrong "$so needs $needed"
echo "passed   $so, $archive: $(wc -l <"$work/shared") names"
