// Conformance 1: where a program replaces plain new and delete, the forms that
// it did not replace (arrays, sized, nothrow) call its own, as C++ says.
// run: static=no confs=default
#include "check.h"

#pragma GCC diagnostic ignored "-Wsized-deallocation"

#include <new>

static int gotten, freed;
void *operator new(size_t n) {
    gotten++;
    char *p = (char *)malloc(n + 16);
    CHECK(p != nullptr);
    return p + 16;
}
void operator delete(void *p) noexcept {
    freed++;
    if (p != nullptr)
        free((char *)p - 16);
}

int main() {
    ::operator delete(launder(::operator new(10)));
    ::operator delete(launder(::operator new(10)), 10);
    ::operator delete(launder(::operator new(10, std::nothrow)), std::nothrow);
    ::operator delete[](launder(::operator new[](10)));
    ::operator delete[](launder(::operator new[](10)), 10);
    ::operator delete[](launder(::operator new[](10, std::nothrow)), std::nothrow);
    CHECK(gotten == 6 && freed == 6, "%d and %d", gotten, freed);
    return 0;
}
