#!/usr/bin/env bash
# Installs into a scratch directory, compiles a program against what is there
# with pkg-config, runs it with the shared and the static library, has the man
# page set, and takes everything away again.
set -eu -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
unset MAKEFLAGS MAKELEVEL

make -s install DESTDIR="$stage" PREFIX=/opt/memman
lib=$stage/opt/memman/lib
export PKG_CONFIG_LIBDIR=$lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$stage

cat >"$stage/user.c" <<'C'
#include <buddy.h>
#include <stdio.h>

static char area[4096];

int main(void)
{
    buddy_heap_t heap = {(uintptr_t)area, sizeof area, 1, {0}};
    char *text;
    if (buddy_init(&heap) != BUDDY_HEAP_OK || (text = buddy_get_block(&heap, 32)) == NULL)
        return 1;
    snprintf(text, 32, "installed");
    puts(text);
    return buddy_free_block(&heap, text);
}
C
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
[ "$(pkg-config --modversion memman)" = "$version" ]
read -ra flags <<<"$(pkg-config --cflags --libs memman)"
${CC:-cc} "$stage/user.c" -o "$stage/user" "${flags[@]}"
readelf -d "$stage/user" | grep -q 'NEEDED.*\[libmemman.so.1\]'
[ "$(LD_LIBRARY_PATH=$lib "$stage/user")" = installed ]
read -ra flags <<<"$(pkg-config --cflags memman)"
${CC:-cc} "$stage/user.c" -o "$stage/user" "${flags[@]}" "$lib/libmemman.a"
[ "$(env -u LD_LIBRARY_PATH "$stage/user")" = installed ]

page=$stage/opt/memman/share/man/man3/memman.3
said=$(groff -man -ww -z "$page" 2>&1)
[ -z "$said" ] || { echo "check-install: $said" >&2; exit 1; }
grep -qx '/opt/memman/lib/libmemman.so.1' "$page"

make -s uninstall DESTDIR="$stage" PREFIX=/opt/memman
left=$(find "$stage/opt" ! -type d)
[ -z "$left" ] || { echo "check-install: left behind: $left" >&2; exit 1; }
echo "passed   install, pkg-config, man page, uninstall"
