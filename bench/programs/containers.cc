/*
 * C++ containers: std::map of strings, std::unordered_map, std::vector with
 * std::sort, and string building: templates, allocation, virtual-free but
 * pointer-rich code.
 *
 * bench-class: integer
 * bench-args: 130
 * bench-quick: 13
 */
#include <algorithm>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "bench.h"

static uint64_t round_of_work(uint64_t *rng)
{
    std::map<std::string, uint64_t> ordered;
    std::unordered_map<uint64_t, uint32_t> counts;
    std::vector<std::pair<uint64_t, std::string>> list;
    uint64_t sum = 0;

    for (int i = 0; i < 10000; i++) {
        uint64_t value = bench_random(rng) % 30000;
        std::string key = "key-" + std::to_string(value * 7919 % 30011);

        ordered[key] += value;
        counts[value * value]++;
        if (i % 3 == 0) {
            list.emplace_back(value, key + "/" + key);
        }
    }
    for (int i = 0; i < 10000; i++) {
        auto found = counts.find(bench_random(rng) % 900000000);

        sum += found == counts.end() ? 1 : found->second;
    }
    std::sort(list.begin(), list.end());
    for (const auto &[key, value] : ordered) {
        sum = bench_mix(sum, value + key.size());
    }
    for (size_t i = 0; i < list.size(); i += 17) {
        sum = bench_mix(sum, list[i].first + (unsigned char)list[i].second.back());
    }
    /* The order within an unordered_map is the library's own affair: add only. */
    uint64_t total = 0;
    for (const auto &entry : counts) {
        total += entry.first * entry.second;
    }
    return bench_mix(sum, total);
}

int main(int argc, char **argv)
{
    uint64_t iterations = bench_arg(argc, argv, 1, 3), rng = 2024, sum = 0;

    for (uint64_t i = 0; i < iterations; i++) {
        sum = bench_mix(sum, round_of_work(&rng));
    }
    return bench_report("containers", sum);
}
