// How does work that blocks run without libuv's pool? On a thread of its own, whose end the event loop is
// told.
#pragma once

#include <pthread.h>
#include <signal.h>

#include <functional>

namespace locksmith {

// One thread with all signals blocked and a small stack. `work` runs on it, then `done`, which must only pass
// the news on. The owner joins it: a thread may never outlive the code that it runs.
class BackgroundThread {
 public:
  BackgroundThread() = default;
  BackgroundThread(const BackgroundThread&) = delete;
  BackgroundThread& operator=(const BackgroundThread&) = delete;
  ~BackgroundThread() { Join(); }

  // 0 or -errno. May be called once.
  int Start(std::function<void()> work, std::function<void()> done);
  void Join();
  // Sends a signal to the thread; it must have been started and not joined.
  int Signal(int signal) const { return -pthread_kill(thread_, signal); }

 private:
  static void* Run(void* self);

  pthread_t thread_ = {};
  bool joinable_ = false;
  std::function<void()> work_;
  std::function<void()> done_;
};

}  // namespace locksmith
