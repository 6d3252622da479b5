// What does the kernel say when a range of an open file is locked, tested or unlocked?
#pragma once

#include <cstdint>

namespace locksmith {

enum class LockKind { kOfd = 0, kFlock = 1, kPosix = 2 };
enum class LockType { kShared = 0, kExclusive = 1, kUnlock = 2 };

// One request. length 0 reaches to the end of the file; flock knows only whole files and ignores the range.
struct LockRequest {
  int fd;
  LockKind kind;
  LockType type;
  int64_t start;
  int64_t length;
};

// A lock that is in the way.
struct LockConflict {
  bool found;
  LockType type;
  int pid;
  int64_t start;
  int64_t length;
};

// Takes, converts or gives back a lock without waiting: 0, -EAGAIN when somebody is in the way, or -errno.
int SetLock(const LockRequest& request);

// The same, but blocks the calling thread; -EINTR when a signal handler ran.
int SetLockBlocking(const LockRequest& request);

// Looks for a lock in the way (F_GETLK, F_OFD_GETLK). -EOPNOTSUPP for flock, which has no such call.
int GetLock(const LockRequest& request, LockConflict* conflict);

}  // namespace locksmith
