// Fencing by inode. Whoever takes a soft bit from somebody else replaces both its files. Its owner has opened
// them when he had the guard and no record named him yet, when nobody could take anything from him. So what
// he has open are the files in use or, from the moment when the lock was taken from him, two that nobody
// reads any more: wherever he was stopped in Set or Clear meanwhile, he changes nothing when he goes on, and
// learns it when he looks at their links at last. He can meet the moment between the two renames, when his
// conf_locked is about to go: the bit that he wrote lasts until the second rename.
//
// Who opens them at another moment opens `conf_locked` first and `epoch` second, which are replaced in the
// other order: so he can't have a new bit with an old epoch, which would be his own.
//
// Fencing by name. What is to replace them waits under names of its own (Stage) until it takes effect
// (Commit): whoever removes these names in between has prevented it, also of a process that is stopped there.
#include "lock_bit.h"

#include <fcntl.h>

#include <charconv>

#include "fd.h"
#include "file_lock.h"
#include "has_name.h"

namespace locksmith {

namespace {

constexpr char kStagedEpoch[] = "/.epoch.new";
constexpr char kStagedBit[] = "/.conf_locked.new";
constexpr int64_t kMaxEpoch = (int64_t{1} << 53) - 1;  // JavaScript's safe integers

Fd OpenToRead(const std::string& path) {
  return Fd(OrErrno(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)));
}

int ReadSmall(int fd, std::string* text) {
  char buffer[64];
  ssize_t count = OrErrno(pread(fd, buffer, sizeof buffer, 0));
  if (count < 0) return static_cast<int>(count);
  text->assign(buffer, static_cast<size_t>(count));
  return count == sizeof buffer ? -EBADMSG : 0;
}

int ParseBit(const std::string& text) {
  if (text == "0\n" || text == "0") return 0;
  if (text == "1\n" || text == "1") return 1;
  return -EBADMSG;
}

int ParseEpoch(const std::string& text, int64_t* epoch) {
  const char* end = text.data() + text.size();
  auto [stop, error] = std::from_chars(text.data(), end, *epoch);
  bool whole = error == std::errc() && stop + 1 == end && *stop == '\n';
  return whole && *epoch >= 0 && *epoch <= kMaxEpoch ? 0 : -EBADMSG;
}

// Replaces a text of `before` bytes. One that is to become shorter is truncated first: a torn epoch must
// never read as a smaller one.
int WriteText(int fd, const std::string& text, size_t before) {
  if (before > text.size() && ftruncate(fd, 0) != 0) return -errno;
  ssize_t count = OrErrno(pwrite(fd, text.data(), text.size(), 0));
  if (count < 0) return static_cast<int>(count);
  return count == static_cast<ssize_t>(text.size()) ? 0 : -ENOSPC;
}

std::string EpochText(int64_t epoch) { return std::to_string(epoch) + "\n"; }

// What the two files of a soft bit say, once they are locked against another change.
struct SoftBit {
  int value = 0;
  int64_t current = 0;
  size_t bit_size = 0;
  size_t epoch_size = 0;

  int LockAndRead(const SoftBitFiles& files);
};

int SoftBit::LockAndRead(const SoftBitFiles& files) {
  int error = SetLock({files.bit, LockKind::kOfd, LockType::kExclusive, 0, 0});
  if (error < 0) return error == -EAGAIN ? -EBUSY : error;
  std::string text;
  error = ReadSmall(files.bit, &text);
  if (error < 0) return error;
  value = ParseBit(text);
  if (value < 0) return value;
  bit_size = text.size();
  error = ReadSmall(files.epoch, &text);
  epoch_size = text.size();
  return error < 0 ? error : ParseEpoch(text, &current);
}

// With the files locked.
int Set(const SoftBitFiles& files, int64_t expected, int64_t next) {
  SoftBit soft;
  int error = soft.LockAndRead(files);
  if (error < 0) return error;
  if (soft.value == 1) return -EBUSY;
  if (soft.current != expected) return -ESTALE;
  // The epoch first: killed in between, the bit is clear and a higher epoch does no harm.
  error = WriteText(files.epoch, EpochText(next), soft.epoch_size);
  return error < 0 ? error : WriteText(files.bit, "1\n", soft.bit_size);
}

int Clear(const SoftBitFiles& files, int64_t epoch) {
  SoftBit soft;
  int error = soft.LockAndRead(files);
  if (error < 0) return error;
  if (soft.current != epoch) return -ESTALE;
  if (soft.value == 0) return -EALREADY;
  return WriteText(files.bit, "0\n", soft.bit_size);
}

// The result of a change, unless somebody has replaced the files: nobody reads what it wrote then.
int UnlessReplaced(const SoftBitFiles& files, int result) {
  bool current = HasName(files.bit) == 1 && HasName(files.epoch) == 1;
  return current ? result : -ESTALE;
}

// A file written whole under another name, ready to replace `path`.
int WriteFresh(const std::string& path, const std::string& text) {
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return -errno;
  Fd fd(OrErrno(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644)));
  if (!fd.ok()) return fd.get();
  int error = WriteText(fd.get(), text, 0);
  if (error < 0) unlink(path.c_str());
  return error;
}

int Replace(const std::string& fresh, const std::string& path) {
  return OrErrno(rename(fresh.c_str(), path.c_str()));
}

}  // namespace

int ReadAttribute(const std::string& path, std::string* text) {
  Fd fd = OpenToRead(path);
  return fd.ok() ? ReadSmall(fd.get(), text) : fd.get();
}

int ReadBit(const std::string& path) {
  Fd fd = OpenToRead(path);
  return fd.ok() ? ReadOpenBit(fd.get()) : fd.get();
}

int ReadEpoch(const std::string& path, int64_t* epoch) {
  Fd fd = OpenToRead(path);
  return fd.ok() ? ReadOpenEpoch(fd.get(), epoch) : fd.get();
}

int ReadOpenBit(int fd) {
  std::string text;
  int error = ReadSmall(fd, &text);
  return error < 0 ? error : ParseBit(text);
}

int ReadOpenEpoch(int fd, int64_t* epoch) {
  std::string text;
  int error = ReadSmall(fd, &text);
  return error < 0 ? error : ParseEpoch(text, epoch);
}

int WriteAttribute(const std::string& path, const std::string& text) {
  Fd fd(OrErrno(open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW)));
  if (!fd.ok()) return fd.get();
  ssize_t count = OrErrno(write(fd.get(), text.data(), text.size()));
  if (count < 0) return static_cast<int>(count);
  return count == static_cast<ssize_t>(text.size()) ? 0 : -EIO;
}

int SoftBitSet(const SoftBitFiles& files, int64_t expected, int64_t next) {
  if (next <= expected) return -EINVAL;
  int result = UnlessReplaced(files, Set(files, expected, next));
  int unlocked = SetLock({files.bit, LockKind::kOfd, LockType::kUnlock, 0, 0});
  return result < 0 ? result : unlocked;
}

int SoftBitClear(const SoftBitFiles& files, int64_t epoch) {
  Fd bit(files.bit);
  Fd other(files.epoch);
  return UnlessReplaced(files, Clear(files, epoch));
}

// Takes no lock on the bit: a frozen owner may have it. The guard keeps everybody else away.
int SoftBitStage(const std::string& directory, int64_t expected, int64_t next, bool set) {
  if (set ? next <= expected : next != expected) return -EINVAL;
  int64_t current = 0;
  int error = ReadEpoch(directory + "/epoch", &current);
  if (error < 0) return error;
  if (current != expected) return -ESTALE;
  int value = ReadBit(directory + "/conf_locked");
  if (value < 0) return value;
  if (!set && value == 0) return -EALREADY;
  error = WriteFresh(directory + kStagedEpoch, EpochText(next));
  return error < 0 ? error : WriteFresh(directory + kStagedBit, set ? "1\n" : "0\n");
}

int SoftBitCommit(const std::string& directory) {
  int error = Replace(directory + kStagedEpoch, directory + "/epoch");
  return error < 0 ? error : Replace(directory + kStagedBit, directory + "/conf_locked");
}

}  // namespace locksmith
