// What does a line of the kernel's lock table say? (proc_locks(5), fs/locks.c)
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace locksmith {

struct LockRow {
  int64_t id = 0;
  bool waiting = false;
  std::string kind;    // FLOCK, OFDLCK, POSIX, LEASE, DELEG, ACCESS
  std::string mode;    // ADVISORY, MANDATORY, ACTIVE, BREAKING, BREAKER
  std::string access;  // READ, WRITE, RW, NONE, UNLCK
  int64_t pid = 0;
  unsigned major = 0;
  unsigned minor = 0;
  uint64_t inode = 0;
  int64_t start = 0;
  int64_t end = 0;
  bool to_end = false;  // EOF
};

// Parses one line without its newline, as it stands in /proc/locks or behind `lock:` in an fdinfo. False when
// it is not understood.
bool ParseLockRow(std::string_view line, LockRow* row);

// Parses a whole table. -EBADMSG for a line that is not understood.
int ParseLockTable(std::string_view text, std::vector<LockRow>* rows);

// Reads a file of procfs whole: 0 or -errno.
int ReadProcFile(const char* path, std::string* text);

}  // namespace locksmith
