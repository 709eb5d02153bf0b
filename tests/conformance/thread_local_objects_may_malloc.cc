// Conformance 4: destructors of C++ thread_local objects free and allocate
// while the thread ends, in every order with the library's own.
#include "check.h"

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

struct Keeper {
    std::vector<std::string> words;
    std::unique_ptr<char[]> block;
    ~Keeper() {
        std::map<int, std::string> copy;
        for (size_t i = 0; i < words.size(); i++)
            copy[(int)i] = words[i] + " and a tail that makes the string long";
        CHECK(copy.size() == words.size());
        block.reset(new char[5000]());
        CHECK(all_zero(block.get(), 5000));
    }
};

static thread_local Keeper first;
static thread_local std::unique_ptr<std::vector<Keeper>> second;

static void work(int number) {
    first.words.assign(20, "a word that is longer than a small string " + std::to_string(number));
    first.block.reset(new char[100000]);
    second = std::make_unique<std::vector<Keeper>>(3);
    for (Keeper &keeper : *second)
        keeper.words.assign(5, "another word that is longer than a small string");
}

int main() {
    size_t before = 0;
    for (int i = 0; i < 1500; i++) {
        std::thread one(work, i), two(work, -i);
        one.join();
        two.join();
        if (i == 200)
            before = resident();
    }
    CHECK(resident() < before + 8 * MIB, "%zu -> %zu KiB", before / KIB, resident() / KIB);
    return 0;
}
