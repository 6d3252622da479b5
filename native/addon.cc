// Which functions does JavaScript see? Checks the arguments, calls one function of native/, and passes its
// result on.
#include <fcntl.h>
#include <napi.h>

#include <tuple>

#include "arguments.h"
#include "close_watch.h"
#include "environment.h"
#include "fd.h"
#include "file_lock.h"
#include "has_name.h"
#include "hold_supervisor.h"
#include "lock_bit.h"
#include "lock_survey.h"
#include "lock_values.h"
#include "lock_wait.h"
#include "notify.h"
#include "page.h"
#include "path_lock.h"
#include "pidfd.h"
#include "proc_locks.h"
#include "unix_peer.h"
#include "xattr.h"

namespace locksmith {
namespace {

using Napi::CallbackInfo;
using Napi::Value;

Value Number(const CallbackInfo& info, int64_t value) {
  return Napi::Number::New(info.Env(), static_cast<double>(value));
}

Value Nothing(const CallbackInfo& info) { return info.Env().Undefined(); }

// --- descriptors ---

napi_value JsOpen(napi_env env, napi_callback_info info) {
  QuickArguments<3> arguments(env, info);
  const char* path = arguments.Path(0);
  int flags = arguments.Int(1, "flags");
  int mode = arguments.Int(2, "mode");
  if (arguments.failed()) return nullptr;
  return arguments.Number(Environment::Of(env)->Own(OrErrno(open(path, flags | O_CLOEXEC, mode))));
}

napi_value JsClose(napi_env env, napi_callback_info info) {
  QuickArguments<1> arguments(env, info);
  int fd = arguments.Int(0, "fd");
  if (arguments.failed()) return nullptr;
  return arguments.Number(Environment::Of(env)->CloseOwned(fd));
}

// --- locks ---

LockRequest ReadRequest(QuickArguments<5>* arguments) {
  int fd = arguments->Int(0, "fd");
  auto kind = static_cast<LockKind>(arguments->Choice(1, "kind", 2));
  auto type = static_cast<LockType>(arguments->Choice(2, "type", 2));
  int64_t start = arguments->Integer(3, "start");
  int64_t length = arguments->Integer(4, "length");
  return {fd, kind, type, start, length};
}

napi_value JsSetLock(napi_env env, napi_callback_info info) {
  QuickArguments<5> arguments(env, info);
  LockRequest request = ReadRequest(&arguments);
  if (arguments.failed()) return nullptr;
  return arguments.Number(SetLock(request));
}

// The lock of a whole file.
napi_value JsSetWholeLock(napi_env env, napi_callback_info info) {
  QuickArguments<2> arguments(env, info);
  LockRequest request = arguments.Request(arguments.Int(0, "fd"), 1);
  if (arguments.failed()) return nullptr;
  return arguments.Number(SetLock(request));
}

napi_value JsLockPath(napi_env env, napi_callback_info info) {
  QuickArguments<5> arguments(env, info);
  const char* path = arguments.Path(0);
  int flags = arguments.Int(1, "flags");
  LockRequest request = arguments.Request(-EBADF, 2);
  request.start = arguments.Integer(3, "start");
  request.length = arguments.Integer(4, "length");
  if (arguments.failed()) return nullptr;
  return arguments.Number(Environment::Of(env)->Own(LockPath(path, flags, request)));
}

napi_value JsUnlockAndClose(napi_env env, napi_callback_info info) {
  QuickArguments<4> arguments(env, info);
  LockRequest request = arguments.Request(arguments.Int(0, "fd"), 1);
  request.start = arguments.Integer(2, "start");
  request.length = arguments.Integer(3, "length");
  if (arguments.failed()) return nullptr;
  if (!Environment::Of(env)->Disown(request.fd)) return arguments.Number(-EBADF);
  return arguments.Number(UnlockAndClose(request));
}

// What one number says about a descriptor, or -errno.
template <int (*kAsk)(int)>
napi_value JsAsk(napi_env env, napi_callback_info info) {
  QuickArguments<1> arguments(env, info);
  int fd = arguments.Int(0, "fd");
  if (arguments.failed()) return nullptr;
  return arguments.Number(kAsk(fd));
}

napi_value JsGetLock(napi_env env, napi_callback_info info) {
  QuickArguments<5> arguments(env, info);
  LockRequest request = ReadRequest(&arguments);
  if (arguments.failed()) return nullptr;
  LockConflict conflict = {};
  int error = GetLock(request, &conflict);
  if (error < 0) return arguments.Number(error);
  if (!conflict.found) return arguments.Undefined();
  Napi::Object result = Napi::Object::New(env);
  result["type"] = arguments.Number(static_cast<int>(conflict.type));
  result["pid"] = arguments.Number(conflict.pid);
  result["start"] = arguments.Number(conflict.start);
  result["length"] = arguments.Number(conflict.length);
  return result;
}

LockRequest ReadRequest(Arguments* arguments) {
  int fd = arguments->Int("fd");
  auto kind = static_cast<LockKind>(arguments->Choice("kind", 2));
  auto type = static_cast<LockType>(arguments->Choice("type", 2));
  int64_t start = arguments->Integer("start");
  int64_t length = arguments->Integer("length");
  return {fd, kind, type, start, length};
}

class LockTask : public Task {
 public:
  explicit LockTask(const LockRequest& request) : wait_(request) {}
  int Prepare() { return wait_.Prepare(); }
  void Run() override { wait_.Run(); }
  void Abort() override { wait_.Abort(); }
  Value Result(Napi::Env env) const override { return Napi::Number::New(env, wait_.result()); }

 private:
  LockWait wait_;
};

// A method of a plain object that does something with a task or watch by its id.
template <typename Act>
void SetMethod(Napi::Object object, const char* name, Act act) {
  object[name] = Napi::Function::New(object.Env(),
                                     [act](const CallbackInfo& info) { act(Environment::Of(info.Env())); });
}

Value JsWaitLock(const CallbackInfo& info) {
  Arguments arguments(info);
  LockRequest request = ReadRequest(&arguments);
  Napi::Function callback = arguments.Callback("callback");
  if (arguments.failed()) return Nothing(info);
  auto task = std::make_unique<LockTask>(request);
  int error = task->Prepare();
  if (error < 0) return Number(info, error);
  int64_t id = Environment::Of(info.Env())->StartTask(std::move(task), callback);
  if (id < 0) return Number(info, id);
  Napi::Object wait = Napi::Object::New(info.Env());
  SetMethod(wait, "abort", [id](Environment* environment) { environment->AbortTask(id); });
  return wait;
}

// --- who holds which lock ---

// Calls `parse` with a sink for rows and makes an array of them.
template <typename Parse>
Value RowsFrom(const CallbackInfo& info, Parse parse) {
  std::vector<LockRow> rows;
  int error = parse([&](LockRow&& row) { rows.push_back(std::move(row)); });
  return error < 0 ? Number(info, error) : LockRowArray(info.Env(), rows);
}

Value JsParseLocks(const CallbackInfo& info) {
  Arguments arguments(info);
  Napi::Buffer<char> text = arguments.Bytes("text");
  if (arguments.failed()) return Nothing(info);
  return RowsFrom(info, [&](auto take) {
    LockTableParser parser(take);
    int error = parser.Feed({text.Data(), text.Length()});
    return error < 0 ? error : parser.End();
  });
}

Value JsParseFdInfo(const CallbackInfo& info) {
  Arguments arguments(info);
  Napi::Buffer<char> text = arguments.Bytes("text");
  if (arguments.failed()) return Nothing(info);
  FdInfo parsed;
  int error = ParseFdInfo({text.Data(), text.Length()}, &parsed);
  return error < 0 ? Number(info, error) : FdInfoObject(info.Env(), parsed);
}

class SurveyTask : public Task {
 public:
  explicit SurveyTask(SurveyRequest request) : request_(std::move(request)) {}

  void Run() override { error_ = SurveyLocks(request_, &survey_); }

  Value Result(Napi::Env env) const override {
    if (error_ < 0) return Napi::Number::New(env, error_);
    return SurveyValue(env, survey_);
  }

 private:
  const SurveyRequest request_;
  LockSurvey survey_;
  int error_ = 0;
};

Value JsSurveyLocks(const CallbackInfo& info) {
  Arguments arguments(info);
  SurveyRequest request;
  request.proc_root = arguments.Text("procRoot");
  int flags = arguments.Choice("flags", 7);
  // Three numbers a file: major, minor, inode.
  std::vector<uint64_t> files = arguments.BigUint64s("files");
  std::vector<int32_t> likely = arguments.Int32s("likely");
  Napi::Function callback = arguments.Callback("callback");
  if (files.size() % 3 != 0) arguments.Fail("files", "three numbers for each file");
  if (arguments.failed()) return Nothing(info);
  for (size_t i = 0; i < files.size(); i += 3)
    request.files.push_back(
        {static_cast<unsigned>(files[i]), static_cast<unsigned>(files[i + 1]), files[i + 2]});
  request.likely.assign(likely.begin(), likely.end());
  request.own_namespace = (flags & 1) != 0;
  request.everywhere = (flags & 2) != 0;
  request.paths = (flags & 4) != 0;
  auto task = std::make_unique<SurveyTask>(std::move(request));
  int64_t id = Environment::Of(info.Env())->StartTask(std::move(task), callback);
  return Number(info, id < 0 ? id : 0);
}

// --- processes ---

Value JsPidfdOpen(const CallbackInfo& info) {
  Arguments arguments(info);
  int pid = arguments.Int("pid");
  if (arguments.failed()) return Nothing(info);
  return Number(info, Environment::Of(info.Env())->Own(PidfdOpen(pid)));
}

Value JsPidfdInode(const CallbackInfo& info) {
  Arguments arguments(info);
  int pidfd = arguments.Int("pidfd");
  if (arguments.failed()) return Nothing(info);
  uint64_t inode = 0;
  int error = PidfdInode(pidfd, &inode);
  return error < 0 ? Number(info, error) : Napi::BigInt::New(info.Env(), inode);
}

Value JsPidfdSignal(const CallbackInfo& info) {
  Arguments arguments(info);
  int pidfd = arguments.Int("pidfd");
  int signal = arguments.Int("signal");
  if (arguments.failed()) return Nothing(info);
  return Number(info, PidfdSignal(pidfd, signal));
}

Value JsPidfdGetfd(const CallbackInfo& info) {
  Arguments arguments(info);
  int pidfd = arguments.Int("pidfd");
  int fd = arguments.Int("fd");
  if (arguments.failed()) return Nothing(info);
  return Number(info, Environment::Of(info.Env())->Own(PidfdGetfd(pidfd, fd)));
}

Value JsPidfdExitStatus(const CallbackInfo& info) {
  Arguments arguments(info);
  int pidfd = arguments.Int("pidfd");
  if (arguments.failed()) return Nothing(info);
  return Number(info, PidfdExitStatus(pidfd));
}

Value JsIsReadable(const CallbackInfo& info) {
  Arguments arguments(info);
  int fd = arguments.Int("fd");
  if (arguments.failed()) return Nothing(info);
  return Number(info, IsReadable(fd));
}

Value JsWatch(const CallbackInfo& info) {
  Arguments arguments(info);
  int fd = arguments.Int("fd");
  Napi::Function callback = arguments.Callback("callback");
  if (arguments.failed()) return Nothing(info);
  int64_t id = Environment::Of(info.Env())->StartWatch(fd, callback);
  if (id < 0) return Number(info, id);
  Napi::Object watch = Napi::Object::New(info.Env());
  SetMethod(watch, "close", [id](Environment* environment) { environment->CloseWatch(id); });
  SetMethod(watch, "ref", [id](Environment* environment) { environment->ReferWatch(id, true); });
  SetMethod(watch, "unref", [id](Environment* environment) { environment->ReferWatch(id, false); });
  return watch;
}

// --- lock bits ---

Value JsReadBit(const CallbackInfo& info) {
  Arguments arguments(info);
  std::string path = arguments.Text("path");
  if (arguments.failed()) return Nothing(info);
  return Number(info, ReadBit(path));
}

Value JsReadEpoch(const CallbackInfo& info) {
  Arguments arguments(info);
  std::string path = arguments.Text("path");
  if (arguments.failed()) return Nothing(info);
  int64_t epoch = 0;
  int error = ReadEpoch(path, &epoch);
  return Number(info, error < 0 ? error : epoch);
}

Value JsReadAttribute(const CallbackInfo& info) {
  Arguments arguments(info);
  std::string path = arguments.Text("path");
  if (arguments.failed()) return Nothing(info);
  std::string text;
  int error = ReadAttribute(path, &text);
  if (error < 0) return Number(info, error);
  return Napi::String::New(info.Env(), text);
}

Value JsWriteAttribute(const CallbackInfo& info) {
  Arguments arguments(info);
  std::string path = arguments.Text("path");
  std::string text = arguments.Text("text");
  if (arguments.failed()) return Nothing(info);
  return Number(info, WriteAttribute(path, text));
}

napi_value JsReadOpenEpoch(napi_env env, napi_callback_info info) {
  QuickArguments<1> arguments(env, info);
  int fd = arguments.Int(0, "fd");
  if (arguments.failed()) return nullptr;
  int64_t epoch = 0;
  int error = ReadOpenEpoch(fd, &epoch);
  return arguments.Number(error < 0 ? error : epoch);
}

napi_value JsSoftBitSet(napi_env env, napi_callback_info info) {
  QuickArguments<4> arguments(env, info);
  SoftBitFiles files = {arguments.Int(0, "bit"), arguments.Int(1, "epoch")};
  int64_t expected = arguments.Integer(2, "expected");
  int64_t next = arguments.Integer(3, "next");
  if (arguments.failed()) return nullptr;
  return arguments.Number(SoftBitSet(files, expected, next));
}

napi_value JsSoftBitClear(napi_env env, napi_callback_info info) {
  QuickArguments<3> arguments(env, info);
  SoftBitFiles files = {arguments.Int(0, "bit"), arguments.Int(1, "epoch")};
  int64_t epoch = arguments.Integer(2, "expected");
  if (arguments.failed()) return nullptr;
  Environment* environment = Environment::Of(env);
  if (!environment->Disown(files.bit)) return arguments.Number(-EBADF);
  if (!environment->Disown(files.epoch)) {
    close(files.bit);
    return arguments.Number(-EBADF);
  }
  return arguments.Number(SoftBitClear(files, epoch));
}

Value JsSoftBitStage(const CallbackInfo& info) {
  Arguments arguments(info);
  std::string directory = arguments.Text("directory");
  int64_t expected = arguments.Integer("expected");
  int64_t next = arguments.Integer("next");
  int64_t value = arguments.Integer("value");
  if (arguments.failed()) return Nothing(info);
  return Number(info, SoftBitStage(directory, expected, next, value != 0));
}

Value JsSoftBitCommit(const CallbackInfo& info) {
  Arguments arguments(info);
  std::string directory = arguments.Text("directory");
  if (arguments.failed()) return Nothing(info);
  return Number(info, SoftBitCommit(directory));
}

// --- the rest ---

// One action from columns: its three numbers say of which words it is made.
bool TakeAction(const int32_t* shape, std::vector<std::string>* words, size_t* next, Action* action) {
  auto [milliseconds, count, environment] = std::tuple{shape[0], shape[1], shape[2]};
  if (milliseconds < 0 || count < 1 || environment < 0) return false;
  if (words->size() - *next < static_cast<size_t>(count) + static_cast<size_t>(environment)) return false;
  auto take = [&](int n) {
    auto from = std::make_move_iterator(words->begin() + static_cast<ptrdiff_t>(*next));
    *next += static_cast<size_t>(n);
    return std::vector<std::string>(from, from + n);
  };
  std::vector<std::string> first = take(count);
  std::vector<std::string> second = take(environment);
  if (milliseconds == 0) {
    if (count != 1 || environment != 1) return false;
    action->path = std::move(first[0]);
    action->text = std::move(second[0]);
    return true;
  }
  action->argv = std::move(first);
  action->environment = std::move(second);
  action->milliseconds = milliseconds;
  return true;
}

// What can be stopped: six numbers each, for stopping and for restoring.
bool TakeStoppables(const std::vector<int32_t>& shapes, std::vector<std::string>* words,
                    std::vector<Stoppable>* stoppables) {
  if (shapes.size() % 6 != 0) return false;
  size_t next = 0;
  for (size_t i = 0; i < shapes.size(); i += 6) {
    Stoppable& made = stoppables->emplace_back();
    if (!TakeAction(&shapes[i], words, &next, &made.stop)) return false;
    if (!TakeAction(&shapes[i + 3], words, &next, &made.restore)) return false;
  }
  return next == words->size();
}

Value JsStartHoldSupervisor(const CallbackInfo& info) {
  Arguments arguments(info);
  HoldPlan plan;
  plan.gate = arguments.Int("gate");
  plan.turn = arguments.Int("turn");
  plan.milliseconds = arguments.Integer("milliseconds");
  plan.fences = arguments.Texts("fences");
  std::vector<int32_t> shapes = arguments.Int32s("shapes");
  std::vector<std::string> words = arguments.Texts("words");
  if (plan.milliseconds < 1) arguments.Fail("milliseconds", "at least 1");
  if (!TakeStoppables(shapes, &words, &plan.stoppables)) arguments.Fail("shapes", "those of the words");
  if (arguments.failed()) return Nothing(info);
  HoldSupervisor supervisor;
  int error = StartHoldSupervisor(plan, &supervisor);
  if (error < 0) return Number(info, error);
  Environment* environment = Environment::Of(info.Env());
  Napi::Object result = Napi::Object::New(info.Env());
  result["pid"] = Number(info, supervisor.pid);
  result["pidfd"] = Number(info, environment->Own(supervisor.pidfd.release()));
  result["channel"] = Number(info, environment->Own(supervisor.channel.release()));
  return result;
}

Value JsSendOrder(const CallbackInfo& info) {
  Arguments arguments(info);
  int channel = arguments.Int("channel");
  auto kind = static_cast<OrderKind>(arguments.Choice("kind", 2));
  int index = arguments.Int("index");
  if (arguments.failed()) return Nothing(info);
  return Number(info, SendOrder(channel, {kind, index}));
}

Value JsReceiveNews(const CallbackInfo& info) {
  Arguments arguments(info);
  int channel = arguments.Int("channel");
  if (arguments.failed()) return Nothing(info);
  News news = {};
  int count = ReceiveNews(channel, &news);
  if (count < 0) return Number(info, count);
  if (count == 0) return Nothing(info);
  Napi::Object result = Napi::Object::New(info.Env());
  result["kind"] = Number(info, static_cast<int>(news.kind));
  result["index"] = Number(info, news.index);
  result["status"] = Number(info, news.status);
  return result;
}

Value JsReapHoldSupervisor(const CallbackInfo& info) {
  Arguments arguments(info);
  int pidfd = arguments.Int("pidfd");
  if (arguments.failed()) return Nothing(info);
  return Number(info, ReapHoldSupervisor(pidfd));
}

Value JsOpenCloseWatch(const CallbackInfo& info) {
  Arguments arguments(info);
  std::string path = arguments.Text("path");
  if (arguments.failed()) return Nothing(info);
  return Number(info, Environment::Of(info.Env())->Own(OpenCloseWatch(path.c_str())));
}

Value JsDrainCloseWatch(const CallbackInfo& info) {
  Arguments arguments(info);
  int fd = arguments.Int("fd");
  if (arguments.failed()) return Nothing(info);
  return Number(info, DrainCloseWatch(fd));
}

// Its text, or -errno.
napi_value PageText(napi_env env, const Page& page, ssize_t length) {
  napi_value result = nullptr;
  if (length < 0)
    napi_create_int32(env, static_cast<int>(length), &result);
  else
    napi_create_string_utf8(env, page.data(), static_cast<size_t>(length), &result);
  return result;
}

napi_value JsReadPage(napi_env env, napi_callback_info info) {
  QuickArguments<1> arguments(env, info);
  const char* path = arguments.Path(0);
  if (arguments.failed()) return nullptr;
  Page page;
  ssize_t length = ReadPage(path, &page);
  return PageText(env, page, length);
}

napi_value JsReadOpenPage(napi_env env, napi_callback_info info) {
  QuickArguments<1> arguments(env, info);
  int fd = arguments.Int(0, "fd");
  if (arguments.failed()) return nullptr;
  Page page;
  ssize_t length = ReadOpenPage(fd, &page);
  return PageText(env, page, length);
}

napi_value JsWritePage(napi_env env, napi_callback_info info) {
  QuickArguments<2> arguments(env, info);
  Page page;
  int fd = arguments.Int(0, "fd");
  size_t length = arguments.Text(1, "text", &page);
  if (arguments.failed()) return nullptr;
  return arguments.Number(WritePage(fd, &page, length));
}

Value JsSetXattr(const CallbackInfo& info) {
  Arguments arguments(info);
  int fd = arguments.Int("fd");
  std::string name = arguments.Text("name");
  Napi::Buffer<char> value = arguments.Bytes("value");
  if (arguments.failed()) return Nothing(info);
  return Number(info, SetXattr(fd, name.c_str(), value.Data(), value.Length()));
}

Value JsGetXattr(const CallbackInfo& info) {
  Arguments arguments(info);
  int fd = arguments.Int("fd");
  std::string name = arguments.Text("name");
  if (arguments.failed()) return Nothing(info);
  std::string value;
  int error = GetXattr(fd, name.c_str(), &value);
  if (error < 0) return Number(info, error);
  return Napi::Buffer<char>::Copy(info.Env(), value.data(), value.size());
}

Value JsPeerCredentials(const CallbackInfo& info) {
  Arguments arguments(info);
  int fd = arguments.Int("fd");
  if (arguments.failed()) return Nothing(info);
  ucred credentials = {};
  int error = PeerCredentials(fd, &credentials);
  if (error < 0) return Number(info, error);
  Napi::Object result = Napi::Object::New(info.Env());
  result["pid"] = Number(info, credentials.pid);
  result["uid"] = Number(info, credentials.uid);
  result["gid"] = Number(info, credentials.gid);
  return result;
}

Value JsPeerGroups(const CallbackInfo& info) {
  Arguments arguments(info);
  int fd = arguments.Int("fd");
  if (arguments.failed()) return Nothing(info);
  std::vector<gid_t> groups;
  int error = PeerGroups(fd, &groups);
  if (error < 0) return Number(info, error);
  Napi::Array result = Napi::Array::New(info.Env(), groups.size());
  for (uint32_t i = 0; i < groups.size(); i++) result[i] = Number(info, groups[i]);
  return result;
}

Value JsPeerPidfd(const CallbackInfo& info) {
  Arguments arguments(info);
  int fd = arguments.Int("fd");
  if (arguments.failed()) return Nothing(info);
  return Number(info, Environment::Of(info.Env())->Own(PeerPidfd(fd)));
}

Value JsNotify(const CallbackInfo& info) {
  Arguments arguments(info);
  std::string socket = arguments.Text("socket");
  std::string message = arguments.Text("message");
  if (arguments.failed()) return Nothing(info);
  return Number(info, Notify(socket, message));
}

struct Export {
  const char* name;
  Value (*function)(const CallbackInfo&);
};

constexpr Export kExports[] = {
    {"waitLock", JsWaitLock},
    {"parseLocks", JsParseLocks},
    {"parseFdInfo", JsParseFdInfo},
    {"surveyLocks", JsSurveyLocks},
    {"pidfdOpen", JsPidfdOpen},
    {"pidfdInode", JsPidfdInode},
    {"pidfdSignal", JsPidfdSignal},
    {"pidfdGetfd", JsPidfdGetfd},
    {"pidfdExitStatus", JsPidfdExitStatus},
    {"isReadable", JsIsReadable},
    {"watch", JsWatch},
    {"readBit", JsReadBit},
    {"readEpoch", JsReadEpoch},
    {"readAttribute", JsReadAttribute},
    {"writeAttribute", JsWriteAttribute},
    {"softBitStage", JsSoftBitStage},
    {"softBitCommit", JsSoftBitCommit},
    {"startHoldSupervisor", JsStartHoldSupervisor},
    {"sendOrder", JsSendOrder},
    {"receiveNews", JsReceiveNews},
    {"reapHoldSupervisor", JsReapHoldSupervisor},
    {"openCloseWatch", JsOpenCloseWatch},
    {"drainCloseWatch", JsDrainCloseWatch},
    {"setXattr", JsSetXattr},
    {"getXattr", JsGetXattr},
    {"peerCredentials", JsPeerCredentials},
    {"peerGroups", JsPeerGroups},
    {"peerPidfd", JsPeerPidfd},
    {"notify", JsNotify},
};

struct QuickExport {
  const char* name;
  napi_callback function;
};

constexpr QuickExport kQuickExports[] = {
    {"open", JsOpen},
    {"close", JsClose},
    {"setLock", JsSetLock},
    {"setWholeLock", JsSetWholeLock},
    {"lockPath", JsLockPath},
    {"unlockAndClose", JsUnlockAndClose},
    {"getLock", JsGetLock},
    {"readPage", JsReadPage},
    {"readOpenPage", JsReadOpenPage},
    {"writePage", JsWritePage},
    {"hasName", JsAsk<HasName>},
    {"readOpenBit", JsAsk<ReadOpenBit>},
    {"readOpenEpoch", JsReadOpenEpoch},
    {"softBitSet", JsSoftBitSet},
    {"softBitClear", JsSoftBitClear},
};

}  // namespace

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  Environment::Attach(env);
  for (const Export& item : kExports) exports[item.name] = Napi::Function::New(env, item.function, item.name);
  for (const QuickExport& item : kQuickExports) {
    napi_value function = nullptr;
    napi_create_function(env, item.name, NAPI_AUTO_LENGTH, item.function, nullptr, &function);
    exports[item.name] = Napi::Value(env, function);
  }
  return exports;
}

NODE_API_MODULE(locksmith, Init)

}  // namespace locksmith
