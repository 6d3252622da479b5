#include "path_lock.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "fd.h"

namespace locksmith {

namespace {

constexpr mode_t kMode = 0644;

int CompareWithPath(int fd, const char* path) {
  struct stat locked = {};
  struct stat named = {};
  if (fstat(fd, &locked) != 0) return -errno;
  if (stat(path, &named) != 0) return errno == ENOENT ? -ESTALE : -errno;
  return locked.st_ino == named.st_ino && locked.st_dev == named.st_dev ? 0 : -ESTALE;
}

}  // namespace

int LockPath(const char* path, int flags, LockRequest request) {
  Fd fd(OrErrno(open(path, flags | O_CLOEXEC, kMode)));
  if (!fd.ok()) return fd.get();
  request.fd = fd.get();
  int error = SetLock(request);
  if (error < 0) return error - kLockFailed;
  error = CompareWithPath(fd.get(), path);
  return error < 0 ? error : fd.release();
}

int UnlockAndClose(const LockRequest& request) {
  Fd fd(request.fd);
  LockRequest unlock = request;
  unlock.type = LockType::kUnlock;
  return SetLock(unlock);
}

}  // namespace locksmith
