#!/usr/bin/env bash
# Conformance 6: in a program built with AddressSanitizer the sanitiser's malloc
# wins, finds what it looks for, and the preloaded library is inert.
. "$(dirname "$0")/lib.bash"

cat >"$work/overflow.c" <<'END'
#include <stdio.h>
#include <stdlib.h>
int main(int count, char **arguments) {
    char *p = malloc(10);
    p[count == 1 ? 0 : 10] = 1; // past the end where there is an argument
    puts(arguments[0] ? "ok" : "");
    free(p);
    return 0;
}
END
gcc -g -fsanitize=address -static-libasan "$work/overflow.c" -o "$work/overflow" 2>"$work/errors" ||
    skip "no static libasan here"
"$work/overflow" >/dev/null 2>&1 || skip "AddressSanitizer does not run here"
ok "without a fault" under "" "$work/overflow"
said=$(under "" "$work/overflow" x 2>&1) && fail "the overflow was not found"
grep -q 'heap-buffer-overflow' <<<"$said" || fail "the sanitiser said: $said"
