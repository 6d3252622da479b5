// What does a line of the kernel's lock table say? (proc_locks(5), fs/locks.c)
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_set>

#include "proc_files.h"

namespace locksmith {

// A file as the table names it: device of the superblock and the inode's own number.
struct FileKey {
  unsigned major = 0;
  unsigned minor = 0;
  uint64_t inode = 0;
  bool operator==(const FileKey&) const = default;
};

inline size_t MixHash(size_t seed, uint64_t value) {
  return (seed ^ value) * 0x9e3779b97f4a7c15u + (seed >> 29);
}

struct HashFile {
  size_t operator()(const FileKey& file) const {
    return MixHash(MixHash(file.major, file.minor), file.inode);
  }
};
using FileSet = std::unordered_set<FileKey, HashFile>;

struct LockRow {
  int64_t id = 0;
  int depth = 0;     // 0: held; 1: waits for the held one of the same id; 2: waits behind such a waiter; ...
  std::string kind;  // FLOCK, OFDLCK, POSIX, LEASE, DELEG, ACCESS
  std::string mode;  // ADVISORY, MANDATORY, ACTIVE, BREAKING, BREAKER
  std::string access;  // READ, WRITE, RW, NONE, UNLCK
  int64_t pid = 0;
  FileKey file;
  int64_t start = 0;
  int64_t end = 0;
  bool to_end = false;  // EOF

  bool waits() const { return depth > 0; }
  // The same lock in two readings: everything but its number in the table.
  bool Same(const LockRow& other) const;
};

// Parses one line without its newline, as it stands in /proc/locks or behind `lock:` in an fdinfo. False when
// it is not understood.
bool ParseLockRow(std::string_view line, LockRow* row);

// Parses a table that comes in pieces of any size.
class LockTableParser {
 public:
  explicit LockTableParser(std::function<void(LockRow&&)> take);

  // 0, or -EBADMSG for a line that is not understood.
  int Feed(std::string_view text) { return lines_.Feed(text); }
  // To be called behind the last piece.
  int End() { return lines_.End(); }

 private:
  LineSplitter lines_;
};

// Reads a lock table row by row, so that a large one needs no memory: 0 or -errno, -EBADMSG as above.
int ReadLockTable(const char* path, const std::function<void(LockRow&&)>& take);

}  // namespace locksmith
