// Conformance 1: a new_handler that makes memory free and returns has new try
// again; what a handler throws passes through new to the caller, whose objects
// are destroyed; the nothrow forms turn bad_alloc into null.
// run: static=no confs=default
#include "check.h"

#include <new>

static rlimit whole;
static int calls, destroyed;
static void raise_the_limit() {
    calls++;
    CHECK(setrlimit(RLIMIT_AS, &whole) == 0);
}
struct Trouble {
    int number;
};
static void throw_trouble() { throw Trouble{++calls}; }
static void throw_bad_alloc() {
    calls++;
    throw std::bad_alloc();
}
struct Guard {
    ~Guard() { destroyed++; }
};

template <typename F> static void *limited(F get) {
    rlimit little = whole;
    little.rlim_cur = 512 * MIB;
    CHECK(setrlimit(RLIMIT_AS, &little) == 0);
    calls = 0;
    std::set_new_handler(raise_the_limit);
    return get(opaque(GIB));
}
__attribute__((noinline)) static void *guarded(size_t n) {
    Guard guard;
    return launder(::operator new(n));
}
__attribute__((noinline)) static void *guarded_array(size_t n) {
    Guard guard;
    return launder(::operator new[](n));
}

int main() {
    const size_t huge = opaque((size_t)PTRDIFF_MAX - 4096);
    CHECK(getrlimit(RLIMIT_AS, &whole) == 0);

    char *p = (char *)limited([](size_t n) { return ::operator new(n); });
    CHECK(p && calls == 1);
    p[0] = p[GIB - 1] = 1;
    ::operator delete(p, GIB);
    p = (char *)limited([](size_t n) { return ::operator new[](n); });
    CHECK(p && calls == 1);
    ::operator delete[](p);
    p = (char *)limited([](size_t n) { return ::operator new(n, std::nothrow); });
    CHECK(p && calls == 1);
    ::operator delete(p, std::nothrow);

    calls = 0;
    std::set_new_handler(throw_trouble);
    void *(*const forms[])(size_t) = {guarded, guarded_array};
    for (auto form : forms) {
        int number = 0;
        try {
            form(huge);
        } catch (const Trouble &trouble) {
            number = trouble.number;
        }
        CHECK(number > 0 && number == calls && destroyed == calls);
    }
    CHECK(calls == 2);

    std::set_new_handler(throw_bad_alloc);
    CHECK(::operator new(huge, std::nothrow) == nullptr && calls == 3);
    CHECK(::operator new[](huge, std::nothrow) == nullptr && calls == 4);
    std::set_new_handler(nullptr);
    bool caught = false;
    try {
        guarded(huge);
    } catch (const std::bad_alloc &) {
        caught = true;
    }
    CHECK(caught && destroyed == 3);
    return 0;
}
