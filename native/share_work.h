// How is work that falls into many independent pieces shared among threads?
#pragma once

#include <cstddef>
#include <functional>

namespace locksmith {

// Calls `work` with 0, 1, ... count - 1, each once, on this thread and some more. Returns when all are done.
// Threads that can't be had are done without.
void ShareWork(size_t count, const std::function<void(size_t)>& work);

}  // namespace locksmith
