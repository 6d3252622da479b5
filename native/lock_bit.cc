// Fencing by inode. Whoever takes a soft bit from somebody else replaces both its files, `epoch` first and
// `conf_locked` second; Set and Clear open `conf_locked` first and `epoch` second, and write only after they
// have compared. So a process that was stopped anywhere in Set or Clear while the lock was taken from it
// finds, when it goes on,
//   - an old conf_locked and an old epoch: both its writes go to files that nobody reads any more;
//   - an old conf_locked and a new epoch file: its comparison fails, the epoch is not the one it expects;
//   - new files both: the same.
// It can't have a new conf_locked and an old epoch, as that would be opened later and is replaced earlier.
// It can meet the moment between the two renames, with the old epoch and a conf_locked that is about to go:
// then it learns from the epoch file that it was replaced, and the bit that it wrote lasts until the second
// rename.
//
// Fencing by name. What is to replace them waits under names of its own (Stage) until it takes effect
// (Commit): whoever removes these names in between has prevented it, also of a process that is stopped there.
#include "lock_bit.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <charconv>

#include "fd.h"
#include "file_lock.h"

namespace locksmith {

namespace {

constexpr char kStagedEpoch[] = "/.epoch.new";
constexpr char kStagedBit[] = "/.conf_locked.new";
constexpr int64_t kMaxEpoch = (int64_t{1} << 53) - 1;  // JavaScript's safe integers

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

// The two files of a soft bit, open for a change and locked against another one.
struct SoftBit {
  Fd bit;
  Fd epoch;
  int value = 0;
  int64_t current = 0;
  size_t bit_size = 0;
  size_t epoch_size = 0;

  int Open(const std::string& directory);
  bool Replaced() const;
};

bool HasNoName(const Fd& fd) {
  struct stat status = {};
  return fstat(fd.get(), &status) != 0 || status.st_nlink == 0;
}

bool SoftBit::Replaced() const { return HasNoName(bit) || HasNoName(epoch); }

int SoftBit::Open(const std::string& directory) {
  bit = Fd(OrErrno(open((directory + "/conf_locked").c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW)));
  if (!bit.ok()) return bit.get();
  epoch = Fd(OrErrno(open((directory + "/epoch").c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW)));
  if (!epoch.ok()) return epoch.get();
  int error = SetLock({bit.get(), LockKind::kOfd, LockType::kExclusive, 0, 0});
  if (error < 0) return error == -EAGAIN ? -EBUSY : error;
  if (Replaced()) return -ESTALE;
  std::string text;
  error = ReadSmall(bit.get(), &text);
  if (error < 0) return error;
  value = ParseBit(text);
  if (value < 0) return value;
  bit_size = text.size();
  error = ReadSmall(epoch.get(), &text);
  epoch_size = text.size();
  return error < 0 ? error : ParseEpoch(text, &current);
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
  Fd fd(OrErrno(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)));
  return fd.ok() ? ReadSmall(fd.get(), text) : fd.get();
}

int ReadBit(const std::string& path) {
  std::string text;
  int error = ReadAttribute(path, &text);
  return error < 0 ? error : ParseBit(text);
}

int ReadEpoch(const std::string& path, int64_t* epoch) {
  std::string text;
  int error = ReadAttribute(path, &text);
  return error < 0 ? error : ParseEpoch(text, epoch);
}

int WriteAttribute(const std::string& path, const std::string& text) {
  Fd fd(OrErrno(open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW)));
  if (!fd.ok()) return fd.get();
  ssize_t count = OrErrno(write(fd.get(), text.data(), text.size()));
  if (count < 0) return static_cast<int>(count);
  return count == static_cast<ssize_t>(text.size()) ? 0 : -EIO;
}

int SoftBitSet(const std::string& directory, int64_t expected, int64_t next) {
  if (next <= expected) return -EINVAL;
  SoftBit soft;
  int error = soft.Open(directory);
  if (error < 0) return error;
  if (soft.value == 1) return -EBUSY;
  if (soft.current != expected) return -ESTALE;
  // The epoch first: killed in between, the bit is clear and a higher epoch does no harm.
  error = WriteText(soft.epoch.get(), EpochText(next), soft.epoch_size);
  if (error == 0) error = WriteText(soft.bit.get(), "1\n", soft.bit_size);
  if (error < 0) return error;
  return soft.Replaced() ? -ESTALE : 0;
}

int SoftBitClear(const std::string& directory, int64_t epoch) {
  SoftBit soft;
  int error = soft.Open(directory);
  if (error < 0) return error;
  if (soft.current != epoch) return -ESTALE;
  if (soft.value == 0) return -EALREADY;
  error = WriteText(soft.bit.get(), "0\n", soft.bit_size);
  if (error < 0) return error;
  return soft.Replaced() ? -ESTALE : 0;
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
