#include "environment.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

namespace locksmith {

namespace {

// Callbacks that are due together are called for so long, in nanoseconds; then other events get their turn. A
// file is read in five turns of the loop.
constexpr uint64_t kTurn = 500'000;

}  // namespace

Environment* Environment::Attach(Napi::Env env) {
  auto* self = new Environment(env);
  self->OpenLoop();
  // Without a finalizer: it deletes itself when its last handle has closed.
  napi_set_instance_data(env, self, nullptr, nullptr);
  return self;
}

Environment* Environment::Of(Napi::Env env) { return env.GetInstanceData<Environment>(); }

void Environment::OpenLoop() {
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(env_, &loop);
  wake_.data = this;
  uv_async_init(loop, &wake_,
                [](uv_async_t* wake) { static_cast<Environment*>(wake->data)->CallFinished(); });
  uv_unref(reinterpret_cast<uv_handle_t*>(&wake_));
  open_handles_ = 1;
  napi_add_async_cleanup_hook(
      env_,
      [](napi_async_cleanup_hook_handle hook, void* self) {
        static_cast<Environment*>(self)->BeginCleanup(hook);
      },
      this, nullptr);
}

Environment::~Environment() {
  for (size_t fd = 0; fd < descriptors_.size(); fd++)
    if (descriptors_[fd]) close(static_cast<int>(fd));
}

int Environment::Own(int fd) {
  if (fd < 0) return fd;
  auto number = static_cast<size_t>(fd);
  if (number >= descriptors_.size()) descriptors_.resize(2 * number + 1);
  descriptors_[number] = true;
  return fd;
}

int Environment::CloseOwned(int fd) {
  if (!Disown(fd)) return -EBADF;
  // Linux gives the descriptor back, and with it its locks, whatever close() returns, so it is never called
  // twice (close(2)). What it may report is that data was not written; who has written has asked fsync(2).
  close(fd);
  return 0;
}

bool Environment::Disown(int fd) {
  auto number = static_cast<size_t>(fd);
  if (fd < 0 || number >= descriptors_.size() || !descriptors_[number]) return false;
  descriptors_[number] = false;
  return true;
}

int64_t Environment::StartTask(std::unique_ptr<Task> task, Napi::Function callback) {
  int64_t id = next_id_++;
  int error = threads_.Run([running = task.get()] { running->Run(); }, [this, id] { Finish(id); });
  if (error < 0) return error;
  if (tasks_.empty()) uv_ref(reinterpret_cast<uv_handle_t*>(&wake_));
  tasks_.emplace(id, RunningTask{Napi::Persistent(callback), std::move(task)});
  return id;
}

void Environment::AbortTask(int64_t id) {
  auto found = tasks_.find(id);
  if (found != tasks_.end()) found->second.task->Abort();
}

void Environment::Finish(int64_t id) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    finished_.push_back(id);
  }
  uv_async_send(&wake_);
}

void Environment::CallFinished() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    due_.insert(due_.end(), finished_.begin(), finished_.end());
    finished_.clear();
  }
  Napi::HandleScope scope(env_);
  const uint64_t end = uv_hrtime() + kTurn;
  while (!due_.empty()) {
    int64_t id = due_.front();
    due_.pop_front();
    CallFinished(id);
    if (uv_hrtime() >= end) break;
  }
  if (!due_.empty()) uv_async_send(&wake_);
}

void Environment::CallFinished(int64_t id) {
  auto node = tasks_.extract(id);
  if (node.empty()) return;
  if (tasks_.empty()) uv_unref(reinterpret_cast<uv_handle_t*>(&wake_));
  Napi::HandleScope scope(env_);
  Call(node.mapped().callback, node.mapped().task->Result(env_));
}

// An exception of a callback is an uncaught exception of the process, as one thrown by a timer would be.
void Environment::Call(const Napi::FunctionReference& callback, Napi::Value argument) {
  callback.MakeCallback(env_.Global(), {argument}, context_);
  if (!env_.IsExceptionPending()) return;
  napi_value error = nullptr;
  napi_get_and_clear_last_exception(env_, &error);
  napi_fatal_exception(env_, error);
}

int64_t Environment::StartWatch(int fd, Napi::Function callback) {
  auto watch = std::make_unique<Watch>();
  watch->environment = this;
  watch->id = next_id_++;
  watch->poll.data = watch.get();
  uv_loop_t* loop = wake_.loop;
  int error = uv_poll_init(loop, &watch->poll, fd);
  if (error < 0) return error;
  watch->callback = Napi::Persistent(callback);
  open_handles_++;
  uv_poll_start(&watch->poll, UV_READABLE, [](uv_poll_t* poll, int status, int) {
    auto* self = static_cast<Watch*>(poll->data);
    Napi::HandleScope scope(self->environment->env_);
    self->environment->Call(self->callback, Napi::Number::New(self->environment->env_, status));
  });
  int64_t id = watch->id;
  watches_.emplace(id, std::move(watch));
  return id;
}

void Environment::CloseWatch(int64_t id) {
  auto node = watches_.extract(id);
  if (!node.empty()) CloseWatch(std::move(node.mapped()));
}

// libuv has the handle until its close callback.
void Environment::CloseWatch(std::unique_ptr<Watch> watch) {
  uv_poll_t* poll = &watch.release()->poll;
  uv_close(reinterpret_cast<uv_handle_t*>(poll), [](uv_handle_t* handle) {
    std::unique_ptr<Watch> closed(static_cast<Watch*>(handle->data));
    Environment* environment = closed->environment;
    closed.reset();
    environment->HandleClosed();
  });
}

void Environment::ReferWatch(int64_t id, bool referred) {
  auto found = watches_.find(id);
  if (found == watches_.end()) return;
  auto* handle = reinterpret_cast<uv_handle_t*>(&found->second->poll);
  referred ? uv_ref(handle) : uv_unref(handle);
}

// The environment ends: no callback comes any more, every thread is joined, every handle and descriptor
// closed.
void Environment::BeginCleanup(napi_async_cleanup_hook_handle hook) {
  cleanup_ = hook;
  for (auto& [id, running] : tasks_) running.task->Abort();
  threads_.Join();
  tasks_.clear();
  while (!watches_.empty()) CloseWatch(watches_.begin()->first);
  uv_close(reinterpret_cast<uv_handle_t*>(&wake_),
           [](uv_handle_t* handle) { static_cast<Environment*>(handle->data)->HandleClosed(); });
}

void Environment::HandleClosed() {
  if (--open_handles_ > 0 || cleanup_ == nullptr) return;
  napi_async_cleanup_hook_handle hook = cleanup_;
  delete this;
  napi_remove_async_cleanup_hook(hook);
}

}  // namespace locksmith
