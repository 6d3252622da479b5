// What belongs to one JavaScript environment (the main thread or a worker), and what ends with it?
#pragma once

#include <napi.h>
#include <uv.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "reused_threads.h"

namespace locksmith {

// Work that blocks, on a thread that is not libuv's, and calls back into JavaScript when it has ended.
class Task {
 public:
  virtual ~Task() = default;
  // On its thread.
  virtual void Run() = 0;
  // Ends it soon, or does nothing where it ends soon by itself.
  virtual void Abort() {}
  virtual Napi::Value Result(Napi::Env env) const = 0;
};

// Descriptors, tasks and watches of an environment. All methods run on its thread unless they say otherwise.
class Environment {
 public:
  // Attaches one to `env`; it ends with it.
  static Environment* Attach(Napi::Env env);
  static Environment* Of(Napi::Env env);

  // Passes a descriptor (or -errno) on and owns it from now on.
  int Own(int fd);
  // 0, or -EBADF for a descriptor that is not ours.
  int CloseOwned(int fd);
  // The caller closes it; false for one that is not ours.
  bool Disown(int fd);

  // Starts a task; its id, or -errno. `callback` gets Result() once, and the loop stays alive until then.
  int64_t StartTask(std::unique_ptr<Task> task, Napi::Function callback);
  void AbortTask(int64_t id);

  // Calls back whenever a descriptor is readable, and again until it is drained or the watch is closed.
  int64_t StartWatch(int fd, Napi::Function callback);
  void CloseWatch(int64_t id);
  void ReferWatch(int64_t id, bool referred);

 private:
  struct RunningTask {
    Napi::FunctionReference callback;
    std::unique_ptr<Task> task;
  };
  struct Watch {
    Environment* environment;
    int64_t id;
    uv_poll_t poll;
    Napi::FunctionReference callback;
  };

  explicit Environment(Napi::Env env) : env_(env), context_(env, "locksmith") {}
  ~Environment();

  void OpenLoop();
  void Finish(int64_t id);  // on the task's thread
  void CallFinished();
  void CallFinished(int64_t id);
  void Call(const Napi::FunctionReference& callback, Napi::Value argument);
  void BeginCleanup(napi_async_cleanup_hook_handle hook);
  void HandleClosed();
  void CloseWatch(std::unique_ptr<Watch> watch);

  Napi::Env env_;
  Napi::AsyncContext context_;
  std::vector<bool> descriptors_;  // by number: is it ours
  int64_t next_id_ = 1;
  std::unordered_map<int64_t, RunningTask> tasks_;
  std::deque<int64_t>
      due_;  // ids of tasks that have ended and are to be called back in this turn or a later one
  std::unordered_map<int64_t, std::unique_ptr<Watch>> watches_;
  uv_async_t wake_ = {};
  int open_handles_ = 0;
  napi_async_cleanup_hook_handle cleanup_ = nullptr;
  std::mutex mutex_;               // guards finished_
  std::vector<int64_t> finished_;  // ids of tasks that have ended since the last turn
  ReusedThreads threads_;          // last: joined before what they work on goes
};

}  // namespace locksmith
