#include "close_watch.h"

#include <sys/inotify.h>

#include "fd.h"

namespace locksmith {

int OpenCloseWatch(const char* path) {
  Fd watch(OrErrno(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)));
  if (!watch.ok()) return watch.get();
  int error = OrErrno(inotify_add_watch(watch.get(), path, IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF));
  return error < 0 ? error : watch.release();
}

int DrainCloseWatch(int fd) {
  alignas(inotify_event) char buffer[4096];
  ssize_t count;
  do {
    count = read(fd, buffer, sizeof buffer);
  } while (count > 0 || (count < 0 && errno == EINTR));
  return count == 0 || errno == EAGAIN ? 0 : -errno;
}

}  // namespace locksmith
