#include "share_work.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include "background.h"

namespace locksmith {

namespace {

// More than this gained nothing where it was measured, and others want to run as well.
constexpr size_t kMostThreads = 4;
// A thread costs as much as so many pieces.
constexpr size_t kPiecesWorthAThread = 32;

size_t ProcessorsForUs() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? static_cast<size_t>(CPU_COUNT(&set)) : 1;
}

}  // namespace

void ShareWork(size_t count, const std::function<void(size_t)>& work) {
  std::atomic<size_t> next{0};
  auto run = [&] {
    for (size_t i = next++; i < count; i = next++) work(i);
  };
  size_t threads = std::min({kMostThreads, ProcessorsForUs(), count / kPiecesWorthAThread + 1});
  std::vector<std::unique_ptr<BackgroundThread>> others;
  while (others.size() + 1 < threads) {
    auto thread = std::make_unique<BackgroundThread>();
    if (thread->Start(run) < 0) break;
    others.push_back(std::move(thread));
  }
  run();
  for (const auto& thread : others) thread->Join();
}

}  // namespace locksmith
