// How does a wait for a lock end at once when it is aborted, without losing a lock that was just granted?
#pragma once

#include <functional>
#include <mutex>

#include "background.h"
#include "file_lock.h"

namespace locksmith {

// A wait for a lock on a thread of its own. Destroying it aborts and joins.
class LockWait {
 public:
  explicit LockWait(const LockRequest& request) : request_(request) {}
  LockWait(const LockWait&) = delete;
  LockWait& operator=(const LockWait&) = delete;
  ~LockWait();

  // 0 or -errno. `done` runs on the waiting thread when the wait has ended; result() is then final.
  int Start(std::function<void()> done);

  // Ends the wait. The result is -ECANCELED and nothing of the range is held (nor a shared lock that was to
  // be converted), or it had ended before.
  void Abort();

  int result() const { return result_; }

 private:
  void Wait();

  const LockRequest request_;
  std::mutex mutex_;      // guards finished_ and aborted_
  bool finished_ = true;  // until started
  bool aborted_ = false;
  int signal_ = 0;  // ends the wait
  int result_ = 0;
  BackgroundThread thread_;
};

}  // namespace locksmith
