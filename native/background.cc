#include "background.h"

#include <csignal>

namespace locksmith {

namespace {

// Enough for one blocking call and its signal frame; sanitizers need more for their bookkeeping.
#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kStackSize = size_t{1024} * 1024;
#else
constexpr size_t kStackSize = size_t{128} * 1024;
#endif

}  // namespace

void* BackgroundThread::Run(void* self) {
  auto* thread = static_cast<BackgroundThread*>(self);
  thread->work_();
  thread->done_();
  return nullptr;
}

int BackgroundThread::Start(std::function<void()> work, std::function<void()> done) {
  work_ = std::move(work);
  done_ = std::move(done);
  pthread_attr_t attributes;
  int error = pthread_attr_init(&attributes);
  if (error != 0) return -error;
  pthread_attr_setstacksize(&attributes, kStackSize);
  // A thread inherits the mask of its creator: so no signal of the process is ever handled on it.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  error = pthread_create(&thread_, &attributes, Run, this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  joinable_ = error == 0;
  return -error;
}

void BackgroundThread::Join() {
  if (joinable_) pthread_join(thread_, nullptr);
  joinable_ = false;
}

}  // namespace locksmith
