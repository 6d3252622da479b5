#include "background.h"

#include <csignal>
#include <memory>
#include <utility>

namespace locksmith {

namespace {

// Enough for one blocking call and its signal frame; sanitizers need more for their bookkeeping.
#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kStackSize = size_t{1024} * 1024;
#else
constexpr size_t kStackSize = size_t{128} * 1024;
#endif

using Work = std::function<void()>;

void* RunWork(void* owned) {
  std::unique_ptr<Work> work(static_cast<Work*>(owned));
  (*work)();
  return nullptr;
}

int StartThread(Work work, int detach_state, pthread_t* thread) {
  pthread_attr_t attributes;
  int error = pthread_attr_init(&attributes);
  if (error != 0) return -error;
  pthread_attr_setstacksize(&attributes, kStackSize);
  pthread_attr_setdetachstate(&attributes, detach_state);
  // A thread inherits the mask of its creator: so no signal of the process is ever handled on it.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  auto owned = std::make_unique<Work>(std::move(work));
  error = pthread_create(thread, &attributes, RunWork, owned.get());
  if (error == 0) static_cast<void>(owned.release());  // it is the thread's
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  return -error;
}

}  // namespace

int BackgroundThread::Start(Work work) {
  int error = StartThread(std::move(work), PTHREAD_CREATE_JOINABLE, &thread_);
  joinable_ = error == 0;
  return error;
}

void BackgroundThread::Join() {
  if (joinable_) pthread_join(thread_, nullptr);
  joinable_ = false;
}

int StartDetached(Work work) {
  pthread_t thread;
  return StartThread(std::move(work), PTHREAD_CREATE_DETACHED, &thread);
}

}  // namespace locksmith
