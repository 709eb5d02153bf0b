// Conformance 1: every form of C++'s new and delete works over malloc; a new
// that fails calls the handler until that gives up, then throws or says null.
// run: static=no
#include "check.h"

#include <map>
#include <new>
#include <string>
#include <vector>

static int calls;
static void give_up_after_three() {
    if (++calls == 3)
        std::set_new_handler(nullptr);
}
static char *reserve;
static void release_reserve() {
    calls++;
    free(reserve);
    reserve = nullptr;
    std::set_new_handler(nullptr);
}

struct alignas(4096) Page {
    char bytes[8192];
};

template <typename F> static bool throws(F f) {
    try {
        f();
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

int main() {
    const size_t huge = opaque((size_t)PTRDIFF_MAX - 4096);
    CHECK(throws([&] { launder(::operator new(huge)); }));
    CHECK(throws([&] { launder(::operator new[](huge)); }));
    CHECK(throws([&] { launder(::operator new(huge, std::align_val_t(64))); }));
    CHECK(::operator new(huge, std::nothrow) == nullptr);
    CHECK(::operator new[](huge, std::nothrow) == nullptr);
    CHECK(::operator new(huge, std::align_val_t(64), std::nothrow) == nullptr);

    std::set_new_handler(give_up_after_three);
    CHECK(throws([&] { launder(::operator new(huge)); }));
    CHECK(calls == 3, "handler called %d times", calls);
    calls = 0;
    std::set_new_handler(give_up_after_three);
    CHECK(::operator new(huge, std::nothrow) == nullptr && calls == 3);

    calls = 0;
    reserve = (char *)malloc(1000);
    std::set_new_handler(release_reserve);
    CHECK(::operator new(huge, std::nothrow) == nullptr && calls == 1);

    for (size_t n = 0; n < 1000000; n = n * 3 + 1) {
        ::operator delete(launder(::operator new(n)));
        ::operator delete(launder(::operator new(n)), n);
        ::operator delete[](launder(::operator new[](n)));
        ::operator delete[](launder(::operator new[](n)), n);
        ::operator delete(launder(::operator new(n, std::nothrow)), std::nothrow);
        for (size_t align = 1; align <= 65536; align *= 4) {
            std::align_val_t a{align};
            void *p = launder(::operator new(n, a));
            CHECK((uintptr_t)p % align == 0);
            ::operator delete(p, a);
            p = launder(::operator new[](n, a));
            CHECK((uintptr_t)p % align == 0);
            ::operator delete[](p, n, a);
            ::operator delete(launder(::operator new(n, a, std::nothrow)), a, std::nothrow);
        }
    }
    void *zero = ::operator new(0), *other = ::operator new(0);
    CHECK(zero && other && zero != other);
    ::operator delete(zero);
    ::operator delete(other);

    std::vector<Page *> pages;
    for (int i = 0; i < 100; i++) {
        pages.push_back(new Page);
        CHECK((uintptr_t)pages.back() % 4096 == 0);
    }
    for (Page *page : pages)
        delete page;

    std::map<std::string, std::vector<std::string>> words;
    for (int i = 0; i < 20000; i++)
        words["a key that is not short " + std::to_string(i % 997)].push_back(std::to_string(i));
    size_t count = 0;
    for (auto &entry : words)
        count += entry.second.size();
    CHECK(count == 20000);
    return 0;
}
