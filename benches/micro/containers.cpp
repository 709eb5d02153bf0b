// What C++ programs do all day: maps, hash maps, lists, deques, vectors of
// strings and shared pointers that grow, are copied, searched and dropped.
#include "bench.h"
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace {

std::string word(rng_t &rng)
{
    return std::string(rng_between(&rng, 3, 40), static_cast<char>('a' + rng_below(&rng, 26)));
}

uint64_t maps(rng_t &rng)
{
    std::map<std::string, std::vector<int>> index;
    std::unordered_map<uint64_t, std::string> names;
    for (int i = 0; i < 24000; i++) {
        index[word(rng)].push_back(i);
        names[rng_below(&rng, 12000)] += word(rng);
    }
    auto copy = names;
    for (int i = 0; i < 8000; i++)
        names.erase(rng_below(&rng, 12000));
    return index.size() + names.size() + copy.size();
}

uint64_t sequences(rng_t &rng)
{
    std::list<std::shared_ptr<std::string>> queue;
    std::deque<std::vector<double>> window;
    std::vector<std::string> lines;
    for (int i = 0; i < 32000; i++) {
        queue.push_back(std::make_shared<std::string>(word(rng)));
        if (queue.size() > 2000)
            queue.pop_front();
        window.emplace_back(rng_between(&rng, 1, 60), 1.0);
        if (window.size() > 1200)
            window.pop_front();
        lines.push_back(*queue.back() + "=" + word(rng));
    }
    auto sorted = lines;
    uint64_t sum = 0;
    for (size_t i = 0; i < sorted.size(); i++)
        sum += sorted[i].substr(0, 20).size();
    return sum + queue.size() + window.size();
}

struct job {
    size_t rounds;
    uint64_t sum[256];
};

void work(int id, void *shared)
{
    auto *j = static_cast<job *>(shared);
    rng_t rng = rng_seeded(160 + static_cast<uint64_t>(id));
    for (size_t i = 0; i < j->rounds; i++)
        j->sum[id] += maps(rng) + sequences(rng);
}

} // namespace

int main(int argc, char **argv)
{
    int threads = arg_threads(argc, argv);
    static job j;
    j.rounds = scaled(arg_scale(argc, argv), 30.0 / threads);
    run_team(threads, work, &j);
    uint64_t sum = 0;
    for (int i = 0; i < threads; i++)
        sum += j.sum[i];
    print_check(sum);
    return 0;
}
