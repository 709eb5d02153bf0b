// A multi-threaded C++ program with a result that does not depend on timing:
// threads pass orders (strings, shared pointers, functions) through queues to
// others that keep them in maps, and free what their makers allocated.
#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <functional>
#include <future>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

struct Order {
    std::string name;
    std::vector<int> parts;
    std::function<uint64_t(uint64_t)> step;
};

template <typename T> class Queue {
    std::deque<T> items;
    std::mutex mutex;
    std::condition_variable more;

  public:
    void put(T item) {
        std::lock_guard<std::mutex> guard(mutex);
        items.push_back(std::move(item));
        more.notify_one();
    }
    T take() {
        std::unique_lock<std::mutex> guard(mutex);
        more.wait(guard, [this] { return !items.empty(); });
        T item = std::move(items.front());
        items.pop_front();
        return item;
    }
};

static const int PRODUCERS = 4, ORDERS = 12000;

static void produce(int number, std::vector<Queue<std::shared_ptr<Order>>> &queues) {
    uint64_t state = (uint64_t)number * 7919 + 1;
    for (int i = 0; i < ORDERS; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        auto order = std::make_shared<Order>();
        order->name = "order " + std::to_string(state % 5000) + std::string(state >> 33 & 63, 'x');
        order->parts.assign(state >> 40 & 31, i);
        std::string captured = order->name + " captured";
        order->step = [captured, i](uint64_t x) { return x + captured.size() * 31 + (uint64_t)i; };
        queues[state % queues.size()].put(std::move(order));
    }
    for (auto &queue : queues)
        queue.put(nullptr);
}

static uint64_t consume(Queue<std::shared_ptr<Order>> &queue) {
    std::unordered_map<std::string, std::list<std::shared_ptr<Order>>> kept;
    std::map<size_t, std::set<std::string>> by_length;
    uint64_t sum = 0;
    for (int done = 0; done < PRODUCERS;) {
        std::shared_ptr<Order> order = queue.take();
        if (!order) {
            done++;
            continue;
        }
        sum += order->step(order->parts.size());
        by_length[order->name.size()].insert(order->name);
        auto &list = kept[order->name];
        list.push_back(order);
        if (list.size() > 3)
            list.pop_front();
    }
    for (auto &entry : by_length)
        for (auto &name : entry.second)
            sum += std::hash<size_t>()(name.size() * entry.first);
    return sum;
}

static uint64_t text(int seed) {
    std::ostringstream out;
    for (int i = 0; i < 3000; i++)
        out << "item" << (i * seed) % 997 << (i % 3 ? ", " : "; ");
    std::string all = out.str();
    std::regex word("(item[0-9]+)([,;])");
    uint64_t sum = 0;
    for (std::sregex_iterator it(all.begin(), all.end(), word), end; it != end; ++it)
        sum += (*it)[1].str().size() * (uint64_t)((*it)[2].str()[0]);
    return sum;
}

int main() {
    std::vector<Queue<std::shared_ptr<Order>>> queues(3);
    std::vector<std::future<uint64_t>> sums;
    for (auto &queue : queues)
        sums.push_back(std::async(std::launch::async, consume, std::ref(queue)));
    std::vector<std::thread> producers;
    for (int i = 0; i < PRODUCERS; i++)
        producers.emplace_back(produce, i, std::ref(queues));
    std::vector<std::future<uint64_t>> texts;
    for (int i = 1; i <= 4; i++)
        texts.push_back(std::async(std::launch::async, text, i));
    for (auto &producer : producers)
        producer.join();
    for (auto &sum : sums)
        std::printf("%llu\n", (unsigned long long)sum.get());
    for (auto &sum : texts)
        std::printf("%llu\n", (unsigned long long)sum.get());
    std::vector<std::vector<double>> rows;
    for (int i = 0; i < 400; i++) {
        rows.emplace_back(i * 10);
        for (size_t j = 0; j < rows.back().size(); j++)
            rows.back()[j] = (double)((j * 7919) % 1009);
        std::sort(rows.back().begin(), rows.back().end());
        if (i % 3 == 0)
            rows.erase(rows.begin() + i / 6);
    }
    double total = 0;
    for (auto &row : rows)
        for (double value : row)
            total += value;
    std::printf("%.0f\n", total);
    return 0;
}
