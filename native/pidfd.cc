#include "pidfd.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "fd.h"

namespace locksmith {

namespace {

constexpr long kPidfsMagic = 0x50494446;  // linux/magic.h

// The first version of struct pidfd_info, 64 bytes (linux/pidfd.h, not in the headers of all distributions).
// Every later kernel takes it too: the request's number has the size in it.
struct PidfdInfo {
  uint64_t mask;
  uint64_t cgroup;
  uint32_t ids[11];
  int32_t exit_code;
};
static_assert(sizeof(PidfdInfo) == 64);

constexpr uint64_t kPidfdInfoExit = 1 << 3;
constexpr unsigned long kPidfdGetInfo = _IOWR(0xFF, 11, PidfdInfo);

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

int PidfdExitStatus(int pidfd) {
  PidfdInfo info = {};
  info.mask = kPidfdInfoExit;
  if (ioctl(pidfd, kPidfdGetInfo, &info) != 0) return -errno;
  // fs/pidfs.c pidfs_exit() fills it in at release_task(), that is when the process is reaped.
  return (info.mask & kPidfdInfoExit) != 0 ? info.exit_code : -ENODATA;
}

int IsReadable(int fd) {
  pollfd event = {.fd = fd, .events = POLLIN, .revents = 0};
  int count;
  // Even a poll that does not wait can be interrupted, by a profiler's timer say (poll(2)).
  do {
    count = OrErrno(poll(&event, 1, 0));
  } while (count == -EINTR);
  if (count > 0 && (event.revents & POLLNVAL) != 0) return -EBADF;
  return count;
}

}  // namespace locksmith
