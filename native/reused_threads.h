// Which thread is blocked by the next piece of work? One that has done with its last, else a new one.
#pragma once

#include <functional>
#include <memory>

namespace locksmith {

// Threads that live from one piece of work to the next, with all signals blocked and small stacks. A few that
// have nothing to do are kept. All methods run on the thread that made it.
class ReusedThreads {
 public:
  ReusedThreads();
  ReusedThreads(const ReusedThreads&) = delete;
  ReusedThreads& operator=(const ReusedThreads&) = delete;
  ~ReusedThreads() { Join(); }

  // 0 or -errno. `work` runs on a thread, then `done`, which must only pass the news on: by then the thread
  // counts as free for what comes next.
  int Run(std::function<void()> work, std::function<void()> done);

  // Waits until all work has ended, and ends all threads.
  void Join();

 private:
  class Shared;

  // Belongs to the threads as well, the last of which is still on its way out when Join() returns.
  std::shared_ptr<Shared> shared_;
};

}  // namespace locksmith
