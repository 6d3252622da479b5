// What does the kernel say of one descriptor of one process? (proc_pid_fdinfo(5))
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proc_locks.h"

namespace locksmith {

struct FdInfo {
  uint64_t inode = 0;  // 0 before Linux 5.14, which does not tell it
  int mount_id = 0;
  int flags = 0;               // as of open(2)
  std::vector<LockRow> locks;  // that this very open file description holds, or for POSIX: its process
  uint64_t in_flight = 0;      // Unix socket: descriptors in messages that nobody has received yet
  // io_uring: its registered files. Linux 6.18 tells paths, 6.12 and older only the ends of names, with their
  // newlines: of such a name this is the first line.
  std::vector<std::string> registered;
};

// Parses the text of one fdinfo file: 0, or -EBADMSG when it tells something in a way that is not understood;
// `info` is then as it was.
int ParseFdInfo(std::string_view text, FdInfo* info);

}  // namespace locksmith
