#include "xattr.h"

#include <sys/xattr.h>

#include "fd.h"

namespace locksmith {

int SetXattr(int fd, const char* name, const void* value, size_t size) {
  return OrErrno(fsetxattr(fd, name, value, size, 0));
}

// The kernel's limit for a value is 64 KiB (XATTR_SIZE_MAX, linux/limits.h), so one call is enough.
int GetXattr(int fd, const char* name, std::string* value) {
  value->resize(65536);
  ssize_t size = OrErrno(fgetxattr(fd, name, value->data(), value->size()));
  value->resize(size < 0 ? 0 : static_cast<size_t>(size));
  return size < 0 ? static_cast<int>(size) : 0;
}

}  // namespace locksmith
