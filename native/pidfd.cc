#include "pidfd.h"

#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "fd.h"

namespace locksmith {

namespace {

constexpr long kPidfsMagic = 0x50494446;  // linux/magic.h

}  // namespace

int PidfdOpen(int pid) { return static_cast<int>(OrErrno(syscall(SYS_pidfd_open, pid, 0))); }

int PidfdInode(int pidfd, uint64_t* inode) {
  struct statfs filesystem = {};
  struct stat status = {};
  if (fstatfs(pidfd, &filesystem) != 0 || fstat(pidfd, &status) != 0) return -errno;
  *inode = filesystem.f_type == kPidfsMagic ? status.st_ino : 0;
  return 0;
}

int PidfdSignal(int pidfd, int signal) {
  return static_cast<int>(OrErrno(syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0)));
}

int PidfdGetfd(int pidfd, int fd) {
  return static_cast<int>(OrErrno(syscall(SYS_pidfd_getfd, pidfd, fd, 0)));
}

int IsReadable(int fd) {
  pollfd event = {.fd = fd, .events = POLLIN, .revents = 0};
  int count = OrErrno(poll(&event, 1, 0));
  if (count > 0 && (event.revents & POLLNVAL) != 0) return -EBADF;
  return count;
}

}  // namespace locksmith
