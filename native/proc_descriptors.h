// Which processes have a file open, and which locks do those descriptors hold? (proc_pid_fdinfo(5))
#pragma once

#include <cstdint>
#include <string>
#include <unordered_set>
#include <vector>

#include "proc_locks.h"

namespace locksmith {

struct DescriptorRow {
  int pid = 0;
  int fd = 0;
  uint64_t inode = 0;
  int mount_id = 0;
  int flags = 0;
  std::vector<LockRow> locks;
};

struct DescriptorScan {
  std::vector<DescriptorRow> rows;
  std::vector<int> unreadable;  // pids whose descriptors we may not read
};

// Looks through all processes below `proc_root` for descriptors of these inodes. Reads fdinfo only: a stat()
// through /proc/PID/fd would hang on a file of a dead mount. What ends while we look is left out. 0, or
// -errno: -EBADMSG for a lock that is not understood.
int FindDescriptors(const std::string& proc_root, const std::unordered_set<uint64_t>& inodes,
                    DescriptorScan* scan);

}  // namespace locksmith
