// Which functions does JavaScript see? Checks the arguments, calls one function of native/, and passes its
// result on.
#include <fcntl.h>
#include <napi.h>

#include "arguments.h"
#include "background.h"
#include "close_watch.h"
#include "environment.h"
#include "fd.h"
#include "file_lock.h"
#include "hold_timer.h"
#include "lock_bit.h"
#include "lock_wait.h"
#include "notify.h"
#include "pidfd.h"
#include "proc_descriptors.h"
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

Value JsOpen(const CallbackInfo& info) {
  Arguments arguments(info);
  std::string path = arguments.Text("path");
  int flags = arguments.Int("flags");
  int mode = arguments.Int("mode");
  if (arguments.failed()) return Nothing(info);
  int fd = OrErrno(open(path.c_str(), flags | O_CLOEXEC, mode));
  return Number(info, Environment::Of(info.Env())->Own(fd));
}

Value JsClose(const CallbackInfo& info) {
  Arguments arguments(info);
  int fd = arguments.Int("fd");
  if (arguments.failed()) return Nothing(info);
  return Number(info, Environment::Of(info.Env())->CloseOwned(fd));
}

// --- locks ---

LockRequest ReadRequest(Arguments* arguments) {
  int fd = arguments->Int("fd");
  auto kind = static_cast<LockKind>(arguments->Choice("kind", 2));
  auto type = static_cast<LockType>(arguments->Choice("type", 2));
  int64_t start = arguments->Integer("start");
  int64_t length = arguments->Integer("length");
  return {fd, kind, type, start, length};
}

Value JsSetLock(const CallbackInfo& info) {
  Arguments arguments(info);
  LockRequest request = ReadRequest(&arguments);
  if (arguments.failed()) return Nothing(info);
  return Number(info, SetLock(request));
}

Value JsGetLock(const CallbackInfo& info) {
  Arguments arguments(info);
  LockRequest request = ReadRequest(&arguments);
  if (arguments.failed()) return Nothing(info);
  LockConflict conflict = {};
  int error = GetLock(request, &conflict);
  if (error < 0) return Number(info, error);
  if (!conflict.found) return Nothing(info);
  Napi::Object result = Napi::Object::New(info.Env());
  result["type"] = Number(info, static_cast<int>(conflict.type));
  result["pid"] = Number(info, conflict.pid);
  result["start"] = Number(info, conflict.start);
  result["length"] = Number(info, conflict.length);
  return result;
}

class LockTask : public Task {
 public:
  explicit LockTask(const LockRequest& request) : wait_(request) {}
  int Start(std::function<void()> done) override { return wait_.Start(std::move(done)); }
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
  int64_t id = Environment::Of(info.Env())->StartTask(std::make_unique<LockTask>(request), callback);
  if (id < 0) return Number(info, id);
  Napi::Object wait = Napi::Object::New(info.Env());
  SetMethod(wait, "abort", [id](Environment* environment) { environment->AbortTask(id); });
  return wait;
}

// --- the lock table and descriptors of processes ---

Napi::Object RowObject(Napi::Env env, const LockRow& row) {
  Napi::Object object = Napi::Object::New(env);
  object["id"] = Napi::Number::New(env, static_cast<double>(row.id));
  object["waiting"] = Napi::Boolean::New(env, row.waiting);
  object["kind"] = Napi::String::New(env, row.kind);
  object["mode"] = Napi::String::New(env, row.mode);
  object["access"] = Napi::String::New(env, row.access);
  object["pid"] = Napi::Number::New(env, static_cast<double>(row.pid));
  object["major"] = Napi::Number::New(env, row.major);
  object["minor"] = Napi::Number::New(env, row.minor);
  object["inode"] = Napi::BigInt::New(env, row.inode);
  object["start"] = Napi::BigInt::New(env, row.start);
  object["end"] = row.to_end ? env.Undefined() : Value(Napi::BigInt::New(env, row.end));
  return object;
}

// Makes a JavaScript array, one object an item, each in a scope of its own: tables may have many rows.
template <typename Item, typename Make>
Napi::Array ArrayOf(Napi::Env env, const std::vector<Item>& items, Make make) {
  Napi::Array array = Napi::Array::New(env, items.size());
  for (uint32_t index = 0; index < items.size(); index++) {
    Napi::HandleScope scope(env);
    array[index] = make(env, items[index]);
  }
  return array;
}

Value TableResult(const CallbackInfo& info, std::string_view text) {
  std::vector<LockRow> rows;
  int error = ParseLockTable(text, &rows);
  if (error < 0) return Number(info, error);
  return ArrayOf(info.Env(), rows, RowObject);
}

Value JsReadLocks(const CallbackInfo& info) {
  Arguments arguments(info);
  std::string path = arguments.Text("path");
  if (arguments.failed()) return Nothing(info);
  std::string text;
  int error = ReadProcFile(path.c_str(), &text);
  return error < 0 ? Number(info, error) : TableResult(info, text);
}

Value JsParseLocks(const CallbackInfo& info) {
  Arguments arguments(info);
  Napi::Buffer<char> text = arguments.Bytes("text");
  if (arguments.failed()) return Nothing(info);
  return TableResult(info, {text.Data(), text.Length()});
}

Napi::Object DescriptorObject(Napi::Env env, const DescriptorRow& row) {
  Napi::Object object = Napi::Object::New(env);
  object["pid"] = Napi::Number::New(env, row.pid);
  object["fd"] = Napi::Number::New(env, row.fd);
  object["inode"] = Napi::BigInt::New(env, row.inode);
  object["mountId"] = Napi::Number::New(env, row.mount_id);
  object["flags"] = Napi::Number::New(env, row.flags);
  object["locks"] = ArrayOf(env, row.locks, RowObject);
  return object;
}

class ScanTask : public Task {
 public:
  ScanTask(std::string root, std::unordered_set<uint64_t> inodes)
      : root_(std::move(root)), inodes_(std::move(inodes)) {}

  int Start(std::function<void()> done) override {
    return thread_.Start([this] { error_ = FindDescriptors(root_, inodes_, &scan_); }, std::move(done));
  }

  Value Result(Napi::Env env) const override {
    if (error_ < 0) return Napi::Number::New(env, error_);
    Napi::Object result = Napi::Object::New(env);
    result["rows"] = ArrayOf(env, scan_.rows, DescriptorObject);
    result["unreadable"] =
        ArrayOf(env, scan_.unreadable, [](Napi::Env to, int pid) { return Napi::Number::New(to, pid); });
    return result;
  }

 private:
  const std::string root_;
  const std::unordered_set<uint64_t> inodes_;
  DescriptorScan scan_;
  int error_ = 0;
  BackgroundThread thread_;  // last: joined before what it works on goes
};

Value JsFindDescriptors(const CallbackInfo& info) {
  Arguments arguments(info);
  std::string root = arguments.Text("procRoot");
  Napi::Array list = arguments.List("inodes");
  Napi::Function callback = arguments.Callback("callback");
  std::unordered_set<uint64_t> inodes;
  for (uint32_t index = 0; index < list.Length() && !arguments.failed(); index++) {
    Value item = list.Get(index);
    if (info.Env().IsExceptionPending()) return Nothing(info);  // a getter threw
    bool lossless = false;
    if (item.IsBigInt()) inodes.insert(item.As<Napi::BigInt>().Uint64Value(&lossless));
    if (!lossless) arguments.Fail("inodes", "an array of bigints of 64 bits");
  }
  if (arguments.failed()) return Nothing(info);
  auto task = std::make_unique<ScanTask>(std::move(root), std::move(inodes));
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

template <int (*Change)(const std::string&, int64_t, int64_t)>
Value JsRaiseSoftBit(const CallbackInfo& info) {
  Arguments arguments(info);
  std::string directory = arguments.Text("directory");
  int64_t expected = arguments.Integer("expected");
  int64_t next = arguments.Integer("next");
  if (arguments.failed()) return Nothing(info);
  return Number(info, Change(directory, expected, next));
}

Value JsSoftBitClear(const CallbackInfo& info) {
  Arguments arguments(info);
  std::string directory = arguments.Text("directory");
  int64_t epoch = arguments.Integer("epoch");
  if (arguments.failed()) return Nothing(info);
  return Number(info, SoftBitClear(directory, epoch));
}

// --- the rest ---

Value JsStartHoldTimer(const CallbackInfo& info) {
  Arguments arguments(info);
  int gate = arguments.Int("gate");
  int64_t milliseconds = arguments.Integer("milliseconds");
  if (milliseconds < 1) arguments.Fail("milliseconds", "at least 1");
  if (arguments.failed()) return Nothing(info);
  HoldTimer timer;
  int error = StartHoldTimer(gate, milliseconds, &timer);
  if (error < 0) return Number(info, error);
  Environment* environment = Environment::Of(info.Env());
  Napi::Object result = Napi::Object::New(info.Env());
  result["pid"] = Number(info, timer.pid);
  result["pidfd"] = Number(info, environment->Own(timer.pidfd.release()));
  result["channel"] = Number(info, environment->Own(timer.channel.release()));
  return result;
}

Value JsReapHoldTimer(const CallbackInfo& info) {
  Arguments arguments(info);
  int pidfd = arguments.Int("pidfd");
  if (arguments.failed()) return Nothing(info);
  return Number(info, ReapHoldTimer(pidfd));
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
    {"open", JsOpen},
    {"close", JsClose},
    {"setLock", JsSetLock},
    {"getLock", JsGetLock},
    {"waitLock", JsWaitLock},
    {"readLocks", JsReadLocks},
    {"parseLocks", JsParseLocks},
    {"findDescriptors", JsFindDescriptors},
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
    {"softBitSet", JsRaiseSoftBit<SoftBitSet>},
    {"softBitClear", JsSoftBitClear},
    {"softBitHandover", JsRaiseSoftBit<SoftBitHandover>},
    {"startHoldTimer", JsStartHoldTimer},
    {"reapHoldTimer", JsReapHoldTimer},
    {"openCloseWatch", JsOpenCloseWatch},
    {"drainCloseWatch", JsDrainCloseWatch},
    {"setXattr", JsSetXattr},
    {"getXattr", JsGetXattr},
    {"peerCredentials", JsPeerCredentials},
    {"peerPidfd", JsPeerPidfd},
    {"notify", JsNotify},
};

}  // namespace

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  Environment::Attach(env);
  for (const Export& item : kExports) exports[item.name] = Napi::Function::New(env, item.function, item.name);
  return exports;
}

NODE_API_MODULE(locksmith, Init)

}  // namespace locksmith
