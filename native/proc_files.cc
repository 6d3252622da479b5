#include "proc_files.h"

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <utility>

namespace locksmith {

namespace {

constexpr size_t kPiece = size_t{64} * 1024;
constexpr size_t kRecord = 4096;

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};

bool ParseNumber(std::string_view name, int* number) {
  auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), *number);
  return error == std::errc() && end == name.data() + name.size();
}

// read(2) that goes on after a signal: the count or -errno.
ssize_t ReadOn(int fd, char* buffer, size_t size) {
  ssize_t count;
  do {
    count = OrErrno(read(fd, buffer, size));
  } while (count == -EINTR);
  return count;
}

// Reads until `ended` says so of what a read gave and what it had room for.
template <typename Ended>
int ReadUntil(int directory, const char* path, std::string* text, Ended ended) {
  Fd fd(OrErrno(openat(directory, path, O_RDONLY | O_CLOEXEC)));
  if (!fd.ok()) return fd.get();
  size_t filled = 0;
  text->resize(std::max(text->capacity(), kRecord));
  for (;;) {
    size_t room = text->size() - filled;
    ssize_t count = ReadOn(fd.get(), text->data() + filled, room);
    if (count < 0) return static_cast<int>(count);
    filled += static_cast<size_t>(count);
    if (ended(static_cast<size_t>(count), room)) break;
    if (filled == text->size()) text->resize(text->size() * 2);
  }
  text->resize(filled);
  return 0;
}

}  // namespace

int LineSplitter::Feed(std::string_view text) {
  for (size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
    std::string_view line = text.substr(0, end);
    if (!begun_.empty()) line = begun_.append(line);
    int result = take_(line);
    begun_.clear();
    if (result != 0) return result;
    text.remove_prefix(end + 1);
  }
  begun_ += text;
  return 0;
}

int LineSplitter::End() {
  std::string last = std::exchange(begun_, {});
  return last.empty() ? 0 : take_(last);
}

int ReadLines(int directory, const char* path, const TakeText& take) {
  LineSplitter lines(take);
  Fd fd(OrErrno(openat(directory, path, O_RDONLY | O_CLOEXEC)));
  if (!fd.ok()) return fd.get();
  std::string piece(kPiece, '\0');
  for (;;) {
    ssize_t count = ReadOn(fd.get(), piece.data(), piece.size());
    if (count < 0) return static_cast<int>(count);
    if (count == 0) return lines.End();
    int result = lines.Feed({piece.data(), static_cast<size_t>(count)});
    if (result != 0) return result;
  }
}

int ReadRecord(int directory, const char* path, std::string* text) {
  return ReadUntil(directory, path, text, [](size_t count, size_t room) { return count < room; });
}

int ReadWhole(int directory, const char* path, std::string* text) {
  return ReadUntil(directory, path, text, [](size_t count, size_t) { return count == 0; });
}

Fd OpenDirectory(int directory, const char* path) {
  return Fd(OrErrno(openat(directory, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
}

int ForEachNumber(int directory, const std::function<void(int)>& visit) {
  Fd copy(OrErrno(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
  if (!copy.ok()) return copy.get();
  std::unique_ptr<DIR, CloseDirectory> entries(fdopendir(copy.get()));
  if (entries == nullptr) return -errno;
  copy.release();
  for (;;) {
    errno = 0;
    const dirent* entry = readdir(entries.get());
    if (entry == nullptr) return -errno;
    int number = 0;
    if (ParseNumber(entry->d_name, &number)) visit(number);
  }
}

}  // namespace locksmith
