// Conformance 1 and 2: where the program itself defines malloc but not new, new
// and delete are over the program's malloc, whichever library has them.
// run: static=no confs=default
#include "check.h"

#include <new>
#include <string>

alignas(16) static char arena[1 << 20];
static size_t top;
static int freed;
static bool ours(const void *p) { return (const char *)p >= arena && (const char *)p < arena + sizeof arena; }

extern "C" {
void *malloc(size_t n) noexcept {
    if (n > sizeof arena - top)
        return nullptr;
    void *p = arena + top;
    top += (n + 31) & ~(size_t)15;
    return p;
}
void free(void *p) noexcept {
    CHECK(p == nullptr || ours(p), "the program's free was given a foreign block");
    freed++;
}
void *calloc(size_t n, size_t m) noexcept {
    void *p = malloc(n * m);
    return p == nullptr ? p : memset(p, 0, n * m);
}
void *realloc(void *p, size_t n) noexcept {
    void *q = malloc(n);
    if (p != nullptr && q != nullptr)
        memmove(q, p, n < (size_t)(arena + top - (char *)p) ? n : 0);
    return q;
}
}

int main() {
    void *p = launder(::operator new(100)), *q = launder(::operator new[](100));
    void *r = launder(::operator new(100, std::nothrow));
    CHECK(ours(p) && ours(q) && ours(r));
    freed = 0;
    ::operator delete(p, 100);
    ::operator delete[](q);
    ::operator delete(r, std::nothrow);
    CHECK(freed == 3);
    std::string text(1000, 'x');
    CHECK(ours(text.data()));
    bool caught = false;
    try {
        launder(::operator new(opaque(sizeof arena)));
    } catch (const std::bad_alloc &) {
        caught = true;
    }
    CHECK(caught);
    return 0;
}
