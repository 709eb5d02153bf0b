#!/usr/bin/env bash
# The fixed phrases of misuse come from static programs, too.
. "$(dirname "$0")/../conformance/lib.bash"

memman_only "the phrases are those of memman"
for name in double_free_at_once free_of_the_stack free_of_an_interior_pointer_by_another_thread \
    realloc_of_the_stack; do
    musl-gcc -static -std=gnu17 -O1 -fno-builtin -Wall -Wextra -Werror -I"$ROOT/tests" \
        "$ROOT/tests/misuse/$name.c" "$ARCHIVE" -o "$work/$name" || fail "$name does not link"
    mkdir -p "$work/bin"
    mv "$work/$name" "$work/bin/$name"
    LIB='' BUILD=$work "$ROOT/tests/misuse/expect.sh" "$name" "" || fail "$name"
done
