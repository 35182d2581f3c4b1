#pragma once

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string>
#include <vector>

namespace priorraw {

/// How long `work` takes, in milliseconds.
template <class Work>
double milliseconds(Work work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

/// The middle value of a list that is not empty; the upper one of two.
inline double median(std::vector<double> values) {
    std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
    return values[values.size() / 2];
}

/// The most memory that this process has held, in megabytes (10^6 bytes). Not getrusage's ru_maxrss, which starts
/// with what the caller held when it forked.
inline double peak_memory() {
    std::ifstream status("/proc/self/status");
    for (std::string word; status >> word;) {
        if (double kibibytes = 0; word == "VmHWM:" && status >> kibibytes) return kibibytes * 1024 / 1e6;
    }
    return 0;
}

}  // namespace priorraw
