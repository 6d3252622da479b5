// How does a wait for a lock end at once when it is aborted, without losing a lock that was just granted?
#pragma once

#include <pthread.h>

#include <mutex>

#include "file_lock.h"

namespace locksmith {

// A wait for a lock, on whatever thread it is run.
class LockWait {
 public:
  explicit LockWait(const LockRequest& request) : request_(request) {}

  // 0, or -errno when it could not be aborted. To be called before Run.
  int Prepare();

  // Blocks the calling thread, which has all signals blocked, until the wait has ended; result() is then
  // final.
  void Run();

  // Ends the wait, from another thread, also before it has begun. The result is -ECANCELED and nothing of the
  // range is held (nor a shared lock that was to be converted), or it had ended before.
  void Abort();

  int result() const { return result_; }

 private:
  bool Begin();
  void End();

  const LockRequest request_;
  int signal_ = 0;    // ends the wait
  std::mutex mutex_;  // guards what follows but the result
  bool running_ = false;
  bool aborted_ = false;
  pthread_t thread_ = {};  // while running
  int result_ = 0;
};

}  // namespace locksmith
