// How does work that blocks run without libuv's pool? On a thread of its own.
#pragma once

#include <pthread.h>

#include <functional>

namespace locksmith {

// One thread with all signals blocked and a small stack, which its owner joins.
class BackgroundThread {
 public:
  BackgroundThread() = default;
  BackgroundThread(const BackgroundThread&) = delete;
  BackgroundThread& operator=(const BackgroundThread&) = delete;
  ~BackgroundThread() { Join(); }

  // 0 or -errno. May be called once.
  int Start(std::function<void()> work);
  void Join();

 private:
  pthread_t thread_ = {};
  bool joinable_ = false;
};

// Starts one that nobody joins: 0 or -errno. The addon is never unloaded (binding.gyp), so it can't outlive
// its code; what it works on is its own business.
int StartDetached(std::function<void()> work);

}  // namespace locksmith
