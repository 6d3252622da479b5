#include "lock_wait.h"

#include <csetjmp>
#include <csignal>
#include <ctime>

#include "fd.h"

namespace locksmith {

namespace {

// Where the handler jumps to; null on every thread that is not in the region.
#if defined(__GLIBC__)
// Initial-exec: the handler must not allocate, as the first access to dynamic TLS might.
__attribute__((tls_model("initial-exec")))
#endif
thread_local sigjmp_buf* region = nullptr;

void LeaveRegion(int /*signal*/) {
  if (region != nullptr) siglongjmp(*region, 1);
}

// A blocking lock call can only be interrupted by a signal, and a signal that comes just before the call
// would be lost if its handler merely returned. So the signal is blocked on the thread, unblocked only around
// the call, and its handler jumps out of there: whether it came before, in or after the call, the wait ends
// at once. What a jump can't tell is whether the lock had been granted; so it is given back in any case.
//
// The disposition of a signal belongs to the process, so this is the one thing that is not kept for each
// environment: the first wait sets it, later ones find it. Signals that somebody else uses are passed over,
// and another copy of this addon in the process is somebody else. The signal, or -EBUSY when none is left.
int ClaimSignal() {
  for (int signal = SIGRTMIN + 7; signal <= SIGRTMAX; signal++) {
    struct sigaction current = {};
    if (sigaction(signal, nullptr, &current) != 0) return -errno;
    if (current.sa_handler == LeaveRegion) return signal;
    if (current.sa_handler != SIG_DFL) continue;
    struct sigaction action = {};
    action.sa_handler = LeaveRegion;
    sigemptyset(&action.sa_mask);
    return sigaction(signal, &action, nullptr) == 0 ? signal : -errno;
  }
  return -EBUSY;
}

// 0, -errno, or -ECANCELED after an abort. Has no object that a jump could fail to destroy.
int WaitInRegion(const LockRequest& request, int signal) {
  sigset_t abort_set;
  sigemptyset(&abort_set);
  sigaddset(&abort_set, signal);
  sigjmp_buf here;
  volatile int result = -ECANCELED;
  // The saved mask has the signal blocked: it is blocked again after a jump.
  if (sigsetjmp(here, 1) == 0) {
    region = &here;
    pthread_sigmask(SIG_UNBLOCK, &abort_set, nullptr);
    do {
      result = SetLockBlocking(request);
    } while (result == -EINTR);
    pthread_sigmask(SIG_BLOCK, &abort_set, nullptr);
  } else {
    result = -ECANCELED;
  }
  region = nullptr;
  return result;
}

void GiveBack(LockRequest request) {
  request.type = LockType::kUnlock;
  SetLock(request);
}

// A signal that came when a wait of this thread was over is still there, blocked, and would end the next one.
void DropPending(int signal) {
  sigset_t abort_set;
  sigemptyset(&abort_set);
  sigaddset(&abort_set, signal);
  const timespec at_once = {};
  while (sigtimedwait(&abort_set, nullptr, &at_once) == signal) continue;
}

}  // namespace

int LockWait::Prepare() {
  signal_ = ClaimSignal();
  return signal_ < 0 ? signal_ : 0;
}

void LockWait::Run() {
  result_ = Begin() ? WaitInRegion(request_, signal_) : -ECANCELED;
  if (result_ == -ECANCELED) GiveBack(request_);
  End();
}

bool LockWait::Begin() {
  DropPending(signal_);
  std::lock_guard<std::mutex> lock(mutex_);
  thread_ = pthread_self();
  running_ = !aborted_;
  return running_;
}

void LockWait::End() {
  std::lock_guard<std::mutex> lock(mutex_);
  running_ = false;
}

void LockWait::Abort() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (aborted_) return;
  aborted_ = true;
  if (running_) pthread_kill(thread_, signal_);
}

}  // namespace locksmith
