// How is a file locked by its path in one go? What was locked is what the path names, or it is not locked.
#pragma once

#include "file_lock.h"

namespace locksmith {

// Errors of the lock call itself are told apart from those of open(2) by this distance.
constexpr int kLockFailed = 4096;

// Opens `path` (open(2) flags, O_CLOEXEC added), takes the lock that `request` describes without waiting, and
// compares the file with what the path names by then. The descriptor; or, nothing left open, -errno of
// open(2) or stat(2), -ESTALE when the path names another file, -kLockFailed - errno when the lock was
// refused.
int LockPath(const char* path, int flags, LockRequest request);

// Gives the lock back and closes the descriptor in any case; -errno of the unlock.
int UnlockAndClose(const LockRequest& request);

}  // namespace locksmith
