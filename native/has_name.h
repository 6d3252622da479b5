// Does an open file still have a name? One that was replaced or removed has none.
#pragma once

#include <sys/stat.h>

#include <cerrno>

namespace locksmith {

// 1 or 0, or -errno.
inline int HasName(int fd) {
  struct stat status = {};
  if (fstat(fd, &status) != 0) return -errno;
  return status.st_nlink > 0 ? 1 : 0;
}

}  // namespace locksmith
