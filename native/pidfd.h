// Which incarnation of a process is this, has it ended, and what can be done with it? (pidfd_open(2))
#pragma once

#include <cstdint>

namespace locksmith {

int PidfdOpen(int pid);
// The inode that names the incarnation within this boot; 0 before Linux 6.9, where all pidfds share one.
int PidfdInode(int pidfd, uint64_t* inode);
int PidfdSignal(int pidfd, int signal);
// A copy of another process's descriptor, on the same open file description (pidfd_getfd(2)).
int PidfdGetfd(int pidfd, int fd);
// How the process ended, as wait(2) gives it. The kernel tells it only after the process was reaped, through
// a pidfd that was opened before: -ENODATA until then; -ENOTTY or -EINVAL before Linux 6.15.
int PidfdExitStatus(int pidfd);
// 1 when a descriptor is readable (a pidfd: when its process has ended), 0 when not.
int IsReadable(int fd);

}  // namespace locksmith
