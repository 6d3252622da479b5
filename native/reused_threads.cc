#include "reused_threads.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

#include "background.h"

namespace locksmith {

namespace {

// So many wait for more work; a burst of a thousand waits leaves no thousand threads behind.
constexpr size_t kKept = 4;

struct Work {
  std::function<void()> run;
  std::function<void()> done;
};

}  // namespace

class ReusedThreads::Shared {
 public:
  // Passes work to a thread that is free; false when there is none, and a new one must do it.
  bool Offer(Work* work) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (free_ == 0) {
      living_++;
      return false;
    }
    free_--;
    offered_.push_back(std::move(*work));
    more_.notify_one();
    return true;
  }

  // The life of a thread, from its first work on.
  void Live(Work work) {
    for (bool stays = true; stays;) {
      work.run();
      stays = BecomeFree();
      work.done();
      work = {};
      stays = stays && Await(&work);
    }
    Leave();
  }

  // A thread has ended, or could not be made.
  void Leave() {
    std::lock_guard<std::mutex> lock(mutex_);
    living_--;
    gone_.notify_all();
  }

  void Join() {
    std::unique_lock<std::mutex> lock(mutex_);
    ending_ = true;
    more_.notify_all();
    gone_.wait(lock, [this] { return living_ == 0; });
  }

 private:
  bool BecomeFree() {
    std::lock_guard<std::mutex> lock(mutex_);
    if (free_ == kKept) return false;
    free_++;
    return true;
  }

  // Any free thread may take what was offered. False: there will be no more.
  bool Await(Work* work) {
    std::unique_lock<std::mutex> lock(mutex_);
    more_.wait(lock, [this] { return ending_ || !offered_.empty(); });
    if (offered_.empty()) return false;
    *work = std::move(offered_.front());
    offered_.pop_front();
    return true;
  }

  std::mutex mutex_;  // guards everything below
  std::condition_variable more_;
  std::condition_variable gone_;
  std::deque<Work> offered_;
  size_t free_ = 0;  // threads to which nothing has been offered yet
  size_t living_ = 0;
  bool ending_ = false;
};

ReusedThreads::ReusedThreads() : shared_(std::make_shared<Shared>()) {}

int ReusedThreads::Run(std::function<void()> work, std::function<void()> done) {
  Work piece{std::move(work), std::move(done)};
  if (shared_->Offer(&piece)) return 0;
  int error = StartDetached(
      [shared = shared_, first = std::move(piece)]() mutable { shared->Live(std::move(first)); });
  if (error < 0) shared_->Leave();
  return error;
}

void ReusedThreads::Join() { shared_->Join(); }

}  // namespace locksmith
