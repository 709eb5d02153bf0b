#!/usr/bin/env bash
# Conformance 1: a library in C++ that a program in C loads, as an interpreter
# does with a module, gets std::bad_alloc from new, though nobody but the module
# sees the C++ library. Without such a library new ends the process.
. "$(dirname "$0")/lib.bash"

cat >"$work/module.cc" <<'END'
#include <cstdint>
#include <cstdlib>
#include <new>
extern "C" int works(volatile std::size_t size) {
    delete[] new int[10];
    try {
        ::operator delete(::operator new(size));
    } catch (const std::bad_alloc &) {
        return 1;
    }
    return 0;
}
END
cat >"$work/program.c" <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
int main(int count, char **arguments) {
    void *(*new)(size_t), *module;
    int (*works)(size_t);
    *(void **)&new = dlsym(RTLD_DEFAULT, "_Znwm");
    if (count == 1)
        return new == NULL ? 77 : new(PTRDIFF_MAX) != NULL;
    for (int i = 0; i < 3; i++) {
        if ((module = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL)) == NULL)
            return 2;
        *(void **)&works = dlsym(module, "works");
        if (!works(PTRDIFF_MAX) || works(1000))
            return 3;
        dlclose(module);
    }
    puts("ok");
    return 0;
}
END
g++ -Wall -Wextra -Werror -O1 -fno-builtin -fPIC -shared "$work/module.cc" -o "$work/module.so" || fail "g++"
gcc -Wall -Wextra -Werror -O1 "$work/program.c" -o "$work/program" || fail "gcc"
ok "a module" under "" "$work/program" "$work/module.so"
[ -n "${MEMMAN-}" ] || exit 0
said=$(under "" "$work/program" 2>&1)
status=$?
[ "$status" = 134 ] || fail "without a C++ library: status $status"
[ "$said" = "memman: operator new: no memory, and no C++ library to throw std::bad_alloc" ] || fail "it said: $said"
