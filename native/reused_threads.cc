#include "reused_threads.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

#include "background.h"

namespace locksmith {

namespace {

// So many wait for more work; a burst of a thousand waits leaves no thousand threads behind.
constexpr size_t kKept = 4;
// And so many for each that is still at work: while a burst is being served, nobody takes time to leave.
constexpr size_t kKeptPerBusy = 16;

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

  // A thread could not be made.
  void Forget() {
    std::lock_guard<std::mutex> lock(mutex_);
    living_--;
  }

  // The life of a thread, from its first work on.
  void Live(Work work) {
    do {
      work.run();
      BecomeFree();
      work.done();
      work = {};
    } while (Await(&work));
    Leave();
  }

  void Join() {
    std::unique_lock<std::mutex> lock(mutex_);
    ending_ = true;
    more_.notify_all();
    gone_.wait(lock, [this] { return living_ == 0; });
  }

 private:
  void BecomeFree() {
    std::lock_guard<std::mutex> lock(mutex_);
    free_++;
  }

  // Any free thread may take what was offered. False: this one is to leave.
  bool Await(Work* work) {
    std::unique_lock<std::mutex> lock(mutex_);
    more_.wait(lock, [this] { return ending_ || !offered_.empty() || MayLeave(); });
    if (offered_.empty()) {
      free_--;
      leaving_ = true;
      return false;
    }
    *work = std::move(offered_.front());
    offered_.pop_front();
    return true;
  }

  // One after the other: to end a thread costs more than all it did, and a thousand that end at once would
  // take the processors away from everybody.
  bool MayLeave() const {
    size_t busy = living_ - free_;
    return free_ > std::max(kKept, kKeptPerBusy * busy) && !leaving_;
  }

  void Leave() {
    std::lock_guard<std::mutex> lock(mutex_);
    living_--;
    leaving_ = false;
    if (MayLeave()) more_.notify_one();
    gone_.notify_all();
  }

  std::mutex mutex_;  // guards everything below
  std::condition_variable more_;
  std::condition_variable gone_;
  std::deque<Work> offered_;
  size_t free_ = 0;  // threads to which nothing has been offered yet
  size_t living_ = 0;
  bool leaving_ = false;  // one is on its way out
  bool ending_ = false;
};

ReusedThreads::ReusedThreads() : shared_(std::make_shared<Shared>()) {}

int ReusedThreads::Run(std::function<void()> work, std::function<void()> done) {
  Work piece{std::move(work), std::move(done)};
  if (shared_->Offer(&piece)) return 0;
  int error = StartDetached(
      [shared = shared_, first = std::move(piece)]() mutable { shared->Live(std::move(first)); });
  if (error < 0) shared_->Forget();
  return error;
}

void ReusedThreads::Join() { shared_->Join(); }

}  // namespace locksmith
